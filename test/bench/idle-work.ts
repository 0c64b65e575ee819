import type { AnyBulkWriteOperation, UpdateFilter } from 'mongodb';
import { newUuid } from '../../services/domain/new-uuid.js';
import type { ApplicationState } from '../../services/ledger/application-state.js';
import { BookDeltas } from '../../services/ledger/book-deltas.js';
import type {
  EventDocument,
  ExperienceDocument,
  HistogramDocument,
  RollupDocument,
} from '../../services/ledger/documents.js';
import { toEventDocument } from '../../services/ledger/event-document.js';
import { fromExperienceDocument } from '../../services/ledger/experience-document.js';
import { factKey } from '../../services/ledger/fact-key.js';
import { planBatch } from '../../services/ledger/plan.js';
import { Store, TRANSACTION_OPTIONS, toBinary } from '../../services/ledger/store.js';
import { APPLICATION, benchEntry, benchState, factsOfNothing } from './bench-documents.js';
import { benchRecord } from './bench-record.js';
import type { LoadResult, PreparedLoad } from './load-result.js';
import { benchClient, recordSender } from './record-sender.js';
import { RequestTemplate } from './request-template.js';

export interface IdleOptions {
  readonly address: string;
  readonly uri: string;
  /** Of the driver alone; it has the collections and indexes of the service, and the type of the bench. */
  readonly databaseName: string;
  readonly pairs: number;
}

/**
 * One call at a time with nothing else under way, in turn with what the driver alone takes for the same reads and writes
 * of one event. All that it writes is made beforehand, so it decides nothing and adds nothing up.
 */
export async function prepareIdleWork(options: IdleOptions): Promise<PreparedLoad> {
  const { address, uri, databaseName, pairs } = options;
  const state = await benchState(uri, databaseName);
  const store = new Store(uri, databaseName);
  const steps = Array.from({ length: WARM_UP + pairs }, (_, index) => twoSteps(state, index)).flat();
  const client = benchClient(address);
  const sender = recordSender(client, 'unary');
  const template = new RequestTemplate(
    { call: 'unary', records: 1, eventsOfExperience: 2, resentOfTen: 0 },
    newUuid(),
  );
  let [freshRecords, freshCost] = [0, 0n];
  const recordOne = async (): Promise<number> => {
    const fresh = template.refresh();
    freshRecords += fresh.records;
    freshCost += fresh.cost;
    const since = performance.now();
    await sender.send(template);
    return performance.now() - since;
  };
  const writeOne = async (step: Step): Promise<number> => {
    const since = performance.now();
    await byDriverAlone(store, step);
    return performance.now() - since;
  };
  const warmUp = steps.splice(0, WARM_UP * 2);
  return {
    async run(): Promise<LoadResult> {
      for (const step of warmUp) {
        await recordOne();
        await writeOne(step);
      }
      const start = performance.now();
      const [service, driver]: [number[], number[]] = [[], []];
      for (const step of steps) {
        service.push(await recordOne());
        driver.push(await writeOne(step));
      }
      const elapsedMs = performance.now() - start;
      client.close();
      await store.close();
      return {
        events: freshRecords,
        freshRecords,
        freshCost,
        duplicates: 0,
        repeatedMessages: 0,
        elapsedMs,
        latenciesMs: Float64Array.from(service),
        named: { service: Float64Array.from(service), driver: Float64Array.from(driver) },
      };
    },
  };
}

/** What one event reads and writes. */
interface Step {
  readonly event: EventDocument;
  readonly experience: ExperienceDocument['_id'];
  readonly created: readonly ExperienceDocument[];
  readonly updates: readonly Update<ExperienceDocument>[];
  readonly rollups: readonly Update<RollupDocument>[];
  readonly histograms: readonly Update<HistogramDocument>[];
}

interface Update<Document extends { _id: unknown }> {
  readonly filter: { readonly _id: Document['_id'] };
  readonly update: UpdateFilter<Document>;
}

/** An experience with its first event, and its second one. */
function twoSteps(state: ApplicationState, index: number): Step[] {
  const experienceId = newUuid();
  const experience = { a: APPLICATION, x: toBinary(experienceId) };
  const nothing = factsOfNothing(state);
  const first = stepOf(index, nothing);
  const [document] = first.created;
  if (document === undefined) throw new Error('the first event of an experience creates it');
  const experiences = new Map([[factKey(APPLICATION, experienceId), fromExperienceDocument(document)]]);
  return [first, stepOf(index + 1, { ...nothing, experiences })];

  function stepOf(at: number, facts: Parameters<typeof planBatch>[1]): Step {
    const plan = planBatch([benchEntry(benchRecord(at), newUuid(), experienceId)], facts);
    const deltas = BookDeltas.of(plan, facts);
    const [event] = plan.newEvents;
    if (event === undefined) throw new Error('a new event is planned');
    return {
      event: toEventDocument(event.application, event.event, event.contentHash),
      experience,
      created: deltas.experiences.newDocuments(),
      updates: deltas.experiences.updates(),
      rollups: deltas.rollups.updates(DRIVER_LANE),
      histograms: deltas.histograms.updates(DRIVER_LANE),
    };
  }
}

async function byDriverAlone(store: Store, step: Step): Promise<void> {
  const session = store.client.startSession();
  try {
    session.startTransaction(TRANSACTION_OPTIONS);
    await store.applications.find({ _id: { $in: ['', APPLICATION] } }, { session }).toArray();
    await store.events.find({ _id: { $in: [step.event._id] } }, { session }).toArray();
    await store.experiences.find({ _id: { $in: [step.experience] } }, { session }).toArray();
    await store.events.insertMany([step.event], { session });
    if (step.created.length > 0) await store.experiences.insertMany([...step.created], { session });
    else await store.experiences.bulkWrite(bulk(step.updates, false), { session });
    await store.rollups.bulkWrite(bulk(step.rollups, true), { session });
    await store.histograms.bulkWrite(bulk(step.histograms, true), { session });
    await session.commitTransaction();
  } finally {
    await session.endSession();
  }
}

function bulk<Document extends { _id: unknown }>(
  updates: readonly Update<Document>[],
  upsert: boolean,
): AnyBulkWriteOperation<Document>[] {
  return updates.map((update) => ({ updateOne: { ...update, upsert } }) as AnyBulkWriteOperation<Document>);
}

const WARM_UP = 10;
const DRIVER_LANE = 0;
