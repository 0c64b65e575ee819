import type { CostSum } from './cost-sum.js';

/** What was spent in a range of time, and by what it is to be added up apart. */
export interface CostQuery {
  /** A full hour in UTC. */
  readonly start: Date;
  /** A full hour in UTC, after the start; what is at it is not in the range. */
  readonly end: Date;
  readonly groupBy: ReadonlySet<CostDimension>;
  /** undefined: the whole range is one. */
  readonly bucket: TimeBucket | undefined;
  /** undefined: all; empty: only what belongs to no type. */
  readonly type: string | undefined;
  /** undefined: all. */
  readonly version: number | undefined;
  readonly provider: string | undefined;
  readonly model: string | undefined;
}

export type CostDimension = 'EXPERIENCE_TYPE' | 'EXPERIENCE_VERSION' | 'PROVIDER' | 'MODEL';
export type TimeBucket = 'HOUR' | 'DAY' | 'MONTH';

/** One sum as it is kept: of one hour or one day of one type, version, provider and model. */
export interface KeptSum {
  /** Empty: none. */
  readonly type: string;
  /** 0: none. */
  readonly version: number;
  readonly provider: string;
  readonly model: string;
  readonly start: Date;
  readonly sum: CostSum;
}

/** Hours or days that are read, from one full hour or day to another. */
export interface KeptRange {
  readonly grain: 'HOUR' | 'DAY';
  readonly start: Date;
  readonly end: Date;
}

/**
 * What is to be read for a query: days, and hours only where no day serves, which is at the ends of the range or all of
 * it. Ranges without a length are left out.
 */
export function keptRanges({ start, end, bucket }: CostQuery): readonly KeptRange[] {
  const firstDay = new Date(Math.ceil(start.getTime() / DAY_MS) * DAY_MS);
  const lastDay = startOfBucket(end, 'DAY');
  const ranges: readonly KeptRange[] =
    bucket === 'HOUR' || firstDay >= lastDay
      ? [{ grain: 'HOUR', start, end }]
      : [
          { grain: 'HOUR', start, end: firstDay },
          { grain: 'DAY', start: firstDay, end: lastDay },
          { grain: 'HOUR', start: lastDay, end },
        ];
  return ranges.filter((range) => range.start < range.end);
}

/** How many hours and days are in ranges. */
export function lengthOf(ranges: readonly KeptRange[]): number {
  return ranges.reduce(
    (sum, { grain, start, end }) =>
      sum + (end.getTime() - start.getTime()) / (grain === 'HOUR' ? HOUR_MS : DAY_MS),
    0,
  );
}

export function isFullHour(time: Date): boolean {
  return time.getTime() % HOUR_MS === 0;
}

export function startOfBucket(time: Date, bucket: TimeBucket): Date {
  switch (bucket) {
    case 'HOUR':
      return new Date(Math.floor(time.getTime() / HOUR_MS) * HOUR_MS);
    case 'DAY':
      return new Date(Math.floor(time.getTime() / DAY_MS) * DAY_MS);
    case 'MONTH':
      return new Date(Date.UTC(time.getUTCFullYear(), time.getUTCMonth()));
    default:
      return bucket satisfies never;
  }
}

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
