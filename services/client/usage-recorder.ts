import type { StreamUsageResponse__Output } from '../contract/generated/experiences/v1/StreamUsageResponse.js';
import { backoffMs, type Channel, isPassing } from './call.js';
import { ExperiencesError, ownError } from './experiences-error.js';
import { Gathering } from './gathering.js';
import { RecordStream } from './record-stream.js';
import type { Released, Reserved, UsageReservation } from './reservation-types.js';
import { encodeItem, fromWireResults, type ItemResult, type StreamItem } from './stream-items.js';
import { toWireRecord, toWireReservation } from './to-wire.js';
import type { UsageAck, UsageRecord } from './types.js';

export interface UsageRecorderOptions {
  /** How many records, reservations and releases may wait for their answers; absent: 20,000. */
  readonly recordsMax?: number;
  /** How many bytes they may take, encoded; absent: 32 MiB. It may be exceeded by one of them. */
  readonly bytesMax?: number;
  /**
   * How long, in milliseconds, what could be sent may wait for those whose answers just came, because they often come back
   * at once; never longer than a quarter of what the answers took. Absent: 0, nothing waits. For whoever has many calls
   * under way at a time: they are cheaper together.
   */
  readonly gatherMaxMs?: number;
  /** After so long without its answer each is rejected, in milliseconds; absent: 60,000. */
  readonly timeoutMs?: number;
}

/**
 * Records calls one by one, reserves and releases them, and sends all that together: what comes while messages are under
 * way goes into the next one. A stream that is cut is opened again, and what was not answered is sent again under the
 * same event ids, so that nothing is lost and nothing counts or is held twice; then an answer may say `duplicate` though
 * the caller sent it once.
 *
 * What rejects with DEADLINE_EXCEEDED, or because the stream failed, may still be done. What is under way together need
 * not see each other: wait for a reservation before its call is recorded.
 */
export class UsageRecorder {
  readonly #channel: Channel;
  readonly #limits: Required<Omit<UsageRecorderOptions, 'gatherMaxMs'>>;
  readonly #gathering: Gathering;
  /** In the order they came; those that were sent in vain are put back in front. */
  #waiting: Entry[] = [];
  /** By sequence, in the order of sending. */
  readonly #underWay = new Map<string, Message>();
  #entries = 0;
  #bytes = 0;
  #stream: RecordStream | undefined;
  #sequence = 0;
  /** Failed streams since the last answer. */
  #failures = 0;
  #answerTime = 0;
  #nextSend: NodeJS.Immediate | undefined;
  #backoff: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #room: (() => void)[] = [];
  #isEmpty: () => void = () => undefined;
  #closed: Promise<void> | undefined;

  constructor(channel: Channel, options: UsageRecorderOptions = {}) {
    this.#channel = channel;
    this.#limits = {
      recordsMax: options.recordsMax ?? RECORDS_MAX_DEFAULT,
      bytesMax: options.bytesMax ?? BYTES_MAX_DEFAULT,
      timeoutMs: options.timeoutMs ?? TIMEOUT_DEFAULT_MS,
    };
    this.#gathering = new Gathering(options.gatherMaxMs ?? 0);
  }

  /**
   * Resolves when the call is durable and in every sum. Rejects with the error that `usage.record` would give, and at
   * once with RESOURCE_EXHAUSTED when as much waits as may.
   */
  async record(record: UsageRecord): Promise<UsageAck> {
    const accepted = this.#accept('record', () => ({ records: [toWireRecord(record)] }));
    return new Promise((resolve, reject) => this.#add({ list: 'records', ...accepted, resolve, reject }));
  }

  /**
   * Resolves when the call's estimate is held. Rejects with the error that `usage.reserve` would give, LIMIT_REACHED where
   * a limit refuses, and at once as `record` does. Unless the service refused it, what rejects may be held until its time
   * is over: release it.
   */
  async reserve(reservation: UsageReservation): Promise<Reserved> {
    const accepted = this.#accept('reservation', () => ({ reservations: [toWireReservation(reservation)] }));
    return new Promise((resolve, reject) =>
      this.#add({ list: 'reservations', ...accepted, resolve, reject }),
    );
  }

  /** Resolves when nothing is held under the id. Rejects with the error of `usage.release`, and at once as `record` does. */
  async release(eventId: string): Promise<Released> {
    const accepted = this.#accept('release', () => ({ releases: [{ eventId }] }));
    return new Promise((resolve, reject) => this.#add({ list: 'releases', ...accepted, resolve, reject }));
  }

  /** Resolves when there is room for one more, or none will ever be. Who shares a recorder may have to wait again. */
  async room(): Promise<void> {
    if (!this.#isFull() || this.#closed !== undefined) return;
    await new Promise<void>((resolve) => this.#room.push(resolve));
  }

  /** Takes nothing more; resolves when all is answered or rejected and nothing is left open. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    for (const wake of this.#room.splice(0)) wake();
    if (this.#entries > 0) {
      await new Promise<void>((resolve) => {
        this.#isEmpty = resolve;
      });
    }
    if (this.#nextSend !== undefined) clearImmediate(this.#nextSend);
    clearTimeout(this.#backoff);
    this.#gathering.end();
    await this.#stream?.end();
  }

  /** Throws what keeps it from being sent at all. */
  #accept(noun: string, makeItem: () => StreamItem): Pick<Pending, 'bytes' | 'deadline'> {
    if (this.#closed !== undefined) throw ownError('FAILED_PRECONDITION', 'The recorder is closed.');
    if (this.#isFull()) {
      throw ownError('RESOURCE_EXHAUSTED', 'As much waits as this recorder may hold; see room().');
    }
    const bytes = encodeItem(makeItem());
    if (bytes.length > MESSAGE_BYTES_MAX) {
      throw ownError(
        'INVALID_ARGUMENT',
        `A ${noun} of ${bytes.length} bytes is beyond any the service takes.`,
      );
    }
    return { bytes, deadline: Date.now() + this.#limits.timeoutMs };
  }

  #add(entry: Entry): void {
    this.#waiting.push(entry);
    this.#entries += 1;
    this.#bytes += entry.bytes.length;
    this.#watch ??= setInterval(() => this.#look(), WATCH_MS);
    this.#sendSoon();
  }

  #isFull(): boolean {
    return this.#entries >= this.#limits.recordsMax || this.#bytes >= this.#limits.bytesMax;
  }

  /** Once this turn is over: what comes in one turn travels together. */
  #sendSoon(): void {
    if (this.#backoff !== undefined) return;
    this.#nextSend ??= setImmediate(() => {
      this.#nextSend = undefined;
      this.#send();
    });
  }

  /** Full messages as the window allows; what fills none goes when nothing else is under way. */
  #send(): void {
    if (this.#backoff !== undefined || this.#gathering.goesOn(this.#waiting.length)) return;
    while (this.#waiting.length > 0 && this.#underWay.size < MESSAGES_UNDER_WAY_MAX) {
      const { count, isFull } = this.#nextMessage();
      if (!isFull && this.#underWay.size > 0) return;
      const entries = this.#waiting.splice(0, count);
      try {
        this.#stream ??= this.#open();
      } catch (error) {
        for (const entry of entries) this.#reject(entry, error); // The client is closed.
        continue;
      }
      this.#sequence += 1;
      this.#underWay.set(String(this.#sequence), { entries, sendTime: Date.now() });
      this.#stream.send(
        this.#sequence,
        entries.map(({ bytes }) => bytes),
      );
    }
  }

  #nextMessage(): { readonly count: number; readonly isFull: boolean } {
    let bytes = 0;
    for (const [index, entry] of this.#waiting.entries()) {
      bytes += entry.bytes.length;
      if (index > 0 && bytes > MESSAGE_BYTES_MAX) return { count: index, isFull: true };
      if (index + 1 === MESSAGE_ITEMS_MAX) return { count: MESSAGE_ITEMS_MAX, isFull: true };
    }
    return { count: this.#waiting.length, isFull: false };
  }

  #open(): RecordStream {
    this.#sequence = 0;
    const stream: RecordStream = new RecordStream(this.#channel, {
      answer: (response) => {
        if (this.#stream === stream) this.#take(response);
      },
      ended: (error) => {
        if (this.#stream === stream) this.#lost(error);
      },
    });
    return stream;
  }

  #take(response: StreamUsageResponse__Output): void {
    const message = this.#underWay.get(response.ackedSequence);
    if (message === undefined) return;
    this.#underWay.delete(response.ackedSequence);
    this.#failures = 0;
    this.#answerTime = Date.now();
    const { entries } = message;
    const { records, reservations, releases } = fromWireResults(response);
    this.#tell(
      entries.filter((entry) => entry.list === 'records'),
      records,
    );
    this.#tell(
      entries.filter((entry) => entry.list === 'reservations'),
      reservations,
    );
    this.#tell(
      entries.filter((entry) => entry.list === 'releases'),
      releases,
    );
    for (const entry of entries) {
      if (!entry.isSettled) this.#reject(entry, new Error('the service left out what became of an item'));
    }
    if (this.#underWay.size === 0 && this.#closed === undefined) {
      const tookMs = this.#answerTime - message.sendTime;
      this.#gathering.begin(entries.length, this.#waiting.length, tookMs, () => this.#sendSoon());
    }
    this.#sendSoon();
  }

  /** The entries of one list of a message, in the order in which they were sent. */
  #tell<Answer>(entries: readonly EntryOf<Answer>[], results: readonly ItemResult<Answer>[]): void {
    for (const result of results) {
      const entry = entries[result.index];
      if (entry === undefined || entry.isSettled) continue;
      if (result.error !== undefined) this.#reject(entry, result.error);
      else {
        this.#settle(entry);
        entry.resolve(result.answer);
      }
    }
  }

  /** The stream is gone. What was under way is sent again, unless the error says that this would not help. */
  #lost(error: unknown): void {
    this.#stream = undefined;
    const unsettled = [...this.#underWay.values()].flatMap(({ entries }) =>
      entries.filter(({ isSettled }) => !isSettled),
    );
    this.#underWay.clear();
    if (error === undefined || isPassingStream(error)) this.#waiting = [...unsettled, ...this.#waiting];
    else for (const entry of unsettled) this.#reject(entry, error);
    if (this.#waiting.length === 0) return;
    this.#failures += 1;
    this.#backoff = setTimeout(
      () => {
        this.#backoff = undefined;
        this.#sendSoon();
      },
      backoffMs(this.#failures, error),
    );
  }

  /** Rejects what is too late, and leaves a stream on which nothing is answered any more. */
  #look(): void {
    const now = Date.now();
    for (const entry of this.#inOrder()) {
      if (entry.deadline > now) break;
      if (entry.isSettled) continue;
      this.#reject(entry, ownError('DEADLINE_EXCEEDED', 'It was not answered in time.'));
    }
    this.#waiting = this.#waiting.filter(({ isSettled }) => !isSettled);
    const [oldest] = this.#underWay.values();
    if (oldest === undefined || now < Math.max(oldest.sendTime, this.#answerTime) + STALLED_AFTER_MS) return;
    this.#stream?.cancel();
    this.#lost(ownError('UNAVAILABLE', 'The service answers nothing on the stream.'));
  }

  /** Oldest first: all have the same time. */
  *#inOrder(): Generator<Entry, void, undefined> {
    for (const { entries } of this.#underWay.values()) yield* entries;
    yield* this.#waiting;
  }

  #reject(entry: Pending, error: unknown): void {
    this.#settle(entry);
    entry.reject(error);
  }

  #settle(entry: Pending): void {
    entry.isSettled = true;
    this.#entries -= 1;
    this.#bytes -= entry.bytes.length;
    if (this.#room.length > 0 && !this.#isFull()) this.#room.shift()?.();
    if (this.#entries > 0) return;
    for (const wake of this.#room.splice(0)) wake(); // Nobody else would, if one that was woken sends nothing.
    clearInterval(this.#watch);
    this.#watch = undefined;
    this.#isEmpty();
  }
}

/** What waits for its answer, by the list of a message in which it travels. */
type Entry =
  | (EntryOf<UsageAck> & { readonly list: 'records' })
  | (EntryOf<Reserved> & { readonly list: 'reservations' })
  | (EntryOf<Released> & { readonly list: 'releases' });

interface EntryOf<Answer> extends Pending {
  readonly resolve: (answer: Answer) => void;
}

interface Pending {
  readonly bytes: Buffer;
  readonly deadline: number;
  readonly reject: (error: unknown) => void;
  isSettled?: true;
}

interface Message {
  readonly entries: readonly Entry[];
  readonly sendTime: number;
}

/** CANCELLED is what a stream gets that the service's connection age or its stop has cut. */
function isPassingStream(error: unknown): boolean {
  return isPassing(error) || (error instanceof ExperiencesError && error.code === 'CANCELLED');
}

const RECORDS_MAX_DEFAULT = 20_000;
const BYTES_MAX_DEFAULT = 32 * 1024 * 1024;
const TIMEOUT_DEFAULT_MS = 60_000;
/** Below the service's 16: it never stops reading because of this client alone. */
const MESSAGES_UNDER_WAY_MAX = 8;
/** What the service takes in one message. */
const MESSAGE_ITEMS_MAX = 500;
const MESSAGE_BYTES_MAX = 512 * 1024;
const WATCH_MS = 200;
/** The service answers a message within 10 seconds or ends the stream. */
const STALLED_AFTER_MS = 15_000;
