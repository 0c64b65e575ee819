import { setTimeout as sleep } from 'node:timers/promises';
import { contract } from '../contract/contract.js';
import type { WatchExperienceRunResponse__Output } from '../contract/generated/experiences/v1/WatchExperienceRunResponse.js';
import { newUuid } from '../domain/new-uuid.js';
import { OutputsSeen } from '../domain/run-output.js';
import { type Channel, callUnary, identifies, isPassing, readStream } from './call.js';
import { fromWireLimit } from './from-wire-limits.js';
import { fromWireRun } from './from-wire-run.js';
import { fromWireOutput, fromWireTurn } from './from-wire-run-state.js';
import type { Limit } from './limit-types.js';
import type { Money } from './money.js';
import type { ConversationTurn, RunOutput } from './run-state-types.js';
import { toWireInt } from './to-wire.js';
import type { ExperienceRun } from './types.js';

const methods = contract.ExperienceRunService.service;

/** Runs: experiences that a Temporal workflow carries out. */
export class RunsClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Creates an experience and starts its type's workflow, once however often it is sent. */
  async start(start: {
    readonly experienceType: string;
    readonly experienceVersion?: number;
    /** A UUID of your own. Absent: one is made here, so that retries meet the same run. */
    readonly experienceId?: string;
    /** A document that was uploaded before (`client.documents.upload`), in the place of `document`. */
    readonly documentId?: string;
    /** The text to work on, at most 512 KiB. Required unless `documentId` or `parameters` is given. */
    readonly document?: { readonly name?: string; readonly content: string | Uint8Array };
    /** The most that the run may spend, in USD; absent: as the type says. `raiseBudget` raises it. */
    readonly budget?: Money;
    /** Handed to the workflow; must be serialisable as JSON. */
    readonly parameters?: Readonly<Record<string, unknown>>;
    readonly userId?: string;
    readonly properties?: Readonly<Record<string, string>>;
  }): Promise<{
    readonly run: ExperienceRun;
    readonly alreadyExisted: boolean;
    readonly idReplaced: boolean;
  }> {
    const { document, parameters, ...rest } = start;
    const experienceId = start.experienceId ?? newUuid();
    const request = {
      ...rest,
      experienceVersion: toWireInt('experienceVersion', start.experienceVersion ?? 0),
      experienceId,
      document:
        document === undefined ? null : { name: document.name ?? '', content: Buffer.from(document.content) },
      parametersJson: parameters === undefined ? '' : JSON.stringify(parameters),
    };
    const answer = await callUnary(this.#channel, methods.StartExperience, request, {
      repeatable: identifies(experienceId),
    });
    return {
      run: fromWireRun(answer.run),
      alreadyExisted: answer.alreadyExisted,
      idReplaced: answer.experienceIdReplaced,
    };
  }

  /**
   * Asks a question in a conversation and waits for the durable answer, by default for two minutes; `watchOutput` shows it
   * as it is written. With a `turnId` of your own the same call again, after a failure too, answers the same turn.
   */
  async ask(
    ask: {
      /** A UUID of your own: the first question with it begins the conversation. */
      readonly experienceId: string;
      readonly question: string;
      /** A UUID of your own. Absent: one is made here, so that retries meet the same turn. */
      readonly turnId?: string;
      /** What follows is for the first question; later it may be left out. */
      readonly experienceType?: string;
      readonly experienceVersion?: number;
      /** A committed document. */
      readonly documentId?: string;
      readonly parameters?: Readonly<Record<string, unknown>>;
      readonly userId?: string;
      /** In USD, a decimal string: the experience's own blocking limit. */
      readonly budget?: string;
    },
    options: { readonly timeoutMs?: number } = {},
  ): Promise<{
    readonly turn: ConversationTurn;
    readonly alreadyExisted: boolean;
    /** undefined: Temporal does not tell. */
    readonly run: ExperienceRun | undefined;
  }> {
    const { parameters, ...rest } = ask;
    const request = {
      ...rest,
      turnId: ask.turnId ?? newUuid(),
      experienceVersion: toWireInt('experienceVersion', ask.experienceVersion ?? 0),
      parametersJson: parameters === undefined ? '' : JSON.stringify(parameters),
    };
    const channel = { ...this.#channel, timeoutMs: options.timeoutMs ?? ANSWER_TIME_MAX_MS };
    const answer = await callUnary(channel, methods.AskExperience, request);
    return {
      turn: fromWireTurn(answer.turn),
      alreadyExisted: answer.alreadyExisted,
      run: answer.run === null ? undefined : fromWireRun(answer.run),
    };
  }

  async get(experienceId: string): Promise<ExperienceRun> {
    return fromWireRun((await callUnary(this.#channel, methods.GetExperienceRun, { experienceId })).run);
  }

  /**
   * The run as it is now, then at every change, until it has ended. A watch that is cut, as the service does to move
   * connections, goes on by itself; it throws when the service stays away for longer than a call may take.
   */
  async *watch(experienceId: string): AsyncGenerator<ExperienceRun, void, undefined> {
    for await (const { run } of this.#follow({ experienceId })) yield fromWireRun(run);
  }

  /**
   * What the steps of a run are just writing: what they wrote in the last 15 minutes, then what comes, each part once,
   * until the run has ended. A part of a higher attempt voids what the lower ones of its key wrote.
   */
  async *watchOutput(experienceId: string): AsyncGenerator<RunOutput, void, undefined> {
    const seen = new OutputsSeen(); // A watch that goes on is told again what is stored.
    for await (const { output } of this.#follow({ experienceId, includeOutput: true })) {
      if (output !== null && seen.add(output)) yield fromWireOutput(output);
    }
  }

  async *#follow(request: {
    readonly experienceId: string;
    readonly includeOutput?: boolean;
  }): AsyncGenerator<WatchExperienceRunResponse__Output, void, undefined> {
    // Since the first failure in a row, not since the last message: a run that does not change is quiet for long.
    let awaySince: number | undefined;
    for (;;) {
      try {
        for await (const message of readStream(this.#channel, methods.WatchExperienceRun, request)) {
          awaySince = undefined;
          yield message;
        }
        return;
      } catch (error) {
        awaySince ??= Date.now();
        if (!isPassing(error) || Date.now() - awaySince > this.#channel.timeoutMs) throw error;
        await sleep(WATCH_AGAIN_MS);
      }
    }
  }

  /** Raises what a run may spend; one that was paused for it goes on. Safe to repeat. */
  async raiseBudget(
    experienceId: string,
    maxCost: Money,
  ): Promise<{
    readonly limit: Limit /** Whether a run of the experience was told. */;
    readonly runTold: boolean;
  }> {
    const answer = await callUnary(this.#channel, methods.RaiseBudget, { experienceId, maxCost });
    return { limit: fromWireLimit(answer.limit), runTold: answer.runTold };
  }

  async cancel(experienceId: string, options: { readonly reason?: string } = {}): Promise<ExperienceRun> {
    return fromWireRun(
      (await callUnary(this.#channel, methods.CancelExperience, { experienceId, ...options })).run,
    );
  }
}

const WATCH_AGAIN_MS = 300;
const ANSWER_TIME_MAX_MS = 120_000;
