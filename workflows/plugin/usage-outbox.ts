import { setTimeout as sleep } from 'node:timers/promises';
import { mayPass, type Settlement, settle, type UsagePort } from '../../services/client/settle.js';

/** What the plugin needs of a logger. */
export interface PluginLogger {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/**
 * Settlements whose activity has ended before the service took them. They wait in memory, bounded: first until some more
 * have come, so that they travel together and not between an activity and the next; then, as long as the service is away,
 * they are sent again, several at once, with growing pauses. What is lost here, in a crash or over the bound, is closed by
 * the service at its reservation's estimate; in mode `after` there is no reservation, and it is missing in the books for
 * good.
 */
export class UsageOutbox {
  readonly #logger: PluginLogger;
  readonly #itemsMax: number;
  readonly #gatherTimeMs: number;
  readonly #items: Waiting[] = [];
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  /** Those who wait for all of it to be sent. */
  #hurrying = 0;
  /** Whether it pauses because the service did not take something, and nothing says that it is back. */
  #isAway = false;
  #lostCount = 0;

  constructor(
    logger: PluginLogger,
    {
      itemsMax = ITEMS_MAX,
      gatherTimeMs = 0,
    }: { readonly itemsMax?: number; readonly gatherTimeMs?: number } = {},
  ) {
    this.#logger = logger;
    this.#itemsMax = itemsMax;
    this.#gatherTimeMs = gatherTimeMs;
  }

  /** Settlements that wait. */
  get size(): number {
    return this.#items.length;
  }

  get isFull(): boolean {
    return this.#items.length >= this.#itemsMax;
  }

  /** Settlements that were given up: over the bound, refused, or left when the worker ended. */
  get lostCount(): number {
    return this.#lostCount;
  }

  /** `usage` is where it belongs: one worker may serve several applications. */
  add(settlement: Settlement, usage: UsagePort): void {
    if (this.isFull && settlement.kind === 'record') this.#loseRelease();
    if (this.isFull) {
      this.#lose(settlement, this.#overfull());
      return;
    }
    this.#items.push({ settlement, usage, attempts: 0 });
    this.#running ??= this.#run();
  }

  /**
   * The service has taken something else: what it did not take before is sent again soon, though not at once, for a service
   * that sheds load takes some calls and not others.
   */
  retrySoon(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    setTimeout(() => this.#wake?.(), pauseMs(1)).unref();
  }

  /** Sends what waits without long pauses. Resolves when it is settled, or after the time. Never rejects. */
  async flush(timeMaxMs: number): Promise<void> {
    const deadline = Date.now() + timeMaxMs;
    this.#hurrying += 1;
    this.#wake?.();
    while (this.#running !== undefined && Date.now() < deadline) {
      await Promise.race([this.#running, sleep(Math.min(FLUSH_STEP_MS, deadline - Date.now()))]);
    }
    this.#hurrying -= 1;
  }

  /** The same at the end of a worker: what is left after the time is logged and counted as lost. */
  async drain(timeMaxMs: number): Promise<void> {
    await this.flush(timeMaxMs);
    for (const { settlement } of this.#items.splice(0)) this.#lose(settlement, new Error('the worker ended'));
  }

  async #run(): Promise<void> {
    let failures = 0;
    if (this.#gatherTimeMs > 0 && this.#hurrying === 0) await this.#pause(this.#gatherTimeMs);
    while (this.#items.length > 0) {
      const sent = await Promise.all(this.#items.slice(0, SENT_AT_ONCE_MAX).map((item) => this.#send(item)));
      if (sent.includes('settled')) failures = 0;
      if (!sent.includes('failed')) continue;
      failures += 1;
      this.#isAway = true;
      await this.#pause(this.#hurrying > 0 ? HURRY_PAUSE_MS : pauseMs(failures));
      this.#isAway = false;
    }
    this.#running = undefined;
  }

  /** One that failed and may pass goes to the end, so that it does not hold up the others. */
  async #send(item: Waiting): Promise<'settled' | 'failed' | 'lost'> {
    try {
      item.attempts += 1;
      await settle(item.usage, item.settlement);
      this.#remove(item);
      return 'settled';
    } catch (error) {
      const waits = this.#remove(item);
      if (mayPass(error, item.attempts)) {
        if (waits) this.#items.push(item);
        return 'failed';
      }
      if (waits) this.#lose(item.settlement, error);
      return 'lost';
    }
  }

  #remove(item: Waiting): boolean {
    const index = this.#items.indexOf(item);
    if (index >= 0) this.#items.splice(index, 1);
    return index >= 0;
  }

  /**
   * A release is mostly of a reservation that may never have been made, as each try without the service leaves one. Were it
   * made, it closes at its estimate.
   */
  #loseRelease(): void {
    const index = this.#items.findIndex(({ settlement }) => settlement.kind === 'release');
    const [given] = index < 0 ? [] : this.#items.splice(index, 1);
    if (given !== undefined) this.#lose(given.settlement, this.#overfull());
  }

  #lose(settlement: Settlement, error: unknown): void {
    this.#lostCount += 1;
    this.#logger.error({ err: error, settlement }, 'a paid call could not be settled');
  }

  #overfull(): RangeError {
    return new RangeError(`more than ${this.#itemsMax} calls wait to be settled`);
  }

  #pause(timeMs: number): Promise<void> {
    return new Promise((resolve) => {
      // A process that has nothing else to do may end: the reservations stay.
      const timer = setTimeout(resolve, timeMs);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

interface Waiting {
  readonly settlement: Settlement;
  readonly usage: UsagePort;
  attempts: number;
}

/** Doubled from one try to the next, and spread, so that workers do not come back together. */
function pauseMs(failures: number): number {
  return Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
}

const ITEMS_MAX = 10_000;
const SENT_AT_ONCE_MAX = 16;
const PAUSE_MIN_MS = 500;
const PAUSE_MAX_MS = 30_000;
const HURRY_PAUSE_MS = 200;
const FLUSH_STEP_MS = 100;
