import { Context } from '@temporalio/activity';
import { type ExperiencesClient, ExperiencesError } from '../../services/client/index.js';
import type { UsageOutbox } from './usage-outbox.js';

/** Amounts are decimal strings in USD. */
export interface RunningCost {
  readonly totalCost: string;
  readonly usefulCost: string;
  readonly wastedCost: string;
  /** Held by calls that are under way. */
  readonly heldCost: string;
  readonly eventCount: number;
}

export interface RunningCostActivities {
  experiencesRunningCost(experienceId: string): Promise<RunningCost>;
}

/** Registered by the plugin beside the worker's own activities. */
export function runningCostActivities(
  clientOf: (workflowId: string | undefined) => { readonly costs: Pick<ExperiencesClient['costs'], 'get'> },
  outbox: Pick<UsageOutbox, 'flush'>,
): RunningCostActivities {
  return {
    async experiencesRunningCost(experienceId) {
      // So that it has what this worker's ended calls have cost.
      await outbox.flush(FLUSH_TIME_MAX_MS);
      const { costs } = clientOf(Context.current().info.workflowExecution?.workflowId);
      try {
        const { totals } = await costs.get(experienceId);
        return {
          totalCost: totals.cost.total,
          usefulCost: totals.usefulCost,
          wastedCost: totals.wastedCost,
          heldCost: totals.heldCost,
          eventCount: Number(totals.eventCount),
        };
      } catch (error) {
        // An experience is made by its first call; before that it has cost nothing.
        if (error instanceof ExperiencesError && error.code === 'NOT_FOUND') return NOTHING;
        throw error;
      }
    },
  };
}

const NOTHING: RunningCost = {
  totalCost: '0',
  usefulCost: '0',
  wastedCost: '0',
  heldCost: '0',
  eventCount: 0,
};

const FLUSH_TIME_MAX_MS = 1_000;
