/**
 * What the client takes and answers. Money is a canonical decimal string in USD, exact; counts are BigInt; times are
 * Dates, to the millisecond; what is undefined was not given or does not apply.
 */

import type { ExperiencesError } from './experiences-error.js';

export type Money = string;

export interface ExperienceType {
  readonly name: string;
  readonly description: string;
  readonly currentVersion: number;
  readonly workflowType: string | undefined;
  readonly taskQueue: string | undefined;
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
  readonly outcome: UsageOutcome;
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
}

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
}

export interface Rate {
  /** Per single unit. */
  readonly base: Money;
  readonly tiers?: readonly { readonly inputUnitsAbove: bigint; readonly price: Money }[];
  readonly inheritedFrom?: string;
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

export type CostDimension = 'EXPERIENCE_TYPE' | 'EXPERIENCE_VERSION' | 'PROVIDER' | 'MODEL';
/** Calendar buckets in UTC. */
export type TimeBucket = 'HOUR' | 'DAY' | 'MONTH';

export interface CostQuery {
  /** Events from this time on: a full hour in UTC. */
  readonly startTime: Date;
  /** Events before this time: a full hour in UTC. */
  readonly endTime: Date;
  /** Absent: everything together. The version needs the type, or `experienceType`. */
  readonly groupBy?: readonly CostDimension[];
  /** Absent: the whole range together. */
  readonly timeBucket?: TimeBucket | undefined;
  /** Absent: all; '': only what belongs to no type. */
  readonly experienceType?: string;
  readonly experienceVersion?: number;
  readonly provider?: string;
  readonly model?: string;
}

export interface CostReport {
  /** In the order of time, type, version, provider, model; combinations without an event are left out. */
  readonly rows: readonly CostRow[];
  readonly total: CostSum;
}

/** What a query does not group by is undefined. */
export interface CostRow {
  /** '': none. */
  readonly experienceType: string | undefined;
  /** 0: none. */
  readonly experienceVersion: number | undefined;
  readonly provider: string | undefined;
  readonly model: string | undefined;
  readonly bucketStartTime: Date | undefined;
  readonly sum: CostSum;
}

/** A sum over events. */
export type CostSum = Omit<ExperienceTotals, 'firstEventTime' | 'lastEventTime'>;

/** Of the experiences of one version that have at least one event, deleted ones too. */
export interface CostDistribution {
  readonly experienceType: string;
  readonly experienceVersion: number;
  readonly experienceCount: bigint;
  /** Exact; this and the other amounts are undefined where there is no experience. */
  readonly sum: Money | undefined;
  /** Rounded half-even at 18 digits. */
  readonly mean: Money | undefined;
  /** Exact. */
  readonly minimum: Money | undefined;
  /** Exact. */
  readonly maximum: Money | undefined;
  /** In the order asked for; by nearest rank. */
  readonly percentiles: readonly { readonly percentile: number; readonly cost: Money }[];
  /** By how much a percentile may differ from the exact one, as a part of it: 0.01. */
  readonly percentileErrorMax: number;
  readonly currencyCode: string;
}

export interface CostDistributionDetails {
  readonly distribution: CostDistribution;
  /** From the cheapest to the dearest; each is wider than the one before by the same factor. */
  readonly bars: readonly CostBar[];
  /** The dearest first. */
  readonly dearestExperiences: readonly DearExperience[];
}

export interface CostBar {
  /** Exclusive; both are 0 for those that cost nothing. */
  readonly above: Money;
  readonly upTo: Money;
  readonly experienceCount: bigint;
}

export interface DearExperience {
  readonly experienceId: string;
  readonly totalCost: Money;
  readonly eventCount: bigint;
  /** Events of which some units have no price: its full cost is not known. */
  readonly unpricedEventCount: bigint;
  readonly createTime: Date;
  readonly deleteTime: Date | undefined;
}

export interface VersionComparison {
  readonly first: CostDistribution;
  readonly second: CostDistribution;
  /** undefined: one of them has no experience. */
  readonly comparison: CostComparison | undefined;
}

/** From the first version to the second. */
export interface CostComparison {
  readonly mean: CostChange;
  readonly minimum: CostChange;
  readonly maximum: CostChange;
  readonly percentiles: readonly { readonly percentile: number; readonly change: CostChange }[];
  readonly rankTest: RankTest;
}

export interface CostChange {
  /** The second less the first. */
  readonly absolute: Money;
  /** As a part of the first, a decimal string: `0.18` is 18 % more. undefined: the first is 0. */
  readonly relative: string | undefined;
}

/** Whether experiences of two versions differ in cost beyond chance: a two-sided test of ranks. */
export interface RankTest {
  readonly name: string;
  /** NONE: too few experiences for a p-value. */
  readonly method: 'EXACT' | 'NORMAL' | 'NONE';
  readonly u: number;
  /** Only with the method NORMAL. */
  readonly z: number | undefined;
  readonly pValue: number | undefined;
  readonly alpha: number;
  /** How probable it is that of two random experiences that of the second version is dearer. */
  readonly probabilityOfSuperiority: number;
  /** SECOND_DEARER and SECOND_CHEAPER are beyond chance. */
  readonly verdict: 'TOO_FEW' | 'WITHIN_CHANCE' | 'SECOND_DEARER' | 'SECOND_CHEAPER';
}
