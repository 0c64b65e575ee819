import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { canonicalJson } from '../ledger/content-hash.js';
import type { RequestCheck } from './request-check.js';

/**
 * Page tokens: where the page before ended, bound to the application, the list and its filter, and signed. A token
 * grants nothing; the signature only keeps foreign or edited ones from being taken for a place.
 */
export class PageTokens {
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** `position` is JSON; `scope` is whatever must be the same on the next page. */
  write(position: unknown, scope: unknown): string {
    const body = Buffer.from(JSON.stringify(position));
    return Buffer.concat([Buffer.of(TOKEN_VERSION), this.#signature(body, scope), body]).toString(
      'base64url',
    );
  }

  /** undefined for the first page, and for a token that the check has refused. */
  read(token: string, scope: unknown, check: RequestCheck): unknown {
    if (token === '') return undefined;
    const bytes = token.length <= TOKEN_LENGTH_MAX ? Buffer.from(token, 'base64url') : Buffer.alloc(0);
    const body = bytes.subarray(1 + SIGNATURE_BYTES);
    const signature = bytes.subarray(1, 1 + SIGNATURE_BYTES);
    if (
      bytes.toString('base64url') !== token || // The decoder skips what is no base64.
      bytes[0] !== TOKEN_VERSION ||
      signature.length !== SIGNATURE_BYTES ||
      !timingSafeEqual(signature, this.#signature(body, scope))
    ) {
      check.bad('page_token', 'is not a token of this list with this filter');
      return undefined;
    }
    return JSON.parse(body.toString());
  }

  #signature(body: Buffer, scope: unknown): Buffer {
    const scopeHash = createHash('sha256').update(canonicalJson(scope)).digest();
    return createHmac('sha256', this.#key)
      .update(scopeHash)
      .update(body)
      .digest()
      .subarray(0, SIGNATURE_BYTES);
  }
}

/** The position of a list in the order of a time and an id; undefined for any other. */
export function fromTimeAndId(position: unknown): { readonly time: Date; readonly id: string } | undefined {
  if (!Array.isArray(position)) return undefined;
  const [time, id] = position as readonly unknown[];
  if (typeof time !== 'number' || typeof id !== 'string') return undefined;
  return { time: new Date(time), id };
}

const TOKEN_VERSION = 1;
const SIGNATURE_BYTES = 16;
const TOKEN_LENGTH_MAX = 4_096;
