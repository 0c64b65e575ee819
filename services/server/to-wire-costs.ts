import type { CostBar as WireBar } from '../contract/generated/experiences/v1/CostBar.js';
import type { CostChange as WireChange } from '../contract/generated/experiences/v1/CostChange.js';
import type { CostComparison as WireComparison } from '../contract/generated/experiences/v1/CostComparison.js';
import type { CostDistribution as WireDistribution } from '../contract/generated/experiences/v1/CostDistribution.js';
import type { CostRow as WireRow } from '../contract/generated/experiences/v1/CostRow.js';
import type { CostSum as WireSum } from '../contract/generated/experiences/v1/CostSum.js';
import type { DearExperience as WireDear } from '../contract/generated/experiences/v1/DearExperience.js';
import type { RankTest as WireRankTest } from '../contract/generated/experiences/v1/RankTest.js';
import { COST_BUCKET_ERROR_PERCENT } from '../domain/cost-buckets.js';
import {
  type CostBar,
  type CostDistribution,
  costPercentile,
  meanCost,
  type Percentile,
} from '../domain/cost-distribution.js';
import type { CostRow } from '../domain/cost-rows.js';
import type { CostSum } from '../domain/cost-sum.js';
import type { Experience } from '../domain/experience.js';
import { formatMoney, type Money, moneyRatio, subtractMoney } from '../domain/money.js';
import { RANK_TEST_ALPHA, type RankTest, rankTest } from '../domain/rank-test.js';
import type { VersionCosts } from '../ledger/costs.js';
import { CURRENCY, toWireCost, toWireTime, toWireUnits } from './to-wire.js';

/** Answers about costs as the contract's messages. */

export function toWireRow({ type, version, provider, model, bucketStart, sum }: CostRow): WireRow {
  return {
    ...(type === undefined ? {} : { experienceType: type }),
    ...(version === undefined ? {} : { experienceVersion: version }),
    ...(provider === undefined ? {} : { provider }),
    ...(model === undefined ? {} : { model }),
    bucketStartTime: toWireTime(bucketStart),
    sum: toWireSum(sum),
  };
}

export function toWireSum(sum: CostSum): WireSum {
  return {
    eventCount: String(sum.eventCount),
    cost: toWireCost(sum.cost),
    usefulCost: formatMoney(sum.useful),
    wastedCost: formatMoney(sum.wasted),
    unpricedEventCount: String(sum.unpricedEventCount),
    units: toWireUnits(sum.units),
  };
}

export function toWireDistribution(
  distribution: VersionCosts,
  percentiles: readonly Percentile[],
): WireDistribution {
  const { type, version, count, sum, extremes } = distribution;
  return {
    experienceType: type,
    experienceVersion: version,
    experienceCount: String(count),
    sum: count === 0n ? '' : formatMoney(sum),
    mean: amountText(meanCost(distribution)),
    minimum: amountText(extremes?.minimum),
    maximum: amountText(extremes?.maximum),
    percentiles: percentiles.flatMap((percentile) => {
      const cost = costPercentile(distribution, percentile);
      return cost === undefined ? [] : [{ percentile: toPercent(percentile), cost: formatMoney(cost) }];
    }),
    percentileErrorMax: COST_BUCKET_ERROR_PERCENT / 100,
    currencyCode: CURRENCY,
  };
}

export function toWireBar({ above, upTo, count }: CostBar): WireBar {
  return { above: formatMoney(above), upTo: formatMoney(upTo), experienceCount: String(count) };
}

export function toWireDear(experience: Experience): WireDear {
  return {
    experienceId: experience.id,
    totalCost: formatMoney(experience.totals.cost.total),
    eventCount: String(experience.totals.eventCount),
    unpricedEventCount: String(experience.totals.unpricedEventCount),
    createTime: toWireTime(experience.createTime),
    deleteTime: toWireTime(experience.deleteTime),
  };
}

/** null: one of them has no experience, so that there is nothing to compare. */
export function toWireComparison(
  first: CostDistribution,
  second: CostDistribution,
  percentiles: readonly Percentile[],
): WireComparison | null {
  const test = rankTest(first.buckets, second.buckets);
  if (test === undefined) return null;
  return {
    mean: toWireChange(meanCost(first), meanCost(second)),
    minimum: toWireChange(first.extremes?.minimum, second.extremes?.minimum),
    maximum: toWireChange(first.extremes?.maximum, second.extremes?.maximum),
    percentiles: percentiles.map((percentile) => ({
      percentile: toPercent(percentile),
      change: toWireChange(costPercentile(first, percentile), costPercentile(second, percentile)),
    })),
    rankTest: toWireRankTest(test),
  };
}

function toWireChange(first: Money | undefined, second: Money | undefined): WireChange | null {
  if (first === undefined || second === undefined) return null;
  const absolute = subtractMoney(second, first);
  return { absolute: formatMoney(absolute), relative: moneyRatio(absolute, first) ?? '' };
}

function toWireRankTest(test: RankTest): WireRankTest {
  return {
    name: 'Mann-Whitney U',
    method: `RANK_TEST_METHOD_${test.method}`,
    u: test.u,
    ...(test.z === undefined ? {} : { z: test.z }),
    ...(test.p === undefined ? {} : { pValue: test.p }),
    alpha: RANK_TEST_ALPHA,
    probabilityOfSuperiority: test.superiority,
    verdict: `RANK_TEST_VERDICT_${test.verdict}`,
  };
}

function amountText(amount: Money | undefined): string {
  return amount === undefined ? '' : formatMoney(amount);
}

function toPercent(percentile: Percentile): number {
  return Number(percentile) / 1_000;
}
