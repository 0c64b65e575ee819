import { z } from 'zod';
import type { UsageRecord } from '../../client/index.js';

/**
 * What ends a paid call in the books of an application. The record should hold its `eventTime`: without one it happened
 * when it is delivered.
 */
export interface OutboxItem {
  readonly application: string;
  readonly settlement:
    | { readonly kind: 'record'; readonly record: UsageRecord & { readonly eventId: string } }
    | { readonly kind: 'release'; readonly eventId: string };
}

/** Counts are strings of digits and times are ISO 8601, so nothing is lost in JSON. */
export function toText({ application, settlement }: OutboxItem): string {
  if (settlement.kind === 'release') return JSON.stringify({ application, settlement });
  const { units, eventTime, ...facts } = settlement.record;
  const record = {
    ...facts,
    units: mapValues(units, (count) => mapValues(count, (value) => value?.toString())),
    ...(eventTime === undefined ? {} : { eventTime: eventTime.toISOString() }),
  };
  return JSON.stringify({ application, settlement: { kind: 'record', record } });
}

/** undefined: it is no item, or one of a version that this one cannot read. */
export function fromText(text: string): OutboxItem | undefined {
  const value: unknown = JSON.parse(text);
  if (!isStoredItem(value)) return undefined;
  const { application, settlement } = value;
  if (settlement.kind === 'release') return { application, settlement };
  const { units, eventTime, ...facts } = settlement.record;
  const record = {
    ...facts,
    units: mapValues(units, (count) => mapValues(count, BigInt)),
    ...(eventTime === undefined ? {} : { eventTime: new Date(eventTime) }),
  };
  return { application, settlement: { kind: 'record', record } };
}

export function eventIdOf({ settlement }: OutboxItem): string {
  return settlement.kind === 'record' ? settlement.record.eventId : settlement.eventId;
}

interface StoredItem {
  readonly application: string;
  readonly settlement:
    | {
        readonly kind: 'record';
        readonly record: Omit<UsageRecord, 'units' | 'eventTime'> & {
          readonly eventId: string;
          readonly units: Readonly<Record<string, Readonly<Record<string, string>>>>;
          readonly eventTime?: string;
        };
      }
    | { readonly kind: 'release'; readonly eventId: string };
}

/** The frame's checksum has shown that the text is as it was written; what is looked at here is what is relied on here. */
function isStoredItem(value: unknown): value is StoredItem {
  return STORED_ITEM.safeParse(value).success;
}

const STORED_ITEM = z.object({
  application: z.string(),
  settlement: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('record'),
      record: z.looseObject({
        eventId: z.string(),
        provider: z.string(),
        model: z.string(),
        units: z.record(z.string(), z.record(z.string(), z.string().regex(/^-?\d+$/))),
        eventTime: z.iso.datetime().optional(),
      }),
    }),
    z.object({ kind: z.literal('release'), eventId: z.string() }),
  ]),
});

/** By entries, so that a key such as `__proto__` stays a key. */
function mapValues<From, To>(
  values: Readonly<Record<string, From>>,
  map: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value)]));
}
