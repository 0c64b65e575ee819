import type { CostHistogram } from './cost-distribution.js';
import { normalTail } from './normal-tail.js';

/**
 * The Mann-Whitney U test, two-sided: whether what experiences of two versions cost differs beyond chance. It compares
 * ranks only, so that a few very dear experiences do not decide it. Totals in the same bucket are ties.
 */
export interface RankTest {
  readonly method: RankTestMethod;
  /** U of the second sample: how many pairs it wins, ties counted half. Always a multiple of one half. */
  readonly u: number;
  /** Probability that a random one of the second sample is dearer than a random one of the first, ties counted half. */
  readonly superiority: number;
  /** Only of the approximation; positive: the second sample is the dearer one. */
  readonly z: number | undefined;
  /** undefined: the samples are too small for one. */
  readonly p: number | undefined;
  readonly verdict: RankTestVerdict;
}

/** What follows from p; SECOND_DEARER and SECOND_CHEAPER are beyond chance. */
export type RankTestVerdict = 'TOO_FEW' | 'WITHIN_CHANCE' | 'SECOND_DEARER' | 'SECOND_CHEAPER';

/**
 * EXACT: the share of all ways to divide the same totals among the samples that are at least as far from even.
 * NORMAL: normal approximation with correction for ties and for continuity. NONE: too few to tell anything.
 */
export type RankTestMethod = 'EXACT' | 'NORMAL' | 'NONE';

/** A difference is beyond chance when p is below it. */
export const RANK_TEST_ALPHA = 0.05;

/** undefined when a sample is empty. */
export function rankTest(first: CostHistogram, second: CostHistogram): RankTest | undefined {
  const groups = tiedGroups(first, second);
  const n1 = groups.reduce((sum, group) => sum + group.first, 0n);
  const n2 = groups.reduce((sum, group) => sum + group.second, 0n);
  if (n1 === 0n || n2 === 0n) return undefined;
  // Twice the sum of the second sample's ranks: a rank shared by ties may be half a number.
  const twiceRanks = groups.reduce((sum, group) => sum + group.twiceRank * group.second, 0n);
  const twiceU = twiceRanks - n2 * (n2 + 1n);
  const superiority = Number(twiceU) / Number(2n * n1 * n2);
  const { method, z, p } = testOf(groups, n1, n2, twiceU);
  return { method, u: Number(twiceU) / 2, superiority, z, p, verdict: verdictOf(p, superiority) };
}

function testOf(
  groups: readonly TiedGroup[],
  n1: bigint,
  n2: bigint,
  twiceU: bigint,
): Pick<RankTest, 'method' | 'z' | 'p'> {
  if (!tellsNothing(n1, n2)) {
    if (n1 + n2 <= EXACT_SIZE_MAX) {
      return { method: 'EXACT', z: undefined, p: exactP(groups, Number(n1), Number(n2), Number(twiceU)) };
    }
    if (n1 >= APPROXIMATE_SIZE_MIN && n2 >= APPROXIMATE_SIZE_MIN) {
      const z = normalZ(groups, n1, n2, twiceU);
      return { method: 'NORMAL', z, p: normalTail(z) };
    }
  }
  return { method: 'NONE', z: undefined, p: undefined };
}

function verdictOf(p: number | undefined, superiority: number): RankTestVerdict {
  if (p === undefined) return 'TOO_FEW';
  if (p >= RANK_TEST_ALPHA) return 'WITHIN_CHANCE';
  return superiority > 0.5 ? 'SECOND_DEARER' : 'SECOND_CHEAPER';
}

/** Totals in one bucket, and the mean of the ranks that they share. */
interface TiedGroup {
  readonly first: bigint;
  readonly second: bigint;
  readonly twiceRank: bigint;
}

function tiedGroups(first: CostHistogram, second: CostHistogram): readonly TiedGroup[] {
  const buckets = [...new Set([...first.keys(), ...second.keys()])].sort((a, b) => a - b);
  let below = 0n;
  return buckets.map((bucket) => {
    const group = { first: first.get(bucket) ?? 0n, second: second.get(bucket) ?? 0n };
    const size = group.first + group.second;
    const twiceRank = 2n * below + size + 1n;
    below += size;
    return { ...group, twiceRank };
  });
}

/** Whether even the most uneven division, with the one that mirrors it, is not below the limit of what is chance. */
function tellsNothing(n1: bigint, n2: bigint): boolean {
  const smaller = n1 < n2 ? n1 : n2;
  let divisions = 1n;
  for (let taken = 1n; taken <= smaller; taken += 1n) {
    divisions = (divisions * (n1 + n2 - taken + 1n)) / taken;
    if (2 / Number(divisions) < RANK_TEST_ALPHA) return false;
  }
  return true;
}

/** Counts all ways to choose the second sample from the pooled totals by the sum of their doubled ranks. */
function exactP(groups: readonly TiedGroup[], n1: number, n2: number, twiceU: number): number {
  const ranks = groups.flatMap((group) =>
    Array.from({ length: Number(group.first + group.second) }, () => Number(group.twiceRank)),
  );
  // ways.get(k)?.get(s): how many choices of k totals have the sum s. Numbers hold them: 40 over 20 is below 2^53.
  const ways = Array.from({ length: n2 + 1 }, () => new Map<number, number>());
  ways[0]?.set(0, 1);
  for (const rank of ranks) {
    for (let chosen = n2; chosen > 0; chosen -= 1) {
      for (const [sum, count] of ways[chosen - 1] ?? []) {
        const sums = ways[chosen];
        sums?.set(sum + rank, (sums.get(sum + rank) ?? 0) + count);
      }
    }
  }
  // The sum where neither sample is the dearer one, and how far it really is from that.
  const even = n2 * (n1 + n2 + 1);
  const apart = Math.abs(twiceU - n1 * n2);
  let all = 0;
  let asFar = 0;
  for (const [sum, count] of ways[n2] ?? []) {
    all += count;
    if (Math.abs(sum - even) >= apart) asFar += count;
  }
  return asFar / all;
}

/** Hollander and Wolfe, Nonparametric Statistical Methods, 4.1: variance with ties; half a step for continuity. */
function normalZ(groups: readonly TiedGroup[], n1: bigint, n2: bigint, twiceU: bigint): number {
  const n = n1 + n2;
  const ties = groups.reduce((sum, { first, second }) => sum + (first + second) ** 3n - (first + second), 0n);
  // n1 n2 / 12 ((n + 1) - ties / (n (n - 1))), in whole numbers as long as it may cancel out.
  const variance = Number(n1 * n2 * ((n + 1n) * n * (n - 1n) - ties)) / Number(12n * n * (n - 1n));
  if (variance === 0) return 0; // All cost the same.
  const twiceApart = twiceU - n1 * n2;
  const apart = Math.abs(Number(twiceApart)) / 2 - 0.5;
  return (Math.sign(Number(twiceApart)) * Math.max(0, apart)) / Math.sqrt(variance);
}

/** Together; the exact distribution of more takes too long to count. */
const EXACT_SIZE_MAX = 40n;
/** Each; below it the approximation is poor where it matters, in the tails. */
const APPROXIMATE_SIZE_MIN = 8n;
