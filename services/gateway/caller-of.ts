import type { IncomingHttpHeaders } from 'node:http';
import { HttpFault } from './http-fault.js';

/**
 * The caller's own key: `xProxy-api-key`, or else `Authorization`, with `Bearer` or bare as the first clients send it. It
 * is handed to the service, which decides; undefined: the caller sent none.
 */
export function callerKeyOf(headers: IncomingHttpHeaders): string | undefined {
  const named = headers[API_KEY_HEADER];
  if (named !== undefined) return checked(Array.isArray(named) ? named.join(',') : named);
  const { authorization } = headers;
  if (authorization === undefined) return undefined;
  // RFC 9110, section 11.1: the scheme is read in any case.
  return checked(authorization.replace(/^bearer +/i, ''));
}

/** What is not such a text cannot travel as gRPC metadata and is nobody's key. */
function checked(key: string): string {
  if (!KEY.test(key)) throw new HttpFault(401, 'invalid_api_key', 'The API key is not valid.');
  return key;
}

export const API_KEY_HEADER = 'xproxy-api-key';
const KEY = /^[\x21-\x7e]{1,512}$/;
