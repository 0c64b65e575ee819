/**
 * The number under which an attempt publishes what it writes: higher than that of every attempt at the turn before it, as
 * watchers void what a lower one wrote. Temporal counts attempts from 1 again when the turn is asked again or the step is
 * reset, and tries when the run is reset; the time at which it scheduled the attempt, by its own clock, rises over all.
 * Within int32 until 2043.
 */
export function outputAttempt(
  { attempt, currentAttemptScheduledTimestampMs: timeMs }: AttemptInfo,
  tries: number,
): number {
  return Math.max(0, Math.floor((timeMs - EPOCH_MS) / STEP_MS)) + tries + attempt;
}

export interface AttemptInfo {
  /** From 1. */
  readonly attempt: number;
  readonly currentAttemptScheduledTimestampMs: number;
}

const EPOCH_MS = Date.UTC(2026, 0, 1);
/** Of several attempts in one step the count is the higher one. */
const STEP_MS = 250;
