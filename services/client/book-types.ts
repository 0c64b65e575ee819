/** What verifying and repairing the books says. */

/** One message of a verify or repair. */
export type BookCheckMessage =
  | { readonly progress: BookProgress }
  | { readonly difference: BookDifference }
  | { readonly summary: BookSummary };

export interface BookProgress {
  readonly phase: 'RESERVATIONS' | 'OPERATIONS' | 'EXPERIENCES' | 'ROLLUPS' | 'HISTOGRAMS' | 'LIMITS';
  readonly experienceCount: bigint;
  /** About; 0: not known. */
  readonly experienceCountEstimate: bigint;
  /** Each event is read for its experience, for its hour and for the limits that it is charged to. */
  readonly eventCount: bigint;
  readonly eventCountEstimate: bigint;
  readonly hourCount: bigint;
  readonly differenceCount: bigint;
}

/** A figure of the books that is not what the events add up to, or something wrong with an event. */
export interface BookDifference {
  readonly subject:
    | 'EXPERIENCE'
    | 'HOUR_ROLLUP'
    | 'DAY_ROLLUP'
    | 'HISTOGRAM'
    | 'EVENT'
    | 'RESERVATION'
    | 'LIMIT';
  /** Of an experience, event or reservation; undefined: it is unattributed. */
  readonly experienceId: string | undefined;
  /** Of an event or reservation. */
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
  readonly limitId: string | undefined;
  /** Of a limit: number of its period. */
  readonly limitPeriod: number | undefined;
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
  readonly limitCount: bigint;
  /** Looked at one by one. */
  readonly reservationCount: bigint;
}
