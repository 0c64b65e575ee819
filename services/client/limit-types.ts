import type { Money } from './money.js';

/** What the client takes and answers of limits. */

/** ALLOW counts on and refuses nothing; BLOCK refuses reservations. */
export type LimitType = 'ALLOW' | 'BLOCK';

/** By what is spent in the current period: below the threshold, up to the maximum, or beyond it. */
export type LimitState = 'OK' | 'EXCEEDED' | 'OVERRUN';

export interface LimitConfig {
  readonly type: LimitType;
  readonly maxCost: Money;
  /** From which part of the maximum on it is EXCEEDED: `0.8`. */
  readonly threshold: string;
  readonly tags: readonly string[];
}

/** As the caller may write it. */
export interface NewLimitConfig {
  readonly maxCost: Money;
  /** Absent: ALLOW. Never changes. */
  readonly type?: LimitType;
  /** Absent: 1. */
  readonly threshold?: string;
  readonly tags?: readonly string[];
}

export interface Limit extends LimitConfig {
  /** That of an experience's own limit is the experience's. */
  readonly limitId: string;
  readonly name: string;
  /** The experience that owns it; undefined: it is shared. */
  readonly experienceId: string | undefined;
  readonly state: LimitState;
  /** The current one. */
  readonly period: LimitPeriod;
  readonly etag: string;
  readonly createTime: Date;
  readonly updateTime: Date;
  readonly deleteTime: Date | undefined;
}

/** What was charged to a limit between two resets. */
export interface LimitPeriod {
  /** From 1. */
  readonly number: number;
  readonly startTime: Date;
  /** undefined: it is the current one. */
  readonly endTime: Date | undefined;
  readonly spentCost: Money;
  /** What open reservations hold beside. */
  readonly heldCost: Money;
  /** The part of what was spent that is an estimate. */
  readonly unsettledCost: Money;
  /** What was spent beyond the maximum. */
  readonly overrunCost: Money;
  readonly eventCount: bigint;
  /** Reservations that it refused. */
  readonly blockedCount: bigint;
  /** Reservations that named it and another limit refused. */
  readonly blockedExternalCount: bigint;
  /** The part of what was spent that was for input. */
  readonly spentInputCost: Money;
  /** The part of what was spent that was for output. */
  readonly spentOutputCost: Money;
  /** Events by how they left it, each as it was recorded; failed ones cost nothing. */
  readonly okCount: bigint;
  readonly exceededCount: bigint;
  readonly overrunCount: bigint;
  readonly failedCount: bigint;
}

/** Which limits are listed. */
export interface LimitFilter {
  /** Only the limit of exactly this name. */
  readonly name?: string;
  /** Only limits that have all of them. */
  readonly tags?: readonly string[];
  readonly showDeleted?: boolean;
  /** The own limits of experiences too. */
  readonly showOwned?: boolean;
  readonly oldestFirst?: boolean;
}

/** How a limit stands after a call that it applies to. */
export interface LimitStatus {
  readonly limitId: string;
  readonly state: LimitState;
  readonly maxCost: Money;
  /** In the current period, as `heldCost`. */
  readonly spentCost: Money;
  readonly heldCost: Money;
}
