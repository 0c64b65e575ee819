import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../domain/fault.js';

/**
 * Values read from the store that may be used for a short time without asking again. One that is in use is read anew before
 * its time is over, while calls go on with it, so that no call waits. What does not exist is not kept.
 */
export class RecentValues<Value> {
  readonly #read: (key: string) => Promise<Value | undefined>;
  readonly #whenStoreIsAway: 'refuse' | 'go on';
  /** The one that was read longest ago comes first. */
  readonly #known = new Map<string, { readonly value: Value; readonly readAtMs: number }>();
  #reading = new Map<string, Promise<Value | undefined>>();
  #waitingCount = 0;

  constructor(
    read: (key: string) => Promise<Value | undefined>,
    /** `go on`: what was known last is used as long as the store tells nothing newer. */
    { whenStoreIsAway }: { readonly whenStoreIsAway: 'refuse' | 'go on' },
  ) {
    this.#read = read;
    this.#whenStoreIsAway = whenStoreIsAway;
  }

  /** undefined: there is none. Rejects when it cannot be read. */
  async get(key: string): Promise<Value | undefined> {
    const known = this.#known.get(key);
    if (known === undefined) return this.#waitFor(this.#readAgain(key));
    const ageMs = performance.now() - known.readAtMs;
    if (ageMs <= FRESH_MS) return known.value;
    const read = this.#readAgain(key);
    if (ageMs <= KEPT_MS) {
      read.catch(() => undefined); // Who needs it when its time is over hears why it cannot be read.
      return known.value;
    }
    if (this.#whenStoreIsAway === 'refuse') return this.#waitFor(read);
    const useKnown = () => known.value;
    return Promise.race([read.catch(useKnown), sleep(PATIENCE_MS, undefined, { ref: false }).then(useKnown)]);
  }

  /** The next call reads again; what is being read just now is not kept. */
  clear(): void {
    this.#known.clear();
    this.#reading = new Map();
  }

  async #waitFor(read: Promise<Value | undefined>): Promise<Value | undefined> {
    if (this.#waitingCount >= CALLS_WAITING_MAX) {
      read.catch(() => undefined); // Heard of by those who wait.
      throw tooMany();
    }
    this.#waitingCount += 1;
    try {
      return await read;
    } finally {
      this.#waitingCount -= 1;
    }
  }

  async #readAgain(key: string): Promise<Value | undefined> {
    const reading = this.#reading;
    const underWay = reading.get(key);
    if (underWay !== undefined) return underWay;
    if (reading.size >= READS_MAX) throw tooMany();
    const readAtMs = performance.now();
    const read = this.#read(key)
      .then((value) => {
        if (reading === this.#reading) this.#keep(key, value, readAtMs);
        return value;
      })
      .finally(() => reading.delete(key));
    reading.set(key, read);
    return read;
  }

  #keep(key: string, value: Value | undefined, readAtMs: number): void {
    this.#known.delete(key);
    if (value === undefined) return;
    this.#known.set(key, { value, readAtMs });
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
  }
}

function tooMany(): Fault {
  const message = 'Too many calls wait to be told who makes them.';
  return new Fault('OVERLOADED', message, { retryAfterMs: RETRY_AFTER_MS });
}

/** Together with the check of open streams this bounds how long a revoked key is of use: two seconds are promised. */
const KEPT_MS = 1_500;
const FRESH_MS = 750;
/** After that the store is taken to be away. */
const PATIENCE_MS = 250;
const KNOWN_MAX = 10_000;
const READS_MAX = 256;
const CALLS_WAITING_MAX = 1_000;
const RETRY_AFTER_MS = 500;
