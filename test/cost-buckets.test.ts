import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  COST_BUCKET_MAX,
  type CostBucket,
  costBucket,
  costBucketBounds,
  costOfBucket,
} from '../services/domain/cost-buckets.js';
import { type Money, money } from '../services/domain/money.js';

const MOST = 10n ** 34n - 1n;

/** Totals of every size: exponents are drawn first, because amounts drawn evenly are nearly all enormous. */
const anyTotal = fc
  .bigInt({ min: 0n, max: 34n })
  .chain((digits) => fc.bigInt({ min: 0n, max: 10n ** digits - 1n }))
  .map(money);

/** A total, its bucket, and the bounds of that bucket; reckoned apart from the code, in another language. */
const BUCKETS: readonly (readonly [total: bigint, bucket: CostBucket, above: bigint, upTo: bigint])[] = [
  [0n, 0, 0n, 0n],
  [1n, 1, 0n, 1n],
  [2n, 2, 1n, 2n],
  [100n, 100, 99n, 100n],
  [101n, 101, 100n, 102n],
  [102n, 101, 100n, 102n],
  [103n, 102, 102n, 104n],
  [450_000_000_000_000n, 1585, 446_531_177_883_507n, 455_461_801_441_177n],
  [10n ** 18n, 1974, 989_278_574_039_866_160n, 1_009_064_145_520_663_483n],
  [MOST, 3834, 9_809_301_433_400_675_928_993_398_820_501_186n, MOST],
];

describe('a cost bucket', () => {
  test.each(BUCKETS)('holds %s in bucket %s, above %s and up to %s', (total, bucket, above, upTo) => {
    expect(costBucket(money(total))).toBe(bucket);
    expect(costBucketBounds(bucket)).toEqual({ above, upTo });
  });

  test('never moves: its number is stored', () => {
    const edges = Array.from({ length: COST_BUCKET_MAX + 1 }, (_, bucket) => costBucketBounds(bucket).upTo);
    expect(edges.length).toBe(3_835);
    expect(createHash('sha256').update(edges.join(',')).digest('hex')).toBe(
      '00bcc5b7c15a3b0d75485f1ec7f23b79221a002f3190ddec4746609239614741',
    );
  });

  test('holds every total within its bounds', () => {
    fc.assert(
      fc.property(anyTotal, (total) => {
        const { above, upTo } = costBucketBounds(costBucket(total));
        expect(total === 0n ? above === 0n : above < total).toBe(true);
        expect(total <= upTo).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });

  test('begins and ends where its bounds say, and is stood for within 1 % at both', () => {
    for (let bucket = 1; bucket <= COST_BUCKET_MAX; bucket += 1) {
      const { above, upTo } = costBucketBounds(bucket);
      const least = money(above + 1n);
      expect([costBucket(least), costBucket(upTo)]).toEqual([bucket, bucket]);
      expect(isWithinOnePercent(costOfBucket(bucket), least)).toBe(true);
      expect(isWithinOnePercent(costOfBucket(bucket), upTo)).toBe(true);
    }
    expect(costOfBucket(0)).toBe(0n);
  });

  test('refuses a negative total and a bucket that does not exist', () => {
    expect(() => costBucket(money(-1n))).toThrow(RangeError);
    expect(() => costBucketBounds(3_835)).toThrow(RangeError);
    expect(() => costOfBucket(3_835)).toThrow(RangeError);
  });
});

function isWithinOnePercent(figure: Money, total: Money): boolean {
  const apart = figure > total ? figure - total : total - figure;
  return apart * 100n <= total;
}
