import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { ExperiencesError, type UsageReservation } from '../../services/client/index.js';
import { isGone, mayPass, type UsagePort } from '../../services/client/settle.js';
import type { UsageOutbox } from './usage-outbox.js';

/** What becomes of an activity whose limit refuses its call. */
export type OnBudget =
  /** It fails for good with {@link BUDGET_EXCEEDED}, for workflows that catch it and ask. */
  | 'fail'
  /** It is tried again later, until the limit is raised: for workflows that know nothing of budgets. */
  | 'wait';

export interface BudgetRule {
  readonly outbox: Pick<UsageOutbox, 'flush' | 'retrySoon'>;
  /** How long what a reservation covers waits, behind the activity's result, to be settled; 0: it is settled before. */
  readonly settleDelayMs: number;
  readonly onBudget: OnBudget;
  readonly budgetRetryDelayMs: number;
}

/** Type of the failure of an activity whose call a limit refused. Its details are one {@link BudgetRefusal}. */
export const BUDGET_EXCEEDED = 'ExperienceBudgetExceeded';
/** Type of the failure when the service could not be asked: nothing was spent, and it is tried again. */
export const SERVICE_AWAY = 'ExperiencesUnavailable';

/** Type of the failure of an activity whose experience, or its type, is deleted: without them there is no budget. */
export const EXPERIENCE_GONE = 'ExperienceGone';

/** Amounts are decimal strings in USD; what the service did not say is absent. */
export type BudgetRefusal = Readonly<Record<string, string>>;

/**
 * Holds the estimate before anything is spent. Throws a failure for Temporal when the call must not be made now. What is
 * spent for a deleted experience is recorded unattributed, but nothing more is begun for it: its limit is gone too.
 */
export async function reserveCall(
  usage: UsagePort,
  reservation: UsageReservation,
  rule: BudgetRule,
): Promise<void> {
  try {
    await usage.reserve(reservation).catch(async (error: unknown) => {
      if (!mayBeHeldByEndedCalls(error, rule)) throw error;
      // Of calls that have ended the limit may still hold the estimates, which are more than what they cost.
      const waitMs = rule.settleDelayMs + SETTLE_TIME_MS;
      await Promise.all([rule.outbox.flush(waitMs), sleep(waitMs)]);
      return usage.reserve(reservation);
    });
    rule.outbox.retrySoon();
  } catch (error) {
    throw failureOf(error, rule);
  }
}

function mayBeHeldByEndedCalls(error: unknown, { settleDelayMs }: BudgetRule): boolean {
  if (settleDelayMs === 0 || !(error instanceof ExperiencesError) || error.reason !== 'LIMIT_REACHED')
    return false;
  return error.metadata.held_cost !== '0';
}

function failureOf(error: unknown, { onBudget, budgetRetryDelayMs }: BudgetRule): unknown {
  if (!(error instanceof ExperiencesError)) return error;
  if (error.reason === 'LIMIT_REACHED') {
    return ApplicationFailure.create({
      type: BUDGET_EXCEEDED,
      message: 'A limit refuses the call: the budget of the experience is spent or held.',
      details: [error.metadata satisfies BudgetRefusal],
      cause: error,
      ...(onBudget === 'fail' ? { nonRetryable: true } : { nextRetryDelay: budgetRetryDelayMs }),
    });
  }
  if (isGone(error)) {
    return ApplicationFailure.create({
      type: EXPERIENCE_GONE,
      message: 'The experience of the call, or its type, does not exist or was deleted. Nothing was spent.',
      nonRetryable: true,
      cause: error,
    });
  }
  if (!mayPass(error, 1)) {
    return ApplicationFailure.create({
      type: 'ExperiencesRefused',
      message: `The Experiences service refuses the reservation: ${error.code}.`,
      nonRetryable: true,
      cause: error,
    });
  }
  return ApplicationFailure.create({
    type: SERVICE_AWAY,
    message: `The call could not be reserved: ${error.code}. Nothing was spent.`,
    cause: error,
    ...(error.retryAfterMs === undefined ? {} : { nextRetryDelay: error.retryAfterMs }),
  });
}

/** Beside the delay: then other workers too have settled what had ended. */
const SETTLE_TIME_MS = 200;
