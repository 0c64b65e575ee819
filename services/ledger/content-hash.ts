import { hash } from 'node:crypto';
import type { UsageReservation } from '../domain/reservation.js';
import type { UsageRecord } from '../domain/usage.js';
import { parseUuid } from '../domain/uuid.js';

/**
 * What is compared when an event id is sent again: the facts and the attribution as the caller stated them, after the
 * metadata of the call is merged in and before an experience id is made up. Absent fields do not take part, nor does
 * how the record travelled. Spellings that mean the same (a UUID in braces, units of zero, tags in another order) count
 * as the same.
 */
export function contentHash(record: UsageRecord): Uint8Array {
  return hash('sha256', canonicalRecord(record), 'buffer').subarray(0, HASH_BYTES);
}

/** The same of a reservation: how long it may stay open does not take part. */
export function reservationHash({ attribution, ...reservation }: UsageReservation): Uint8Array {
  const { eventId: _id, ttlMs: _ttlMs, ...facts } = reservation;
  const text = `${canonicalAttribution(attribution)}${canonicalJson(facts)}`;
  return hash('sha256', text, 'buffer').subarray(0, HASH_BYTES);
}

const HASH_BYTES = 8;

/**
 * The text that is hashed: {@link canonicalJson} of the record without its event id and with the experience id in its
 * canonical form. It is spelled out, because every record passes here; a test holds the two together.
 */
export function canonicalRecord(record: UsageRecord): string {
  const text = new CanonicalText();
  text.raw('attribution', canonicalAttribution(record.attribution));
  if (record.eventTime !== undefined) text.string('eventTime', record.eventTime.toISOString());
  text.number('httpStatusCode', record.httpStatusCode);
  text.number('latencyMs', record.latencyMs);
  text.string('model', record.model);
  text.string('operationKey', record.operationKey);
  text.string('outcome', record.outcome);
  if (record.properties.size > 0) text.raw('properties', canonicalJson(record.properties));
  text.string('provider', record.provider);
  text.string('providerRequestId', record.providerRequestId);
  text.string('providerResponseId', record.providerResponseId);
  text.string('requestedModel', record.requestedModel);
  text.string('step', record.step);
  text.number('timeToFirstTokenMs', record.timeToFirstTokenMs);
  if (record.units.size > 0) text.raw('units', canonicalUnits(record.units));
  if (record.workflowSource !== undefined) text.raw('workflowSource', canonicalJson(record.workflowSource));
  return text.end();
}

function canonicalAttribution(attribution: UsageRecord['attribution']): string {
  const id = attribution.experienceId;
  const text = new CanonicalText();
  text.string('experienceId', id === undefined ? undefined : (parseUuid(id) ?? id));
  text.string('experienceType', attribution.experienceType);
  text.number('experienceVersion', attribution.experienceVersion);
  if (attribution.limitIds.length > 0) text.raw('limitIds', canonicalJson(attribution.limitIds.toSorted()));
  if (attribution.requestTags.length > 0)
    text.raw('requestTags', canonicalJson(attribution.requestTags.toSorted()));
  text.string('userId', attribution.userId);
  return text.end();
}

/** Kinds are in order already, and need no escapes. */
function canonicalUnits(units: UsageRecord['units']): string {
  const text = new CanonicalText();
  for (const [kind, { input, output }] of units) text.raw(kind, `{"input":"${input}","output":"${output}"}`);
  return text.end();
}

/** An object of fields that are given in the order of their names. */
class CanonicalText {
  #text = '';

  string(name: string, value: string | undefined): void {
    if (value !== undefined) this.raw(name, JSON.stringify(value));
  }

  number(name: string, value: number | undefined): void {
    if (value !== undefined) this.raw(name, String(value));
  }

  raw(name: string, json: string): void {
    this.#text += `${this.#text === '' ? '{' : ','}"${name}":${json}`;
  }

  end(): string {
    return this.#text === '' ? '{}' : `${this.#text}}`;
  }
}

/** JSON with sorted keys, without what is absent or empty; a Map is an object, a BigInt its digits, a Date its ISO text. */
export function canonicalJson(value: unknown): string {
  if (value instanceof Date) return JSON.stringify(value.toISOString());
  if (typeof value === 'bigint') return `"${value}"`;
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries: [string, unknown][] = value instanceof Map ? [...value] : Object.entries(value);
    const parts = entries
      .filter(([, field]) => !isAbsent(field))
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`);
    return `{${parts.join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

function isAbsent(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return value instanceof Map && value.size === 0;
}
