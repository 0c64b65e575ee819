import type { LimitType } from './limit.js';
import type { Money } from './money.js';
import type { Units } from './units.js';
import type { Cost, Properties } from './usage.js';
import type { Uuid } from './uuid.js';

/** One use of a feature; never closed. */
export interface Experience {
  readonly id: Uuid;
  /** Empty: it has no type yet. */
  readonly type: string;
  /** 0: it has no type yet. */
  readonly version: number;
  readonly userId: string | undefined;
  readonly properties: Properties;
  readonly totals: ExperienceTotals;
  readonly createTime: Date;
  readonly deleteTime: Date | undefined;
  /** The run that carries it out; undefined: it was never started. */
  readonly run: StartedRun | undefined;
  /** Of the limit that it owns, whose id is its own; undefined: it owns none. */
  readonly limitType: LimitType | undefined;
}

/** Everything recorded to one experience. */
export interface ExperienceTotals {
  readonly eventCount: bigint;
  readonly cost: Cost;
  readonly useful: Money;
  readonly wasted: Money;
  readonly unpricedEventCount: bigint;
  readonly units: Units;
  readonly firstEventTime: Date | undefined;
  readonly lastEventTime: Date | undefined;
  /** What open reservations hold; not part of the cost. */
  readonly held: Money;
  readonly openReservationCount: bigint;
  /** The part of the total that is an estimate. */
  readonly unsettled: Money;
  readonly unsettledEventCount: bigint;
}

/** That an experience was started as a run; kept with it, because a workflow engine forgets closed runs. */
export interface StartedRun {
  readonly workflowType: string;
  readonly workflowId: string;
  readonly taskQueue: string;
  /** Hash of the request that started it: a repeat must be the same. */
  readonly requestHash: string;
  /** undefined until the engine has confirmed the start. */
  readonly runId: string | undefined;
  readonly startTime: Date;
  /** Of a conversation: the input of its workflow as JSON, by which it wakes. */
  readonly inputJson?: string;
}

/** Untyped experiences with more events than this stay untyped. */
export const ADOPTED_EVENTS_MAX = 1000;
