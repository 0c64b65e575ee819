import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { costBucket } from '../services/domain/cost-buckets.js';
import {
  type CostDistribution,
  costBars,
  costPercentile,
  meanCost,
} from '../services/domain/cost-distribution.js';
import {
  divideMoney,
  formatMoney,
  type Money,
  money,
  moneyRatio,
  sumMoney,
} from '../services/domain/money.js';

function distributionOf(totals: readonly Money[]): CostDistribution {
  const buckets = new Map<number, bigint>();
  for (const total of totals) buckets.set(costBucket(total), (buckets.get(costBucket(total)) ?? 0n) + 1n);
  const [minimum, ...rest] = [...totals].sort((a, b) => (a < b ? -1 : 1));
  return {
    count: BigInt(totals.length),
    sum: sumMoney(totals),
    buckets,
    extremes: minimum === undefined ? undefined : { minimum, maximum: rest.at(-1) ?? minimum },
  };
}

const ONE_CENT = 10n ** 16n;
const cents = (count: number) => money(BigInt(count) * ONE_CENT);

describe('a percentile', () => {
  const distribution = distributionOf(Array.from({ length: 10 }, (_, index) => cents(index + 1)));

  // Nearest rank of 1 to 10 cents; what is not an extreme is the middle of its bucket.
  test.each<[percentile: bigint, cost: string]>([
    [1n, '0.01'],
    [10_000n, '0.01'],
    [10_001n, '0.019806419267899617'],
    [20_000n, '0.019806419267899617'],
    [30_000n, '0.030019923077486744'],
    [99_900n, '0.1'],
    [100_000n, '0.1'],
  ])('%s thousandths of a percent of 1 to 10 cents is %s', (percentile, cost) => {
    expect(formatMoney(costPercentile(distribution, percentile) ?? money(-1n))).toBe(cost);
  });

  test('of nothing is not known', () => {
    expect(costPercentile(distributionOf([]), 50_000n)).toBeUndefined();
    expect(meanCost(distributionOf([]))).toBeUndefined();
  });

  test('is within 1 % of the total that has its rank', () => {
    const total = fc
      .bigInt({ min: 0n, max: 24n })
      .chain((digits) => fc.bigInt({ min: 0n, max: 10n ** digits }))
      .map(money);
    const totals = fc.array(total, { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(totals, fc.integer({ min: 1, max: 100 }), (all, percent) => {
        const cost = costPercentile(distributionOf(all), BigInt(percent) * 1_000n) ?? money(-1n);
        const sorted = [...all].sort((a, b) => (a < b ? -1 : 1));
        const exact = sorted[Math.ceil((percent * all.length) / 100) - 1] ?? money(-1n);
        const apart = cost > exact ? cost - exact : exact - cost;
        expect(apart * 100n <= exact).toBe(true);
      }),
    );
  });
});

describe('bars', () => {
  test('span what there is in equal steps, empty ones too; what cost nothing has one of its own', () => {
    const { buckets } = distributionOf([cents(0), cents(0), cents(1), cents(1), cents(3)]);
    // Buckets 1741 and 1797: 57 of them in 4 bars of 15, 15, 15 and 12.
    expect(costBars(buckets, 4).map(({ count }) => count)).toEqual([2n, 2n, 0n, 0n, 1n]);
    const bars = costBars(buckets, 4);
    expect([bars[0]?.above, bars[0]?.upTo]).toEqual([0n, 0n]);
    expect([bars[1]?.above, bars[4]?.upTo]).toEqual([9_805_699_560_120_253n, 30_317_150_038_649_979n]);
  });

  test('of one amount are one bar, and of nothing none', () => {
    expect(costBars(distributionOf([cents(1), cents(1)]).buckets, 40)).toEqual([
      { above: 9_805_699_560_120_253n, upTo: 10_001_813_551_322_658n, count: 2n },
    ]);
    expect(costBars(distributionOf([cents(0)]).buckets, 40)).toEqual([{ above: 0n, upTo: 0n, count: 1n }]);
    expect(costBars(new Map([[7, 0n]]), 40)).toEqual([]);
  });

  test('are never more than asked for, follow each other, and hold every total', () => {
    const buckets = fc
      .array(fc.tuple(fc.integer({ min: 1, max: 3_834 }), fc.bigInt({ min: 1n, max: 9n })), { minLength: 1 })
      .map((entries) => new Map(entries));
    fc.assert(
      fc.property(buckets, fc.integer({ min: 1, max: 60 }), (histogram, barsMax) => {
        const bars = costBars(histogram, barsMax);
        expect(bars.length).toBeLessThanOrEqual(barsMax);
        for (const [index, bar] of bars.entries()) {
          if (index > 0) expect(bar.above).toBe(bars[index - 1]?.upTo);
        }
        const counted = bars.reduce((sum, { count }) => sum + count, 0n);
        expect(counted).toBe([...histogram.values()].reduce((sum, count) => sum + count, 0n));
        expect([bars[0]?.count === 0n, bars.at(-1)?.count === 0n]).toEqual([false, false]);
      }),
    );
  });
});

test.each<[amount: bigint, by: bigint, mean: bigint]>([
  [10n, 4n, 2n], // 2.5
  [14n, 4n, 4n], // 3.5
  [11n, 4n, 3n], // 2.75
  [9n, 4n, 2n], // 2.25
  [-10n, 4n, -2n],
  [-14n, 4n, -4n],
  [-11n, 4n, -3n],
  [1n, 3n, 0n],
  [2n, 3n, 1n],
])('%s divided by %s is %s: the nearest, of two the even one', (amount, by, mean) => {
  expect(divideMoney(money(amount), by)).toBe(mean);
});

test.each<[amount: bigint, of: bigint, ratio: string | undefined]>([
  [18n, 100n, '0.18'],
  [-1n, 3n, '-0.333333'],
  [2n, 3n, '0.666667'],
  [1n, -3n, '-0.333333'],
  [10n ** 33n, 1n, `1${'0'.repeat(33)}`],
  [7n, 7n, '1'],
  [0n, 7n, '0'],
  [1n, 2_000_000n, '0'], // 0.0000005
  [3n, 2_000_000n, '0.000002'], // 0.0000015
  [5n, 0n, undefined],
])('%s is so many times of %s: %s', (amount, of, ratio) => {
  expect(moneyRatio(money(amount), money(of))).toBe(ratio);
});
