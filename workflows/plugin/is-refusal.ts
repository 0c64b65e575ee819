import { countOf, fieldOf } from './field-of.js';

/**
 * Whether the provider refused to work: the AI SDK's errors have a `statusCode`, those of OpenAI's and Anthropic's clients a
 * `status`, and activities wrap them as a cause. The outermost status counts.
 */
export function isRefusal(error: unknown): boolean {
  let inner = error;
  for (let depth = 0; depth < CAUSES_MAX && inner !== undefined; depth += 1) {
    const status = countOf(fieldOf(inner, 'statusCode')) ?? countOf(fieldOf(inner, 'status'));
    if (status !== undefined) return REFUSED_STATUSES.has(status);
    inner = fieldOf(inner, 'cause');
  }
  return false;
}

/** What is answered before any work is done; a timeout, 408, may have been worked for. */
const REFUSED_STATUSES = new Set([400, 401, 403, 404, 422, 429]);
const CAUSES_MAX = 10;
