import { Fault } from '../domain/fault.js';
import { BookCheck } from './book-check.js';
import { BookMender } from './book-mender.js';
import type { CheckScope } from './check-scope.js';
import { SchemaLease } from './schema-lease.js';
import type { Store } from './store.js';
import { withStoreFaults } from './store-fault.js';

/** Proving that the books are what the events add up to, and making them so. */
export class Books {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  verify(scope: CheckScope, signal: AbortSignal): BookCheck {
    return new BookCheck(this.#store, scope, { signal });
  }

  /** What `repair` would find to mend. */
  tryRepair(application: string, signal: AbortSignal): BookCheck {
    return this.verify(everythingOf(application), signal);
  }

  /** Hands out a check that mends what it finds, under a lease that lasts as long as `work`. */
  async repair<T>(
    application: string,
    signal: AbortSignal,
    work: (check: BookCheck) => Promise<T>,
  ): Promise<T> {
    const lease = await withStoreFaults(() => SchemaLease.take(this.#store, 'repair'));
    if (lease === undefined) {
      throw new Fault(
        'REPAIR_RUNNING',
        'Another repair is running; two would add the same difference twice.',
      );
    }
    try {
      const mender = new BookMender(this.#store, application, lease, { audited: true });
      return await work(new BookCheck(this.#store, everythingOf(application), { mender, signal }));
    } finally {
      await lease.release().catch(() => undefined); // It ends by itself.
    }
  }
}

/** With the marks of events, which totals follow. */
function everythingOf(application: string): CheckScope {
  return { application, type: undefined, since: undefined, deep: true };
}
