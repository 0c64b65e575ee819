import { ApplicationFailure } from '@temporalio/workflow';
import type { RunInput } from '../services/domain/run.js';

export interface SummarizationParameters {
  /** About how many tokens of the document one call summarises. */
  readonly chunkTokens: number;
  /** How many calls of the run may be under way. */
  readonly parallelCalls: number;
  /** How many summaries one call combines. */
  readonly fanIn: number;
  /** How often a call is tried. */
  readonly callAttempts: number;
  /** How long the run waits for a higher budget before it returns what it has; at most 14 days. */
  readonly pauseTimeoutSeconds: number;
}

/** The caller's JSON; whatever it does not say has a default, and what it says wrongly ends the run before it spends. */
export function parseParameters(given: RunInput['parameters'] = {}): SummarizationParameters {
  const read = (name: keyof SummarizationParameters, fallback: number, min: number, max: number): number => {
    const value = given[name] ?? fallback;
    if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) return Number(value);
    throw ApplicationFailure.nonRetryable(
      `The parameter ${name} must be a whole number from ${min} to ${max}.`,
      'BadParameter',
    );
  };
  return {
    chunkTokens: read('chunkTokens', 1_200, 100, 100_000),
    parallelCalls: read('parallelCalls', 4, 1, 32),
    fanIn: read('fanIn', 6, 2, 32),
    callAttempts: read('callAttempts', 8, 1, 100),
    pauseTimeoutSeconds: read('pauseTimeoutSeconds', DAY_S, 0, PAUSE_MAX_S),
  };
}

const DAY_S = 86_400;
/** Summaries are kept for 30 days: those from before the pause have to outlast it, and the work that follows. */
const PAUSE_MAX_S = 14 * DAY_S;
