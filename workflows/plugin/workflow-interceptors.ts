import { type WorkflowInterceptorsFactory, workflowInfo } from '@temporalio/workflow';
import type { AttributionHeader } from '../../services/domain/attribution-header.js';
import { readAttribution, withAttribution } from './attribution.js';

/**
 * Hands the experience on: from the start of a workflow to its activities, children, signals and the run that continues
 * it. It adds no command to the history and draws no randomness, so that histories recorded without it replay with it.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  // Once for each run: the factory is called anew for every workflow execution.
  let attribution: AttributionHeader | undefined;

  /** Activities learn the run id from before any reset, which only workflow code knows. */
  const forActivity = (): AttributionHeader | undefined =>
    attribution === undefined
      ? undefined
      : { ...attribution, originalRunId: workflowInfo().originalExecutionRunId };

  return {
    inbound: [
      {
        execute(input, next) {
          attribution = readAttribution(input.headers);
          return next(input);
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) =>
          next({ ...input, headers: withAttribution(input.headers, forActivity()) }),
        scheduleLocalActivity: (input, next) =>
          next({ ...input, headers: withAttribution(input.headers, forActivity()) }),
        startChildWorkflowExecution: (input, next) =>
          next({ ...input, headers: withAttribution(input.headers, attribution) }),
        signalWorkflow: (input, next) =>
          next({ ...input, headers: withAttribution(input.headers, attribution) }),
        continueAsNew: (input, next) =>
          next({ ...input, headers: withAttribution(input.headers, attribution) }),
      },
    ],
  };
};
