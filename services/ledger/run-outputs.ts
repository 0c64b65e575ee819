import { MaxKey, type Timestamp } from 'mongodb';
import type { RunOutput } from '../domain/run-output.js';
import type { Uuid } from '../domain/uuid.js';
import { fromOutputDocument, type RunOutputListener } from './run-output-document.js';
import { RunOutputStream } from './run-output-stream.js';
import type { RunOutputDocument } from './state-documents.js';
import { READ_TIME_MAX_MS, type Store, toBinary } from './store.js';
import { isDuplicateKey, withStoreFaults } from './store-fault.js';
import { timeLeftMs } from './transaction.js';

/** What steps are just writing, for minutes only. */
export class RunOutputs {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** A part that is there stays as it is. */
  async publish(application: string, experienceId: Uuid, output: RunOutput, deadline: number): Promise<void> {
    const document: RunOutputDocument = {
      _id: {
        a: application,
        x: toBinary(experienceId),
        k: output.outputKey,
        at: output.attempt,
        s: output.sequence,
      },
      tx: output.text,
      ...(output.final ? { f: true } : {}),
      c: new Date(),
    };
    await withStoreFaults(async () => {
      try {
        await this.#store.runOutputs.insertOne(document, { maxTimeMS: timeLeftMs(deadline) });
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
      }
    });
  }

  /**
   * What is stored of an experience by key, attempt and sequence, read as it is taken: at least all that was acknowledged
   * before this call, and before `since`, the place of a stream.
   */
  async *stored(
    application: string,
    experienceId: Uuid,
    since: Timestamp,
  ): AsyncGenerator<RunOutput, void, undefined> {
    const key = { a: application, x: toBinary(experienceId) };
    // Keys that are begun alike sort together, before what is greater in the next field.
    const after = { ...key } as RunOutputDocument['_id'];
    const before = { ...key, k: new MaxKey() } as unknown as RunOutputDocument['_id'];
    let last = after;
    for (;;) {
      const session = this.#store.client.startSession({ causalConsistency: true });
      let page: RunOutputDocument[];
      try {
        session.advanceOperationTime(since);
        page = await withStoreFaults(() =>
          this.#store.runOutputs
            .find(
              { _id: { $gt: last, $lt: before }, c: { $gt: new Date(Date.now() - RUN_OUTPUT_KEPT_MS) } },
              { sort: { _id: 1 }, limit: STORED_PAGE_MAX, maxTimeMS: READ_TIME_MAX_MS, session },
            )
            .toArray(),
        );
      } finally {
        await session.endSession();
      }
      for (const document of page) yield fromOutputDocument(document);
      const end = page.at(-1);
      if (end === undefined || page.length < STORED_PAGE_MAX) return;
      last = end._id;
    }
  }

  /** What every process publishes from now on, until it is closed. */
  async open(listener: RunOutputListener): Promise<RunOutputStream> {
    return withStoreFaults(() => RunOutputStream.open(this.#store, listener));
  }
}

export const RUN_OUTPUT_KEPT_MS = 15 * 60_000;
/** Each has at most 64 KiB. */
const STORED_PAGE_MAX = 64;
