import { ApplicationFailure } from '@temporalio/workflow';
import type { RunInput } from '../services/domain/run.js';

export interface ChatbotParameters {
  /** Given as `idleTimeoutSeconds`: after so long without a question the run completes. */
  readonly idleTimeoutMs: number;
  /** After so many turns the run is continued by a new one, with an empty history. */
  readonly turnsPerRunMax: number;
  /** Temporal itself takes 10 updates at once. */
  readonly waitingTurnsMax: number;
  /** How many passages the model is given. */
  readonly passageCount: number;
  readonly answerTokensMax: number;
  readonly callAttempts: number;
}

/** The caller's JSON; whatever it does not say has a default, and what it says wrongly ends the run before it spends. */
export function parseChatbotParameters(given: RunInput['parameters'] = {}): ChatbotParameters {
  const read = (name: string, fallback: number, min: number, max: number): number => {
    const value = given[name] ?? fallback;
    if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) return Number(value);
    throw ApplicationFailure.nonRetryable(
      `The parameter ${name} must be a whole number from ${min} to ${max}.`,
      'BadParameter',
    );
  };
  return {
    idleTimeoutMs: read('idleTimeoutSeconds', 1_800, 1, 604_800) * 1_000,
    turnsPerRunMax: read('turnsPerRunMax', 200, 1, 1_000),
    waitingTurnsMax: read('waitingTurnsMax', 8, 1, 9),
    passageCount: read('passageCount', 4, 1, 16),
    answerTokensMax: read('answerTokensMax', 800, 16, 16_000),
    callAttempts: read('callAttempts', 5, 1, 100),
  };
}
