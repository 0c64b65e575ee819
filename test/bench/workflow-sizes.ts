/** How much the workflow suite does. */
export interface WorkflowSizes {
  /** Each has a leg with the plugin and one without, in alternating order. */
  readonly rounds: number;
  readonly runsOfLeg: number;
  readonly activitiesOfRun: number;
  readonly warmUpRuns: number;
  readonly documentBytes: number;
  readonly summaries: number;
  /** Of the summary; 4 is what a run has that does not say. */
  readonly parallelCalls: number;
}

export const FULL: WorkflowSizes = {
  rounds: 20,
  runsOfLeg: 5,
  activitiesOfRun: 5,
  warmUpRuns: 20,
  documentBytes: 1_000_000,
  summaries: 3,
  parallelCalls: 4,
};

/** Under a minute in all, on a machine that does nothing else. */
export const QUICK: WorkflowSizes = {
  rounds: 6,
  runsOfLeg: 3,
  activitiesOfRun: 5,
  warmUpRuns: 5,
  documentBytes: 1_000_000,
  summaries: 1,
  parallelCalls: 4,
};
