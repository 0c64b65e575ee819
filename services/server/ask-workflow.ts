import { status } from '@grpc/grpc-js';
import {
  type Connection,
  isGrpcServiceError,
  WithStartWorkflowOperation,
  WorkflowClient,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, type Payload } from '@temporalio/common';
import {
  ASK_UPDATE,
  type AskedQuestion,
  type FailedTurn,
  parseTurnRefusal,
  TURN_REFUSED,
} from '../domain/ask.js';
import { ATTRIBUTION_HEADER, encodeAttributionHeader } from '../domain/attribution-header.js';
import { Fault } from '../domain/fault.js';
import type { RunStart } from './run-start.js';

/** A question for the workflow of a conversation, and how that workflow is started if it does not run. */
export interface WorkflowQuestion {
  readonly start: RunStart;
  readonly asked: AskedQuestion;
  /** The turn's id, or that of its next try: see {@link FailedTurn}. */
  readonly updateId: string;
}

export type AskOutcome =
  | { readonly kind: 'answered' }
  | RefusedTurn
  /** The run ended or moved on under the question: asked again, another one takes it. */
  | { readonly kind: 'moved' };

/** By the workflow, before the turn or in it. */
export interface RefusedTurn {
  readonly kind: 'refused';
  readonly why: string;
  readonly message: string;
  /** Only if the turn was begun and failed for a reason of its own. */
  readonly failureType?: string;
  readonly failed?: FailedTurn | undefined;
}

/**
 * Asks by an update, and starts the workflow with it where it does not run. The turn's id is the update's, so that the
 * same question sent again waits for the same answer.
 */
export async function askWorkflow(
  { connection, namespace }: { readonly connection: Connection; readonly namespace: string },
  { start, asked, updateId }: WorkflowQuestion,
  deadline: number,
): Promise<AskOutcome> {
  const header = encodeAttributionHeader(start.header) as Payload;
  const client = new WorkflowClient({
    connection,
    namespace,
    interceptors: [
      {
        startUpdateWithStart: (input, next) =>
          next({
            ...input,
            workflowStartHeaders: { ...input.workflowStartHeaders, [ATTRIBUTION_HEADER]: header },
            updateHeaders: { ...input.updateHeaders, [ATTRIBUTION_HEADER]: header },
          }),
      },
    ],
  });
  const startWorkflowOperation = new WithStartWorkflowOperation(start.workflowType, {
    workflowId: start.workflowId,
    taskQueue: start.taskQueue,
    args: [start.input],
    workflowIdConflictPolicy: 'USE_EXISTING',
    // A conversation that has come to rest is a completed workflow, and wakes by being started again.
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    staticSummary: `Experience ${start.header.experienceType} v${start.header.experienceVersion}`,
  });
  try {
    await connection.withDeadline(deadline, () =>
      client.executeUpdateWithStart(ASK_UPDATE, {
        updateId,
        args: [asked],
        startWorkflowOperation,
      }),
    );
    return { kind: 'answered' };
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) return outcomeOf(error.cause);
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || hasCode(error, status.DEADLINE_EXCEEDED))
      throw stillAnswering(error);
    if (hasCode(error, status.RESOURCE_EXHAUSTED))
      return { kind: 'refused', why: 'busy', message: 'Too many questions wait.' };
    if (MOVED_CODES.some((code) => hasCode(error, code))) return { kind: 'moved' };
    throw error;
  }
}

function outcomeOf(cause: unknown): AskOutcome {
  if (!(cause instanceof ApplicationFailure)) {
    return { kind: 'refused', why: 'failed', message: 'The turn came to nothing.', failureType: 'TurnEnded' };
  }
  if (cause.type === CLOSED_UNDER_UPDATE) return { kind: 'moved' };
  const message = cause.message.slice(0, MESSAGE_LENGTH_MAX);
  const refusal = parseTurnRefusal(cause.details?.[0]);
  if (cause.type === TURN_REFUSED)
    return { kind: 'refused', why: refusal?.why ?? 'refused', message, failed: refusal?.failed };
  const failureType = cause.type ?? 'ApplicationFailure';
  return { kind: 'refused', why: 'failed', message, failureType, failed: refusal?.failed };
}

function stillAnswering(cause: unknown): Fault {
  const message = 'The time was over before the answer was there; sending the same question again is safe.';
  return new Fault('DEADLINE_EXCEEDED', message, { cause });
}

function hasCode(error: unknown, code: number): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isGrpcServiceError(cause)) return cause.code === code;
  }
  return false;
}

/** What Temporal says of an update whose workflow closed or continued as new before it was answered. */
const CLOSED_UNDER_UPDATE = 'AcceptedUpdateCompletedWorkflow';
const MOVED_CODES = [status.NOT_FOUND, status.ABORTED, status.FAILED_PRECONDITION];
const MESSAGE_LENGTH_MAX = 2_000;
