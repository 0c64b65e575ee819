import { randomInt, randomUUID } from 'node:crypto';
import type { Store } from './store.js';
import { isDuplicateKey } from './store-fault.js';

/** Lane numbers of processes are below this, all processes of a database together. */
export const LANES_MAX = 32;

/**
 * The lane numbers that this process writes its rollups under. They are leased, because two processes that write the same
 * rollup documents wait for each other. A lost lease, or more processes than lanes, costs speed and never correctness.
 */
export class LaneLeases {
  readonly #store: Store;
  readonly #owner = randomUUID();
  readonly #numbers: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #renewing: Promise<void> = Promise.resolve();

  private constructor(store: Store) {
    this.#store = store;
  }

  static async take(store: Store, count: number): Promise<LaneLeases> {
    const leases = new LaneLeases(store);
    for (let index = 0; index < count; index += 1) leases.#numbers.push(await leases.#takeOne());
    leases.#timer = setInterval(() => {
      leases.#renewing = leases.#renew().catch(() => undefined); // The next time tries again.
    }, LEASE_MS / 3);
    leases.#timer.unref();
    return leases;
  }

  get count(): number {
    return this.#numbers.length;
  }

  /** The number that lane `index` of this process has now. */
  number(index: number): number {
    const number = this.#numbers[index];
    if (number === undefined) throw new Error('a process has as many lane numbers as lanes');
    return number;
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewing; // It would take again what is given back.
    const ids = this.#numbers.map(leaseId);
    await this.#store.schema.deleteMany({ _id: { $in: ids }, owner: this.#owner });
  }

  async #renew(): Promise<void> {
    for (const [index, number] of this.#numbers.entries()) {
      const { matchedCount } = await this.#store.schema.updateOne(
        { _id: leaseId(number), owner: this.#owner },
        { $set: { until: leaseEnd() } },
      );
      if (matchedCount === 0) this.#numbers[index] = await this.#takeOne();
    }
  }

  /**
   * The lowest free lane, so that restarts do not spread a key over all of them: a query reads each. When there is none,
   * any: it is shared then.
   */
  async #takeOne(): Promise<number> {
    for (let number = 0; number < LANES_MAX; number += 1) {
      if (!this.#numbers.includes(number) && (await this.#tryTake(number))) return number;
    }
    return randomInt(LANES_MAX);
  }

  async #tryTake(number: number): Promise<boolean> {
    try {
      await this.#store.schema.updateOne(
        { _id: leaseId(number), until: { $lt: new Date() } },
        { $set: { owner: this.#owner, until: leaseEnd() } },
        { upsert: true },
      );
      return true;
    } catch (error) {
      if (isDuplicateKey(error)) return false; // Another process has it.
      throw error;
    }
  }
}

function leaseId(number: number): string {
  return `lane-${String(number).padStart(2, '0')}`;
}

function leaseEnd(): Date {
  return new Date(Date.now() + LEASE_MS);
}

const LEASE_MS = 30_000;
