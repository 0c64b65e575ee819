import { type Money, NO_MONEY, subtractMoney, wholeMoney } from './money.js';
import type { Uuid } from './uuid.js';

/** An accumulator with a maximum. What calls cost is charged to their experience's own limit and to those they name. */
export interface Limit {
  /** That of an experience's own limit is the experience's. */
  readonly id: Uuid;
  readonly name: string;
  /** Never changes. */
  readonly type: LimitType;
  readonly maxCost: Money;
  readonly threshold: Money;
  readonly tags: readonly string[];
  /** The experience that owns it; undefined: it is shared. */
  readonly experienceId: Uuid | undefined;
  /** Number of the current period. */
  readonly period: number;
  /** Oldest first, the last one is the current one; only the latest `LIMIT_PERIODS_MAX` are known. */
  readonly periods: readonly LimitPeriodStart[];
  /** Raised by every change; the etag is made of it. */
  readonly revision: number;
  readonly createTime: Date;
  readonly updateTime: Date;
  readonly deleteTime: Date | undefined;
}

/** ALLOW counts on and refuses nothing; BLOCK refuses reservations. */
export type LimitType = 'ALLOW' | 'BLOCK';

/** What a limit is to be. */
export interface LimitConfig {
  readonly type: LimitType;
  readonly maxCost: Money;
  /** From which part of the maximum on it is EXCEEDED; 10^18 is 1. */
  readonly threshold: Money;
  readonly tags: readonly string[];
}

/** A period goes from one reset to the next, so it ends when the one after it starts. */
export interface LimitPeriodStart {
  /** From 1. */
  readonly number: number;
  readonly startTime: Date;
  /** The id of the request whose reset began it; undefined: it gave none, or it is the first period. */
  readonly requestId: string | undefined;
  /** The maximum when it ended; undefined: it is the current one. */
  readonly maxCost: Money | undefined;
}

/** A limit and how it stands. */
export interface ChargedLimit {
  readonly limit: Limit;
  readonly state: LimitState;
  /** The current period. */
  readonly period: LimitPeriod;
}

export interface LimitPeriod {
  readonly number: number;
  readonly startTime: Date;
  /** undefined: it is the current one. */
  readonly endTime: Date | undefined;
  readonly sum: LimitSum;
  /** What was spent beyond the maximum. */
  readonly overrun: Money;
}

/** What was charged to a limit in one period. */
export interface LimitSum {
  readonly spent: Money;
  /** The part of `spent` that was for input; the rest was for output. */
  readonly spentInput: Money;
  /** What open reservations hold beside. */
  readonly held: Money;
  /** The part of `spent` that is an estimate. */
  readonly unsettled: Money;
  readonly eventCount: bigint;
  readonly effects: LimitEffects;
  /** Reservations that it refused. */
  readonly blockedCount: bigint;
  /** Reservations that named it and another limit refused. */
  readonly blockedExternalCount: bigint;
}

/**
 * How many events left a limit in which state, and how many failed and cost nothing. Each is counted once, when it is
 * recorded: what is corrected later moves none. Like the counts of refusals nothing but these counts tells it.
 */
export interface LimitEffects {
  readonly ok: bigint;
  readonly exceeded: bigint;
  readonly overrun: bigint;
  readonly failed: bigint;
}

/** How a limit stands by itself; that it blocks is said only of a call. */
export type LimitState = 'OK' | 'EXCEEDED' | 'OVERRUN';

/** By what is spent in the current period: neither holds nor the type matter. */
export function limitStateOf(
  { maxCost, threshold }: Pick<LimitConfig, 'maxCost' | 'threshold'>,
  spent: Money,
): LimitState {
  if (spent > maxCost) return 'OVERRUN';
  // Both sides times 10^18, so that the part of the maximum is never rounded.
  return spent * WHOLE < maxCost * threshold ? 'OK' : 'EXCEEDED';
}

export function sameLimitConfig(a: LimitConfig, b: LimitConfig): boolean {
  return (
    a.type === b.type &&
    a.maxCost === b.maxCost &&
    a.threshold === b.threshold &&
    [...a.tags].sort().join() === [...b.tags].sort().join() // No tag holds a comma.
  );
}

export function chargedLimit(limit: Limit, sum: LimitSum): ChargedLimit {
  return {
    limit,
    state: limitStateOf(limit, sum.spent),
    period: chargedPeriod(limit, limit.period, sum),
  };
}

/** A period that the limit knows, with what was charged in it. */
export function chargedPeriod(limit: Limit, number: number, sum: LimitSum): LimitPeriod {
  const start = limit.periods.find((period) => period.number === number);
  if (start === undefined) throw new RangeError(`limit ${limit.id} knows no period ${number}`);
  const maxCost = start.maxCost ?? limit.maxCost;
  return {
    number,
    startTime: start.startTime,
    endTime: limit.periods.find((period) => period.number === number + 1)?.startTime,
    sum,
    overrun: sum.spent > maxCost ? subtractMoney(sum.spent, maxCost) : NO_MONEY,
  };
}

/** What begins when the current period ends at `time`; the oldest one is forgotten when there are too many. */
export function nextPeriod(limit: Limit, time: Date, requestId: string | undefined): Limit {
  const number = limit.period + 1;
  const ended = limit.periods.map((period) =>
    period.number === limit.period ? { ...period, maxCost: limit.maxCost } : period,
  );
  const next = { number, startTime: time, requestId, maxCost: undefined };
  return { ...limit, period: number, periods: [...ended, next].slice(-LIMIT_PERIODS_MAX) };
}

/** An experience's own limit is named for its type and itself. */
export function ownLimitName(type: string, experienceId: Uuid): string {
  return `${type}/${experienceId}`;
}

/** The threshold of limits that name none. */
export const LIMIT_THRESHOLD_WHOLE: Money = wholeMoney(1n);
/** Digits after the point of a threshold. */
export const LIMIT_THRESHOLD_SCALE = 6;
/** The most that a limit may allow: 10^12, so that what is spent beyond it fits too. */
export const LIMIT_COST_MAX: Money = wholeMoney(1_000_000_000_000n);
export const LIMIT_NAME_LENGTH_MAX = 128;
/** How many periods of a limit are known: the current one and those before it. */
const LIMIT_PERIODS_MAX = 101;

const WHOLE: bigint = LIMIT_THRESHOLD_WHOLE;
