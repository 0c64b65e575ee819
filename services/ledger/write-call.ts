import type { Outcome } from './entry.js';

/** A call's entries on their way: answers once each has an outcome. */
export class WriteCall {
  readonly deadline: number;
  readonly done: Promise<readonly WriteOutcome[]>;
  readonly #outcomes: WriteOutcome[];
  #open: number;
  #resolve: (outcomes: readonly WriteOutcome[]) => void = () => undefined;

  constructor(size: number, deadline: number) {
    this.deadline = deadline;
    this.#outcomes = new Array(size);
    this.#open = size;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    if (size === 0) this.#resolve([]);
  }

  /** Each entry once. */
  settle(index: number, outcome: WriteOutcome): void {
    if (this.#outcomes[index] !== undefined) throw new Error('an entry is settled once');
    this.#outcomes[index] = outcome;
    this.#open -= 1;
    if (this.#open === 0) this.#resolve(this.#outcomes);
  }
}

export type WriteOutcome = Outcome | FailedOutcome;

/** A bug of ours, of which this entry is the cause: nothing a caller can do about. */
export interface FailedOutcome {
  readonly kind: 'failed';
  readonly error: unknown;
}
