import { isLosslessNumber, LosslessNumber, stringify } from 'lossless-json';
import { HttpFault } from './http-fault.js';
import { BadJson, LosslessParser } from './lossless-parser.js';

/**
 * JSON in which numbers keep their digits: they arrive as `LosslessNumber`, with the literal's text, and money leaves as a
 * literal with exactly the digits that it has.
 */
export { isLosslessNumber, LosslessNumber };

/** Throws HttpFault 400 `invalid_json`. Bounds are the body's size, which is the caller's to check, and its depth. */
export function parseJson(text: string): unknown {
  try {
    return LosslessParser.parse(text, DEPTH_MAX);
  } catch (error) {
    if (error instanceof BadJson) throw invalidJson(error.message, error);
    throw error;
  }
}

/** Members that are undefined are left out. A `number` that is no JSON number is a bug. */
export function jsonText(value: unknown): string {
  const text = stringify(value);
  if (text === undefined) throw new TypeError('a value without JSON was to be written');
  return text;
}

/** A number literal with exactly these digits: `0.0000275`. */
export function exactNumber(text: string): LosslessNumber {
  if (!NUMBER.test(text)) throw new TypeError('what was to be written as a number is none');
  return new LosslessNumber(text);
}

export function invalidJson(what: string, cause?: unknown): HttpFault {
  return new HttpFault(400, 'invalid_json', `The body ${what}.`, { cause });
}

const DEPTH_MAX = 128;
/** RFC 8259, section 6. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
