import type { LimitStatus } from './limit-types.js';
import type { Cost, Money, UnitsInput, UnpricedUnits, WorkflowSource } from './types.js';

/** A paid call that is about to be made. */
export interface UsageReservation {
  /** Of the event that the call will be recorded as. */
  readonly eventId: string;
  readonly experienceId?: string;
  readonly experienceType?: string;
  readonly experienceVersion?: number;
  readonly userId?: string;
  readonly requestTags?: readonly string[];
  /** Limits that it is charged to beside its experience's own. */
  readonly limitIds?: readonly string[];
  readonly provider: string;
  /** The model that is asked for. */
  readonly model: string;
  /** What it will cost at most. Absent: not known; it holds nothing. */
  readonly estimate?: UsageEstimate;
  /**
   * The estimate is held against nothing, and the call is refused as one without; it only stands for the call should that
   * never be recorded.
   */
  readonly holdsNothing?: true;
  /** After which time it is closed at its estimate, in milliseconds. Absent: 15 minutes. */
  readonly ttlMs?: number;
  readonly operationKey?: string;
  readonly step?: string;
  readonly properties?: Readonly<Record<string, string>>;
  readonly workflowSource?: WorkflowSource;
}

export type UsageEstimate =
  | { readonly units: UnitsInput }
  | { readonly maxInputTokens: number | bigint; readonly maxOutputTokens: number | bigint }
  | { readonly cost: Money };

export type ReservationState = 'OPEN' | 'SETTLED' | 'RELEASED' | 'UNSETTLED';

export interface Reservation {
  readonly eventId: string;
  /** undefined: unattributed. */
  readonly experienceId: string | undefined;
  readonly experienceType: string | undefined;
  readonly experienceVersion: number | undefined;
  readonly state: ReservationState;
  /** What is held while it is open, unless it holds nothing. */
  readonly estimatedCost: Cost;
  readonly priceId: string | undefined;
  /** Units of the estimate without a price; they hold nothing. */
  readonly unpricedUnits: readonly UnpricedUnits[];
  readonly createTime: Date;
  readonly expireTime: Date;
}

export interface Reserved {
  readonly reservation: Reservation;
  /** Whether it was made before, or its call was recorded or released before. */
  readonly duplicate: boolean;
  readonly experienceCreated: boolean;
  readonly experienceIdReplaced: boolean;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
  /** How the limits stand that apply to it. */
  readonly limits: readonly LimitStatus[];
}

export interface Released {
  readonly state: ReservationState;
  /** Whether anything was known of the id. */
  readonly existed: boolean;
}

/** What a sweep has done. */
export interface SweepResult {
  /** Reservations closed by an event at their estimate. */
  readonly unsettledCount: number;
  /** Those that turned out to be settled already. */
  readonly settledCount: number;
  /** Whether there are more whose time is over. */
  readonly more: boolean;
}
