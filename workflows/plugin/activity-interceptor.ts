import { CompleteAsyncError, type Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { UsagePort } from '../../services/client/settle.js';
import type { AttributionHeader } from '../../services/domain/attribution-header.js';
import type { UsageOutcome } from '../../services/domain/usage.js';
import { readAttribution } from './attribution.js';
import { type Extractors, extracted } from './extractor.js';
import { currentScope, MeteringScope, type MeteringSettings } from './metering-scope.js';
import { uuidAtEnd } from './resolve-attribution.js';

export interface InterceptorSettings extends Omit<MeteringSettings, 'usage'> {
  /** Where the calls of an activity are booked; undefined: it is in no workflow. */
  readonly usageOf: (workflowId: string | undefined) => UsagePort;
  readonly extractors: Extractors;
  /** Whether activities with a heartbeat timeout are kept alive; their own heartbeat details are then replaced. */
  readonly heartbeat: boolean;
  /** Of workflows that name none; ''. none. */
  readonly defaultTypeOf: (workflowType: string | undefined) => string;
  /** Of the worker, as Temporal shows it. */
  readonly workerIdentity: () => string;
}

/**
 * Settles what an activity attempt spent, whichever way it ends. Each request to a provider is an event of its own; the
 * operation key is the same over the attempts of a step, so that a paid attempt whose result was not used shows as
 * wasted. Settling is retried under the same event id; the paid call is never repeated for it.
 */
export function meteringInterceptor(settings: InterceptorSettings): ActivityInterceptorsFactory {
  const warned = new Set<string>();
  return (context) => ({
    inbound: {
      async execute(input, next) {
        const { info } = context;
        // A second copy of the plugin: the outer one meters.
        if (currentScope()?.attempt.info.base64TaskToken === info.base64TaskToken) return next(input);
        const attribution = attributionOf(context, readAttribution(input.headers), settings, warned);
        const attempt = {
          info,
          attribution,
          workerIdentity: settings.workerIdentity(),
          startTimeMs: Date.now(),
        };
        const usage = settings.usageOf(info.workflowExecution?.workflowId);
        const scope = new MeteringScope(attempt, { ...settings, usage });
        const extractor = Object.hasOwn(settings.extractors, info.activityType)
          ? settings.extractors[info.activityType]
          : undefined;
        const stopHeartbeat = settings.heartbeat ? startHeartbeat(context) : () => undefined;
        let outcome: UsageOutcome = 'SUCCEEDED';
        try {
          return await scope.run(() =>
            extractor === undefined
              ? next(input)
              : extracted(scope, extractor, input.args, () => next(input), settings.logger),
          );
        } catch (error) {
          outcome = outcomeOf(error);
          throw error;
        } finally {
          await scope.end(outcome);
          stopHeartbeat();
        }
      },
    },
    outbound: {
      getLogAttributes(attributes, next) {
        const experienceId = currentScope()?.attempt.attribution?.experienceId;
        return next(experienceId === undefined ? attributes : { ...attributes, experienceId });
      },
    },
  });
}

function attributionOf(
  { info }: Context,
  header: AttributionHeader | undefined,
  { defaultTypeOf, logger }: InterceptorSettings,
  warned: Set<string>,
): AttributionHeader | undefined {
  // In a standalone activity there is no workflow that could have handed the header on.
  const workflowId = info.workflowExecution?.workflowId;
  if (workflowId !== undefined && header?.marker === undefined) {
    const workflowType = info.workflowType ?? '';
    if (!warned.has(workflowType) && warned.size < WARNED_MAX) {
      warned.add(workflowType);
      logger.warn(
        { workflowType },
        'the workflow bundle lacks the plugin: experiences do not reach activities',
      );
    }
  }
  const experienceId = header?.experienceId ?? uuidAtEnd(workflowId ?? info.activityId);
  if (experienceId === undefined) return header;
  return {
    experienceVersion: 0,
    ...header,
    experienceId,
    experienceType: header?.experienceType || defaultTypeOf(info.workflowType),
  };
}

/**
 * Model calls take long and say nothing meanwhile; heartbeats let a cancellation reach them. One without details replaces
 * those that the activity has sent, and its retry would find none.
 */
function startHeartbeat(context: Context): () => void {
  const timeoutMs = context.info.heartbeatTimeoutMs ?? 0;
  if (timeoutMs === 0) return () => undefined;
  const timer = setInterval(() => context.heartbeat(), Math.min(timeoutMs / 3, HEARTBEAT_INTERVAL_MS));
  return () => clearInterval(timer);
}

/** An activity that is completed from elsewhere has done its part; its calls are not wasted by it. */
function outcomeOf(error: unknown): UsageOutcome {
  if (error instanceof CompleteAsyncError) return 'SUCCEEDED';
  return error instanceof CancelledFailure ? 'CANCELLED' : 'FAILED';
}

const HEARTBEAT_INTERVAL_MS = 1_000;
const WARNED_MAX = 1_000;
