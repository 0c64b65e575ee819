import { setTimeout as sleep } from 'node:timers/promises';
import type { ChangeStream, ChangeStreamInsertDocument, ResumeToken, Timestamp } from 'mongodb';
import { fromOutputDocument, type RunOutputListener } from './run-output-document.js';
import type { RunOutputDocument } from './state-documents.js';
import { fromBinary, READ_TIME_MAX_MS, type Store } from './store.js';
import { storeFault } from './store-fault.js';

/** One change stream on what steps write. After an error it goes on behind what it has told last. */
export class RunOutputStream {
  #since: Timestamp;
  readonly #store: Store;
  readonly #listener: RunOutputListener;
  #stream: Stream | undefined;
  #token: ResumeToken | undefined;
  #closed = false;

  private constructor(store: Store, listener: RunOutputListener, since: Timestamp) {
    this.#store = store;
    this.#listener = listener;
    this.#since = since;
  }

  /** Everything committed after this moment is told from now on. */
  get since(): Timestamp {
    return this.#since;
  }

  static async open(store: Store, listener: RunOutputListener): Promise<RunOutputStream> {
    const { operationTime } = await store.db.command({ ping: 1, maxTimeMS: READ_TIME_MAX_MS });
    const opened = new RunOutputStream(store, listener, operationTime as Timestamp);
    void opened.#follow();
    return opened;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#stream?.close().catch(() => undefined); // It reads no more either way.
  }

  async #follow(): Promise<void> {
    let failures = 0;
    while (!this.#closed) {
      const stream = this.#watch();
      this.#stream = stream;
      try {
        while (!this.#closed) {
          const change = await stream.tryNext();
          this.#token = stream.resumeToken;
          failures = 0;
          if (change === null) continue;
          this.#since = change.clusterTime ?? this.#since;
          const { a, x } = change.fullDocument._id;
          this.#listener.onOutput(a, fromBinary(x), fromOutputDocument(change.fullDocument));
        }
      } catch (error) {
        failures += 1;
        if (!this.#closed && failures >= FAILURES_MAX) {
          this.#closed = true;
          this.#listener.onEnd(storeFault(error));
        }
      } finally {
        await stream.close().catch(() => undefined);
      }
      if (!this.#closed) await sleep(RESUME_AFTER_MS);
    }
  }

  #watch(): Stream {
    return this.#store.runOutputs.watch<RunOutputDocument, ChangeStreamInsertDocument<RunOutputDocument>>(
      [{ $match: { operationType: 'insert' } }],
      {
        maxAwaitTimeMS: AWAIT_TIME_MAX_MS,
        ...(this.#token === undefined ? { startAtOperationTime: this.#since } : { resumeAfter: this.#token }),
      },
    );
  }
}

type Stream = ChangeStream<RunOutputDocument, ChangeStreamInsertDocument<RunOutputDocument>>;

const AWAIT_TIME_MAX_MS = 1_000;
/** In a row; each waits for the store as long as any call. */
const FAILURES_MAX = 5;
const RESUME_AFTER_MS = 500;
