import type { Outcome } from './entry.js';
import { deadlineExceeded } from './transaction.js';

/** A call's entries on their way: answers once each has an outcome, or when the call's time is over. */
export class WriteCall {
  readonly deadline: number;
  readonly done: Promise<readonly WriteOutcome[]>;
  readonly #outcomes: (WriteOutcome | undefined)[];
  readonly #settled: (index: number) => void;
  readonly #timer: NodeJS.Timeout;
  #open: number;
  #isOver = false;
  #resolve: (outcomes: readonly WriteOutcome[]) => void = () => undefined;

  /** `settled` hears of each entry that is under way no more, also after the call's time. */
  constructor(size: number, deadline: number, settled: (index: number) => void) {
    this.deadline = deadline;
    this.#settled = settled;
    this.#outcomes = new Array(size).fill(undefined);
    this.#open = size;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#timer = setTimeout(() => this.#end(), deadline - Date.now());
    if (size === 0) this.#end();
  }

  /** Each entry once. What is settled after the call's time stays unheard: its caller sends it again and finds it. */
  settle(index: number, outcome: WriteOutcome): void {
    if (this.#outcomes[index] !== undefined) throw new Error('an entry is settled once');
    this.#outcomes[index] = outcome;
    this.#open -= 1;
    this.#settled(index);
    if (this.#open === 0 && !this.#isOver) this.#end();
  }

  /** A command that hangs does not keep the caller longer than its time. */
  #end(): void {
    clearTimeout(this.#timer);
    this.#isOver = true;
    this.#resolve(this.#outcomes.map((outcome) => outcome ?? { kind: 'refused', fault: deadlineExceeded() }));
  }
}

export type WriteOutcome = Outcome | FailedOutcome;

/** A bug of ours, of which this entry is the cause: nothing a caller can do about. */
export interface FailedOutcome {
  readonly kind: 'failed';
  readonly error: unknown;
}
