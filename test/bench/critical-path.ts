/** The least that a tree of summaries takes, with calls of the same time and nothing in between. */
export interface CriticalPath {
  /** Calls of each level, that of the chunks first. */
  readonly callsOfLevels: readonly number[];
  readonly calls: number;
  /** Calls one after the other: each level waits for the one below it, and has so many side by side. */
  readonly steps: number;
}

/** A lone summary of a level goes up without a call. */
export function criticalPath(chunkCount: number, fanIn: number, parallelCalls: number): CriticalPath {
  const callsOfLevels = [chunkCount];
  for (let nodes = chunkCount; nodes > 1; nodes = Math.ceil(nodes / fanIn))
    callsOfLevels.push(Math.floor(nodes / fanIn) + (nodes % fanIn > 1 ? 1 : 0));
  return {
    callsOfLevels,
    calls: callsOfLevels.reduce((total, calls) => total + calls, 0),
    steps: callsOfLevels.reduce((total, calls) => total + Math.ceil(calls / parallelCalls), 0),
  };
}
