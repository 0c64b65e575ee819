import type { IncomingHttpHeaders } from 'node:http';
import { API_KEY_HEADER, callerKeyOf } from '../caller-of.js';
import { HttpFault } from '../http-fault.js';

/** The caller's own key. `Authorization` is the provider's here and is not looked at. */
export function keyOf(headers: IncomingHttpHeaders): string | undefined {
  return callerKeyOf({ [API_KEY_HEADER]: headers[API_KEY_HEADER] });
}

export function requireRecording(scopes: readonly string[]): void {
  if (scopes.includes('RECORD') || scopes.includes('ADMIN')) return;
  throw new HttpFault(403, 'request_processing_error', 'The key lacks the scope RECORD.');
}
