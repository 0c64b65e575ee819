import { setTimeout as sleep } from 'node:timers/promises';
import type { ExperienceRun as WireRun } from '../contract/generated/experiences/v1/ExperienceRun.js';
import type { WatchExperienceRunResponse } from '../contract/generated/experiences/v1/WatchExperienceRunResponse.js';
import { Fault } from '../domain/fault.js';
import type { Uuid } from '../domain/uuid.js';
import type { StreamContext } from './handler.js';
import type { RunOutputWatchers } from './run-outputs.js';
import type { Runs, RunView } from './runs.js';

/** Watches of runs: how each is, and what its steps are just writing. */
export class RunWatches {
  readonly #runs: Runs;
  readonly #outputs: RunOutputWatchers;
  readonly #toWireRun: (run: RunView) => WireRun;
  #watchers = 0;

  constructor(runs: Runs, outputs: RunOutputWatchers, toWireRun: (run: RunView) => WireRun) {
    this.#runs = runs;
    this.#outputs = outputs;
    this.#toWireRun = toWireRun;
  }

  /** The last message is the run as it ended, behind all that it wrote. */
  async serve(
    id: Uuid,
    withOutput: boolean,
    context: StreamContext<WatchExperienceRunResponse>,
  ): Promise<void> {
    if (this.#watchers >= WATCHERS_MAX) {
      throw new Fault('TOO_MANY_WATCHERS', `This process serves at most ${WATCHERS_MAX} watchers.`, {
        retryAfterMs: 1_000,
      });
    }
    this.#watchers += 1;
    const output = new OutputSending(this.#outputs, id, context);
    const stop = AbortSignal.any([context.signal, output.failed]);
    try {
      let sent = { text: '', time: 0 };
      while (!stop.aborted) {
        const deadline = Date.now() + POLL_TIME_MAX_MS;
        const view = await this.#runs.get(context.application, id, deadline, { withProgress: true });
        if (withOutput) output.start();
        const isOver = view.engineRun.state !== 'RUNNING';
        if (isOver) await output.finish();
        if (stop.aborted) break;
        const run = this.#toWireRun(view);
        const text = JSON.stringify(run);
        if (text !== sent.text || Date.now() - sent.time >= HEARTBEAT_MS) {
          await context.send({ run });
          sent = { text, time: Date.now() };
        }
        if (isOver) return;
        await sleep(POLL_MS, undefined, { signal: stop }).catch(() => undefined); // Aborted: the loop ends by itself.
      }
      output.failed.throwIfAborted();
    } finally {
      output.stop();
      this.#watchers -= 1;
    }
  }
}

/** Sends a run's output beside its states. */
class OutputSending {
  readonly #outputs: RunOutputWatchers;
  readonly #id: Uuid;
  readonly #context: StreamContext<WatchExperienceRunResponse>;
  readonly #failed = new AbortController();
  readonly #ended = new AbortController();
  #stopped = false;
  #sending: Promise<void> | undefined;

  constructor(outputs: RunOutputWatchers, id: Uuid, context: StreamContext<WatchExperienceRunResponse>) {
    this.#outputs = outputs;
    this.#id = id;
    this.#context = context;
  }

  /** Aborted with the error that has ended the output. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  start(): void {
    this.#sending ??= this.#send().catch((error: unknown) => this.#failed.abort(error));
  }

  /** Resolves when all that was written by now is sent. */
  async finish(): Promise<void> {
    this.#ended.abort();
    await this.#sending;
  }

  stop(): void {
    this.#stopped = true;
    this.#ended.abort();
  }

  async #send(): Promise<void> {
    const { application, signal, send } = this.#context;
    const ended = AbortSignal.any([signal, this.#ended.signal]);
    for await (const output of this.#outputs.follow(application, this.#id, ended)) {
      if (signal.aborted || this.#stopped) return;
      await send({ output });
    }
  }
}

const WATCHERS_MAX = 256;
const POLL_MS = 300;
const POLL_TIME_MAX_MS = 10_000;
const HEARTBEAT_MS = 15_000;
