import { setTimeout as sleep } from 'node:timers/promises';
import { ExperiencesError } from '../services/client/index.js';

/**
 * Keeps what was paid for. While the service is away it tries on for as long as the attempt may run, because another
 * attempt would pay again. `attemptEndMs` is when Temporal gives the attempt up, in this machine's own time: it counts from
 * the start of the attempt, which may have waited in its queue for long.
 */
export async function keepPaid<T>(keep: () => Promise<T>, attemptEndMs: number): Promise<T> {
  const deadline = Math.min(Date.now() + KEEP_TIME_MAX_MS, attemptEndMs - ATTEMPT_MARGIN_MS);
  for (;;) {
    try {
      return await keep();
    } catch (error) {
      if (!mayPass(error) || Date.now() + PAUSE_MS >= deadline) throw error;
      await sleep(PAUSE_MS);
    }
  }
}

/** Whether the service may well keep it a little later. */
export function mayPass(error: unknown): boolean {
  return error instanceof ExperiencesError && PASSING_CODES.has(error.code) && error.reason !== FULL;
}

const PASSING_CODES = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED', 'INTERNAL']);
/** Exhausted as well, but not for a moment. */
const FULL = 'APPLICATION_FULL';
const KEEP_TIME_MAX_MS = 60_000;
/** For recording what was paid, after it. */
const ATTEMPT_MARGIN_MS = 20_000;
const PAUSE_MS = 1_000;
