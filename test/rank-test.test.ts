import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CostHistogram } from '../services/domain/cost-distribution.js';
import { normalTail } from '../services/domain/normal-tail.js';
import { rankTest } from '../services/domain/rank-test.js';

/** Small numbers stand for buckets: only their order matters. */
function histogram(values: readonly number[]): CostHistogram {
  const counts = new Map<number, bigint>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0n) + 1n);
  return counts;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function thrice(values: readonly number[]): number[] {
  return [...values, ...values, ...values];
}

describe('the rank test of small samples counts all ways to divide them', () => {
  // Counted apart, in another language, by listing every division of the pooled values.
  test.each<[what: string, first: number[], second: number[], u: number, superiority: number, p: number]>([
    // Ages at diagnosis of diabetes: the worked example that scipy documents, U = 17 and p = 0.111.
    ['the worked example', [20, 11, 17, 12], [19, 22, 16, 29, 24], 17, 17 / 20, 14 / 126],
    ['the same, mirrored', [19, 22, 16, 29, 24], [20, 11, 17, 12], 3, 3 / 20, 14 / 126],
    ['ties', [1, 2, 2, 3, 5], [2, 4, 5, 5, 6, 7], 25, 25 / 30, 41 / 462],
    ['nothing in common', [1, 2, 3, 4], [5, 6, 7, 8], 16, 1, 2 / 70],
    ['all the same', [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], 12.5, 0.5, 1],
  ])('%s', (_what, first, second, u, superiority, p) => {
    const found = rankTest(histogram(first), histogram(second));
    expect(found).toMatchObject({ method: 'EXACT', u, superiority, z: undefined });
    expect(found?.p).toBeCloseTo(p, 14);
  });
});

describe('the rank test of larger samples', () => {
  // z by the textbook formula with exact fractions, p by another library's erfc.
  test.each<[what: string, first: number[], second: number[], u: number, z: number, p: number]>([
    ['without ties', range(1, 30), range(16, 45), 787.5, 4.983389969177299, 6.247984928789204e-7],
    [
      'with many ties',
      thrice([1, 1, 2, 2, 2, 3, 3, 4, 4, 5]),
      thrice([2, 3, 3, 4, 4, 4, 5, 5, 6, 7]),
      706.5,
      3.8548003835505753,
      0.00011582409459788181,
    ],
    [
      'mirrored',
      thrice([2, 3, 3, 4, 4, 4, 5, 5, 6, 7]),
      thrice([1, 1, 2, 2, 2, 3, 3, 4, 4, 5]),
      193.5,
      -3.8548003835505753,
      0.00011582409459788181,
    ],
    ['all the same', Array(30).fill(1), Array(30).fill(1), 450, 0, 1],
  ])('%s is approximated with corrections for ties and continuity', (_what, first, second, u, z, p) => {
    const found = rankTest(histogram(first), histogram(second));
    expect(found).toMatchObject({ method: 'NORMAL', u });
    expect(found?.z).toBeCloseTo(z, 12);
    expect((found?.p ?? 0) / p).toBeCloseTo(1, 11);
  });

  test('stays exact where the counts are beyond what a double holds', () => {
    const million = 1_000_000n;
    const first = new Map([
      [1, million],
      [2, million],
    ]);
    const second = new Map([
      [1, million],
      [2, million + 3_000n],
    ]);
    const found = rankTest(first, second);
    // Pairs won: all of the 2s over all of the 1s; half of those with the same number.
    expect(found?.u).toBe((2 * 1_003_000 * 1_000_000 + 1_000_000 * 1_000_000 + 1_003_000 * 1_000_000) / 2);
    expect(found?.z).toBeCloseTo(1.4983147345390475, 12);
  });
});

describe('the rank test says nothing', () => {
  test.each<[what: string, first: number[], second: number[]]>([
    ['of three and three, whose most uneven division has p = 0.1', [1, 2, 3], [4, 5, 6]],
    ['of one and thirty', [1], range(2, 31)],
    ['of seven and a hundred, too many to count and too few to approximate', range(1, 7), range(8, 107)],
  ])('%s', (_what, first, second) => {
    expect(rankTest(histogram(first), histogram(second))).toMatchObject({
      method: 'NONE',
      superiority: 1,
      p: undefined,
      verdict: 'TOO_FEW',
    });
  });

  test('of an empty sample', () => {
    expect(rankTest(histogram([]), histogram([1]))).toBeUndefined();
    expect(rankTest(histogram([1]), new Map([[1, 0n]]))).toBeUndefined();
  });
});

test.each<[first: number[], second: number[], verdict: string]>([
  [range(1, 4), range(5, 8), 'SECOND_DEARER'],
  [range(5, 8), range(1, 4), 'SECOND_CHEAPER'],
  [range(1, 4), range(2, 5), 'WITHIN_CHANCE'],
  [Array(30).fill(1), Array(30).fill(1), 'WITHIN_CHANCE'],
])('the verdict of %j and %j is %s', (first, second, verdict) => {
  expect(rankTest(histogram(first), histogram(second))?.verdict).toBe(verdict);
});

describe('the rank test, whatever the samples,', () => {
  const sample = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 4, maxLength: 60 });

  test('answers the same p and the opposite U for the samples swapped', () => {
    fc.assert(
      fc.property(sample, sample, (a, b) => {
        const [one, other] = [rankTest(histogram(a), histogram(b)), rankTest(histogram(b), histogram(a))];
        expect(one?.method).toBe(other?.method);
        expect((one?.u ?? 0) + (other?.u ?? 0)).toBe(a.length * b.length);
        if (one?.p !== undefined) expect(one.p).toBeCloseTo(other?.p ?? Number.NaN, 12);
      }),
      { numRuns: 100 },
    );
  });

  test('answers a U that is the pairs won, counted one by one', () => {
    fc.assert(
      fc.property(sample, sample, (a, b) => {
        let won = 0;
        for (const x of a) for (const y of b) won += y > x ? 1 : y === x ? 0.5 : 0;
        expect(rankTest(histogram(a), histogram(b))?.u).toBe(won);
      }),
      { numRuns: 100 },
    );
  });
});

test.each([
  [0, 1],
  [0.5, 0.6170750774519738],
  [1.959963984540054, 0.05],
  [-1.959963984540054, 0.05],
  [2.5, 0.012419330651552278],
  [2.9, 0.003731626600768077],
  [6, 1.9731752900754024e-9],
  [20, 5.507248237212663e-89],
  [37, 1.1451142445050278e-299],
  [50, 0],
])('a normal variable is %s or further from zero with the probability %s', (z, p) => {
  if (p === 0) expect(normalTail(z)).toBe(0);
  else expect(normalTail(z) / p).toBeCloseTo(1, 12);
});
