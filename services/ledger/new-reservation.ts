import { type Money, NO_MONEY } from '../domain/money.js';
import type { Reservation, ReservationState, UsageEstimate } from '../domain/reservation.js';
import { type Cost, EVENT_COST_MAX, type UnpricedUnits, type UsageEvent } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';
import { costOfUnits } from '../pricing/cost-of-units.js';
import type { PriceBook } from '../pricing/price-book.js';
import type { ReservationEntry } from './entry.js';
import { NO_CHARGES } from './limit-book.js';
import { tooDear, warningsOf } from './new-event.js';
import type { Place } from './place.js';

/** What an estimate comes to. */
export interface PricedEstimate {
  readonly units: Reservation['units'];
  readonly cost: Cost;
  readonly priceId: Uuid | undefined;
  readonly unpriced: readonly UnpricedUnits[];
}

/** At the price in force at a time; what has no price comes to nothing, with the reason. */
export function priceEstimate(
  { provider, model, estimate }: ReservationEntry['reservation'],
  prices: PriceBook,
  time: Date,
): PricedEstimate {
  if (estimate?.kind !== 'units') return { ...NO_ESTIMATE, cost: outputOnly(givenCost(estimate)) };
  const found = prices.find(provider, model, time);
  const { unpriced, ...cost } = costOfUnits(estimate.units, found);
  if (cost.total > EVENT_COST_MAX) throw tooDear('reservation.estimate', cost.total);
  const priceId = 'price' in found ? found.price.id : undefined;
  return { units: estimate.units, cost, priceId, unpriced };
}

/** An open reservation, charged to nothing yet. */
export function newReservation(
  { reservation, time }: ReservationEntry,
  place: Place | undefined,
  priced: PricedEstimate,
): Reservation {
  return {
    eventId: reservation.eventId,
    state: 'OPEN',
    createTime: time,
    expireTime: new Date(time.getTime() + reservation.ttlMs),
    experienceId: place?.experience.id,
    userId: reservation.attribution.userId,
    requestTags: reservation.attribution.requestTags,
    provider: reservation.provider,
    model: reservation.model,
    ...priced,
    holdsNothing: reservation.holdsNothing,
    operationKey: reservation.operationKey,
    step: reservation.step,
    properties: reservation.properties,
    workflowSource: reservation.workflowSource,
    charges: NO_CHARGES,
    experienceCreated: place?.created ?? false,
    experienceIdReplaced: place?.replaced ?? false,
    warnings: warningsOf(undefined, place?.warnings, priced.unpriced.length > 0),
  };
}

/** That an id was released which had never been reserved. */
export function newTombstone(eventId: string, time: Date): Reservation {
  return {
    eventId,
    state: 'RELEASED',
    createTime: time,
    expireTime: time,
    experienceId: undefined,
    userId: undefined,
    requestTags: [],
    provider: '',
    model: '',
    ...NO_ESTIMATE,
    holdsNothing: undefined,
    operationKey: undefined,
    step: undefined,
    properties: new Map(),
    workflowSource: undefined,
    charges: NO_CHARGES,
    experienceCreated: false,
    experienceIdReplaced: false,
    warnings: [],
  };
}

/** What is answered of an id whose call was recorded without ever being reserved. */
export function reservationOfEvent(event: UsageEvent, state: ReservationState): Reservation {
  return {
    ...newTombstone(event.eventId, event.recordTime),
    state,
    experienceId: event.experienceId,
    provider: event.provider,
    model: event.model,
    experienceCreated: event.experienceCreated,
    experienceIdReplaced: event.experienceIdReplaced,
    warnings: event.warnings,
  };
}

/** The event that stands for the call of a reservation that ran out: its estimate, at the time it was made. */
export function unsettledEvent(
  reservation: Reservation,
  experience: { readonly type: string; readonly version: number } | undefined,
  time: Date,
): UsageEvent {
  return {
    eventId: reservation.eventId,
    experienceId: reservation.experienceId,
    experienceType: experience?.type ?? '',
    experienceVersion: experience?.version ?? 0,
    userId: reservation.userId,
    requestTags: reservation.requestTags,
    provider: reservation.provider,
    model: reservation.model,
    requestedModel: undefined,
    units: reservation.units,
    outcome: 'UNKNOWN',
    operationKey: reservation.operationKey,
    step: reservation.step,
    latencyMs: undefined,
    timeToFirstTokenMs: undefined,
    httpStatusCode: undefined,
    providerRequestId: undefined,
    providerResponseId: undefined,
    properties: reservation.properties,
    workflowSource: reservation.workflowSource,
    eventTime: reservation.createTime,
    recordTime: time,
    cost: reservation.cost,
    priceId: reservation.priceId,
    unpriced: reservation.unpriced,
    repricings: [],
    useful: false,
    experienceCreated: reservation.experienceCreated,
    experienceIdReplaced: reservation.experienceIdReplaced,
    warnings: reservation.warnings,
    settlement: 'UNSETTLED',
    charges: reservation.charges,
  };
}

/** The same event once its call is told to have cost nothing. */
export function releasedEvent(event: UsageEvent, time: Date): UsageEvent {
  return {
    ...event,
    units: new Map(),
    outcome: 'CANCELLED',
    recordTime: time,
    cost: outputOnly(NO_MONEY),
    priceId: undefined,
    unpriced: [],
    repricings: [],
    useful: false,
    warnings: event.warnings.filter((code) => code !== 'UNITS_UNPRICED'),
    settlement: 'RELEASED',
  };
}

function givenCost(estimate: Exclude<UsageEstimate, { kind: 'units' }> | undefined): Money {
  return estimate?.cost ?? NO_MONEY;
}

/** A cost that is given as a whole: which part the prompt has is not known. */
function outputOnly(output: Money): Cost {
  return { input: NO_MONEY, output, total: output };
}

const NO_ESTIMATE: PricedEstimate = {
  units: new Map(),
  cost: outputOnly(NO_MONEY),
  priceId: undefined,
  unpriced: [],
};
