import { type WorkflowInterceptorsFactory, workflowInfo } from '@temporalio/workflow';
import type { AttributionHeader } from '../../services/domain/attribution-header.js';
import { readAttribution, withAttribution, withTextAttribution } from './attribution.js';
import { type ResolvedAttribution, resolveAttribution } from './resolve-attribution.js';
import { currentStep, setCurrentRun } from './workflow-run.js';

/** Written into the bundle by the plugin; absent where the bundle was made otherwise. */
declare const EXPERIENCES_DEFAULT_TYPE: string | undefined;

/**
 * Hands the experience on: from the start of a workflow to its activities, children, signals, Nexus operations and the
 * run that continues it. It adds no command to the history and draws no randomness, so that histories recorded without
 * it replay with it.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  // Once for each run: the factory is called anew for every workflow execution.
  let attribution: ResolvedAttribution | undefined;

  /** Activities learn the run id from before any reset, which only workflow code knows, and the step. */
  const forActivity = (): AttributionHeader | undefined => {
    if (attribution === undefined) return undefined;
    const step = currentStep();
    return {
      ...attribution,
      originalRunId: workflowInfo().originalExecutionRunId,
      marker: MARKER,
      ...(step === undefined ? {} : { step }),
    };
  };

  return {
    inbound: [
      {
        execute(input, next) {
          const { workflowId, firstExecutionRunId, memo, searchAttributes } = workflowInfo();
          const run = { workflowId, firstExecutionRunId, memo, searchAttributes };
          attribution = resolveAttribution(ofRun(readAttribution(input.headers)), run, defaultType());
          setCurrentRun(attribution);
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
        startNexusOperation: (input, next) =>
          next({ ...input, headers: withTextAttribution(input.headers, attribution) }),
        getLogAttributes: (input, next) =>
          next(attribution === undefined ? input : { ...input, experienceId: attribution.experienceId }),
      },
    ],
  };
};

/** What an activity was told about itself is not handed on to what it starts. */
function ofRun(header: AttributionHeader | undefined): AttributionHeader | undefined {
  if (header === undefined) return undefined;
  const { originalRunId: _run, step: _step, marker: _marker, ...rest } = header;
  return rest;
}

function defaultType(): string {
  return typeof EXPERIENCES_DEFAULT_TYPE === 'string' ? EXPERIENCES_DEFAULT_TYPE : '';
}

const MARKER = '1';
