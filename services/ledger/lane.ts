import { MongoError } from 'mongodb';
import { Fault } from '../domain/fault.js';
import type { Entry, Outcome } from './entry.js';
import { isUnreachable } from './store-fault.js';
import { deadlineExceeded } from './transaction.js';
import type { WriteCall } from './write-call.js';

/** An entry that waits for its commit: the place in the call that brought it. */
export interface Pending {
  readonly call: WriteCall;
  readonly index: number;
  readonly entry: Entry;
  readonly bytes: number;
}

export type CommitBatch = (take: () => readonly Entry[], deadline: number) => Promise<readonly Outcome[]>;

/**
 * One committer: while a commit is under way, arrivals queue; when it ends, what has gathered goes into the next. There is
 * no timer, so a call that comes alone is committed alone and at once.
 */
export class Lane {
  readonly #commit: CommitBatch;
  readonly #queue: Pending[] = [];
  #head = 0;
  #running: Promise<void> | undefined;

  constructor(commit: CommitBatch) {
    this.#commit = commit;
  }

  /** Entries that wait; not those of the commit under way. */
  get waiting(): number {
    return this.#queue.length - this.#head;
  }

  add(pending: Pending): void {
    this.#queue.push(pending);
  }

  /** Begins to commit what has been added, if that is not being done. */
  start(): void {
    if (this.#running !== undefined || this.waiting === 0) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Lets go of entries whose callers' time is over. */
  dropExpired(now: number): void {
    const alive = this.#queue.slice(this.#head).filter((pending) => !isExpired(pending, now));
    this.#queue.splice(0, this.#queue.length, ...alive);
    this.#head = 0;
  }

  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    while (this.waiting > 0) await this.#settle(this.#take());
  }

  #take(): readonly Pending[] {
    const batch: Pending[] = [];
    let bytes = 0;
    while (batch.length < COMMIT_ENTRIES_MAX) {
      const next = this.#queue[this.#head];
      if (next === undefined || (batch.length > 0 && bytes + next.bytes > COMMIT_BYTES_MAX)) break;
      bytes += next.bytes;
      batch.push(next);
      this.#head += 1;
    }
    if (this.#head > QUEUE_HEAD_MAX || this.waiting === 0) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    return batch;
  }

  /** Commits a batch and tells every caller. Never throws. */
  async #settle(batch: readonly Pending[]): Promise<void> {
    let live = batch;
    const take = () => {
      const now = Date.now();
      live = live.filter((pending) => !isExpired(pending, now));
      if (live.length === 0) throw deadlineExceeded();
      return live.map(({ entry }) => entry);
    };
    try {
      const latest = batch.reduce((deadline, { call }) => Math.max(deadline, call.deadline), 0);
      const outcomes = await this.#commit(take, latest);
      if (outcomes.length !== live.length) throw new Error('every entry of a batch has an outcome');
      for (const [position, { call, index }] of live.entries()) {
        const outcome = outcomes[position];
        if (outcome !== undefined) call.settle(index, outcome);
      }
    } catch (error) {
      await this.#fail(live, error);
    }
  }

  /**
   * What the store did not carry out for now, its callers send again. What fails for good is halved, so that of a batch
   * with one bad entry only that one fails.
   */
  async #fail(batch: readonly Pending[], error: unknown): Promise<void> {
    if (error instanceof Fault) {
      for (const { call, index } of batch) call.settle(index, { kind: 'refused', fault: error });
      if (isAway(error)) this.#failWaiting(error);
      return;
    }
    if (batch.length === 1) {
      for (const { call, index } of batch) call.settle(index, { kind: 'failed', error });
      return;
    }
    const half = Math.ceil(batch.length / 2);
    await this.#settle(batch.slice(0, half));
    await this.#settle(batch.slice(half));
  }

  /** Those who have waited behind a store that is away would each wait for it again. */
  #failWaiting(fault: Fault): void {
    for (const { call, index } of this.#queue.splice(this.#head))
      call.settle(index, { kind: 'refused', fault });
    this.#queue.length = 0;
    this.#head = 0;
  }
}

/** Settles it if so. */
function isExpired({ call, index }: Pending, now: number): boolean {
  if (now < call.deadline) return false;
  call.settle(index, { kind: 'refused', fault: deadlineExceeded() });
  return true;
}

function isAway({ cause }: Fault): boolean {
  return cause instanceof MongoError && isUnreachable(cause);
}

const COMMIT_ENTRIES_MAX = 1_000;
const COMMIT_BYTES_MAX = 1_000_000;
/** So many taken entries are left at the start of the queue before it is cut. */
const QUEUE_HEAD_MAX = 1_000;
