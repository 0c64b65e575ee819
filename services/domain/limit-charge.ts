import type { LimitState } from './limit.js';
import type { Money } from './money.js';
import type { Uuid } from './uuid.js';

/** That a call is charged to a limit, in the period that the limit was in when the call was reserved or recorded. */
export interface LimitCharge {
  readonly limitId: Uuid;
  readonly period: number;
  /** Whether the limit blocks: where its sums are kept depends on it, and it never changes. */
  readonly blocking: boolean;
}

/** How a limit stands after a call that it applies to. */
export interface LimitStanding {
  readonly limitId: Uuid;
  readonly state: LimitState;
  readonly maxCost: Money;
  /** In the current period, as `held`. */
  readonly spent: Money;
  readonly held: Money;
}

/** Limits that one call may name. */
export const CALL_LIMITS_MAX = 16;
