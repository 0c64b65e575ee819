import type { Money } from './money.js';
import type { ExperienceTotals } from './types.js';

/** What the client asks and answers of costs over time and of how they spread. */

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
export type CostSum = Pick<
  ExperienceTotals,
  'eventCount' | 'cost' | 'usefulCost' | 'wastedCost' | 'unpricedEventCount' | 'units'
>;

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
