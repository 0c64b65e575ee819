/** How much the ledger suite does. */
export interface LedgerSizes {
  readonly rounds: number;
  /** Of those loads that no ratio is made of. */
  readonly otherRounds: number;
  readonly legSeconds: number;
  readonly warmUpSeconds: number;
  readonly idlePairs: number;
  readonly fullLoadSeconds: number;
  /** Events of the two experiences whose costs are read. */
  readonly largeEvents: number;
  readonly smallEvents: number;
  readonly costReads: number;
  /** The set that distributions are read from while events are recorded. */
  readonly experiences: number;
  readonly eventsPerSecond: number;
  readonly distributionSeconds: number;
}

export const FULL: LedgerSizes = {
  rounds: 5,
  otherRounds: 5,
  legSeconds: 2,
  warmUpSeconds: 1,
  idlePairs: 100,
  fullLoadSeconds: 60,
  largeEvents: 1_000_000,
  smallEvents: 1_000,
  costReads: 3_000,
  experiences: 1_000_000,
  eventsPerSecond: 1_000,
  distributionSeconds: 30,
};

/** Under 50 seconds in all. */
export const QUICK: LedgerSizes = {
  rounds: 3,
  otherRounds: 1,
  legSeconds: 0.3,
  warmUpSeconds: 0.2,
  idlePairs: 30,
  fullLoadSeconds: 5,
  largeEvents: 100_000,
  smallEvents: 1_000,
  costReads: 200,
  experiences: 2_000,
  eventsPerSecond: 1_000,
  distributionSeconds: 3,
};
