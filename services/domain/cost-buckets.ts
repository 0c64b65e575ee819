import { type Money, money } from './money.js';

/**
 * The buckets in which the totals of experiences are counted. Bucket 0 is exactly zero; bucket i holds the totals above
 * edge i - 1 up to edge i, from 10^-18 to the largest amount there is. Edges are at most 2 % apart, or next to each other
 * where amounts are so small that 2 % is less than one, so that one amount can stand for all of a bucket.
 *
 * The numbers are stored: edges never change. They are made of whole numbers only, because two processes that put an
 * amount into different buckets would spoil the counts of both.
 */
export type CostBucket = number;

/** By how much the amount that stands for a bucket may differ from any total in it, in percent of that total. */
export const COST_BUCKET_ERROR_PERCENT = 1;

/** Total of one experience, in a bucket of its size. A total is never negative. */
export function costBucket(total: Money): CostBucket {
  if (total < 0n) throw new RangeError('the total of an experience is negative');
  // Doubles only say where to look; whole numbers decide. Rounding keeps the order, so the estimate is never too high.
  let bucket = estimate(Number(total));
  while (total > edge(bucket)) bucket += 1;
  return bucket;
}

/** What the totals in a bucket are above, and what they are at most; for bucket 0, which holds zero only, both are 0. */
export function costBucketBounds(bucket: CostBucket): CostBucketBounds {
  const upTo = edge(bucket);
  return { above: edge(Math.max(0, bucket - 1)), upTo };
}

export interface CostBucketBounds {
  /** Exclusive. */
  readonly above: Money;
  /** Inclusive. */
  readonly upTo: Money;
}

/** The amount that stands for a bucket: within {@link COST_BUCKET_ERROR_PERCENT} of every total in it. */
export function costOfBucket(bucket: CostBucket): Money {
  if (bucket === 0) return edge(0);
  // At most half of 2 % from the least total in the bucket, and so from all others.
  return money((edge(bucket - 1) + 1n + edge(bucket)) / 2n);
}

const AMOUNT_MAX = 10n ** 34n - 1n;
const EDGES = edges();
const ROUNDED_EDGES = Float64Array.from(EDGES, Number);
export const COST_BUCKET_MAX: CostBucket = EDGES.length - 1;

function edges(): readonly Money[] {
  const list = [money(0n)];
  for (let last = 1n; last < AMOUNT_MAX; ) {
    list.push(money(last));
    const apart = (last * 102n) / 100n;
    last = apart > last ? apart : last + 1n;
  }
  list.push(money(AMOUNT_MAX));
  return list;
}

function edge(bucket: CostBucket): Money {
  const found = EDGES[bucket];
  if (found === undefined) throw new RangeError(`there is no cost bucket ${bucket}`);
  return found;
}

/** The first bucket whose rounded edge is not below the amount. */
function estimate(amount: number): CostBucket {
  let low = 0;
  let high = ROUNDED_EDGES.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ROUNDED_EDGES[middle] ?? 0) < amount) low = middle + 1;
    else high = middle;
  }
  return low;
}
