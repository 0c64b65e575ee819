import { fromWireResult } from '../../services/client/from-wire.js';
import { fromWireRecorded } from '../../services/client/from-wire-reservation.js';
import { type ExperiencesClient, ExperiencesError, type UsageAck } from '../../services/client/index.js';
import { toWireRecord } from '../../services/client/to-wire.js';
import { contract } from '../../services/contract/contract.js';
import { newUuid } from '../../services/domain/new-uuid.js';
import type { Calls } from './books.js';
import { RawClient } from './raw-client.js';
import { RawUsageStream } from './usage-stream.js';
import { waitUntil } from './wait-until.js';

const { RecordUsage, BatchRecordUsage } = contract.UsageService.service;

export type Record = Parameters<ExperiencesClient['usage']['record']>[0];
/** How a record is sent. */
export type Way = 'single' | 'batch' | 'stream';
export type Told = Pick<UsageAck, 'experienceId' | 'cost' | 'priceId' | 'duplicate'> & {
  /** Of single calls only. */
  readonly recordTime?: Date;
};

/**
 * Callers that record by single calls, batches and a stream at once, and remember what they sent and were told. None of
 * them sends anything twice by itself: what had no answer is sent again by `resend`, each record by another way.
 */
export class MixedCallers implements Calls {
  readonly sent = new Set<string>();
  readonly told = new Map<string, Told>();
  /** The way that each record was sent at first. */
  readonly ways = new Map<string, Way>();
  readonly #records = new Map<string, Record>();

  unanswered(): readonly string[] {
    return [...this.sent].filter((eventId) => !this.told.has(eventId));
  }

  /** Records until told to stop; resolves when nothing is under way. */
  async load(address: string, signal: AbortSignal, next: () => Record): Promise<void> {
    await withWays(address, async (ways) => {
      const repeat = async (way: Way, count: number) => {
        while (!signal.aborted) await this.#send(ways, way, this.#note(way, times(count, next)));
      };
      await Promise.all([
        ...times(SINGLE_CALLERS, () => repeat('single', 1)),
        ...times(BATCH_CALLERS, () => repeat('batch', BATCH_RECORDS)),
        ...times(MESSAGES_UNDER_WAY, () => repeat('stream', MESSAGE_RECORDS)),
      ]);
    });
  }

  /** Sends records by one way, all at once. Answers their ids. */
  async record(address: string, way: Way, records: readonly Record[]): Promise<readonly string[]> {
    const ids = this.#note(way, records);
    await withWays(address, (ways) => this.#send(ways, way, ids));
    return ids;
  }

  /** Sends everything again that was not answered, under the same ids. */
  async resend(address: string): Promise<void> {
    const unanswered = this.unanswered();
    await withWays(address, async (ways) => {
      const of = (way: Way) => unanswered.filter((eventId) => this.ways.get(eventId) === way);
      await Promise.all([
        this.#send(ways, 'batch', of('single')),
        this.#send(ways, 'stream', of('batch')),
        this.#send(ways, 'single', of('stream')),
      ]);
    });
  }

  /** What the records of an id say; only what was made here is asked for. */
  recordOf(eventId: string): Record {
    const record = this.#records.get(eventId);
    if (record === undefined) throw new Error('only what was made here is sent');
    return record;
  }

  #note(way: Way, records: readonly Record[]): readonly string[] {
    return records.map((record) => {
      const eventId = record.eventId ?? newUuid();
      this.#records.set(eventId, { ...record, eventId });
      this.ways.set(eventId, way);
      return eventId;
    });
  }

  async #send(ways: Ways, way: Way, ids: readonly string[]): Promise<void> {
    for (const eventId of ids) this.sent.add(eventId);
    const records = ids.map((eventId) => toWireRecord(this.recordOf(eventId)));
    if (records.length === 0) return;
    try {
      switch (way) {
        case 'single':
          await Promise.all(
            records.map(async (record) => {
              const response = await ways.client.call(RecordUsage, { record }, { timeoutMs: TIMEOUT_MS });
              const { event, duplicate } = fromWireRecorded(response);
              this.told.set(event.eventId, { ...event, duplicate });
            }),
          );
          return;
        case 'batch': {
          const view = 'BATCH_VIEW_FULL';
          const response = await ways.client.call(
            BatchRecordUsage,
            { records, view },
            { timeoutMs: TIMEOUT_MS },
          );
          this.#take(response.results);
          return;
        }
        case 'stream':
          this.#take((await ways.sendMessage(records))?.results ?? []);
          return;
        default:
          way satisfies never;
      }
    } catch (error) {
      if (!(error instanceof ExperiencesError)) throw error; // It stays unanswered.
    }
  }

  #take(results: Parameters<typeof fromWireResult>[0][]): void {
    for (const wire of results) {
      const { ack } = fromWireResult(wire);
      if (ack !== undefined) this.told.set(ack.eventId, ack);
    }
  }
}

interface Ways {
  readonly client: RawClient;
  /** Resolves with nothing when the stream has ended before the answer. */
  sendMessage(
    records: ReturnType<typeof toWireRecord>[],
  ): Promise<RawUsageStream['answers'][number] | undefined>;
}

async function withWays(address: string, work: (ways: Ways) => Promise<void>): Promise<void> {
  const client = new RawClient(address);
  let open = new OpenStream(address);
  const sendMessage: Ways['sendMessage'] = async (records) => {
    if (open.hasEnded) open = new OpenStream(address);
    return open.send(records);
  };
  try {
    await work({ client, sendMessage });
  } finally {
    await open.close();
    client.close();
  }
}

class OpenStream {
  hasEnded = false;
  readonly #stream: RawUsageStream;
  readonly #ended: Promise<void>;
  #sequence = 0;

  constructor(address: string) {
    this.#stream = new RawUsageStream(address);
    this.#ended = this.#stream.ended.then(() => {
      this.hasEnded = true;
      this.#stream.close();
    });
  }

  async send(records: ReturnType<typeof toWireRecord>[]): ReturnType<Ways['sendMessage']> {
    this.#sequence += 1;
    const sequence = String(this.#sequence);
    this.#stream.send({ sequence, records, view: 'BATCH_VIEW_FULL' });
    const { answer } = await waitUntil(
      `message ${sequence} is answered, or never will be`,
      () => {
        const found = this.#stream.answers.find(({ ackedSequence }) => ackedSequence === sequence);
        return found !== undefined || this.hasEnded ? { answer: found } : undefined;
      },
      TIMEOUT_MS,
    );
    return answer;
  }

  async close(): Promise<void> {
    this.#stream.close();
    await this.#ended;
  }
}

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, () => make());
}

const TIMEOUT_MS = 25_000;
/** So many that, when one lane stands, some of them are held by the other. */
const SINGLE_CALLERS = 32;
const BATCH_CALLERS = 2;
const BATCH_RECORDS = 20;
/** Of 16 that the service takes. */
const MESSAGES_UNDER_WAY = 6;
const MESSAGE_RECORDS = 5;
