import type { LimitCharge } from './limit-charge.js';
import { type Money, NO_MONEY } from './money.js';
import type { Units } from './units.js';
import type { Attribution, Cost, Properties, RecordWarning, UnpricedUnits, WorkflowSource } from './usage.js';
import type { Uuid } from './uuid.js';

/** A paid call that is about to be made, as the caller states it, checked. */
export interface UsageReservation {
  /** Of the event that the call will be recorded as. */
  readonly eventId: string;
  readonly attribution: Attribution;
  readonly provider: string;
  readonly model: string;
  /** What it will cost at most; undefined: not known. */
  readonly estimate: UsageEstimate | undefined;
  /** The estimate only stands for the call should that never be recorded. */
  readonly holdsNothing: true | undefined;
  readonly ttlMs: number;
  readonly operationKey: string | undefined;
  readonly step: string | undefined;
  readonly properties: Properties;
  readonly workflowSource: WorkflowSource | undefined;
}

/** By units, in canonical form, at the price in force when it is reserved; or the cost itself, which counts as output. */
export type UsageEstimate =
  | { readonly kind: 'units'; readonly units: Units }
  | { readonly kind: 'cost'; readonly cost: Money };

/**
 * OPEN holds its estimate, unless it holds nothing; SETTLED: the call was recorded; RELEASED: it was never made or cost nothing; UNSETTLED: it ran
 * out, and an event at the estimate stands for the call.
 */
export type ReservationState = 'OPEN' | 'SETTLED' | 'RELEASED' | 'UNSETTLED';

/** A reservation as it stands. One without a provider is a tombstone: its id was released and had never been reserved. */
export interface Reservation {
  readonly eventId: string;
  readonly state: ReservationState;
  readonly createTime: Date;
  /** When it is closed at its estimate. */
  readonly expireTime: Date;
  readonly experienceId: Uuid | undefined;
  readonly userId: string | undefined;
  readonly requestTags: readonly string[];
  readonly provider: string;
  readonly model: string;
  /** Of the estimate; empty where a cost was given, or nothing. */
  readonly units: Units;
  /** What was estimated. */
  readonly cost: Cost;
  readonly holdsNothing: true | undefined;
  readonly priceId: Uuid | undefined;
  /** Units of the estimate without a price. */
  readonly unpriced: readonly UnpricedUnits[];
  readonly operationKey: string | undefined;
  readonly step: string | undefined;
  readonly properties: Properties;
  readonly workflowSource: WorkflowSource | undefined;
  readonly charges: readonly LimitCharge[];
  readonly experienceCreated: boolean;
  readonly experienceIdReplaced: boolean;
  readonly warnings: readonly RecordWarning[];
}

/** While it is open. */
export function heldCostOf({ cost, holdsNothing }: Reservation): Money {
  return holdsNothing === true ? NO_MONEY : cost.total;
}

export function isTombstone({ provider }: Reservation): boolean {
  return provider === '';
}

export const RESERVATION_TTL_DEFAULT_MS = 15 * 60 * 1_000;
export const RESERVATION_TTL_MIN_MS = 1_000;
export const RESERVATION_TTL_MAX_MS = 24 * 60 * 60 * 1_000;
