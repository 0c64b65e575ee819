import { randomUUID } from 'node:crypto';
import { Fault } from '../domain/fault.js';
import type { Store } from './store.js';
import { isDuplicateKey } from './store-fault.js';
import type { Transaction } from './transaction.js';

/**
 * The right to do something that only one process of the cluster may do at a time. It is renewed by itself while it is
 * held, and ends by itself a minute after its holder has died.
 */
export class SchemaLease {
  readonly #store: Store;
  readonly #id: string;
  readonly #owner: string;
  readonly #renewal: NodeJS.Timeout;

  private constructor(store: Store, id: string, owner: string) {
    this.#store = store;
    this.#id = id;
    this.#owner = owner;
    this.#renewal = setInterval(() => void this.#renew(), RENEWAL_MS);
    this.#renewal.unref();
  }

  /** undefined: another one holds it. */
  static async take(store: Store, id: string): Promise<SchemaLease | undefined> {
    const owner = randomUUID();
    try {
      await store.schema.updateOne(
        { _id: id, until: { $lt: new Date() } },
        { $set: { owner, until: untilFromNow() } },
        { upsert: true },
      );
      return new SchemaLease(store, id, owner);
    } catch (error) {
      if (isDuplicateKey(error)) return undefined;
      throw error;
    }
  }

  /** Part of a transaction that may commit only while the lease is held: who takes it over meanwhile conflicts with it. */
  async fence(transaction: Transaction): Promise<void> {
    const { matchedCount } = await this.#store.schema.updateOne(
      { _id: this.#id, owner: this.#owner },
      { $set: { until: untilFromNow() } },
      transaction,
    );
    if (matchedCount !== 1) {
      throw new Fault('REPAIR_RUNNING', 'Another process has taken over the repair; this one ends.');
    }
  }

  async release(): Promise<void> {
    clearInterval(this.#renewal);
    await this.#store.schema.deleteOne({ _id: this.#id, owner: this.#owner });
  }

  /** What fails here is tried again by the next one, and noticed by the fence. */
  async #renew(): Promise<void> {
    await this.#store.schema
      .updateOne({ _id: this.#id, owner: this.#owner }, { $set: { until: untilFromNow() } })
      .catch(() => undefined);
  }
}

function untilFromNow(): Date {
  return new Date(Date.now() + LEASE_MS);
}

const LEASE_MS = 60_000;
const RENEWAL_MS = 15_000;
