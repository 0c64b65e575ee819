import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CompleteAsyncError, type Context, type Info } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { type ExperiencesClient, ExperiencesError, type UsageRecord } from '../../services/client/index.js';
import type { AttributionHeader } from '../../services/domain/attribution-header.js';
import { newUuid } from '../../services/domain/new-uuid.js';
import { OPERATION_KEY_LENGTH_MAX } from '../../services/domain/text-rules.js';
import type { UsageOutcome } from '../../services/domain/usage.js';
import type { Logger } from '../../services/runtime/logger.js';
import { readAttribution } from './attribution.js';
import { MeteringScope, type PaidCall, type UnitsBasis } from './metering-scope.js';

export interface MeteringDependencies {
  readonly usage: Pick<ExperiencesClient['usage'], 'record'>;
  readonly logger: Logger;
  /** Identity of the worker, as Temporal shows it. */
  readonly workerIdentity: string;
}

/**
 * Records what an activity attempt spent, whichever way it ends. Each request to a provider is an event of its own; the
 * operation key is the same over the attempts of a step, so that a paid attempt whose result was not used shows as
 * wasted. Recording is retried under the same event id; the paid call is never repeated for it.
 */
export function meteringInterceptor(dependencies: MeteringDependencies): ActivityInterceptorsFactory {
  return (context) => ({
    inbound: {
      async execute(input, next) {
        const attribution = readAttribution(input.headers);
        const scope = new MeteringScope();
        const startTimeMs = Date.now();
        const stopHeartbeat = startHeartbeat(context);
        let outcome: UsageOutcome = 'SUCCEEDED';
        try {
          return await scope.run(() => next(input));
        } catch (error) {
          outcome = outcomeOf(error);
          throw error;
        } finally {
          await recordCalls(scope.calls, { outcome, startTimeMs }, context.info, attribution, dependencies);
          stopHeartbeat();
        }
      },
    },
  });
}

/** Model calls take long and say nothing meanwhile; heartbeats let a cancellation reach them. */
function startHeartbeat(context: Context): () => void {
  const timeoutMs = context.info.heartbeatTimeoutMs ?? 0;
  if (timeoutMs === 0) return () => undefined;
  const timer = setInterval(() => context.heartbeat(), Math.min(timeoutMs / 3, HEARTBEAT_INTERVAL_MS));
  return () => clearInterval(timer);
}

/** Type and version too: should the experience not exist yet, it is made as the header says. */
function attributionOf(
  header: AttributionHeader | undefined,
): Pick<UsageRecord, 'experienceId' | 'experienceType' | 'experienceVersion'> {
  if (header === undefined) return {};
  const { experienceId, experienceType, experienceVersion } = header;
  if (experienceType === '') return { experienceId };
  return { experienceId, experienceType, ...(experienceVersion === 0 ? {} : { experienceVersion }) };
}

/** Never throws: an activity whose call was paid must not be run, and paid, again because of its record. */
async function recordCalls(
  calls: readonly PaidCall[],
  attempt: { readonly outcome: UsageOutcome; readonly startTimeMs: number },
  info: Info,
  attribution: AttributionHeader | undefined,
  dependencies: MeteringDependencies,
): Promise<void> {
  const deadline = Date.now() + recordTimeMs(attempt.startTimeMs, info);
  const source = sourceOf(info, dependencies.workerIdentity);
  const records = calls.map(
    (call, ordinal): UsageRecord => ({
      eventId: newUuid(),
      ...attributionOf(attribution),
      provider: call.provider,
      model: call.model,
      requestedModel: call.requestedModel,
      units: Object.fromEntries(call.units),
      outcome: call.outcome === 'SUCCEEDED' ? attempt.outcome : call.outcome,
      eventTime: call.startTime,
      operationKey: operationKey(info, attribution, ordinal),
      latencyMs: call.latencyMs,
      ...(call.step === undefined ? {} : { step: call.step }),
      ...(call.httpStatusCode === undefined ? {} : { httpStatusCode: call.httpStatusCode }),
      ...(call.providerRequestId === undefined ? {} : { providerRequestId: call.providerRequestId }),
      ...(call.providerResponseId === undefined ? {} : { providerResponseId: call.providerResponseId }),
      properties: isCertain(call.unitsBasis) ? {} : { units: call.unitsBasis },
      workflowSource: source,
    }),
  );
  await Promise.all(records.map((record) => recordUntil(record, deadline, dependencies)));
}

async function recordUntil(
  record: UsageRecord,
  deadline: number,
  dependencies: MeteringDependencies,
): Promise<void> {
  const { usage, logger } = dependencies;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await usage.record(record);
      return;
    } catch (error) {
      if (isGone(error) && record.experienceId !== undefined) {
        // The experience or its type was deleted meanwhile. The money is spent: it is recorded unattributed.
        const { experienceId, experienceType: _type, experienceVersion: _version, ...facts } = record;
        await recordUntil(
          { ...facts, properties: { ...facts.properties, experienceId } },
          deadline,
          dependencies,
        );
        return;
      }
      const passing = error instanceof ExperiencesError && mayPass(error, attempt);
      if (!passing || Date.now() + PAUSE_MS >= deadline) {
        logger.error({ err: error, record }, 'a paid call could not be recorded');
        return;
      }
      await sleep(PAUSE_MS);
    }
  }
}

/** As long as the attempt may still run: after that Temporal would start, and pay, another one. */
function recordTimeMs(startTimeMs: number, info: Info): number {
  const attemptEnd = startTimeMs + info.startToCloseTimeoutMs;
  return Math.max(
    RECORD_TIME_MIN_MS,
    Math.min(RECORD_TIME_MAX_MS, attemptEnd - Date.now() - ATTEMPT_MARGIN_MS),
  );
}

/** The same over attempts and resets of a step; the ordinal tells the calls of one attempt apart. */
function operationKey(info: Info, attribution: AttributionHeader | undefined, ordinal: number): string {
  const { workflowExecution: workflow } = info;
  const runId = attribution?.originalRunId ?? workflow?.runId ?? 'standalone';
  const place = [
    info.workflowNamespace ?? info.namespace,
    workflow?.workflowId ?? '',
    runId,
    info.activityId,
  ];
  const key = [...place, ordinal].join('/');
  // Temporal's own ids may be longer than a key.
  return key.length <= OPERATION_KEY_LENGTH_MAX ? key : createHash('sha256').update(key).digest('hex');
}

function sourceOf(info: Info, workerIdentity: string): NonNullable<UsageRecord['workflowSource']> {
  return {
    namespace: info.workflowNamespace ?? info.namespace,
    workflowId: info.workflowExecution?.workflowId ?? '',
    runId: info.workflowExecution?.runId ?? '',
    workflowType: info.workflowType ?? '',
    activityId: info.activityId,
    activityType: info.activityType,
    attempt: info.attempt,
    taskQueue: info.taskQueue,
    isLocal: info.isLocal,
    workerIdentity,
  };
}

/** A fault of the service may pass too, but one that has come several times will come again. */
function mayPass({ code }: ExperiencesError, attempt: number): boolean {
  return PASSING_CODES.has(code) || (code === 'INTERNAL' && attempt < INTERNAL_ATTEMPTS_MAX);
}

/** An activity that is completed from elsewhere has done its part; its calls are not wasted by it. */
function outcomeOf(error: unknown): UsageOutcome {
  if (error instanceof CompleteAsyncError) return 'SUCCEEDED';
  return error instanceof CancelledFailure ? 'CANCELLED' : 'FAILED';
}

function isCertain(basis: UnitsBasis): boolean {
  return basis === 'reported' || basis === 'none';
}

function isGone(error: unknown): boolean {
  return (
    error instanceof ExperiencesError &&
    (error.reason === 'EXPERIENCE_NOT_FOUND' || error.reason === 'EXPERIENCE_TYPE_NOT_FOUND')
  );
}

const PASSING_CODES = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED']);
const INTERNAL_ATTEMPTS_MAX = 5;
const HEARTBEAT_INTERVAL_MS = 1_000;
const PAUSE_MS = 1_000;
const RECORD_TIME_MIN_MS = 5_000;
const RECORD_TIME_MAX_MS = 90_000;
const ATTEMPT_MARGIN_MS = 5_000;
