import type { CostBar__Output } from '../contract/generated/experiences/v1/CostBar.js';
import type { CostChange__Output } from '../contract/generated/experiences/v1/CostChange.js';
import type { CostComparison__Output } from '../contract/generated/experiences/v1/CostComparison.js';
import type { CostDistribution__Output } from '../contract/generated/experiences/v1/CostDistribution.js';
import type { CostRow__Output } from '../contract/generated/experiences/v1/CostRow.js';
import type { CostSum__Output } from '../contract/generated/experiences/v1/CostSum.js';
import type { DearExperience__Output } from '../contract/generated/experiences/v1/DearExperience.js';
import type { RankTest__Output } from '../contract/generated/experiences/v1/RankTest.js';
import type {
  CostBar,
  CostChange,
  CostComparison,
  CostDistribution,
  CostRow,
  CostSum,
  DearExperience,
  RankTest,
} from './cost-types.js';
import { fromWireCost, fromWireTime, fromWireUnits, promised } from './from-wire.js';

/** The contract's answers about costs as the client answers them. */

export function fromWireRow(wire: CostRow__Output): CostRow {
  return {
    experienceType: wire.experienceType,
    experienceVersion: wire.experienceVersion,
    provider: wire.provider,
    model: wire.model,
    bucketStartTime: fromWireTime(wire.bucketStartTime),
    sum: fromWireSum(wire.sum),
  };
}

export function fromWireSum(wire: CostSum__Output | null): CostSum {
  const sum = promised(wire);
  return {
    eventCount: BigInt(sum.eventCount),
    cost: fromWireCost(sum.cost),
    usefulCost: sum.usefulCost,
    wastedCost: sum.wastedCost,
    unpricedEventCount: BigInt(sum.unpricedEventCount),
    units: fromWireUnits(sum.units),
  };
}

export function fromWireDistribution(wire: CostDistribution__Output | null): CostDistribution {
  const distribution = promised(wire);
  return {
    experienceType: distribution.experienceType,
    experienceVersion: distribution.experienceVersion,
    experienceCount: BigInt(distribution.experienceCount),
    sum: distribution.sum || undefined,
    mean: distribution.mean || undefined,
    minimum: distribution.minimum || undefined,
    maximum: distribution.maximum || undefined,
    percentiles: distribution.percentiles.map(({ percentile, cost }) => ({ percentile, cost })),
    percentileErrorMax: distribution.percentileErrorMax,
    currencyCode: distribution.currencyCode,
  };
}

export function fromWireBar({ above, upTo, experienceCount }: CostBar__Output): CostBar {
  return { above, upTo, experienceCount: BigInt(experienceCount) };
}

export function fromWireDear(wire: DearExperience__Output): DearExperience {
  return {
    experienceId: wire.experienceId,
    totalCost: wire.totalCost,
    eventCount: BigInt(wire.eventCount),
    unpricedEventCount: BigInt(wire.unpricedEventCount),
    createTime: promised(fromWireTime(wire.createTime)),
    deleteTime: fromWireTime(wire.deleteTime),
  };
}

export function fromWireComparison(wire: CostComparison__Output | null): CostComparison | undefined {
  if (wire === null) return undefined;
  return {
    mean: fromWireChange(wire.mean),
    minimum: fromWireChange(wire.minimum),
    maximum: fromWireChange(wire.maximum),
    percentiles: wire.percentiles.map(({ percentile, change }) => ({
      percentile,
      change: fromWireChange(change),
    })),
    rankTest: fromWireRankTest(promised(wire.rankTest)),
  };
}

function fromWireChange(wire: CostChange__Output | null): CostChange {
  const { absolute, relative } = promised(wire);
  return { absolute, relative: relative || undefined };
}

function fromWireRankTest(wire: RankTest__Output): RankTest {
  return {
    name: wire.name,
    method: wire.method.replace('RANK_TEST_METHOD_', '') as RankTest['method'],
    u: wire.u,
    z: wire.z,
    pValue: wire.pValue,
    alpha: wire.alpha,
    probabilityOfSuperiority: wire.probabilityOfSuperiority,
    verdict: wire.verdict.replace('RANK_TEST_VERDICT_', '') as RankTest['verdict'],
  };
}
