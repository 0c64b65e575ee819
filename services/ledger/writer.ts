import type { UsageEvent } from '../domain/usage.js';
import { parseUuid } from '../domain/uuid.js';
import { adoptType } from './adopt-type.js';
import {
  type ApplicationState,
  type ApplicationStates,
  readRevisions,
  sameRevisions,
} from './application-state.js';
import type { EventDocument, ExperienceDocument } from './documents.js';
import type { Entry, Outcome } from './entry.js';
import { fromEventDocument, toEventDocument, toEventKey } from './event-document.js';
import { fromExperienceDocument } from './experience-document.js';
import { type Facts, factKey, type Plan, planBatch, type StoredEvent } from './plan.js';
import { fromBinary, type Store, toBinary } from './store.js';
import { totalsWrites } from './totals-delta.js';
import { inTransaction, RunAgain, type Transaction } from './transaction.js';

/**
 * Writes batches of entries, each batch in one transaction: an event is counted exactly when a document with its id
 * exists, because the document and the sums that include it commit together.
 */
export class Writer {
  readonly #store: Store;
  readonly #states: ApplicationStates;

  constructor(store: Store, states: ApplicationStates) {
    this.#store = store;
    this.#states = states;
  }

  /**
   * Answers an outcome for each entry, in their order, once all are durable. Throws a fault if the whole batch failed
   * or its outcome is not known; then sending the same entries again is safe.
   */
  async write(entries: readonly Entry[], deadline: number): Promise<readonly Outcome[]> {
    const applications = [...new Set(entries.map(({ application }) => application))];
    const states = new Map<string, ApplicationState>();
    for (const application of applications) {
      states.set(application, await this.#states.known(application, deadline));
    }
    return inTransaction(this.#store, deadline, async (transaction) => {
      for (const application of applications) {
        await this.#checkRevisions(application, states, transaction, deadline);
      }
      const plan = planBatch(entries, { states, ...(await this.#readFacts(entries, transaction)) });
      if (plan.adoptions.length > 0) {
        await transaction.session.abortTransaction();
        for (const adoption of plan.adoptions) await adoptType(this.#store, adoption, deadline);
        throw new RunAgain();
      }
      await this.#apply(plan, transaction);
      return plan.outcomes;
    });
  }

  /** A price, type or version moved since the states were loaded: load them again and plan in a new snapshot. */
  async #checkRevisions(
    application: string,
    states: Map<string, ApplicationState>,
    transaction: Transaction,
    deadline: number,
  ): Promise<void> {
    const revisions = await readRevisions(this.#store, application, transaction);
    const state = states.get(application);
    if (state !== undefined && sameRevisions(state.revisions, revisions)) return;
    await transaction.session.abortTransaction();
    states.set(application, await this.#states.fresh(application, deadline));
    throw new RunAgain();
  }

  async #readFacts(entries: readonly Entry[], transaction: Transaction): Promise<Omit<Facts, 'states'>> {
    const events = await this.#readEvents(entries, transaction);
    const useful = await this.#readUseful(entries, transaction);
    const experiences = await this.#readExperiences(entries, transaction);
    return { events, useful, experiences };
  }

  async #readEvents(entries: readonly Entry[], options: Transaction): Promise<Facts['events']> {
    const keys = entries.flatMap((entry) =>
      entry.kind === 'event' ? [toEventKey(entry.application, entry.eventId)] : [],
    );
    const found = new Map<string, StoredEvent>();
    if (keys.length === 0) return found;
    for (const document of await this.#store.events.find({ _id: { $in: keys } }, options).toArray()) {
      const event = fromEventDocument(document);
      found.set(factKey(document._id.a, event.eventId), { event, contentHash: document.h.buffer });
    }
    return found;
  }

  async #readUseful(entries: readonly Entry[], options: Transaction): Promise<Facts['useful']> {
    const found = new Map<string, UsageEvent[]>();
    const operations = new Map<string, Set<string>>();
    for (const entry of entries) {
      const operation = entry.kind === 'event' ? entry.record.operationKey : undefined;
      if (operation === undefined) continue;
      operations.set(entry.application, (operations.get(entry.application) ?? new Set()).add(operation));
    }
    for (const [application, keys] of operations) {
      const filter = { '_id.a': application, op: { $in: [...keys] }, us: true } as const;
      for (const document of await this.#store.events.find<EventDocument>(filter, options).toArray()) {
        if (document.op === undefined) continue;
        const key = factKey(application, document.op);
        found.set(key, [...(found.get(key) ?? []), fromEventDocument(document)]);
      }
    }
    return found;
  }

  async #readExperiences(entries: readonly Entry[], options: Transaction): Promise<Facts['experiences']> {
    const keys = entries.flatMap((entry) => {
      const given = entry.kind === 'event' ? entry.record.attribution.experienceId : entry.experienceId;
      const id = given === undefined ? undefined : parseUuid(given);
      return id === undefined ? [] : [{ a: entry.application, x: toBinary(id) }];
    });
    if (keys.length === 0) return new Map();
    const documents = await this.#store.experiences
      .find<ExperienceDocument>({ _id: { $in: keys } }, options)
      .toArray();
    return new Map(
      documents.map((document) => [
        factKey(document._id.a, fromBinary(document._id.x)),
        fromExperienceDocument(document),
      ]),
    );
  }

  /** One command after the other: a session does not take two at a time. */
  async #apply(plan: Plan, options: Transaction): Promise<void> {
    if (plan.newEvents.length > 0) {
      const documents = plan.newEvents.map(({ application, event, contentHash }) =>
        toEventDocument(application, event, contentHash),
      );
      await this.#store.events.insertMany(documents, options);
    }
    if (plan.demoted.length > 0) {
      const keys = plan.demoted.map(({ application, event }) => toEventKey(application, event.eventId));
      await this.#store.events.updateMany({ _id: { $in: keys } }, { $unset: { us: true } }, options);
    }
    const writes = totalsWrites(plan);
    if (writes.length === 0) return;
    const { insertedCount, matchedCount } = await this.#store.experiences.bulkWrite(writes, options);
    if (insertedCount + matchedCount !== writes.length) {
      throw new Error('every experience that a batch adds to is there, or is made by it');
    }
  }
}
