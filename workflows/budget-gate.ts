import { ActivityFailure, ApplicationFailure, CancelledFailure, condition } from '@temporalio/workflow';

/** The type of the failure of an activity whose paid call a limit refused before it was made. */
export const BUDGET_EXCEEDED = 'ExperienceBudgetExceeded';
/** The type of the failure of an activity that could not ask the service: nothing was spent. */
const SERVICE_AWAY = 'ExperiencesUnavailable';

/**
 * Where the paid calls of a run wait while its budget is used up, or while the service is away. A call that was refused is
 * made again once the budget was raised; when nobody raises it in time the run goes on with what it has. In an outage one
 * call asks now and then whether it is over, and the others wait for it: that adds little to the history.
 */
export class BudgetGate {
  readonly #options: BudgetGateOptions;
  #raises: number;
  #isPaused = false;
  #isStopped = false;
  /** Whether a call found the service away, and waits to ask for it again. */
  #isAway = false;
  #underWay = 0;
  #made = 0;

  constructor(options: BudgetGateOptions) {
    this.#options = options;
    this.#raises = options.raises ?? 0;
  }

  /** How often the budget was raised: who was refused before the last time may just try again. */
  get raises(): number {
    return this.#raises;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** No more paid calls: the budget ended for good. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Makes a paid call, however often it is refused; undefined: the gate was stopped. */
  async pass<T>(call: () => Promise<T>): Promise<T | undefined> {
    for (;;) {
      if (this.#isClosed) await condition(() => !this.#isClosed);
      if (this.#isStopped) return undefined;
      const raises = this.#raises;
      this.#underWay += 1;
      try {
        const result = await this.#reach(call);
        if (result !== undefined) this.#made += 1;
        return result;
      } catch (error) {
        if (!hasType(error, BUDGET_EXCEEDED)) throw error;
      } finally {
        this.#underWay -= 1;
      }
      // What calls under way hold may be more than they cost: it is used up only when one is refused that is alone.
      const made = this.#made;
      await condition(() => this.#underWay === 0 || this.#made > made || this.#isPaused || this.#isStopped);
      if (this.#made === made) this.pause(raises);
    }
  }

  /** For a call that was refused when the budget had been raised so often. */
  pause(raises: number): void {
    if (raises < this.#raises || this.#isPaused || this.#isStopped) return;
    this.#isPaused = true;
    this.#options.onChange();
    if (this.#options.timeoutMs !== undefined) void this.#stopAfter(this.#options.timeoutMs);
  }

  raise(raises = this.#raises + 1): void {
    if (raises <= this.#raises) return;
    this.#raises = raises;
    this.#isPaused = false;
    this.#options.onChange();
  }

  stop(): void {
    this.#isStopped = true;
    this.#options.onChange();
  }

  get #isClosed(): boolean {
    return (this.#isPaused || this.#isAway) && !this.#isStopped;
  }

  /** Makes a call again until it finds the service; undefined: the gate was stopped. */
  async #reach<T>(call: () => Promise<T>): Promise<T | undefined> {
    let awaySinceMs: number | undefined;
    try {
      for (;;) {
        try {
          return await call();
        } catch (error) {
          if (!hasType(error, SERVICE_AWAY)) throw error;
          if (awaySinceMs === undefined && this.#isAway) {
            await condition(() => !this.#isAway || this.#isStopped);
          } else {
            this.#isAway = true;
            awaySinceMs ??= Date.now();
            const awayMs = Date.now() - awaySinceMs;
            if (awayMs >= OUTAGE_MAX_MS) throw error;
            // As long again as it has been away.
            const pauseMs = Math.min(Math.max(awayMs, AWAY_PAUSE_MIN_MS), AWAY_PAUSE_MAX_MS);
            await condition(() => this.#isStopped, pauseMs);
          }
        }
        if (this.#isStopped) return undefined;
      }
    } finally {
      if (awaySinceMs !== undefined) this.#isAway = false;
    }
  }

  async #stopAfter(timeoutMs: number): Promise<void> {
    const raises = this.#raises;
    try {
      const isRaised = await condition(() => this.#raises > raises || this.#isStopped, timeoutMs);
      if (!isRaised) this.stop();
    } catch (error) {
      // A cancelled run waits for nothing.
      if (!(error instanceof CancelledFailure)) throw error;
    }
  }
}

export interface BudgetGateOptions {
  /** How often the budget was raised before; absent: never. */
  readonly raises?: number;
  /** After so long without a raise the gate stops; absent: another workflow stops it. */
  readonly timeoutMs?: number;
  /** Called when it has paused, goes on, or has stopped. */
  onChange(): void;
}

function hasType(error: unknown, type: string): boolean {
  return (
    error instanceof ActivityFailure && error.cause instanceof ApplicationFailure && error.cause.type === type
  );
}

/** An outage that is longer ends the run. */
const OUTAGE_MAX_MS = 86_400_000;
const AWAY_PAUSE_MIN_MS = 5_000;
const AWAY_PAUSE_MAX_MS = 120_000;
