import type { ExperiencesClient, UsageRecorder } from '../../client/index.js';

/**
 * One stream of records and reservations to the service for each application that calls just now. Ask anew each time:
 * one that was idle is closed, and so is the one used longest ago when there are too many; what it holds is still sent.
 */
export class ApplicationRecorders {
  readonly #clientOf: (application: string) => ExperiencesClient;
  /** The one used longest ago comes first. */
  readonly #open = new Map<string, OpenRecorder>();
  readonly #closing = new Set<Promise<void>>();
  #isClosed = false;
  readonly #look = setInterval(() => this.#closeIdle(), LOOK_MS).unref();

  constructor(clientOf: (application: string) => ExperiencesClient) {
    this.#clientOf = clientOf;
  }

  /** Throws after the close: nobody would close what is opened then. */
  of(application: string): UsageRecorder {
    if (this.#isClosed) throw new Error('the recorders are closed');
    const known = this.#open.get(application);
    const recorder = known?.recorder ?? this.#clientOf(application).usage.recorder(RECORDER_OPTIONS);
    this.#open.delete(application);
    this.#open.set(application, { recorder, useTime: performance.now() });
    if (this.#open.size > RECORDERS_MAX) {
      const [oldest] = this.#open.keys();
      if (oldest !== undefined) this.#close(oldest);
    }
    return recorder;
  }

  /** Resolves when all that was given to them is answered or given up. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#look);
    for (const application of [...this.#open.keys()]) this.#close(application);
    await Promise.all(this.#closing);
  }

  #closeIdle(): void {
    const before = performance.now() - IDLE_MAX_MS;
    for (const [application, { useTime }] of this.#open) {
      if (useTime > before) return;
      this.#close(application);
    }
  }

  #close(application: string): void {
    const open = this.#open.get(application);
    if (open === undefined) return;
    this.#open.delete(application);
    const closed = open.recorder.close().finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
  }
}

interface OpenRecorder {
  readonly recorder: UsageRecorder;
  readonly useTime: number;
}

/** How long the ledger may take for a reservation, and for what ends it, before the proxy goes on without it. */
export const LEDGER_TIME_MAX_MS = 5_000;
const RECORDER_OPTIONS = {
  timeoutMs: LEDGER_TIME_MAX_MS,
  recordsMax: 5_000,
  bytesMax: 8 * 1024 * 1024,
  gatherMaxMs: 10,
};
const RECORDERS_MAX = 256;
const IDLE_MAX_MS = 60_000;
const LOOK_MS = 10_000;
