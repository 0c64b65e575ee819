import { ApplicationFailureCategory } from '@temporalio/common';
import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';
import {
  CONVERSATION_FULL,
  type FailedTurn,
  TURN_REFUSED,
  type TurnRefusal,
  type TurnRefusedWhy,
} from '../services/domain/ask.js';
import { BUDGET_EXCEEDED } from './budget-gate.js';

/** For a question that is not taken; expected, so it is no alarm. */
export function turnRefused(why: TurnRefusedWhy, failed?: FailedTurn): ApplicationFailure {
  const details: [TurnRefusal] = [{ why, ...(failed === undefined ? {} : { failed }) }];
  return ApplicationFailure.create({
    type: TURN_REFUSED,
    message: MESSAGES[why],
    details,
    nonRetryable: true,
    category: ApplicationFailureCategory.BENIGN,
  });
}

/** For a turn that was begun: why its steps failed, under the type of their own failure. */
export function turnFailed(error: unknown, failed: FailedTurn): ApplicationFailure {
  const cause = causeOf(error);
  if (isBudgetExceeded(cause)) return turnRefused('over_budget', failed);
  if (hasType(cause, CONVERSATION_FULL)) return turnRefused('full', failed);
  const details: [TurnRefusal] = [{ why: 'failed', failed }];
  return cause instanceof ApplicationFailure
    ? ApplicationFailure.nonRetryable(cause.message, cause.type, ...details)
    : ApplicationFailure.nonRetryable('The turn was ended before it was answered.', 'TurnEnded', ...details);
}

export function isBudgetExceeded(error: unknown): boolean {
  return hasType(error, BUDGET_EXCEEDED);
}

/** Whether it is the failure of that type of a step. */
export function hasType(error: unknown, type: string): boolean {
  const cause = causeOf(error);
  return cause instanceof ApplicationFailure && cause.type === type;
}

function causeOf(error: unknown): unknown {
  return error instanceof ActivityFailure ? error.cause : error;
}

const MESSAGES: Readonly<Record<TurnRefusedWhy, string>> = {
  closed: 'The conversation is ending.',
  moving: 'The conversation is just handed on to its next run.',
  empty: 'There is no question.',
  over_budget: 'What the conversation may spend is spent.',
  busy: 'Too many questions wait already.',
  full: 'The conversation has all the turns it may have.',
  repeated: 'The turn was asked before.',
  failed: 'The turn came to nothing.',
};
