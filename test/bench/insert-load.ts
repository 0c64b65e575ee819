import { MongoClient } from 'mongodb';
import { newUuid } from '../../services/domain/new-uuid.js';
import type { ApplicationState } from '../../services/ledger/application-state.js';
import type { EventDocument } from '../../services/ledger/documents.js';
import { toEventDocument } from '../../services/ledger/event-document.js';
import { planBatch } from '../../services/ledger/plan.js';
import { toBinary } from '../../services/ledger/store.js';
import { APPLICATION, benchEntry, benchState, factsOfNothing } from './bench-documents.js';
import { benchRecord, EVENTS_OF_EXPERIENCE } from './bench-record.js';
import { type LoadResult, NO_RECORDS, type PreparedLoad } from './load-result.js';

export interface InsertOptions {
  readonly uri: string;
  /** Has the collections and indexes of the service, and the type of the bench. */
  readonly databaseName: string;
  readonly documentsMax: number;
  readonly seconds: number;
}

/** What MongoDB takes of the driver alone: the service's own event documents and nothing else, as fast as it will. */
export async function prepareInsertLoad(options: InsertOptions): Promise<PreparedLoad> {
  const patterns = await documentPatterns(await benchState(options.uri, options.databaseName));
  const client = new MongoClient(options.uri, { maxPoolSize: INSERT_CONNECTIONS, useBigInt64: true });
  const events = client.db(options.databaseName).collection<EventDocument>('events', {
    writeConcern: { w: 'majority', journal: true },
  });
  const batches: EventDocument[][] = [];
  for (let made = 0; made < options.documentsMax; made += INSERT_BATCH) batches.push(freshBatch(patterns));
  await Promise.all(Array.from({ length: INSERT_CONNECTIONS }, () => events.findOne({ _id: NO_KEY })));
  return {
    async run(): Promise<LoadResult> {
      const latenciesMs: number[] = [];
      let inserted = 0;
      let next = 0;
      const start = performance.now();
      const end = start + options.seconds * 1_000;
      const loops = Array.from({ length: INSERT_CONNECTIONS }, async () => {
        while (performance.now() < end) {
          const batch = batches[next];
          next += 1;
          if (batch === undefined) return;
          const since = performance.now();
          inserted += (await events.insertMany(batch, { ordered: false })).insertedCount;
          latenciesMs.push(performance.now() - since);
        }
      });
      await Promise.all(loops);
      const elapsedMs = performance.now() - start;
      await client.close();
      return { ...NO_RECORDS, events: inserted, elapsedMs, latenciesMs: Float64Array.from(latenciesMs) };
    },
  };
}

/** One batch of documents as the service's own plan makes them. */
export function documentPatterns(state: ApplicationState): readonly EventDocument[] {
  let experienceId = newUuid();
  const entries = Array.from({ length: INSERT_BATCH }, (_, index) => {
    if (index % EVENTS_OF_EXPERIENCE === 0) experienceId = newUuid();
    return benchEntry(benchRecord(index), newUuid(), experienceId);
  });
  return planBatch(entries, factsOfNothing(state)).newEvents.map(({ application, event, contentHash }) =>
    toEventDocument(application, event, contentHash),
  );
}

/** The same documents under ids and times of their own. */
function freshBatch(patterns: readonly EventDocument[]): EventDocument[] {
  const now = new Date();
  let experience = toBinary(newUuid());
  return patterns.map((pattern, index) => {
    if (index % EVENTS_OF_EXPERIENCE === 0) experience = toBinary(newUuid());
    return { ...pattern, _id: { a: APPLICATION, e: toBinary(newUuid()) }, r: now, q: now, x: experience };
  });
}

const INSERT_BATCH = 500;
const INSERT_CONNECTIONS = 2;
const NO_KEY = { a: '', e: '' };
