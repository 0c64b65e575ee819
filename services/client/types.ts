/**
 * What the client takes and answers. Money is a canonical decimal string in USD, exact; counts are BigInt; times are
 * Dates, to the millisecond; what is undefined was not given or does not apply.
 */

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
}

export interface RecordedUsage {
  readonly event: UsageEvent;
  readonly duplicate: boolean;
  readonly experienceCreated: boolean;
  readonly experienceIdReplaced: boolean;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
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

/** One message of a verify or repair. */
export type BookCheckMessage =
  | { readonly progress: BookProgress }
  | { readonly difference: BookDifference }
  | { readonly summary: BookSummary };

export interface BookProgress {
  readonly phase: 'OPERATIONS' | 'EXPERIENCES' | 'ROLLUPS' | 'HISTOGRAMS';
  readonly experienceCount: bigint;
  /** Of all applications together, about. */
  readonly experienceCountEstimate: bigint;
  /** Each event is read for its experience and for its hour. */
  readonly eventCount: bigint;
  readonly eventCountEstimate: bigint;
  readonly hourCount: bigint;
  readonly differenceCount: bigint;
}

/** A figure of the books that is not what the events add up to, or something wrong with an event. */
export interface BookDifference {
  readonly subject: 'EXPERIENCE' | 'HOUR_ROLLUP' | 'DAY_ROLLUP' | 'HISTOGRAM' | 'EVENT';
  /** Of an experience or event; undefined: the event is unattributed. */
  readonly experienceId: string | undefined;
  /** Of an event. */
  readonly eventId: string | undefined;
  /** Of a rollup or histogram; empty: of what has no type. */
  readonly experienceType: string | undefined;
  /** Of a rollup or histogram; 0: of what has no type. */
  readonly experienceVersion: number | undefined;
  /** Of a rollup: when its hour or day starts. */
  readonly startTime: Date | undefined;
  /** Of a rollup. */
  readonly provider: string | undefined;
  /** Of a rollup. */
  readonly model: string | undefined;
  /** `event_count`, `cost.input`, `units[text].input`, …; the contract lists them. */
  readonly figure: string;
  /** Amounts as decimals, times in ISO 8601; empty: it must not be there, or is not known. */
  readonly expected: string;
  /** Empty: it is not there. */
  readonly found: string;
  /** Found less expected; empty where that means nothing. */
  readonly difference: string;
  readonly state: 'REPAIRABLE' | 'REPAIRED' | 'NOT_REPAIRABLE';
}

export interface BookSummary {
  readonly experienceCount: bigint;
  readonly eventCount: bigint;
  readonly hourCount: bigint;
  readonly dayCount: bigint;
  readonly histogramCount: bigint;
  /** 0: the books balance. */
  readonly differenceCount: bigint;
  readonly repairedCount: bigint;
  readonly notRepairableCount: bigint;
}
