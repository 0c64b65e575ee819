import { setTimeout as sleep } from 'node:timers/promises';
import { contract } from '../contract/contract.js';
import { newUuid } from '../domain/new-uuid.js';
import { type Channel, callUnary, identifies, isPassing, readStream } from './call.js';
import { fromWireRun } from './from-wire.js';
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
    /** The text to work on, at most 512 KiB. Required unless `parameters` is given. */
    readonly document?: { readonly name?: string; readonly content: string | Uint8Array };
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

  async get(experienceId: string): Promise<ExperienceRun> {
    return fromWireRun((await callUnary(this.#channel, methods.GetExperienceRun, { experienceId })).run);
  }

  /**
   * The run as it is now, then at every change, until it has ended. A watch that is cut, as the service does to move
   * connections, goes on by itself; it throws when the service stays away for longer than a call may take.
   */
  async *watch(experienceId: string): AsyncGenerator<ExperienceRun, void, undefined> {
    // Since the first failure in a row, not since the last message: a run that does not change is quiet for long.
    let awaySince: number | undefined;
    for (;;) {
      try {
        for await (const { run } of readStream(this.#channel, methods.WatchExperienceRun, { experienceId })) {
          awaySince = undefined;
          yield fromWireRun(run);
        }
        return;
      } catch (error) {
        awaySince ??= Date.now();
        if (!isPassing(error) || Date.now() - awaySince > this.#channel.timeoutMs) throw error;
        await sleep(WATCH_AGAIN_MS);
      }
    }
  }

  async cancel(experienceId: string, options: { readonly reason?: string } = {}): Promise<ExperienceRun> {
    return fromWireRun(
      (await callUnary(this.#channel, methods.CancelExperience, { experienceId, ...options })).run,
    );
  }
}

const WATCH_AGAIN_MS = 300;
