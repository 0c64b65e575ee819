import { createHash } from 'node:crypto';
import type { Experience, StartedRun } from '../domain/experience.js';
import { Fault } from '../domain/fault.js';
import { type RunInput, type RunProgress, runWorkflowId } from '../domain/run.js';
import type { Properties } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';
import { canonicalJson } from '../ledger/content-hash.js';
import type { Ledger } from '../ledger/ledger.js';
import type { Recorder } from './recorder.js';
import type { EngineRun, WorkflowEngine } from './workflow-engine.js';

/** Runs: an experience in the ledger and the workflow that carries it out. */
export class Runs {
  readonly #ledger: Ledger;
  readonly #recorder: Recorder;
  readonly #engine: WorkflowEngine;
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
    this.#defaultTaskQueue = options.defaultTaskQueue;
  }

  /**
   * Creates the experience, notes the run with it, then starts the workflow: whatever fails in between, the same
   * request again goes on where it stopped.
   */
  async start(application: string, wanted: RunRequest, deadline: number): Promise<StartedExperience> {
    await this.#engine.check();
    const workflow = await this.#workflowOf(application, wanted.type, deadline);
    const { experience, idReplaced } = await this.#recorder.createExperience(
      { application, ...wanted },
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
      const runId = await this.#engine.start({
        workflowType: run.workflowType,
        workflowId: run.workflowId,
        taskQueue: run.taskQueue,
        input: wanted.input,
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
    // Read after the state: what a run that has ended spent is all recorded by then.
    const { experience } = await this.#startedExperience(application, id, deadline);
    return { experience, note, engineRun, progress };
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

  async #workflowOf(
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
  readonly input: RunInput;
}

export interface RunView {
  readonly experience: Experience;
  readonly note: StartedRun;
  readonly engineRun: EngineRun;
  readonly progress: RunProgress | undefined;
}

export interface StartedExperience {
  readonly run: RunView;
  readonly alreadyExisted: boolean;
  readonly idReplaced: boolean;
}

/** The whole request but the id it is kept under. */
function hashOf({ experienceId: _id, ...request }: RunRequest): string {
  return createHash('sha256').update(canonicalJson(request)).digest('hex').slice(0, 32);
}

function runNotFound(id: string, why: string): Fault {
  return new Fault('EXPERIENCE_RUN_NOT_FOUND', `The experience '${id}' ${why}.`, {
    metadata: { experience_id: id },
  });
}
