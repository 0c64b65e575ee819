import { OutputsSeen, type RunOutput } from '../domain/run-output.js';
import type { Uuid } from '../domain/uuid.js';
import type { Ledger } from '../ledger/ledger.js';

/**
 * Gives what steps are writing, on whatever process, to the watchers of this one. All of them share one stream of the
 * store, which is open while there is a watcher.
 */
export class RunOutputWatchers {
  readonly #outputs: Ledger['runOutputs'];
  readonly #byRun = new Map<string, Set<Watcher>>();
  #stream: ReturnType<Ledger['runOutputs']['open']> | undefined;

  constructor(ledger: Pick<Ledger, 'runOutputs'>) {
    this.#outputs = ledger.runOutputs;
  }

  /**
   * What is stored of a run's output, then what comes, each part once; when it is aborted, what is stored by then is given
   * and it ends. A slow taker misses nothing: what has no room to wait for it is read from the store again.
   */
  async *follow(
    application: string,
    experienceId: Uuid,
    ended: AbortSignal,
  ): AsyncGenerator<RunOutput, void, undefined> {
    const run = runOf(application, experienceId);
    const watcher = new Watcher(ended);
    const watchers = this.#byRun.get(run) ?? new Set();
    this.#byRun.set(run, watchers.add(watcher));
    try {
      const stream = await this.#opened();
      const seen = new OutputsSeen();
      for (;;) {
        const isLast = ended.aborted;
        if (watcher.catchUp() || isLast) {
          for await (const output of this.#outputs.stored(application, experienceId, stream.since)) {
            if (seen.add(output)) yield output;
          }
        }
        if (isLast) return;
        for (const output of await watcher.next()) {
          if (seen.add(output)) yield output;
        }
      }
    } finally {
      this.#leave(run, watcher);
    }
  }

  async #opened(): ReturnType<Ledger['runOutputs']['open']> {
    this.#stream ??= this.#outputs.open({
      onOutput: (application, experienceId, output) => {
        const watchers = this.#byRun.get(runOf(application, experienceId)) ?? [];
        for (const watcher of watchers) watcher.add(output);
      },
      onEnd: (error) => {
        this.#stream = undefined;
        for (const watchers of this.#byRun.values()) {
          for (const watcher of watchers) watcher.fail(error);
        }
      },
    });
    const opening = this.#stream;
    try {
      return await opening;
    } catch (error) {
      if (this.#stream === opening) this.#stream = undefined;
      throw error;
    }
  }

  #leave(run: string, watcher: Watcher): void {
    const watchers = this.#byRun.get(run);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#byRun.delete(run);
    if (this.#byRun.size > 0) return;
    // One that does not open has told its watchers why.
    this.#stream?.then((stream) => stream.close()).catch(() => undefined);
    this.#stream = undefined;
  }
}

/** What waits for one watcher. */
class Watcher {
  #waiting: RunOutput[] = [];
  #length = 0;
  /** What came had no room, or there was nobody to take it yet: the store has it. */
  #missed = true;
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  constructor(ended: AbortSignal) {
    ended.addEventListener('abort', () => this.#wake(), { once: true });
    this.#ended = ended;
  }

  readonly #ended: AbortSignal;

  add(output: RunOutput): void {
    if (this.#missed) return;
    this.#length += output.text.length;
    this.#waiting.push(output);
    if (this.#waiting.length > OUTPUTS_WAITING_MAX || this.#length > LENGTH_WAITING_MAX) {
      this.#missed = true;
      this.#clear();
    }
    this.#wake();
  }

  fail(error: unknown): void {
    this.#failure = { error };
    this.#wake();
  }

  /** Whether the store must be read; what comes from now on waits. */
  catchUp(): boolean {
    const missed = this.#missed;
    this.#missed = false;
    return missed;
  }

  /** What waits, when there is something; nothing when the store must be read, or it has ended. */
  async next(): Promise<readonly RunOutput[]> {
    while (this.#waiting.length === 0 && !this.#missed && !this.#ended.aborted) {
      if (this.#failure !== undefined) throw this.#failure.error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#clear();
  }

  #clear(): readonly RunOutput[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#length = 0;
    return waiting;
  }
}

function runOf(application: string, experienceId: Uuid): string {
  return `${application}/${experienceId}`;
}

/** Of each watcher. */
const OUTPUTS_WAITING_MAX = 256;
const LENGTH_WAITING_MAX = 65_536;
