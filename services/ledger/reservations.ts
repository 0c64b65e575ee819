import type { SweepEntry } from './entry.js';
import { fromReservationDocument } from './reservation-document.js';
import type { Store } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { timeLeftMs } from './transaction.js';

/** Reading reservations. */
export class Reservations {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Open ones whose time is over, oldest first. */
  async expired(
    application: string,
    now: Date,
    limit: number,
    deadline: number,
  ): Promise<readonly Pick<SweepEntry, 'eventId' | 'experienceId'>[]> {
    const documents = await withStoreFaults(() =>
      this.#store.reservations
        .find(
          { '_id.a': application, s: 'o', u: { $lte: now } },
          { sort: { u: 1, _id: 1 }, limit, hint: 'open_by_expiry', maxTimeMS: timeLeftMs(deadline) },
        )
        .toArray(),
    );
    return documents.map(fromReservationDocument);
  }
}
