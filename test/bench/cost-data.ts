import { newUuid } from '../../services/domain/new-uuid.js';
import { parseUuid, type Uuid } from '../../services/domain/uuid.js';
import type { ApplicationState } from '../../services/ledger/application-state.js';
import { applyPlan } from '../../services/ledger/apply-plan.js';
import type { EventEntry } from '../../services/ledger/entry.js';
import { fromExperienceDocument } from '../../services/ledger/experience-document.js';
import { factKey } from '../../services/ledger/fact-key.js';
import { Ledger } from '../../services/ledger/ledger.js';
import { planBatch } from '../../services/ledger/plan.js';
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

/**
 * Fills a database by the service's own plan and writes, many events a transaction: the books balance as if each had been
 * recorded by a call.
 */
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
    for (let made = 0; made < events; made += CHUNK_EVENTS) {
      const count = Math.min(CHUNK_EVENTS, events - made);
      const eventTime = this.#timeOf(made / events);
      const entries = Array.from({ length: count }, (_, index) =>
        benchEntry(benchRecord(made + index), newUuid(), id, { eventTime, version: 1 }),
      );
      const known = await this.#store.experiences.findOne({ _id: { a: APPLICATION, x: toBinary(id) } });
      const experiences =
        known === null ? new Map() : new Map([[factKey(APPLICATION, id), fromExperienceDocument(known)]]);
      await this.#write(entries, { ...factsOfNothing(this.#state), experiences }, lane);
    }
  }

  async manyExperiences(experiences: number, lane: number): Promise<void> {
    for (let made = 0; made < experiences; made += CHUNK_EVENTS / EVENTS_OF_EXPERIENCE) {
      const count = Math.min(CHUNK_EVENTS / EVENTS_OF_EXPERIENCE, experiences - made);
      const eventTime = this.#timeOf(made / experiences);
      const entries: EventEntry[] = [];
      for (let index = made; index < made + count; index += 1) {
        const id = newUuid();
        for (let event = 0; event < EVENTS_OF_EXPERIENCE; event += 1) {
          // Steps that have no common factor with those in the records' figures: no two experiences cost quite the same.
          const record = benchRecord(index * 7 + event * 1_013);
          entries.push(benchEntry(record, newUuid(), id, { eventTime, version: 1 + (index % 2) }));
        }
      }
      await this.#write(entries, factsOfNothing(this.#state), lane);
    }
  }

  done(): void {
    const seconds = (Date.now() - this.#start) / 1_000;
    this.#log(`built ${this.#events} events in ${seconds.toFixed(1)} s`);
  }

  async #write(entries: readonly EventEntry[], facts: Parameters<typeof planBatch>[1], lane: number) {
    const plan = planBatch(entries, facts);
    if (plan.newEvents.length !== entries.length) throw new Error('every event of the set is new');
    await inTransaction(this.#store, Date.now() + TRANSACTION_TIME_MAX_MS, (transaction) =>
      applyPlan(this.#store, plan, facts, lane, transaction),
    );
    this.#events += entries.length;
    if (Date.now() - this.#saidAt < SAY_EVERY_MS) return;
    this.#saidAt = Date.now();
    this.#log(`building the set for cost reads: ${this.#events} of ${this.#eventsAll} events`);
  }

  /** One hour for each chunk, over the last thirty days. */
  #timeOf(part: number): Date {
    return new Date(this.#start - Math.floor((1 - part) * DAYS) * DAY_MS);
  }
}

function fixedId(text: string): Uuid {
  const id = parseUuid(text);
  if (id === undefined) throw new Error('a UUID');
  return id;
}

const CHUNK_EVENTS = 5_000;
const TRANSACTION_TIME_MAX_MS = 60_000;
const SAY_EVERY_MS = 10_000;
export const DAYS = 30;
export const DAY_MS = 24 * 3_600_000;
