import type { GetUsageResponse } from '../contract/generated/experiences/v1/GetUsageResponse.js';
import type { LimitStatus as WireLimitStatus } from '../contract/generated/experiences/v1/LimitStatus.js';
import type { RecordUsageResponse } from '../contract/generated/experiences/v1/RecordUsageResponse.js';
import type { ReleaseUsageResponse } from '../contract/generated/experiences/v1/ReleaseUsageResponse.js';
import type { Reservation as WireReservation } from '../contract/generated/experiences/v1/Reservation.js';
import type { ReserveUsageResponse } from '../contract/generated/experiences/v1/ReserveUsageResponse.js';
import type { LimitStanding } from '../domain/limit-charge.js';
import { formatMoney } from '../domain/money.js';
import type { UsageEvent } from '../domain/usage.js';
import type { EventOutcome, ReleaseOutcome, ReservationOutcome } from '../ledger/entry.js';
import { toWireCost, toWireEvent, toWireTime, toWireUnpriced, toWireWarnings } from './to-wire.js';

/** What became of reservations and of the calls that they were made for, as the contract's messages. */

export function toWireRecorded({ event, duplicate, limits }: EventOutcome): RecordUsageResponse {
  return {
    event: toWireEvent(event),
    duplicate,
    experienceCreated: event.experienceCreated,
    experienceIdReplaced: event.experienceIdReplaced,
    warnings: toWireWarnings(event),
    limits: limits.map(toWireLimitStatus),
  };
}

/** As RecordUsage would answer a repeat of it. */
export function toWireRead(event: UsageEvent, limits: readonly LimitStanding[]): GetUsageResponse {
  const { duplicate: _duplicate, ...read } = toWireRecorded({
    kind: 'event',
    event,
    duplicate: true,
    limits,
  });
  return read;
}

export function toWireReserved(outcome: ReservationOutcome): ReserveUsageResponse {
  const { reservation, experienceType, experienceVersion, duplicate, limits } = outcome;
  const { experienceId, warnings } = reservation;
  return {
    reservation: toWireReservation(outcome),
    duplicate,
    experienceCreated: reservation.experienceCreated,
    experienceIdReplaced: reservation.experienceIdReplaced,
    warnings: toWireWarnings({ experienceId, experienceType, experienceVersion, warnings }),
    limits: limits.map(toWireLimitStatus),
  };
}

function toWireReservation({
  reservation,
  experienceType,
  experienceVersion,
}: ReservationOutcome): WireReservation {
  return {
    eventId: reservation.eventId,
    experienceId: reservation.experienceId ?? '',
    experienceType,
    experienceVersion,
    state: `RESERVATION_STATE_${reservation.state}`,
    estimatedCost: toWireCost(reservation.cost),
    priceId: reservation.priceId ?? '',
    unpricedUnits: reservation.unpriced.map(toWireUnpriced),
    createTime: toWireTime(reservation.createTime),
    expireTime: toWireTime(reservation.expireTime),
  };
}

export function toWireReleased({ state, existed }: ReleaseOutcome): ReleaseUsageResponse {
  return { state: `RESERVATION_STATE_${state}`, existed };
}

export function toWireLimitStatus({ limitId, state, maxCost, spent, held }: LimitStanding): WireLimitStatus {
  return {
    limitId,
    state: `LIMIT_STATE_${state}`,
    maxCost: formatMoney(maxCost),
    spentCost: formatMoney(spent),
    heldCost: formatMoney(held),
  };
}
