import { Fault } from '../domain/fault.js';
import { isTombstone, type Reservation, type ReservationState } from '../domain/reservation.js';
import type { Settlement } from '../domain/usage.js';
import type {
  EventEntry,
  EventOutcome,
  ReleaseEntry,
  ReleaseOutcome,
  ReservationEntry,
  ReservationOutcome,
  SweepEntry,
  SweepOutcome,
} from './entry.js';
import type { StoredEvent, StoredReservation } from './facts.js';
import { chargesOf } from './limit-book.js';
import { newEvent } from './new-event.js';
import {
  newReservation,
  newTombstone,
  priceEstimate,
  releasedEvent,
  reservationOfEvent,
  unsettledEvent,
} from './new-reservation.js';
import type { Place } from './place.js';
import { placeOf, placeOfSettlement } from './place-of.js';
import type { PlannedBatch } from './planned-batch.js';

/** What becomes of reservations: made, settled by their calls' records, released, and closed at their estimates. */

export function planReservation(batch: PlannedBatch, entry: ReservationEntry): ReservationOutcome {
  const { application, reservation: wanted, time, spareExperienceId } = entry;
  const known = batch.reservation(application, wanted.eventId);
  const event = batch.event(application, wanted.eventId)?.event;
  if (event !== undefined) {
    const state = STATE_OF_SETTLEMENT[event.settlement];
    const reserved = known !== undefined && !isTombstone(known.reservation);
    if (reserved) batch.closeReservation(application, known, state); // Recorded and reserved at once, it may be open.
    const reservation = reserved ? { ...known.reservation, state } : reservationOfEvent(event, state);
    return answer(batch, application, reservation, true);
  }
  if (known !== undefined) {
    if (known.reservation.state === 'OPEN' && !isSame(known.contentHash, entry.contentHash))
      throw conflict(wanted.eventId, 'reserved');
    return answer(batch, application, known.reservation, true);
  }
  const { attribution } = wanted;
  const place = placeOf(batch, { application, attribution, time, spareExperienceId });
  const priced = priceEstimate(wanted, batch.state(application).prices, time);
  const limits = batch.limits.applicable(application, attribution.limitIds, place, 'to come');
  const isKnown = wanted.estimate !== undefined && wanted.holdsNothing !== true;
  batch.limits.decide(application, limits, isKnown ? priced.cost.total : undefined);
  batch.unitKinds.add(application, place?.experience, priced.units, 'reservation.estimate');
  batch.settleIn(application, place);
  const reservation = { ...newReservation(entry, place, priced), charges: chargesOf(limits) };
  batch.insertReservation(application, reservation, entry.contentHash);
  return answer(batch, application, reservation, false, place);
}

/** A call that was reserved under its id, and is not recorded yet: released or not, the money is spent. */
export function planSettlement(
  batch: PlannedBatch,
  entry: EventEntry,
  stored: StoredReservation,
): EventOutcome {
  const { application, record, recordTime, spareExperienceId } = entry;
  const { reservation } = stored;
  const call = { application, attribution: record.attribution, time: recordTime, spareExperienceId };
  const place = placeOfSettlement(batch, call, reservation);
  const event = newEvent(entry, place, batch.state(application).prices, {
    settlement: 'SETTLED',
    charges: reservation.charges,
    reservation,
    eventTime: undefined,
  });
  batch.unitKinds.add(application, place?.experience, event.units, 'record.units');
  batch.insertEvent(application, event, entry.contentHash);
  batch.settleIn(application, place);
  batch.closeReservation(application, stored, 'SETTLED');
  return {
    kind: 'event',
    event,
    duplicate: false,
    limits: batch.limits.standings(application, event.charges),
  };
}

/** The record of a call whose reservation ran out takes the place of the estimate, once; its time stays. */
export function planLateSettlement(
  batch: PlannedBatch,
  entry: EventEntry,
  { event: estimate }: StoredEvent,
  stored: StoredReservation | undefined,
): EventOutcome {
  const { application } = entry;
  const experience =
    estimate.experienceId === undefined ? undefined : batch.experience(application, estimate.experienceId);
  const place: Place | undefined = experience && {
    experience,
    created: false,
    replaced: false,
    warnings: [],
    adoption: undefined,
    ownLimit: undefined,
  };
  const event = newEvent(entry, place, batch.state(application).prices, {
    settlement: 'SETTLED',
    charges: estimate.charges,
    reservation: stored?.reservation,
    eventTime: estimate.eventTime,
  });
  batch.unitKinds.add(application, experience, event.units, 'record.units');
  batch.replaceEvent(application, event, entry.contentHash);
  if (stored !== undefined) batch.closeReservation(application, stored, 'SETTLED');
  return {
    kind: 'event',
    event,
    duplicate: false,
    limits: batch.limits.standings(application, event.charges),
  };
}

export function planRelease(
  batch: PlannedBatch,
  { application, eventId, time }: ReleaseEntry,
): ReleaseOutcome {
  const stored = batch.reservation(application, eventId);
  const known = batch.event(application, eventId);
  if (known === undefined) {
    if (stored === undefined) {
      batch.insertReservation(application, newTombstone(eventId, time), NO_HASH);
      return { kind: 'release', state: 'RELEASED', existed: false };
    }
    batch.closeReservation(application, stored, 'RELEASED');
    return { kind: 'release', state: 'RELEASED', existed: !isTombstone(stored.reservation) };
  }
  const { settlement } = known.event;
  if (settlement === 'NONE' || settlement === 'SETTLED') {
    // A release that came before the call was recorded stays what it is.
    if (stored !== undefined && !isTombstone(stored.reservation))
      batch.closeReservation(application, stored, 'SETTLED');
    return { kind: 'release', state: 'SETTLED', existed: true };
  }
  if (settlement === 'UNSETTLED') {
    batch.replaceEvent(application, releasedEvent(known.event, time), known.contentHash);
    if (stored !== undefined) batch.closeReservation(application, stored, 'RELEASED');
  }
  return { kind: 'release', state: 'RELEASED', existed: true };
}

/** Closes a reservation whose time is over by an event at its estimate. */
export function planSweep(batch: PlannedBatch, { application, eventId, time }: SweepEntry): SweepOutcome {
  const stored = batch.reservation(application, eventId);
  if (stored === undefined || stored.reservation.state !== 'OPEN' || stored.reservation.expireTime > time)
    return { kind: 'sweep', state: undefined };
  if (batch.event(application, eventId) !== undefined) {
    batch.closeReservation(application, stored, 'SETTLED');
    return { kind: 'sweep', state: 'SETTLED' };
  }
  const { experienceId } = stored.reservation;
  const experience = experienceId === undefined ? undefined : batch.experience(application, experienceId);
  const reservation = withinUnitKinds(batch, application, stored.reservation);
  batch.insertEvent(application, unsettledEvent(reservation, experience, time), stored.contentHash);
  batch.closeReservation(application, stored, 'UNSETTLED');
  return { kind: 'sweep', state: 'UNSETTLED' };
}

/** Its cost is counted whatever other calls have used since; units of more kinds than there may be are left out. */
function withinUnitKinds(batch: PlannedBatch, application: string, reservation: Reservation): Reservation {
  const { experienceId, units } = reservation;
  const experience = experienceId === undefined ? undefined : batch.experience(application, experienceId);
  try {
    batch.unitKinds.add(application, experience, units, 'reservation.estimate');
    return reservation;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { ...reservation, units: new Map(), unpriced: [] };
  }
}

function answer(
  batch: PlannedBatch,
  application: string,
  reservation: Reservation,
  duplicate: boolean,
  place?: Place,
): ReservationOutcome {
  const { experienceId } = reservation;
  const experience =
    place?.experience ??
    (experienceId === undefined ? undefined : batch.experience(application, experienceId));
  return {
    kind: 'reservation',
    reservation,
    experienceType: experience?.type ?? '',
    experienceVersion: experience?.version ?? 0,
    duplicate,
    limits: batch.limits.standings(application, reservation.charges),
  };
}

export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

export function conflict(eventId: string, how: 'recorded' | 'reserved'): Fault {
  return new Fault('EVENT_ID_CONFLICT', `The event '${eventId}' was ${how} with other content.`, {
    metadata: { event_id: eventId },
  });
}

const STATE_OF_SETTLEMENT = {
  NONE: 'SETTLED',
  SETTLED: 'SETTLED',
  UNSETTLED: 'UNSETTLED',
  RELEASED: 'RELEASED',
} as const satisfies Record<Settlement, ReservationState>;
const NO_HASH = new Uint8Array();
