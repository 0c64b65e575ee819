import type { Filter } from 'mongodb';
import { invalidFields } from '../domain/fault.js';
import { PROPERTIES_MAX } from '../domain/text-rules.js';
import type { Properties, UsageEvent } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';
import type { EventDocument } from './documents.js';
import { fromEventDocument, toEventKey } from './event-document.js';
import { fromLabels, toLabels } from './labels.js';
import { usageNotFound } from './not-found.js';
import { type Store, toBinary } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { inTransaction, timeLeftMs } from './transaction.js';

/** Recorded events in the store: reading them, and the one change that is not money. */
export class UsageEvents {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async get(application: string, eventId: string, deadline: number): Promise<UsageEvent> {
    const options = { maxTimeMS: timeLeftMs(deadline) };
    const document = await withStoreFaults(() =>
      this.#store.events.findOne({ _id: toEventKey(application, eventId) }, options),
    );
    if (document === null) throw usageNotFound(eventId);
    return fromEventDocument(document);
  }

  /** Of several events with the provider's id of an answer the one recorded last. */
  async getByResponse(
    application: string,
    provider: string,
    providerResponseId: string,
    deadline: number,
  ): Promise<UsageEvent> {
    const query: Filter<EventDocument> = { '_id.a': application, ps: providerResponseId, p: provider };
    const options = {
      sort: { r: -1 },
      hint: 'by_provider_response',
      maxTimeMS: timeLeftMs(deadline),
    } as const;
    const document = await withStoreFaults(() => this.#store.events.findOne(query, options));
    if (document === null) throw usageNotFound(providerResponseId);
    return fromEventDocument(document);
  }

  async updateProperties(
    application: string,
    eventId: string,
    change: { readonly set: Properties; readonly remove: readonly string[] },
    deadline: number,
  ): Promise<UsageEvent> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const key = toEventKey(application, eventId);
      const document = await this.#store.events.findOne({ _id: key }, transaction);
      if (document === null) throw usageNotFound(eventId);
      const properties = new Map(fromLabels(document.lb));
      for (const name of change.remove) properties.delete(name);
      for (const [name, value] of change.set) properties.set(name, value);
      if (properties.size > PROPERTIES_MAX) {
        const description = `an event has at most ${PROPERTIES_MAX} properties`;
        throw invalidFields([{ field: 'set', description }]);
      }
      const update =
        properties.size === 0 ? { $unset: { lb: true as const } } : { $set: { lb: toLabels(properties) } };
      await this.#store.events.updateOne({ _id: key }, update, transaction);
      return { ...fromEventDocument(document), properties };
    });
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
