import { createHash } from 'node:crypto';
import type { Filter } from 'mongodb';
import { Fault } from '../domain/fault.js';
import { addMoney, NO_MONEY } from '../domain/money.js';
import type { Cost, UsageEvent } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';
import { providerId } from '../pricing/provider-id.js';
import { canonicalJson } from './content-hash.js';
import type { EventDocument, RepricingDocument } from './documents.js';
import type { Entry, RepricingEntry } from './entry.js';
import { fromEventDocument, toEventKey } from './event-document.js';
import { fromDecimal, toDecimal } from './money-decimal.js';
import { type Store, toBinary } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { timeLeftMs } from './transaction.js';
import type { WriteOutcome } from './write-call.js';

/**
 * Repricing: a step of its own that prices events recorded without a price. Each event is priced with all its sums in one
 * commit; the step counts in that same commit what it has done, so that it can be cut off anywhere and go on.
 */
export class Repricings {
  readonly #store: Store;
  readonly #write: WriteEntries;

  constructor(store: Store, write: WriteEntries) {
    this.#store = store;
    this.#write = write;
  }

  /**
   * Works for a part of the caller's time, from an event on; then answers where to go on, if anything is left. The same id
   * again must ask for the same.
   */
  async run(
    application: string,
    id: Uuid,
    wanted: RepricingFilter,
    options: { readonly after: UnpricedPosition | undefined; readonly now: Date; readonly deadline: number },
  ): Promise<RepricingResult> {
    const { deadline, now } = options;
    await this.#note(application, id, wanted, now, deadline);
    const workUntil = Date.now() + (deadline - Date.now()) * WORK_SHARE;
    let after = options.after;
    let unpriced = 0;
    for (let chunk = 0; chunk < CHUNKS_MAX; chunk += 1) {
      const events = await this.#unpriced(application, wanted, after, deadline);
      const entries = events
        .filter((event) => isWanted(event, wanted))
        .map((event) => entryOf(application, id, event, now));
      const outcomes = await this.#write(entries, deadline);
      unpriced += outcomes.filter((outcome) => !isPriced(outcome)).length;
      const last = events.at(-1);
      after = last === undefined ? undefined : { eventTime: last.eventTime, eventId: last.eventId };
      if (events.length < CHUNK_EVENTS) after = undefined;
      if (after === undefined || Date.now() >= workUntil) break;
    }
    return { ...(await this.#sum(application, id, deadline)), unpriced, after };
  }

  async #note(
    application: string,
    id: Uuid,
    wanted: RepricingFilter,
    now: Date,
    deadline: number,
  ): Promise<void> {
    const h = createHash('sha256').update(canonicalJson(wanted)).digest('hex').slice(0, HASH_LENGTH);
    const zero = toDecimal(NO_MONEY);
    const document = await withStoreFaults(() =>
      this.#store.repricings.findOneAndUpdate(
        { _id: { a: application, i: toBinary(id) } },
        { $setOnInsert: { h, c: now, n: 0n, ci: zero, co: zero } },
        { upsert: true, returnDocument: 'after', maxTimeMS: timeLeftMs(deadline) },
      ),
    );
    if (document?.h === h) return;
    throw new Fault('REPRICING_ALREADY_EXISTS', `The repricing '${id}' exists and asks for something else.`, {
      metadata: { repricing_id: id },
    });
  }

  /** By event time, from one on; whatever provider and model: their spellings are compared by us. */
  async #unpriced(
    application: string,
    { from, to }: RepricingFilter,
    after: UnpricedPosition | undefined,
    deadline: number,
  ): Promise<readonly UsageEvent[]> {
    const start = after?.eventTime ?? from;
    const filter: Filter<EventDocument> = {
      '_id.a': application,
      up: { $exists: true },
      q: { $gte: start ?? new Date(0), ...(to === undefined ? {} : { $lt: to }) },
      ...(after === undefined
        ? {}
        : {
            $or: [
              { q: { $gt: after.eventTime } },
              { q: after.eventTime, _id: { $gt: toEventKey(application, after.eventId) } },
            ],
          }),
    };
    const documents = await withStoreFaults(() =>
      this.#store.events
        .find(filter, {
          sort: { q: 1, _id: 1 },
          limit: CHUNK_EVENTS,
          hint: 'unpriced_by_event_time',
          maxTimeMS: timeLeftMs(deadline),
        })
        .toArray(),
    );
    return documents.map(fromEventDocument);
  }

  async #sum(
    application: string,
    id: Uuid,
    deadline: number,
  ): Promise<Pick<RepricingResult, 'priced' | 'cost'>> {
    const document: RepricingDocument | null = await withStoreFaults(() =>
      this.#store.repricings.findOne(
        { _id: { a: application, i: toBinary(id) } },
        { maxTimeMS: timeLeftMs(deadline) },
      ),
    );
    if (document === null) throw new Error('a repricing is noted before it prices');
    const [input, output] = [fromDecimal(document.ci), fromDecimal(document.co)];
    return { priced: BigInt(document.n), cost: { input, output, total: addMoney(input, output) } };
  }
}

type WriteEntries = (entries: readonly Entry[], deadline: number) => Promise<readonly WriteOutcome[]>;

/** Which events; what is absent does not matter. */
export interface RepricingFilter {
  readonly from: Date | undefined;
  /** Exclusive. */
  readonly to: Date | undefined;
  readonly provider: string | undefined;
  readonly model: string | undefined;
}

/** Where a part of the work ended. */
export interface UnpricedPosition {
  readonly eventTime: Date;
  readonly eventId: string;
}

export interface RepricingResult {
  /** Events that this repricing has priced so far, wholly or in part. */
  readonly priced: bigint;
  /** What they cost by it. */
  readonly cost: Cost;
  /** Events looked at now that still have units without a price. */
  readonly unpriced: number;
  /** undefined: all is done. */
  readonly after: UnpricedPosition | undefined;
}

function isWanted(event: UsageEvent, { provider, model }: RepricingFilter): boolean {
  return (
    (provider === undefined || providerId(event.provider) === providerId(provider)) &&
    (model === undefined || event.model.toLowerCase() === model.toLowerCase())
  );
}

function entryOf(application: string, repricingId: Uuid, event: UsageEvent, time: Date): RepricingEntry {
  const { eventId, experienceId } = event;
  return { kind: 'repricing', application, eventId, experienceId, repricingId, time };
}

function isPriced(outcome: WriteOutcome): boolean {
  if (outcome.kind === 'refused') throw outcome.fault;
  if (outcome.kind === 'failed') throw outcome.error;
  return outcome.kind === 'repricing' && outcome.priced;
}

const CHUNK_EVENTS = 500;
/** Events looked at in one call are at most so many times {@link CHUNK_EVENTS}. */
const CHUNKS_MAX = 100;
/** Of the caller's time; the rest is for the commit under way and the answer. */
const WORK_SHARE = 0.5;
const HASH_LENGTH = 32;
