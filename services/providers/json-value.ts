/** Looks into JSON that somebody else wrote. Numbers may be `number`s or the objects of a lossless parser. */

export type JsonRecord = Readonly<Record<string, unknown>>;

/** An object of the JSON; an array is none, and neither is the object that stands for a number. */
export function isRecord(value: unknown): value is JsonRecord {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The record itself, or an empty one: what is not there has no members. */
export function recordOf(value: unknown): JsonRecord {
  return isRecord(value) ? value : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** A count of something. undefined: not given, or no whole number that can be one. */
export function countOf(value: unknown): bigint | undefined {
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : undefined;
  }
  if (typeof value !== 'object' || value === null || isRecord(value)) return undefined;
  if (!('isLosslessNumber' in value && 'value' in value)) return undefined;
  const digits = textOf(value.value);
  return digits !== undefined && COUNT.test(digits) ? BigInt(digits) : undefined;
}

/** What is recorded beside the usage must never keep it from being recorded. */
export function shortTextOf(value: unknown): string | undefined {
  const text = textOf(value)
    ?.replaceAll(/[^\x20-\x7e]/g, '')
    .slice(0, SHORT_TEXT_LENGTH_MAX);
  return text === '' ? undefined : text;
}

export function parseJsonRecord(text: string): JsonRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined; // No event of the protocol: it is passed on unread.
  }
}

/** As large as a safe integer may be written; the ledger refuses more than its own maximum. */
const COUNT = /^\d{1,16}$/;
/** What the ledger takes of a model's name and of a provider's id. */
const SHORT_TEXT_LENGTH_MAX = 256;
