import type { ExperienceRun__Output } from '../contract/generated/experiences/v1/ExperienceRun.js';
import { fromWireLimitStatus, fromWireTime, fromWireTotals, promised } from './from-wire.js';
import type { ExperienceRun, RunState } from './types.js';

/** The contract's message of a run as the client answers it. */
export function fromWireRun(wire: ExperienceRun__Output | null): ExperienceRun {
  const run = promised(wire);
  return {
    experienceId: run.experienceId,
    experienceType: run.experienceType,
    experienceVersion: run.experienceVersion,
    workflowType: run.workflowType,
    workflowId: run.workflowId,
    runId: run.runId,
    state: run.state.replace('RUN_STATE_', '') as RunState,
    progress: run.progress === null ? undefined : { ...run.progress },
    totals: fromWireTotals(run.totals),
    startTime: promised(fromWireTime(run.startTime)),
    endTime: fromWireTime(run.endTime),
    result: run.resultJson === '' ? undefined : (JSON.parse(run.resultJson) as unknown),
    failure: run.failure === null ? undefined : { type: run.failure.type, message: run.failure.message },
    budget: run.budget === null ? undefined : fromWireLimitStatus(run.budget),
  };
}
