import { ExperiencesError } from '../../client/index.js';
import { DeliveryTimedOut, verdictOn } from './delivery-verdict.js';

export interface Deliveries<Entry> {
  /** Resolves when the entry is done with; rejects when it is to be judged by the error. */
  deliver(entry: Entry): Promise<void>;
  /** Resolves when a refused entry is put aside; one that rejects is tried again later. */
  refuse(entry: Entry, error: unknown): Promise<void>;
  /** The entry was delivered or put aside. */
  finished(entry: Entry): void;
}

/**
 * Delivers entries, many at once and in no promised order. While the service is away one entry at a time asks whether it
 * is back, after pauses that grow; an entry that fails for itself waits for itself.
 */
export class DeliveryLoop<Entry> {
  readonly #deliveries: Deliveries<Entry>;
  readonly #waiting = new Set<Waiting<Entry>>();
  readonly #underWay = new Set<Waiting<Entry>>();
  /** Those that wait for themselves. */
  readonly #delayed = new Map<Waiting<Entry>, NodeJS.Timeout>();
  /** Without a delivery between them. */
  #failures = 0;
  #pause: NodeJS.Timeout | undefined;
  #hurry = false;
  #isStopped = false;
  #isEmpty: () => void = () => undefined;

  constructor(deliveries: Deliveries<Entry>) {
    this.#deliveries = deliveries;
  }

  add(entry: Entry): void {
    this.#waiting.add({ entry, attempts: 0 });
    this.#next();
  }

  /** Delivers without long pauses until nothing is left or the time is over; then delivers no more. Never rejects. */
  async drain(timeMaxMs: number): Promise<void> {
    this.#hurry = true;
    for (const waiting of [...this.#delayed.keys()]) this.#delayIsOver(waiting);
    this.#pauseIsOver();
    if (this.#size > 0 && timeMaxMs > 0) {
      let deadline: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#isEmpty = resolve;
        deadline = setTimeout(resolve, timeMaxMs);
      });
      clearTimeout(deadline);
    }
    this.#isStopped = true;
    clearTimeout(this.#pause);
    for (const timer of this.#delayed.values()) clearTimeout(timer);
  }

  get #size(): number {
    return this.#waiting.size + this.#underWay.size + this.#delayed.size;
  }

  #next(): void {
    const atOnceMax = this.#failures > 0 ? 1 : AT_ONCE_MAX;
    for (const waiting of this.#waiting) {
      if (this.#isStopped || this.#pause !== undefined || this.#underWay.size >= atOnceMax) return;
      this.#waiting.delete(waiting);
      this.#underWay.add(waiting);
      void this.#attempt(waiting);
    }
    if (this.#size === 0) this.#isEmpty();
  }

  async #attempt(waiting: Waiting<Entry>): Promise<void> {
    waiting.attempts += 1;
    let error: unknown;
    try {
      await inTime(this.#deliveries.deliver(waiting.entry));
    } catch (thrown) {
      error = thrown ?? new Error('a delivery failed without an error');
    }
    // What ends after the stop is delivered again after the next start.
    if (this.#isStopped) return;
    if (error === undefined) this.#finish(waiting);
    else await this.#judge(waiting, error);
    this.#next();
  }

  async #judge(waiting: Waiting<Entry>, error: unknown): Promise<void> {
    waiting.failingSinceMs ??= performance.now();
    switch (verdictOn(error, performance.now() - waiting.failingSinceMs)) {
      case 'away':
        this.#underWay.delete(waiting);
        // At the end, so that each asks for all in its turn.
        this.#waiting.add(waiting);
        this.#begin(error);
        return;
      case 'later':
        this.#delay(waiting);
        return;
      case 'refused':
        try {
          await this.#deliveries.refuse(waiting.entry, error);
        } catch {
          // It has told why; the entry is still on disk.
          this.#delay(waiting);
          return;
        }
        this.#finish(waiting);
        return;
    }
  }

  #finish(waiting: Waiting<Entry>): void {
    this.#underWay.delete(waiting);
    this.#failures = 0;
    this.#deliveries.finished(waiting.entry);
  }

  /** Of many that fail together the first begins the pause. */
  #begin(error: unknown): void {
    if (this.#pause !== undefined || this.#isStopped) return;
    this.#failures += 1;
    const hintMs = error instanceof ExperiencesError ? (error.retryAfterMs ?? 0) : 0;
    const timeMs = Math.min(PAUSE_MAX_MS, Math.max(hintMs, this.#pauseMs(this.#failures)));
    this.#pause = setTimeout(() => this.#pauseIsOver(), timeMs).unref();
  }

  #pauseIsOver(): void {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#next();
  }

  #delay(waiting: Waiting<Entry>): void {
    this.#underWay.delete(waiting);
    const timer = setTimeout(() => this.#delayIsOver(waiting), this.#pauseMs(waiting.attempts)).unref();
    this.#delayed.set(waiting, timer);
  }

  #delayIsOver(waiting: Waiting<Entry>): void {
    clearTimeout(this.#delayed.get(waiting));
    this.#delayed.delete(waiting);
    this.#waiting.add(waiting);
    this.#next();
  }

  /** Doubled from one failure to the next, and spread, so that gateways do not come back together. */
  #pauseMs(failures: number): number {
    const longestMs = this.#hurry ? HURRY_PAUSE_MAX_MS : PAUSE_MAX_MS;
    return Math.min(longestMs, PAUSE_MIN_MS * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
  }
}

interface Waiting<Entry> {
  readonly entry: Entry;
  attempts: number;
  failingSinceMs?: number;
}

async function inTime(delivery: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new DeliveryTimedOut(`a delivery took longer than ${DELIVERY_TIME_MAX_MS} ms`)),
      DELIVERY_TIME_MAX_MS,
    ).unref();
  });
  try {
    await Promise.race([delivery, late]);
  } finally {
    clearTimeout(timer);
  }
}

const AT_ONCE_MAX = 32;
/** Longer than any client waits for its answer, so it ends what would hang for ever. */
const DELIVERY_TIME_MAX_MS = 90_000;
const PAUSE_MIN_MS = 250;
const PAUSE_MAX_MS = 30_000;
const HURRY_PAUSE_MAX_MS = 200;
