import { status } from '@grpc/grpc-js';
import {
  Connection,
  defaultGrpcRetryOptions,
  isGrpcServiceError,
  makeGrpcRetryInterceptor,
  WorkflowClient,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  type WorkflowHandle,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import {
  ApplicationFailure,
  CancelledFailure,
  type Payload,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/common';
import { ATTRIBUTION_HEADER, encodeAttributionHeader } from '../domain/attribution-header.js';
import { Fault } from '../domain/fault.js';
import {
  BUDGET_RAISED_SIGNAL,
  type BudgetRaise,
  PROGRESS_QUERY,
  parseRunProgress,
  RAISE_BUDGET_UPDATE,
  type RunProgress,
  type RunState,
} from '../domain/run.js';
import { type AskOutcome, askWorkflow, type WorkflowQuestion } from './ask-workflow.js';
import type { RunStart } from './run-start.js';

/** Temporal, as the run service needs it. It may be away at any time: then only its own calls fail. */
export class WorkflowEngine {
  readonly #connection: Connection;
  readonly #client: WorkflowClient;
  readonly #namespace: string;

  constructor(options: { readonly address: string; readonly namespace: string }) {
    this.#connection = Connection.lazy({
      address: options.address,
      connectTimeout: CONNECT_TIMEOUT_MS,
      // The default tries for many seconds; our caller has a retry hint and decides itself how long to wait.
      interceptors: [makeGrpcRetryInterceptor(defaultGrpcRetryOptions({ maxAttempts: ENGINE_ATTEMPTS_MAX }))],
    });
    this.#namespace = options.namespace;
    this.#client = new WorkflowClient({ connection: this.#connection, namespace: options.namespace });
  }

  /** Throws when the engine cannot be reached; asked before anything is written for a run. */
  async check(): Promise<void> {
    await this.#call(() => this.#connection.workflowService.getSystemInfo({}));
  }

  /** Starts the workflow, unless one with this id runs or ran; answers its run id. */
  async start(start: RunStart): Promise<string> {
    const header = encodeAttributionHeader(start.header) as Payload;
    const client = new WorkflowClient({
      connection: this.#connection,
      namespace: this.#namespace,
      interceptors: [
        {
          startWithDetails: (input, next) =>
            next({ ...input, headers: { ...input.headers, [ATTRIBUTION_HEADER]: header } }),
        },
      ],
    });
    return this.#call(async () => {
      try {
        const handle = await client.start(start.workflowType, {
          workflowId: start.workflowId,
          taskQueue: start.taskQueue,
          args: [start.input],
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
          workflowIdConflictPolicy: 'USE_EXISTING',
          staticSummary: `Experience ${start.header.experienceType} v${start.header.experienceVersion}`,
        });
        return handle.firstExecutionRunId;
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        return (await this.#client.getHandle(start.workflowId).describe()).runId;
      }
    });
  }

  /** Waits for the answer until the deadline, which may be minutes away. */
  async ask(question: WorkflowQuestion, deadline: number): Promise<AskOutcome> {
    try {
      return await askWorkflow(
        { connection: this.#connection, namespace: this.#namespace },
        question,
        deadline,
      );
    } catch (error) {
      throw isAway(error) ? engineAway(error) : error;
    }
  }

  /** undefined: the engine does not know the workflow, or no longer. */
  async describe(workflowId: string): Promise<EngineRun | undefined> {
    return this.#call(async () => {
      const handle = this.#client.getHandle(workflowId);
      try {
        const description = await handle.describe();
        const state = STATES[description.status.name] ?? 'RUNNING';
        return {
          state,
          runId: description.runId,
          startTime: description.startTime,
          endTime: description.closeTime,
          ...(state === 'RUNNING' ? {} : await ending(handle, state)),
        };
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return undefined;
        throw error;
      }
    });
  }

  /** undefined: the workflow does not tell, or no worker answers in time. */
  async progress(workflowId: string): Promise<RunProgress | undefined> {
    try {
      const handle = this.#client.getHandle(workflowId);
      const query = () => handle.query<unknown>(PROGRESS_QUERY);
      return parseRunProgress(await this.#connection.withDeadline(Date.now() + QUERY_TIME_MAX_MS, query));
    } catch {
      return undefined; // Progress is a courtesy: whatever is wrong shows in the state.
    }
  }

  async cancel(workflowId: string, reason: string | undefined): Promise<'requested' | 'ended'> {
    return this.#call(async () => {
      try {
        await this.#connection.workflowService.requestCancelWorkflowExecution({
          namespace: this.#namespace,
          workflowExecution: { workflowId },
          reason: reason ?? '',
          identity: 'experiences',
          requestId: crypto.randomUUID(),
        });
        return 'requested';
      } catch (error) {
        if (isGrpcServiceError(error) && error.code === status.NOT_FOUND) return 'ended';
        throw error;
      }
    });
  }

  /** Tells a run that its budget was raised; false: it has ended, or its workflow knows of no budget. */
  async raiseBudget(workflowId: string, raise: BudgetRaise): Promise<boolean> {
    return this.#call(async () => {
      const handle = this.#client.getHandle(workflowId);
      try {
        try {
          const update = () => handle.executeUpdate(RAISE_BUDGET_UPDATE, { args: [raise] });
          await this.#connection.withDeadline(Date.now() + UPDATE_TIME_MAX_MS, update);
        } catch (error) {
          if (!(error instanceof WorkflowUpdateRPCTimeoutOrCancelledError)) throw error;
          // No worker answers now; a signal waits for one.
          await handle.signal(BUDGET_RAISED_SIGNAL, raise);
        }
        return true;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError || error instanceof WorkflowUpdateFailedError)
          return false;
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#connection.withDeadline(Date.now() + CALL_TIME_MAX_MS, work);
    } catch (error) {
      throw isAway(error) ? engineAway(error) : error;
    }
  }
}

export interface EngineRun extends RunEnding {
  readonly runId: string;
  readonly state: RunState;
  readonly startTime: Date;
  readonly endTime: Date | undefined;
}

export interface RunEnding {
  readonly resultJson?: string;
  readonly failure?: { readonly type: string; readonly message: string };
}

async function ending(handle: WorkflowHandle, state: RunState): Promise<RunEnding> {
  try {
    const result: unknown = await handle.result();
    return state === 'COMPLETED' ? { resultJson: JSON.stringify(result ?? null) } : {};
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    return state === 'CANCELLED' ? {} : { failure: failureOf(error.cause) };
  }
}

/** The innermost failure that a workflow or activity threw itself says most. */
function failureOf(cause: unknown): { type: string; message: string } {
  let found = { type: 'WorkflowFailed', message: 'The workflow failed.' };
  for (let error = cause; error instanceof Error; error = error.cause) {
    if (error instanceof ApplicationFailure)
      found = { type: error.type ?? 'ApplicationFailure', message: error.message };
    else if (error instanceof TimeoutFailure) found = { type: 'TimedOut', message: error.message };
    else if (error instanceof TerminatedFailure) found = { type: 'Terminated', message: error.message };
    else if (error instanceof CancelledFailure) found = { type: 'Cancelled', message: error.message };
  }
  return { ...found, message: found.message.slice(0, FAILURE_LENGTH_MAX) };
}

function isAway(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isGrpcServiceError(cause)) return AWAY_CODES.has(cause.code);
    if (/failed to connect/i.test(cause.message)) return true; // What a lazy connection says when nobody listens.
  }
  return false;
}

function engineAway(cause: unknown): Fault {
  return new Fault(
    'WORKFLOW_ENGINE_UNAVAILABLE',
    'Temporal cannot be reached; recording goes on without it.',
    {
      retryAfterMs: 2_000,
      cause,
    },
  );
}

/** Overloaded is away too: both pass, and for both the caller has to wait. */
const AWAY_CODES = new Set([status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.RESOURCE_EXHAUSTED]);
const STATES: Readonly<Record<string, RunState>> = {
  RUNNING: 'RUNNING',
  CONTINUED_AS_NEW: 'RUNNING',
  COMPLETED: 'COMPLETED',
  FAILED: 'FAILED',
  CANCELLED: 'CANCELLED',
  TERMINATED: 'TERMINATED',
  TIMED_OUT: 'TIMED_OUT',
};
const ENGINE_ATTEMPTS_MAX = 3;
const CONNECT_TIMEOUT_MS = 3_000;
const CALL_TIME_MAX_MS = 8_000;
const QUERY_TIME_MAX_MS = 1_500;
const UPDATE_TIME_MAX_MS = 3_000;
const FAILURE_LENGTH_MAX = 2_000;
