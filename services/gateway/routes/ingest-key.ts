import type { FastifyReply, FastifyRequest } from 'fastify';
import { ExperiencesError } from '../../client/index.js';
import { newUuid } from '../../domain/new-uuid.js';
import { EVENT_ID_LENGTH_MAX, eventIdRule } from '../../domain/text-rules.js';
import { HttpFault } from '../http-fault.js';
import { queryText } from '../pages.js';
import { resultJson } from './result-json.js';

/** What identifies a request to ingest, so that it counts once however often it is sent. */
export interface IngestKey {
  /** Whether the caller gave it; else it is made up, and the caller cannot send the same again. */
  readonly isCallers: boolean;
  /** The id of the only event, or of one of many: without a slash, which clients do not encode in paths. */
  eventId(index?: number): string;
}

/** The header `Idempotency-Key` or else the query parameter `id`. */
export function ingestKeyOf(request: FastifyRequest): IngestKey {
  const header = request.headers['idempotency-key'];
  const key = (Array.isArray(header) ? header.join(',') : header)?.trim() || queryText(request.query, 'id');
  if (key === undefined) return { isCallers: false, eventId: () => newUuid() };
  if (key.length > KEY_LENGTH_MAX || eventIdRule(key) !== undefined) {
    const message = `An idempotency key is at most ${KEY_LENGTH_MAX} printable ASCII characters.`;
    throw new HttpFault(400, 'request_processing_error', message);
  }
  return { isCallers: true, eventId: (index) => (index === undefined ? key : `${key}~${index}`) };
}

/** Whether what failed like this may be recorded all the same. */
export function isUncertain(error: unknown): boolean {
  return error instanceof ExperiencesError && error.mayBeDone;
}

/**
 * Records; the tries of our own client are one event. When it is not certain that nothing was recorded, a generated client
 * would send the event again under another id, and it would count twice. So it is told not to, and by which key it may.
 */
export async function recordOnce<Result>(
  reply: FastifyReply,
  key: IngestKey,
  eventId: string,
  record: () => Promise<Result>,
): Promise<Result> {
  try {
    return await record();
  } catch (error) {
    if (key.isCallers || !isUncertain(error)) throw error;
    reply.header(...NO_RETRY);
    const result = resultJson({ requestId: eventId });
    // Without a time to wait: who waits and sends it again as it is counts it twice.
    throw new HttpFault(503, 'request_processing_error', UNCERTAIN, { result, cause: error });
  }
}

/** What generated clients obey. */
export const NO_RETRY = ['x-should-retry', 'false'] as const;
const UNCERTAIN =
  'It is not certain whether the event was recorded. Send it again with this request_id as its Idempotency-Key.';
/** Room for the number of an event among many. */
const KEY_LENGTH_MAX = EVENT_ID_LENGTH_MAX - '~1000'.length;
