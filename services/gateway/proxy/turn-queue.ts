/** So many may do something at once; who comes later waits for a turn, in order, as long as it likes. */
export class TurnQueue {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(turns: number) {
    this.#free = turns;
  }

  /** Resolves when it is one's turn, which is to be given back. Rejects with the signal's reason, and then there is none. */
  async take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(begin);
        reject(signal.reason);
      };
      const begin = (): void => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      this.#waiting.add(begin);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** The turn goes to the one that has waited longest. */
  give(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
