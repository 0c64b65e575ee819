import { createHash } from 'node:crypto';
import type { Info } from '@temporalio/activity';
import type { UsageRecord } from '../../services/client/index.js';
import type { AttributionHeader } from '../../services/domain/attribution-header.js';
import { OPERATION_KEY_LENGTH_MAX } from '../../services/domain/text-rules.js';

/** One attempt of an activity, as its calls are recorded. */
export interface Attempt {
  readonly info: Info;
  /** undefined: its calls are recorded unattributed. */
  readonly attribution: AttributionHeader | undefined;
  readonly workerIdentity: string;
  readonly startTimeMs: number;
}

export type AttributionFields = Pick<UsageRecord, 'experienceId' | 'experienceType' | 'experienceVersion'>;

/** Type and version too: should the experience not exist yet, it is made as the header says. */
export function attributionFields(header: AttributionHeader | undefined): AttributionFields {
  // A type alone would make a new experience of every call.
  if (header?.experienceId === undefined) return {};
  const { experienceId, experienceType, experienceVersion } = header;
  if (experienceType === '') return { experienceId };
  return { experienceId, experienceType, ...(experienceVersion === 0 ? {} : { experienceVersion }) };
}

/** The same over attempts and resets of a step; the ordinal tells the calls of one attempt apart. */
export function operationKeyOf({ info, attribution }: Attempt, ordinal: number): string {
  const { workflowExecution: workflow } = info;
  const runId = attribution?.originalRunId ?? workflow?.runId ?? 'standalone';
  const place = [namespaceOf(info), workflow?.workflowId ?? '', runId, info.activityId];
  const key = [...place, ordinal].join('/');
  // Temporal's own ids may be longer than a key.
  return key.length <= OPERATION_KEY_LENGTH_MAX ? key : createHash('sha256').update(key).digest('hex');
}

/** A standalone activity belongs to no workflow: its id and run id stand in their place. */
export function workflowSourceOf({
  info,
  workerIdentity,
}: Attempt): NonNullable<UsageRecord['workflowSource']> {
  return {
    namespace: namespaceOf(info),
    workflowId: info.workflowExecution?.workflowId ?? '',
    runId: info.workflowExecution?.runId ?? info.activityRunId ?? '',
    workflowType: info.workflowType ?? '',
    activityId: info.activityId,
    activityType: info.activityType,
    attempt: info.attempt,
    taskQueue: info.taskQueue,
    isLocal: info.isLocal,
    workerIdentity,
  };
}

/** How long the attempt may still run: after that Temporal starts, and pays, another one. 0: it has no bound. */
export function timeLeftMs({ info, startTimeMs }: Attempt): number {
  if (!(info.startToCloseTimeoutMs > 0)) return 0;
  return Math.max(0, startTimeMs + info.startToCloseTimeoutMs - Date.now());
}

function namespaceOf(info: Info): string {
  return info.workflowNamespace ?? info.namespace;
}
