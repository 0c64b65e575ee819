import type { Filter } from 'mongodb';
import type { UsageEvent } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';
import type { EventDocument } from './documents.js';
import { fromEventDocument, toEventKey } from './event-document.js';
import { type Store, toBinary } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { timeLeftMs } from './transaction.js';

/** Reading recorded events. */
export class UsageEvents {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Of one experience, in the order they were recorded. */
  async list(
    application: string,
    experienceId: Uuid,
    page: { readonly after: EventPosition | undefined; readonly limit: number },
    deadline: number,
  ): Promise<readonly UsageEvent[]> {
    const query: Filter<EventDocument> = {
      '_id.a': application,
      x: toBinary(experienceId),
      ...(page.after === undefined
        ? {}
        : {
            r: { $gte: page.after.recordTime },
            $or: [
              { r: { $gt: page.after.recordTime } },
              { r: page.after.recordTime, _id: { $gt: toEventKey(application, page.after.eventId) } },
            ],
          }),
    };
    const documents = await withStoreFaults(() =>
      this.#store.events
        .find(query, { sort: { r: 1, _id: 1 }, limit: page.limit, maxTimeMS: timeLeftMs(deadline) })
        .toArray(),
    );
    return documents.map(fromEventDocument);
  }
}

/** Where a page of events ends. */
export interface EventPosition {
  readonly recordTime: Date;
  readonly eventId: string;
}
