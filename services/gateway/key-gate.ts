import type { FastifyRequest } from 'fastify';
import { callerKeyOf } from './caller-of.js';
import { type CallerCache, isRefusal } from './proxy/caller-cache.js';
import { withinTime } from './within-time.js';

/**
 * Refuses who has no valid key before the body is read, which may be large, and before anything is said of the request. It
 * is a first look: the service decides by the same key in every call that follows. When it does not tell in time who calls,
 * the request goes on, and is answered by what those calls come to.
 */
export function keyGate(callers: CallerCache): (request: FastifyRequest) => Promise<void> {
  return async ({ headers }) => {
    const known = callers.callerOf(callerKeyOf(headers)).catch((error: unknown) => {
      if (isRefusal(error)) throw error;
    });
    await withinTime(known, LOOK_TIME_MAX_MS);
  };
}

const LOOK_TIME_MAX_MS = 1_000;
