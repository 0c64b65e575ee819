import { createHash } from 'node:crypto';
import type { UsageRecord } from '../domain/usage.js';
import { parseUuid } from '../domain/uuid.js';

/**
 * What is compared when an event id is sent again: the facts and the attribution as the caller stated them, after the
 * metadata of the call is merged in and before an experience id is made up. Absent fields do not take part, nor does
 * how the record travelled. Spellings that mean the same (a UUID in braces, units of zero, tags in another order) count
 * as the same.
 */
export function contentHash(record: UsageRecord): Uint8Array {
  const { eventId: _identity, attribution, ...facts } = record;
  const id = attribution.experienceId;
  const canonical = {
    ...facts,
    attribution: {
      ...attribution,
      experienceId: id === undefined ? undefined : (parseUuid(id) ?? id),
      requestTags: attribution.requestTags.toSorted(),
    },
  };
  return createHash('sha256').update(canonicalJson(canonical)).digest().subarray(0, HASH_BYTES);
}

const HASH_BYTES = 8;

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
