/**
 * Whether what waits had better wait for more: those whose answers have just come often come back at once, and what travels
 * together is cheaper. It is never waited longer than a quarter of what the answers took, and nothing waits where few are
 * under way.
 */
export class Gathering {
  readonly #timeMaxMs: number;
  #enough = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Below 1 ms: nothing ever waits. */
  constructor(timeMaxMs: number) {
    this.#timeMaxMs = timeMaxMs;
  }

  /** `answered` came back after `tookMs`, and `waiting` wait already. When the time is over, `over` is called. */
  begin(answered: number, waiting: number, tookMs: number, over: () => void): void {
    this.end();
    const expected = answered + waiting;
    const timeMaxMs = Math.min(this.#timeMaxMs, tookMs * TIME_SHARE);
    if (timeMaxMs < 1 || expected < EXPECTED_MIN) return;
    this.#enough = expected * ENOUGH_SHARE;
    this.#timer = setTimeout(() => {
      this.end();
      over();
    }, timeMaxMs);
  }

  /** Whether more than these are still waited for. */
  goesOn(waiting: number): boolean {
    if (this.#timer === undefined) return false;
    if (waiting < this.#enough) return true;
    this.end();
    return false;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

const TIME_SHARE = 0.25;
/** Fewer are not worth the wait. */
const EXPECTED_MIN = 8;
/** Of those that are expected: the last ones may have ended. */
const ENOUGH_SHARE = 0.8;
