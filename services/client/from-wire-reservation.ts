import type { GetUsageResponse__Output } from '../contract/generated/experiences/v1/GetUsageResponse.js';
import type { RecordUsageResponse__Output } from '../contract/generated/experiences/v1/RecordUsageResponse.js';
import type { ReleaseUsageResponse__Output } from '../contract/generated/experiences/v1/ReleaseUsageResponse.js';
import type { Reservation__Output } from '../contract/generated/experiences/v1/Reservation.js';
import type { ReserveUsageResponse__Output } from '../contract/generated/experiences/v1/ReserveUsageResponse.js';
import {
  fromWireCost,
  fromWireEvent,
  fromWireLimitStatus,
  fromWireTime,
  fromWireUnpriced,
  fromWireWarning,
  promised,
} from './from-wire.js';
import type { Released, Reservation, ReservationState, Reserved } from './reservation-types.js';
import type { ReadUsage, RecordedUsage } from './types.js';

export function fromWireRecorded(wire: RecordUsageResponse__Output): RecordedUsage {
  return {
    event: fromWireEvent(promised(wire.event)),
    duplicate: wire.duplicate,
    experienceCreated: wire.experienceCreated,
    experienceIdReplaced: wire.experienceIdReplaced,
    warnings: wire.warnings.map(fromWireWarning),
    limits: wire.limits.map(fromWireLimitStatus),
  };
}

export function fromWireRead(wire: GetUsageResponse__Output): ReadUsage {
  const { duplicate: _duplicate, ...read } = fromWireRecorded({ ...wire, duplicate: true });
  return read;
}

export function fromWireReserved(wire: ReserveUsageResponse__Output): Reserved {
  return {
    reservation: fromWireReservation(promised(wire.reservation)),
    duplicate: wire.duplicate,
    experienceCreated: wire.experienceCreated,
    experienceIdReplaced: wire.experienceIdReplaced,
    warnings: wire.warnings.map(fromWireWarning),
    limits: wire.limits.map(fromWireLimitStatus),
  };
}

export function fromWireReleased(wire: ReleaseUsageResponse__Output): Released {
  return { state: fromWireState(wire.state), existed: wire.existed };
}

function fromWireReservation(wire: Reservation__Output): Reservation {
  return {
    eventId: wire.eventId,
    experienceId: wire.experienceId || undefined,
    experienceType: wire.experienceType || undefined,
    experienceVersion: wire.experienceVersion || undefined,
    state: fromWireState(wire.state),
    estimatedCost: fromWireCost(wire.estimatedCost),
    priceId: wire.priceId || undefined,
    unpricedUnits: wire.unpricedUnits.map(fromWireUnpriced),
    createTime: promised(fromWireTime(wire.createTime)),
    expireTime: promised(fromWireTime(wire.expireTime)),
  };
}

function fromWireState(wire: Reservation__Output['state']): ReservationState {
  return wire.replace('RESERVATION_STATE_', '') as ReservationState;
}
