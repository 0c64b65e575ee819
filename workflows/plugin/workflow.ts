/** What a workflow may ask of the plugin. Nothing here but {@link runningCost} adds to the history. */
import { proxyActivities } from '@temporalio/workflow';
import type { RunningCost, RunningCostActivities } from './running-cost.js';
import { currentRun, runStep } from './workflow-run.js';

export type { RunningCost } from './running-cost.js';

export interface RunExperience {
  readonly experienceId: string;
  /** undefined: none is known. */
  readonly experienceType: string | undefined;
  /** undefined: the current one of the type when the experience was made. */
  readonly experienceVersion: number | undefined;
  /** With what it started, a decimal string in USD; undefined: none was given. A raise does not show here. */
  readonly budget: string | undefined;
}

/** The experience of this run; undefined: the workflow bundle was made without the plugin. */
export function experience(): RunExperience | undefined {
  const run = currentRun();
  if (run === undefined) return undefined;
  return {
    experienceId: run.experienceId,
    experienceType: run.experienceType === '' ? undefined : run.experienceType,
    experienceVersion: run.experienceVersion === 0 ? undefined : run.experienceVersion,
    budget: run.budget,
  };
}

/**
 * What this run's experience has cost so far, every recorded call included. It is an activity, so asking is a command
 * in the history: put it behind `patched()` in a workflow that already runs. The worker of the task queue must have the
 * plugin and activities.
 */
export async function runningCost(): Promise<RunningCost> {
  const run = currentRun();
  if (run === undefined) throw new Error('the workflow bundle was made without the plugin');
  return activities.experiencesRunningCost(run.experienceId);
}

/** Activities that `work` schedules are shown under this name, in whatever order they end. */
export function withStep<T>(name: string, work: () => T): T {
  return runStep(name, work);
}

const activities = proxyActivities<RunningCostActivities>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '30 seconds' },
});
