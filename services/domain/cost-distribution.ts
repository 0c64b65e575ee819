import { type CostBucket, costBucketBounds, costOfBucket } from './cost-buckets.js';
import { divideMoney, type Money } from './money.js';

/** How the experiences of one version cost: their totals counted in buckets, and what of them is known exactly. */
export interface CostDistribution {
  /** Experiences with at least one event. */
  readonly count: bigint;
  /** Exact. */
  readonly sum: Money;
  /** How many totals are in each bucket; none without any. */
  readonly buckets: CostHistogram;
  /** Exact; undefined: there is no experience. */
  readonly extremes: { readonly minimum: Money; readonly maximum: Money } | undefined;
}

export type CostHistogram = ReadonlyMap<CostBucket, bigint>;

/** The mean of all totals; undefined of none. */
export function meanCost({ sum, count }: CostDistribution): Money | undefined {
  return count === 0n ? undefined : divideMoney(sum, count);
}

/** In thousandths of a percent, so that 99.9 is a whole number: 99,900. */
export type Percentile = bigint;
export const PERCENTILE_ALL: Percentile = 100_000n;

/**
 * The percentile by nearest rank: the least total that so many percent of the experiences do not exceed. It is exact where
 * it is an extreme, and else as exact as the buckets are. undefined of no experience.
 */
export function costPercentile(distribution: CostDistribution, percentile: Percentile): Money | undefined {
  const { buckets, extremes } = distribution;
  const count = sizeOf(buckets);
  if (count === 0n || extremes === undefined) return undefined;
  const rank = (percentile * count + PERCENTILE_ALL - 1n) / PERCENTILE_ALL;
  if (rank === 1n) return extremes.minimum;
  if (rank === count) return extremes.maximum;
  let counted = 0n;
  for (const [bucket, experiences] of inOrder(buckets)) {
    counted += experiences;
    if (counted < rank) continue;
    const cost = costOfBucket(bucket);
    if (cost < extremes.minimum) return extremes.minimum;
    if (cost < extremes.maximum) return cost;
    break;
  }
  return extremes.maximum;
}

/** Neighbouring buckets drawn as one. */
export interface CostBar {
  /** Exclusive, but where both bounds are 0: that bar holds what cost nothing. */
  readonly above: Money;
  /** Inclusive. */
  readonly upTo: Money;
  readonly count: bigint;
}

/**
 * The histogram in at most so many bars, from the cheapest experience to the dearest. All span the same number of buckets,
 * so that each is wider than the one before by the same factor; empty ones between others are there too. What cost
 * nothing has a bar of its own, which is not one of them.
 */
export function costBars(buckets: CostHistogram, barsMax: number): readonly CostBar[] {
  const [free, ...priced] = [
    [0, buckets.get(0) ?? 0n] as const,
    ...inOrder(buckets).filter(([at]) => at > 0),
  ];
  const bars: CostBar[] = free[1] > 0n ? [{ ...costBucketBounds(0), count: free[1] }] : [];
  const first = priced[0]?.[0];
  const last = priced.at(-1)?.[0];
  if (first === undefined || last === undefined) return bars;
  const span = Math.ceil((last - first + 1) / barsMax);
  for (let from = first; from <= last; from += span) {
    const to = Math.min(from + span - 1, last);
    bars.push({
      above: costBucketBounds(from).above,
      upTo: costBucketBounds(to).upTo,
      count: priced.reduce((sum, [at, count]) => (at >= from && at <= to ? sum + count : sum), 0n),
    });
  }
  return bars;
}

function sizeOf(buckets: CostHistogram): bigint {
  return [...buckets.values()].reduce((sum, count) => sum + count, 0n);
}

function inOrder(buckets: CostHistogram): readonly (readonly [CostBucket, bigint])[] {
  return [...buckets].filter(([, count]) => count !== 0n).sort(([a], [b]) => a - b);
}
