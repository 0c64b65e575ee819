import type { AnyBulkWriteOperation, UpdateFilter } from 'mongodb';
import { newUuid } from '../../services/domain/new-uuid.js';
import { parseUuid, type Uuid } from '../../services/domain/uuid.js';
import type { ApplicationState } from '../../services/ledger/application-state.js';
import { BookDeltas } from '../../services/ledger/book-deltas.js';
import type { EventDocument } from '../../services/ledger/documents.js';
import type { EventEntry } from '../../services/ledger/entry.js';
import { toEventDocument } from '../../services/ledger/event-document.js';
import { Ledger } from '../../services/ledger/ledger.js';
import { planBatch } from '../../services/ledger/plan.js';
import type { Plan } from '../../services/ledger/planned-batch.js';
import { Store, toBinary } from '../../services/ledger/store.js';
import { inTransaction } from '../../services/ledger/transaction.js';
import { loadCatalogue } from '../../services/pricing/catalogue.js';
import type { LineLog } from '../../services/stack/progress.js';
import { APPLICATION, benchEntry, factsOfNothing } from './bench-documents.js';
import { BENCH_TYPE, benchRecord, EVENTS_OF_EXPERIENCE } from './bench-record.js';

/** What costs are read of. */
export interface CostDataSizes {
  readonly largeEvents: number;
  readonly smallEvents: number;
  /** Of two versions, half of them each, with events over the last thirty days. */
  readonly experiences: number;
}

export const LARGE_EXPERIENCE = fixedId('0198c9a2-0000-7000-8000-000000000001');
export const SMALL_EXPERIENCE = fixedId('0198c9a2-0000-7000-8000-000000000002');

/** Fills a database so that its books balance as if each event had been recorded by a call. */
export async function buildCostData(
  uri: string,
  databaseName: string,
  sizes: CostDataSizes,
  log: LineLog,
): Promise<void> {
  const catalogue = loadCatalogue();
  const ledger = await Ledger.open({ uri, databaseName, catalogue, applications: [APPLICATION] });
  const store = new Store(uri, databaseName);
  try {
    const deadline = Date.now() + 10_000;
    const content = {
      description: 'Records of the benchmark',
      workflowType: undefined,
      taskQueue: undefined,
      limitConfig: undefined,
      loggingDisabled: false,
    };
    await ledger.types.create(APPLICATION, BENCH_TYPE, content, deadline);
    const once = { etag: undefined, requestId: 'bench-version-2' };
    await ledger.types.incrementVersion(APPLICATION, BENCH_TYPE, once, deadline);
    const state = await ledger.state(APPLICATION, deadline);
    const build = new Build(store, state, log, sizes);
    await build.oneExperience(SMALL_EXPERIENCE, sizes.smallEvents, 0);
    await Promise.all([
      build.oneExperience(LARGE_EXPERIENCE, sizes.largeEvents, 0),
      build.manyExperiences(sizes.experiences, 1),
    ]);
    build.done();
  } finally {
    await store.close();
    await ledger.close();
  }
}

/**
 * Some thousand events are planned once by the service's own plan; the set is those again and again under other ids. What
 * they add to the sums is the same each time.
 */
class Build {
  readonly #store: Store;
  readonly #state: ApplicationState;
  readonly #log: LineLog;
  readonly #eventsAll: number;
  readonly #start = Date.now();
  #events = 0;
  #saidAt = Date.now();

  constructor(store: Store, state: ApplicationState, log: LineLog, sizes: CostDataSizes) {
    this.#store = store;
    this.#state = state;
    this.#log = log;
    this.#eventsAll = sizes.largeEvents + sizes.smallEvents + sizes.experiences * EVENTS_OF_EXPERIENCE;
  }

  async oneExperience(id: Uuid, events: number, lane: number): Promise<void> {
    const ofChunk = Math.min(CHUNK_EVENTS, events);
    if (events % ofChunk !== 0) throw new Error(`a multiple of ${CHUNK_EVENTS} events`);
    const eventTime = new Date(this.#start);
    const entries = Array.from({ length: ofChunk }, (_, index) =>
      benchEntry(benchRecord(index), newUuid(), id, { eventTime, version: 1 }),
    );
    const facts = factsOfNothing(this.#state);
    const plan = planBatch(entries, facts);
    const pattern = documentsOf(plan).map(({ cr: _creates, ...document }) => document);
    const chunks = events / ofChunk;
    for (let chunk = 0; chunk < chunks; chunk += 1) {
      await this.#insertEvents(pattern.map((document) => ({ ...document, _id: freshKey() })));
    }
    const newEvents = Array.from({ length: chunks }, () => plan.newEvents).flat();
    await this.#addToBooks(BookDeltas.of({ ...plan, newEvents }, facts), lane);
  }

  async manyExperiences(experiences: number, lane: number): Promise<void> {
    const ofChunk = Math.min(CHUNK_EVENTS / EVENTS_OF_EXPERIENCE, experiences);
    const chunks = experiences / ofChunk;
    if (!Number.isInteger(chunks)) throw new Error(`a multiple of ${ofChunk} experiences`);
    const patterns = Math.min(chunks, DAYS);
    for (let index = 0; index < patterns; index += 1) {
      const day = Math.floor(((index + 1) * DAYS) / patterns) - 1;
      const entries = this.#entriesOfDay(ofChunk, day, index * ofChunk);
      const facts = factsOfNothing(this.#state);
      const plan = planBatch(entries, facts);
      const [events, deltas] = [documentsOf(plan), BookDeltas.of(plan, facts)];
      const documents = deltas.experiences.newDocuments();
      for (let chunk = index; chunk < chunks; chunk += patterns) {
        const keys = documents.map(() => ({ a: APPLICATION, x: toBinary(newUuid()) }));
        await this.#insertEvents(
          events.map((document, at) => {
            const key = keys[Math.floor(at / EVENTS_OF_EXPERIENCE)];
            return { ...document, _id: freshKey(), ...(key === undefined ? {} : { x: key.x }) };
          }),
        );
        await this.#store.experiences.insertMany(
          documents.map((document, at) => ({ ...document, _id: keys[at] ?? document._id })),
          UNORDERED,
        );
        await this.#store.rollups.bulkWrite(upserts(deltas.rollups.updates(lane)));
        await this.#store.histograms.bulkWrite(upserts(deltas.histograms.updates(lane)));
      }
    }
  }

  done(): void {
    const seconds = (Date.now() - this.#start) / 1_000;
    this.#log(`built ${this.#events} events in ${seconds.toFixed(1)} s`);
  }

  /** Five calls of each, half of them of one version; no two experiences cost quite the same. */
  #entriesOfDay(experiences: number, day: number, first: number): readonly EventEntry[] {
    const eventTime = new Date(this.#start - (DAYS - 1 - day) * DAY_MS);
    return Array.from({ length: experiences }, (_, index) => {
      const id = newUuid();
      return Array.from({ length: EVENTS_OF_EXPERIENCE }, (_, event) =>
        benchEntry(benchRecord((first + index) * 7 + event * 1_013), newUuid(), id, {
          eventTime,
          version: 1 + (index % 2),
        }),
      );
    }).flat();
  }

  async #insertEvents(documents: EventDocument[]): Promise<void> {
    await this.#store.events.insertMany(documents, UNORDERED);
    this.#events += documents.length;
    if (Date.now() - this.#saidAt < SAY_EVERY_MS) return;
    this.#saidAt = Date.now();
    this.#log(`building the set for cost reads: ${this.#events} of ${this.#eventsAll} events`);
  }

  async #addToBooks(deltas: BookDeltas, lane: number): Promise<void> {
    await inTransaction(this.#store, Date.now() + TRANSACTION_TIME_MAX_MS, (transaction) =>
      deltas.apply(this.#store, lane, transaction),
    );
  }
}

function documentsOf(plan: Plan): EventDocument[] {
  return plan.newEvents.map(({ application, event, contentHash }) =>
    toEventDocument(application, event, contentHash),
  );
}

function freshKey(): EventDocument['_id'] {
  return { a: APPLICATION, e: toBinary(newUuid()) };
}

function upserts<Document extends { _id: unknown }>(
  updates: readonly {
    readonly filter: { readonly _id: Document['_id'] };
    readonly update: UpdateFilter<Document>;
  }[],
): AnyBulkWriteOperation<Document>[] {
  return updates.map(
    (update) => ({ updateOne: { ...update, upsert: true } }) as AnyBulkWriteOperation<Document>,
  );
}

function fixedId(text: string): Uuid {
  const id = parseUuid(text);
  if (id === undefined) throw new Error('a UUID');
  return id;
}

/** Nobody waits for the disk here: a set that is not whole is built again. */
const UNORDERED = { ordered: false, writeConcern: { w: 1 } } as const;
const CHUNK_EVENTS = 5_000;
const TRANSACTION_TIME_MAX_MS = 60_000;
const SAY_EVERY_MS = 10_000;
export const DAYS = 30;
export const DAY_MS = 24 * 3_600_000;
