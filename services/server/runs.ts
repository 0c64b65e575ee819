import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Experience, StartedRun } from '../domain/experience.js';
import { Fault } from '../domain/fault.js';
import type { ChargedLimit, Limit, LimitConfig } from '../domain/limit.js';
import { formatMoney, type Money } from '../domain/money.js';
import { type RunInput, type RunProgress, runWorkflowId } from '../domain/run.js';
import type { Properties } from '../domain/usage.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';
import { canonicalJson } from '../ledger/content-hash.js';
import type { Ledger } from '../ledger/ledger.js';
import type { Recorder } from './recorder.js';
import { RunDocuments } from './run-documents.js';
import type { EngineRun, WorkflowEngine } from './workflow-engine.js';

/** Runs: an experience in the ledger and the workflow that carries it out. */
export class Runs {
  readonly #ledger: Ledger;
  readonly #recorder: Recorder;
  readonly #engine: WorkflowEngine;
  readonly #documents: RunDocuments;
  readonly #defaultTaskQueue: string;

  constructor(
    ledger: Ledger,
    recorder: Recorder,
    engine: WorkflowEngine,
    options: { readonly defaultTaskQueue: string },
  ) {
    this.#ledger = ledger;
    this.#recorder = recorder;
    this.#engine = engine;
    this.#documents = new RunDocuments(ledger.documents);
    this.#defaultTaskQueue = options.defaultTaskQueue;
  }

  /**
   * Creates the experience, notes the run with it, then starts the workflow: whatever fails in between, the same
   * request again goes on where it stopped.
   */
  async start(application: string, wanted: RunRequest, deadline: number): Promise<StartedExperience> {
    await this.#engine.check();
    const workflow = await this.workflowOf(application, wanted.type, deadline);
    const { document } = wanted;
    const uploaded =
      document !== undefined && 'documentId' in document
        ? await this.#documents.uploaded(application, document.documentId, deadline)
        : undefined;
    const { type, version, experienceId, userId, properties } = wanted;
    const limitConfig = (await this.#isStarted(application, wanted, deadline))
      ? undefined
      : wanted.limitConfig;
    const { experience, idReplaced } = await this.#recorder.createExperience(
      { application, type, version, experienceId, userId, properties, limitConfig },
      deadline,
    );
    const note: StartedRun = {
      ...workflow,
      workflowId: runWorkflowId(application, experience.id),
      requestHash: hashOf(wanted),
      runId: undefined,
      startTime: new Date(),
    };
    const earlier = await this.#ledger.experiences.noteRun(application, experience.id, note, deadline);
    if (earlier !== undefined && earlier.requestHash !== note.requestHash) {
      throw new Fault(
        'EXPERIENCE_RUN_ALREADY_EXISTS',
        `The experience '${experience.id}' was started with another request.`,
        {
          metadata: { experience_id: experience.id },
        },
      );
    }
    const run = earlier ?? note;
    if (run.runId === undefined) {
      const given = document !== undefined && 'text' in document ? document : undefined;
      const kept =
        given === undefined
          ? uploaded
          : await this.#documents.keep(application, experience.id, given, deadline);
      const runId = await this.#engine.start({
        workflowType: run.workflowType,
        workflowId: run.workflowId,
        taskQueue: run.taskQueue,
        input: {
          ...(kept === undefined ? {} : { document: kept }),
          ...(wanted.parameters === undefined ? {} : { parameters: wanted.parameters }),
        },
        header: {
          experienceId: experience.id,
          experienceType: experience.type,
          experienceVersion: experience.version,
        },
      });
      await this.#ledger.experiences.confirmRun(application, experience.id, runId, deadline);
    }
    return {
      run: await this.get(application, experience.id, deadline),
      alreadyExisted: earlier !== undefined,
      idReplaced,
    };
  }

  /**
   * Whether the request's experience was started before: then that start decides what is a repeat, and its limit may have been
   * raised since. Only asked of one that brings a limit.
   */
  async #isStarted(
    application: string,
    { experienceId, limitConfig }: RunRequest,
    deadline: number,
  ): Promise<boolean> {
    const id = experienceId === undefined ? undefined : parseUuid(experienceId);
    if (id === undefined || limitConfig === undefined) return false;
    const known = await this.#ledger.experiences.find(application, id, deadline);
    return known?.run !== undefined;
  }

  async get(
    application: string,
    id: Uuid,
    deadline: number,
    options: { readonly withProgress?: boolean } = {},
  ): Promise<RunView> {
    const { note } = await this.#startedExperience(application, id, deadline);
    const engineRun = await this.#engine.describe(note.workflowId);
    if (engineRun === undefined) {
      const why =
        note.runId === undefined ? 'was never started as a run' : 'ran, and Temporal no longer knows of it';
      throw runNotFound(id, why);
    }
    const progress =
      options.withProgress === true && engineRun.state === 'RUNNING'
        ? await this.#engine.progress(note.workflowId)
        : undefined;
    // Read after the state: so it has what a run that has ended spent.
    const experience = await this.#settledExperience(application, id, engineRun.endTime, deadline);
    const budget =
      experience.limitType === undefined
        ? undefined
        : (await this.#ledger.limits.get(application, id, true, deadline)).charged;
    return { experience, note, engineRun, progress, budget };
  }

  /**
   * Raises the maximum of the experience's own blocking limit, then tells its run. A repeat tells it again, which does no
   * harm: the first try may not have come so far.
   */
  async raiseBudget(
    application: string,
    id: Uuid,
    maxCost: Money,
    deadline: number,
  ): Promise<{ readonly budget: ChargedLimit; readonly runTold: boolean }> {
    const experience = await this.#ledger.experiences.get(application, id, false, deadline);
    if (experience.limitType !== 'BLOCK') {
      throw new Fault(
        'EXPERIENCE_HAS_NO_BUDGET',
        `The experience '${id}' owns no blocking limit that could be raised.`,
        { metadata: { experience_id: id } },
      );
    }
    const budget = await this.#ledger.limits.raise(application, id, maxCost, deadline);
    const { run } = experience;
    const runTold =
      run !== undefined &&
      (await this.#engine.raiseBudget(run.workflowId, { maxCost: formatMoney(budget.limit.maxCost) }));
    return { budget, runTold };
  }

  /**
   * Tells the run of the experience that owns the limit, if it is one that blocks: there may be room again. What the caller
   * asked for is done by then, so that a run which cannot be told fails nothing, and is not waited for long.
   */
  async tellBudget(application: string, limit: Limit, deadline: number): Promise<void> {
    const { experienceId, type, maxCost } = limit;
    if (experienceId === undefined || type !== 'BLOCK') return;
    const telling = this.#ledger.experiences
      .find(application, experienceId, deadline)
      .then(
        (experience) =>
          experience?.run &&
          this.#engine.raiseBudget(experience.run.workflowId, { maxCost: formatMoney(maxCost) }),
      );
    const waitMs = Math.min(TELL_TIME_MAX_MS, deadline - Date.now() - ANSWER_TIME_MS);
    const enough = new AbortController();
    await Promise.race([
      telling.catch(() => undefined),
      sleep(Math.max(0, waitMs), undefined, { signal: enough.signal }).catch(() => undefined),
    ]);
    enough.abort();
  }

  async cancel(
    application: string,
    id: Uuid,
    reason: string | undefined,
    deadline: number,
  ): Promise<RunView> {
    const { note, engineRun } = await this.get(application, id, deadline);
    if (engineRun.state === 'CANCELLED') return this.get(application, id, deadline); // So that the call can be repeated.
    const ended =
      engineRun.state !== 'RUNNING' || (await this.#engine.cancel(note.workflowId, reason)) === 'ended';
    if (ended) {
      throw new Fault('EXPERIENCE_RUN_NOT_RUNNING', `The run of experience '${id}' has ended.`, {
        metadata: { experience_id: id },
      });
    }
    return this.get(application, id, deadline);
  }

  /** How a type's runs are carried out. */
  async workflowOf(
    application: string,
    name: string,
    deadline: number,
  ): Promise<{ workflowType: string; taskQueue: string }> {
    const type = await this.#ledger.types.get(application, name, false, deadline);
    if (type.workflowType === undefined) {
      throw new Fault(
        'EXPERIENCE_TYPE_HAS_NO_WORKFLOW',
        `The experience type '${name}' names no workflow to start.`,
        {
          metadata: { experience_type: name },
        },
      );
    }
    return { workflowType: type.workflowType, taskQueue: type.taskQueue ?? this.#defaultTaskQueue };
  }

  /** What a run's last calls have cost may be recorded a moment after its end. Until then it is held. */
  async #settledExperience(
    application: string,
    id: Uuid,
    endTime: Date | undefined,
    deadline: number,
  ): Promise<Experience> {
    const now = Date.now();
    const until = Math.min(
      (endTime?.getTime() ?? 0) + SETTLED_AFTER_MS,
      now + SETTLED_AFTER_MS,
      deadline - ANSWER_TIME_MS,
    );
    for (;;) {
      const { experience } = await this.#startedExperience(application, id, deadline);
      if (experience.totals.openReservationCount === 0n || Date.now() >= until) return experience;
      await sleep(SETTLED_POLL_MS);
    }
  }

  /** A deleted one too: its run may go on, and has to be found to be stopped. */
  async #startedExperience(
    application: string,
    id: Uuid,
    deadline: number,
  ): Promise<{ experience: Experience; note: StartedRun }> {
    const experience = await this.#ledger.experiences.get(application, id, true, deadline);
    if (experience.run === undefined) throw runNotFound(id, 'was never started as a run');
    return { experience, note: experience.run };
  }
}

export interface RunRequest {
  readonly type: string;
  readonly version: number | undefined;
  readonly experienceId: string | undefined;
  readonly userId: string | undefined;
  readonly properties: Properties;
  /** To work on: a text that came with the request, or what was uploaded before. */
  readonly document:
    | { readonly name: string; readonly text: string }
    | { readonly documentId: Uuid }
    | undefined;
  /** The caller's JSON object. */
  readonly parameters: RunInput['parameters'];
  /** The experience's own limit; undefined: as its type says. */
  readonly limitConfig: LimitConfig | undefined;
}

export interface RunView {
  readonly experience: Experience;
  readonly note: StartedRun;
  readonly engineRun: EngineRun;
  readonly progress: RunProgress | undefined;
  /** undefined: it owns no limit. */
  readonly budget: ChargedLimit | undefined;
}

export interface StartedExperience {
  readonly run: RunView;
  readonly alreadyExisted: boolean;
  readonly idReplaced: boolean;
}

/**
 * The whole request but the id it is kept under. A document that came with it counts by its text, as in release 0.1.0, so
 * that repeats of older starts are known.
 */
function hashOf({ experienceId: _id, document, parameters, ...request }: RunRequest): string {
  const hashed = { ...request, input: { document, parameters } };
  return createHash('sha256').update(canonicalJson(hashed)).digest('hex').slice(0, 32);
}

function runNotFound(id: string, why: string): Fault {
  return new Fault('EXPERIENCE_RUN_NOT_FOUND', `The experience '${id}' ${why}.`, {
    metadata: { experience_id: id },
  });
}

/** A run whose calls are still not settled then has lost a worker. */
const SETTLED_AFTER_MS = 2_000;
const SETTLED_POLL_MS = 20;
const TELL_TIME_MAX_MS = 4_000;
/** What is left of a call's time to answer it. */
const ANSWER_TIME_MS = 500;
