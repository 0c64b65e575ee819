/** Everything that can be done before the clock starts is done. */
export interface PreparedLoad {
  run(): Promise<LoadResult>;
}

export interface LoadResult {
  /** Records that were acknowledged, those that were sent again too. */
  readonly events: number;
  /** Records under ids that were new. */
  readonly freshRecords: number;
  /** What those cost, in whole numbers of 10^-18. */
  readonly freshCost: bigint;
  readonly duplicates: number;
  /** Messages that were sent again, because the service had no room for all of their records. */
  readonly repeatedMessages: number;
  readonly elapsedMs: number;
  /** Of each message or call, in the order of their ends. */
  readonly latenciesMs: Float64Array;
  /** The same of calls under other names. */
  readonly named?: Readonly<Record<string, Float64Array>>;
  /** Absent: nothing was called through the gateway. */
  readonly calls?: {
    readonly requestIds: readonly string[];
    /** Those that the ledger had not taken yet. */
    readonly queued: number;
  };
}

export const NO_RECORDS = {
  events: 0,
  freshRecords: 0,
  freshCost: 0n,
  duplicates: 0,
  repeatedMessages: 0,
} as const;
