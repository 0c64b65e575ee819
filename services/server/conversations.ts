import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConversationTurn } from '../domain/conversation.js';
import type { Experience, StartedRun } from '../domain/experience.js';
import { Fault, invalidFields } from '../domain/fault.js';
import type { LimitConfig } from '../domain/limit.js';
import { type RunInput, runWorkflowId } from '../domain/run.js';
import type { Uuid } from '../domain/uuid.js';
import { canonicalJson } from '../ledger/content-hash.js';
import type { Ledger } from '../ledger/ledger.js';
import type { AskOutcome } from './ask-workflow.js';
import type { Recorder } from './recorder.js';
import { RunDocuments } from './run-documents.js';
import type { Runs, RunView } from './runs.js';
import type { WorkflowEngine } from './workflow-engine.js';

/** Conversations: an experience in the ledger, its turns, and the workflow that answers them. */
export class Conversations {
  readonly #parts: ConversationParts;
  readonly #documents: RunDocuments;

  constructor(parts: ConversationParts) {
    this.#parts = parts;
    this.#documents = new RunDocuments(parts.ledger.documents);
  }

  /**
   * Answers a question. The first one creates the experience and notes its run before the workflow is started, so that
   * whatever fails in between, the same question again goes on where it stopped. A turn that is kept is answered from the
   * store and costs nothing.
   */
  async ask(application: string, wanted: WantedTurn, deadline: number): Promise<AnsweredQuestion> {
    const kept = await this.#keptTurn(application, wanted, deadline);
    if (kept !== undefined)
      return this.#answer(application, wanted, { turn: kept, alreadyExisted: true }, deadline);
    await this.#parts.engine.check();
    const { experience, run } = await this.#conversation(application, wanted, deadline);
    await this.#assertOpen(run);
    const start = {
      workflowType: run.workflowType,
      workflowId: run.workflowId,
      taskQueue: run.taskQueue,
      input: inputOf(run),
      header: {
        experienceId: experience.id,
        experienceType: experience.type,
        experienceVersion: experience.version,
      },
    };
    const { turnId, question } = wanted;
    const askedMs = Date.now();
    let updateId: string = turnId;
    for (let attempt = 1; ; attempt += 1) {
      const asking = { start, asked: { turnId, question }, updateId };
      const outcome = await this.#parts.engine.ask(asking, deadline - ANSWER_TIME_MS);
      const turn = await this.#keptTurn(application, wanted, deadline);
      if (outcome.kind === 'answered' && run.runId === undefined)
        await this.#confirm(application, wanted, run, deadline);
      if (turn !== undefined) {
        const answered = { turn, alreadyExisted: outcome.kind !== 'answered' };
        return this.#answer(application, wanted, answered, deadline);
      }
      if (outcome.kind === 'answered') throw new Error('a conversation answered a turn that it did not keep');
      const pauseMs = Math.min(PAUSE_MS * attempt, PAUSE_MAX_MS);
      const earlier = earlierTries(outcome, askedMs);
      const mayPass = earlier !== undefined || passes(outcome, attempt);
      // A run that failed at its start cannot say why itself.
      if (outcome.kind === 'refused' && outcome.failureType !== undefined) await this.#assertOpen(run);
      if (!mayPass || Date.now() + pauseMs >= deadline) throw turnRefused(wanted, outcome);
      if (earlier !== undefined) updateId = `${turnId}/${earlier}`;
      else {
        await this.#assertOpen(run);
        await sleep(pauseMs);
      }
    }
  }

  /** Throws when the turn is kept with another question. */
  async #keptTurn(
    application: string,
    { experienceId, turnId, question }: WantedTurn,
    deadline: number,
  ): Promise<ConversationTurn | undefined> {
    const page = { turnId, above: 0, below: undefined, descending: false, limit: 1 };
    const [turn] = await this.#parts.ledger.turns.list(application, experienceId, page, deadline);
    if (turn === undefined || turn.question === question) return turn;
    throw new Fault('TURN_ALREADY_EXISTS', `The turn '${turnId}' was another question.`, {
      metadata: { experience_id: experienceId, turn_id: turnId },
    });
  }

  async #conversation(
    application: string,
    wanted: WantedTurn,
    deadline: number,
  ): Promise<{ experience: Experience; run: StartedRun }> {
    const { ledger } = this.#parts;
    const known = await ledger.experiences
      .get(application, wanted.experienceId, false, deadline)
      .catch((error: unknown) => {
        if (error instanceof Fault && error.reason === 'EXPERIENCE_NOT_FOUND') return undefined;
        throw error;
      });
    if (known?.run !== undefined) {
      assertSameConversation(known, known.run, wanted);
      return { experience: known, run: known.run };
    }
    if (wanted.type === undefined) {
      throw new Fault(
        'EXPERIENCE_RUN_NOT_FOUND',
        `The experience '${wanted.experienceId}' is no conversation yet.`,
        {
          metadata: { experience_id: wanted.experienceId },
        },
      );
    }
    const workflow = await this.#parts.runs.workflowOf(application, wanted.type, deadline);
    if (wanted.documentId === undefined)
      throw invalidFields([{ field: 'document_id', description: 'is required for the first question' }]);
    const document = await this.#documents.uploaded(application, wanted.documentId, deadline);
    const input: RunInput = {
      document,
      ...(wanted.parameters === undefined ? {} : { parameters: wanted.parameters }),
    };
    const { type, version, experienceId, userId, limitConfig } = wanted;
    const { experience } = await this.#parts.recorder.createExperience(
      { application, type, version, experienceId, userId, properties: new Map(), limitConfig },
      deadline,
    );
    const note: StartedRun = {
      ...workflow,
      workflowId: runWorkflowId(application, experience.id),
      requestHash: createHash('sha256').update(canonicalJson({ type, input })).digest('hex').slice(0, 32),
      runId: undefined,
      startTime: new Date(),
      inputJson: JSON.stringify(input),
    };
    const earlier = await ledger.experiences.noteRun(application, experience.id, note, deadline);
    if (earlier !== undefined) assertSameConversation(experience, earlier, wanted);
    return { experience, run: earlier ?? note };
  }

  async #confirm(
    application: string,
    { experienceId }: WantedTurn,
    { workflowId }: StartedRun,
    deadline: number,
  ): Promise<void> {
    const engineRun = await this.#parts.engine.describe(workflowId);
    if (engineRun === undefined) return;
    await this.#parts.ledger.experiences.confirmRun(application, experienceId, engineRun.runId, deadline);
  }

  /** One that completed is at rest, and wakes; any other end is for good. */
  async #assertOpen({ workflowId }: StartedRun): Promise<void> {
    const engineRun = await this.#parts.engine.describe(workflowId);
    if (engineRun === undefined || engineRun.state === 'RUNNING' || engineRun.state === 'COMPLETED') return;
    const { failure } = engineRun;
    throw new Fault('TURN_REFUSED', failure?.message ?? 'The conversation was ended.', {
      metadata: { why: 'closed', ...(failure === undefined ? {} : { failure_type: failure.type }) },
    });
  }

  async #answer(
    application: string,
    { experienceId }: WantedTurn,
    answered: Pick<AnsweredQuestion, 'turn' | 'alreadyExisted'>,
    deadline: number,
  ): Promise<AnsweredQuestion> {
    const run = await this.#parts.runs.get(application, experienceId, deadline).catch((error: unknown) => {
      // The turn is there, whether or not Temporal still knows of the run.
      if (error instanceof Fault && RUN_UNKNOWN.has(error.reason)) return undefined;
      throw error;
    });
    return { ...answered, run };
  }
}

export interface ConversationParts {
  readonly ledger: Ledger;
  readonly recorder: Recorder;
  readonly engine: WorkflowEngine;
  readonly runs: Runs;
}

export interface WantedTurn {
  readonly experienceId: Uuid;
  readonly turnId: Uuid;
  readonly question: string;
  /** What follows is for the first question. */
  readonly type: string | undefined;
  readonly version: number | undefined;
  readonly documentId: Uuid | undefined;
  readonly parameters: Readonly<Record<string, unknown>> | undefined;
  readonly userId: string | undefined;
  /** undefined: as the type says. */
  readonly limitConfig: LimitConfig | undefined;
}

export interface AnsweredQuestion {
  readonly turn: ConversationTurn;
  readonly alreadyExisted: boolean;
  /** undefined: Temporal does not tell. */
  readonly run: RunView | undefined;
}

function assertSameConversation(experience: Experience, run: StartedRun, wanted: WantedTurn): void {
  if (wanted.type !== undefined && wanted.type !== experience.type) {
    throw new Fault('EXPERIENCE_ALREADY_EXISTS', `The experience '${experience.id}' is of another type.`, {
      metadata: { experience_id: experience.id },
    });
  }
  const isOther = wanted.documentId !== undefined && inputOf(run).document?.documentId !== wanted.documentId;
  if (run.inputJson !== undefined && isOther) {
    throw new Fault(
      'EXPERIENCE_RUN_ALREADY_EXISTS',
      `The conversation '${experience.id}' is about another document.`,
      {
        metadata: { experience_id: experience.id },
      },
    );
  }
}

/** As it was written here. */
function inputOf(run: StartedRun): RunInput {
  return run.inputJson === undefined ? {} : (JSON.parse(run.inputJson) as RunInput);
}

/** Whether the same question may well be taken a little later. */
function passes(outcome: Exclude<AskOutcome, { kind: 'answered' }>, attempt: number): boolean {
  if (outcome.kind === 'refused' && outcome.why === 'moving') return true;
  // `closed` is said by a run that comes to rest just now: the next one takes the question.
  return attempt < ATTEMPTS_MAX && (outcome.kind === 'moved' || outcome.why === 'closed');
}

/**
 * How often the turn failed before it was asked now; undefined: it failed now, or was refused. Clocks may differ: then a
 * turn that failed is asked once more, or an earlier failure is answered, and neither does harm.
 */
function earlierTries(outcome: AskOutcome, askedMs: number): number | undefined {
  const failed = outcome.kind === 'refused' ? outcome.failed : undefined;
  return failed !== undefined && failed.timeMs < askedMs ? failed.tries : undefined;
}

function turnRefused({ experienceId }: WantedTurn, outcome: AskOutcome): Fault {
  const { why, message, failureType } =
    outcome.kind === 'refused'
      ? outcome
      : { why: 'closed', message: 'The conversation is ending.', failureType: undefined };
  return new Fault('TURN_REFUSED', message, {
    metadata: {
      experience_id: experienceId,
      why,
      ...(failureType === undefined ? {} : { failure_type: failureType }),
    },
    ...(why === 'busy' ? { retryAfterMs: BUSY_RETRY_MS } : {}),
  });
}

const RUN_UNKNOWN = new Set([
  'EXPERIENCE_RUN_NOT_FOUND',
  'EXPERIENCE_NOT_FOUND',
  'WORKFLOW_ENGINE_UNAVAILABLE',
]);
/** What is left of a call's time when the answer is there. */
const ANSWER_TIME_MS = 500;
const ATTEMPTS_MAX = 20;
const PAUSE_MS = 50;
const PAUSE_MAX_MS = 1_000;
const BUSY_RETRY_MS = 2_000;
