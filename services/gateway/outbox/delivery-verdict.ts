import { ExperiencesError } from '../../client/index.js';

/**
 * What a failed delivery says:
 *
 * - `away`: the service cannot be reached, is overloaded, or is not one that takes this gateway's items; no other item would
 *   fare better, and the item itself is not to blame;
 * - `later`: this item alone may succeed later;
 * - `refused`: the service will not take it, however often it is sent.
 */
export type DeliveryVerdict = 'away' | 'later' | 'refused';

/** `failingForMs`: since this item was first tried in vain. */
export function verdictOn(error: unknown, failingForMs: number): DeliveryVerdict {
  if (error instanceof DeliveryTimedOut) return 'away';
  if (error instanceof UnreadableItem) return 'refused';
  if (error instanceof ExperiencesError) {
    if (AWAY_CODES.has(error.code)) return 'away';
    if (error.reason !== undefined && REFUSING_CODES.has(error.code)) return 'refused';
  }
  // The service has not said that it refuses: a bug, or something between here and there, which people mend in hours.
  return failingForMs < UNEXPLAINED_TIME_MAX_MS ? 'later' : 'refused';
}

export class DeliveryTimedOut extends Error {
  override readonly name = 'DeliveryTimedOut';
}

/** Another version has written it. */
export class UnreadableItem extends Error {
  override readonly name = 'UnreadableItem';
}

/**
 * A key that is wrong or lacks a scope is mended at the gateway, and a service that does not know the method is an older one;
 * until then nothing that was paid may be given up.
 */
const AWAY_CODES = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
  'CANCELLED',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'UNIMPLEMENTED',
]);
/** Of what the caller has stated. Without a reason they are not the service's own. */
const REFUSING_CODES = new Set([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'FAILED_PRECONDITION',
  'OUT_OF_RANGE',
]);
/** In the life of one process; a restart begins anew. */
const UNEXPLAINED_TIME_MAX_MS = 24 * 60 * 60 * 1_000;
