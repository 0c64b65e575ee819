/**
 * What the client takes and answers. Money is a canonical decimal string in USD, exact; counts are BigInt; times are
 * Dates, to the millisecond; what is undefined was not given or does not apply.
 */

import type { ExperiencesError } from './experiences-error.js';
import type { LimitConfig, LimitStatus } from './limit-types.js';
import type { Money } from './money.js';

export type { Money };

export interface ExperienceType {
  readonly name: string;
  readonly description: string;
  readonly currentVersion: number;
  readonly workflowType: string | undefined;
  readonly taskQueue: string | undefined;
  /** The limit of its own that each new experience gets; undefined: none. */
  readonly limitConfig: LimitConfig | undefined;
  /** What was said about keeping prompts and answers; without effect, because neither is kept of any type. */
  readonly loggingDisabled: boolean;
  readonly etag: string;
  readonly createTime: Date;
  readonly updateTime: Date;
  readonly deleteTime: Date | undefined;
}

export interface ExperienceTypeVersion {
  readonly version: number;
  readonly createTime: Date;
}

export interface Experience {
  readonly experienceId: string;
  readonly experienceType: string | undefined;
  readonly experienceVersion: number | undefined;
  readonly userId: string | undefined;
  readonly properties: Readonly<Record<string, string>>;
  readonly totals: ExperienceTotals;
  readonly createTime: Date;
  readonly deleteTime: Date | undefined;
  /** Whether it owns a limit, whose id is the experience's. */
  readonly hasLimit: boolean;
}

export interface ExperienceTotals {
  readonly eventCount: bigint;
  readonly cost: Cost;
  readonly usefulCost: Money;
  /** Failed calls and superseded attempts. */
  readonly wastedCost: Money;
  /** Events of which some units have no price: their full cost is not known. */
  readonly unpricedEventCount: bigint;
  readonly units: Units;
  readonly firstEventTime: Date | undefined;
  readonly lastEventTime: Date | undefined;
  /** What open reservations hold; not part of the cost. */
  readonly heldCost: Money;
  readonly openReservationCount: bigint;
  /** The part of the total that is an estimate: reservations that ran out and were never settled. */
  readonly unsettledCost: Money;
  readonly unsettledEventCount: bigint;
}

export interface Cost {
  readonly input: Money;
  readonly output: Money;
  readonly total: Money;
  readonly currencyCode: string;
}

export interface UnitCount {
  readonly input: bigint;
  readonly output: bigint;
}

/** By unit kind: `text`, `text_cache_read`, `vision`, … */
export type Units = Readonly<Record<string, UnitCount>>;

/** As the caller may write them: whole numbers, absent directions are 0. */
export type UnitsInput = Readonly<
  Record<string, { readonly input?: number | bigint; readonly output?: number | bigint }>
>;

export type UsageOutcome = 'SUCCEEDED' | 'FAILED' | 'CANCELLED' | 'TIMED_OUT';

/** UNKNOWN is only answered: of a call whose reservation ran out. */
export type RecordedOutcome = UsageOutcome | 'UNKNOWN';

export interface WorkflowSource {
  readonly namespace: string;
  readonly workflowId: string;
  readonly runId: string;
  readonly workflowType: string;
  readonly activityId: string;
  readonly activityType: string;
  readonly attempt: number;
  readonly taskQueue: string;
  readonly isLocal: boolean;
  readonly workerIdentity: string;
}

export interface UsageRecord {
  /** Absent: a UUIDv7 is made, so that the client's own retries count once. */
  readonly eventId?: string;
  readonly experienceId?: string;
  readonly experienceType?: string;
  readonly experienceVersion?: number;
  readonly userId?: string;
  readonly requestTags?: readonly string[];
  /** Limits that it is charged to beside its experience's own. */
  readonly limitIds?: readonly string[];
  readonly provider: string;
  /** The model that answered. */
  readonly model: string;
  readonly requestedModel?: string;
  readonly units: UnitsInput;
  /** Absent: SUCCEEDED. */
  readonly outcome?: UsageOutcome;
  /** Absent: now. */
  readonly eventTime?: Date;
  /** The same over all retries of one step. */
  readonly operationKey?: string;
  readonly step?: string;
  readonly latencyMs?: number;
  readonly timeToFirstTokenMs?: number;
  readonly httpStatusCode?: number;
  readonly providerRequestId?: string;
  readonly providerResponseId?: string;
  readonly properties?: Readonly<Record<string, string>>;
  readonly workflowSource?: WorkflowSource;
}

export interface UnpricedUnits {
  readonly kind: string;
  readonly input: bigint;
  readonly output: bigint;
  /** `PROVIDER_UNKNOWN`, `MODEL_UNKNOWN`, `NO_PRICE_AT_TIME` or `UNIT_KIND_NOT_PRICED`. */
  readonly reason: string;
}

export interface UsageEvent {
  readonly eventId: string;
  /** undefined: unattributed. */
  readonly experienceId: string | undefined;
  readonly experienceType: string | undefined;
  readonly experienceVersion: number | undefined;
  readonly userId: string | undefined;
  readonly requestTags: readonly string[];
  readonly provider: string;
  readonly model: string;
  readonly requestedModel: string | undefined;
  readonly units: Units;
  readonly outcome: RecordedOutcome;
  /** Of the units that have a price. */
  readonly cost: Cost;
  readonly priceId: string | undefined;
  readonly unpricedUnits: readonly UnpricedUnits[];
  readonly useful: boolean;
  readonly eventTime: Date;
  readonly recordTime: Date;
  readonly operationKey: string | undefined;
  readonly step: string | undefined;
  readonly latencyMs: number | undefined;
  readonly timeToFirstTokenMs: number | undefined;
  readonly httpStatusCode: number | undefined;
  readonly providerRequestId: string | undefined;
  readonly providerResponseId: string | undefined;
  readonly properties: Readonly<Record<string, string>>;
  readonly workflowSource: WorkflowSource | undefined;
  /** Later steps that priced units which had no price at first, oldest first. */
  readonly repricings: readonly {
    readonly repricingId: string;
    readonly priceId: string;
    readonly repriceTime: Date;
    readonly addedCost: Cost;
  }[];
  readonly settlement: Settlement;
  /** Limits that it is charged to, the experience's own among them. */
  readonly limitIds: readonly string[];
}

/**
 * What became of the reservation of an event; NONE: there was none. UNSETTLED: it ran out, and the event is the estimate;
 * RELEASED: it ran out, and the call was told later to have cost nothing. A later record takes the place of both.
 */
export type Settlement = 'NONE' | 'SETTLED' | 'UNSETTLED' | 'RELEASED';

/** What a repricing has done. */
export interface RepricingResult {
  readonly repricingId: string;
  /** Events that it has priced, wholly or in part. */
  readonly repricedEventCount: bigint;
  readonly addedCost: Cost;
  /** Events that still have units without a price. */
  readonly unpricedEventCount: bigint;
}

export interface RecordedUsage {
  readonly event: UsageEvent;
  readonly duplicate: boolean;
  readonly experienceCreated: boolean;
  readonly experienceIdReplaced: boolean;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
  /** How the limits stand that it is charged to. */
  readonly limits: readonly LimitStatus[];
}

/** A recorded call that is read again, by its state now. */
export type ReadUsage = Omit<RecordedUsage, 'duplicate'>;

/** How records are taken. */
export interface RecordOptions {
  /** Whether one that names a blocking limit is refused, unless it was reserved: BLOCKING_LIMIT_NOT_ALLOWED. Absent: no. */
  readonly refuseBlockingLimits?: boolean;
}

/** A recorded call in short. */
export interface UsageAck {
  readonly eventId: string;
  /** undefined: unattributed. */
  readonly experienceId: string | undefined;
  readonly duplicate: boolean;
  readonly experienceCreated: boolean;
  readonly experienceIdReplaced: boolean;
  /** Of the units that have a price. */
  readonly cost: Cost;
  readonly priceId: string | undefined;
  readonly unpricedUnits: readonly UnpricedUnits[];
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
  readonly settlement: Settlement;
  /** How the limits stand that it is charged to. */
  readonly limits: readonly LimitStatus[];
}

/** What became of one of many records: it has an `ack` or an `error`. */
export type RecordResult = {
  /** Which record, from 0. */
  readonly index: number;
} & (
  | { readonly ack: UsageAck; readonly error?: undefined }
  | { readonly error: ExperiencesError; readonly ack?: undefined }
);

export interface RecordedBatch {
  /** In the order of the records; with `view: 'ERRORS_ONLY'` only the errors. */
  readonly results: readonly RecordResult[];
  readonly recordedCount: number;
  readonly duplicateCount: number;
  readonly failedCount: number;
}

export interface ExperienceCost {
  readonly experienceId: string;
  readonly experienceType: string | undefined;
  readonly experienceVersion: number | undefined;
  readonly totals: ExperienceTotals;
}

export interface CostEstimate {
  readonly cost: Cost;
  readonly priceId: string | undefined;
  readonly unpricedUnits: readonly UnpricedUnits[];
}

export type RunState = 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'TERMINATED' | 'TIMED_OUT';

export interface ExperienceRun {
  readonly experienceId: string;
  readonly experienceType: string;
  readonly experienceVersion: number;
  readonly workflowType: string;
  readonly workflowId: string;
  readonly runId: string;
  readonly state: RunState;
  readonly progress:
    | { readonly phase: string; readonly completedSteps: number; readonly totalSteps: number }
    | undefined;
  readonly totals: ExperienceTotals;
  readonly startTime: Date;
  readonly endTime: Date | undefined;
  /** What the workflow returned; undefined unless COMPLETED. */
  readonly result: unknown;
  readonly failure: { readonly type: string; readonly message: string } | undefined;
  /** How the limit of its own stands; undefined: it owns none. */
  readonly budget: LimitStatus | undefined;
}

export interface Rate {
  /** Per single unit. */
  readonly base: Money;
  readonly tiers?: readonly { readonly inputUnitsAbove: bigint; readonly price: Money }[];
  readonly inheritedFrom?: string;
}

/** A provider that has prices from one source. */
export interface PricedProvider {
  readonly provider: string;
  readonly source: Price['source'];
  /** Models with a price in force now or later. */
  readonly modelCount: number;
  /** undefined: since ever. */
  readonly firstEffectiveTime: Date | undefined;
}

/** An own price that was ended. */
export interface RetiredPrice {
  readonly price: Price;
  /** From when on it applies no longer. */
  readonly retireTime: Date;
}

export interface Price {
  readonly priceId: string;
  readonly source: 'APPLICATION' | 'CATALOGUE';
  readonly provider: string;
  readonly model: string;
  readonly rates: Readonly<Record<string, { readonly input?: Rate; readonly output?: Rate }>>;
  /** undefined: since ever. */
  readonly effectiveTime: Date | undefined;
  readonly retired: boolean;
  readonly createTime: Date;
  readonly sourceNote: string | undefined;
  readonly currencyCode: string;
}
