import type { ReleaseUsageRequest__Output } from '../contract/generated/experiences/v1/ReleaseUsageRequest.js';
import type { StreamUsageRequest__Output } from '../contract/generated/experiences/v1/StreamUsageRequest.js';
import type { StreamUsageResponse } from '../contract/generated/experiences/v1/StreamUsageResponse.js';
import type { UsageReservation__Output } from '../contract/generated/experiences/v1/UsageReservation.js';
import { Fault } from '../domain/fault.js';
import type { UsageReservation } from '../domain/reservation.js';
import { eventIdRule } from '../domain/text-rules.js';
import type { ReleaseOutcome, ReservationOutcome } from '../ledger/entry.js';
import { mergeAttribution } from './attribution-metadata.js';
import type { BatchView } from './from-wire.js';
import { fromWireReservation } from './from-wire-reservation.js';
import { ItemBatch, isPassing, parsedItems } from './item-batch.js';
import type { ItemList } from './overfull-item.js';
import { type ItemRules, type RecordBatch, recordBatch, toWireRecordResults } from './record-batch.js';
import type { ItemOutcomes, Items } from './recorder.js';
import { RequestCheck } from './request-check.js';
import { toWireStatus } from './status.js';
import { toWireReleased, toWireReserved } from './to-wire-reservation.js';

/** The items of one message of a stream, and what becomes of each. */
export class UsageMessage {
  readonly #reservations: ItemBatch<UsageReservation, ReservationOutcome>;
  readonly #records: RecordBatch;
  readonly #releases: ItemBatch<string, ReleaseOutcome>;

  constructor({ reservations, records, releases }: StreamUsageRequest__Output, rules: ItemRules) {
    this.#reservations = reservationBatch(reservations, rules);
    this.#records = recordBatch(records, rules);
    this.#releases = releaseBatch(releases);
  }

  isSettled(): boolean {
    return this.#listsWaiting().length === 0;
  }

  /**
   * What still waits, in steps that are written one after the other, each of them at once. There is one, for speed; only
   * where an id is in two lists there is one a list, so that a call is reserved before it is recorded or released.
   */
  steps(): readonly (readonly ItemList[])[] {
    const lists = this.#listsWaiting();
    return lists.length > 1 && this.#sharesIds() ? lists.map((list) => [list]) : [lists];
  }

  /** What waits of these lists. */
  waiting(lists: readonly ItemList[]): Items {
    return {
      reservations: lists.includes('reservations') ? this.#reservations.waiting() : [],
      records: lists.includes('records') ? this.#records.waiting() : [],
      releases: lists.includes('releases') ? this.#releases.waiting() : [],
    };
  }

  /** Takes the outcomes of what waits of these lists; what befell a passing fault goes on waiting. */
  settle(lists: readonly ItemList[], outcomes: ItemOutcomes): void {
    if (lists.includes('reservations')) this.#reservations.settle(outcomes.reservations, isPassing);
    if (lists.includes('records')) this.#records.settle(outcomes.records, isPassing);
    if (lists.includes('releases')) this.#releases.settle(outcomes.releases, isPassing);
  }

  /** Of the records what the view asks for, of the others all. */
  toWire(view: BatchView): Omit<StreamUsageResponse, 'ackedSequence'> {
    return {
      ...toWireRecordResults(this.#records, view),
      reservationResults: toWireResults(this.#reservations, toWireReserved),
      releaseResults: toWireResults(this.#releases, toWireReleased),
    };
  }

  #listsWaiting(): readonly ItemList[] {
    const { reservations, records, releases } = this.waiting(WRITING_ORDER);
    const counts = { reservations: reservations.length, records: records.length, releases: releases.length };
    return WRITING_ORDER.filter((list) => counts[list] > 0);
  }

  #sharesIds(): boolean {
    const { reservations, records, releases } = this.waiting(WRITING_ORDER);
    const lists = [
      new Set(reservations.map(({ eventId }) => eventId)),
      new Set(records.map(({ eventId }) => eventId)),
      new Set(releases),
    ];
    const all = new Set(lists.flatMap((ids) => [...ids]));
    return all.size < lists.reduce((sum, ids) => sum + ids.size, 0);
  }
}

function reservationBatch(
  reservations: readonly UsageReservation__Output[],
  { strictIds, ofCall }: ItemRules,
): ItemBatch<UsageReservation, ReservationOutcome> {
  const parse = (wire: UsageReservation__Output): UsageReservation => {
    const check = new RequestCheck({ strictIds });
    const reservation = fromWireReservation(wire, check);
    check.done();
    return { ...reservation, attribution: mergeAttribution(reservation.attribution, ofCall, 'reservation') };
  };
  return new ItemBatch('reservations', parsedItems('reservations', reservations, parse));
}

function releaseBatch(releases: readonly ReleaseUsageRequest__Output[]): ItemBatch<string, ReleaseOutcome> {
  const parse = (wire: ReleaseUsageRequest__Output): string => {
    const check = new RequestCheck();
    const eventId = check.required('release.event_id', wire.eventId, eventIdRule);
    check.done();
    return eventId;
  };
  return new ItemBatch('releases', parsedItems('releases', releases, parse));
}

function toWireResults<Outcome, Response>(
  batch: ItemBatch<unknown, Outcome>,
  toWire: (outcome: Outcome) => Response,
): ({ index: number } & ({ response: Response } | { error: ReturnType<typeof toWireStatus> }))[] {
  return batch
    .results()
    .map((outcome, index) =>
      outcome instanceof Fault
        ? { index, error: toWireStatus(outcome) }
        : { index, response: toWire(outcome) },
    );
}

const WRITING_ORDER: readonly ItemList[] = ['reservations', 'records', 'releases'];
