/** The value that so many percent do not exceed (nearest rank). NaN of nothing. */
export function percentile(values: Iterable<number>, percent: number): number {
  const sorted = Float64Array.from(values).sort();
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length));
  return sorted[rank - 1] ?? Number.NaN;
}

/** The middle one, or the mean of the two in the middle. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The median of the ratios of each round: what slows a whole round down slows both. */
export function ratioOfRounds(upper: readonly number[], lower: readonly number[]): Ratio {
  const ratios = upper.flatMap((value, round) => {
    const base = lower[round];
    return base === undefined ? [] : [value / base];
  });
  return { ratio: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}

export interface Ratio {
  readonly ratio: number;
  readonly least: number;
  readonly most: number;
}
