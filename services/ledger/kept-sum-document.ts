import type { CostHistogram } from '../domain/cost-distribution.js';
import type { KeptSum } from '../domain/cost-query.js';
import { addMoney, type Money, NO_MONEY } from '../domain/money.js';
import { unitKind } from '../domain/units.js';
import type { HistogramDocument, HistogramKey, RollupDocument } from './documents.js';
import { fromDecimal } from './money-decimal.js';

/** What rollups and histograms say, for reading. One key is kept in several lanes: only their sum says something. */

export function fromRollupDocument({ _id, ...fields }: RollupDocument): KeptSum {
  const input = fromDecimal(fields.ci);
  const output = fromDecimal(fields.co);
  return {
    type: _id.t,
    version: _id.v,
    provider: _id.p,
    model: _id.m,
    start: _id.h,
    sum: {
      eventCount: fields.n,
      cost: { input, output, total: addMoney(input, output) },
      useful: fromDecimal(fields.us),
      wasted: fromDecimal(fields.ws),
      unpricedEventCount: fields.up,
      units: new Map(
        Object.entries(fields.un).map(([kind, { i, o }]) => [unitKind(kind), { input: i, output: o }]),
      ),
    },
  };
}

export function fromHistogramDocuments(lanes: readonly HistogramDocument[]): {
  readonly count: bigint;
  readonly sum: Money;
  readonly buckets: CostHistogram;
} {
  const buckets = new Map<number, bigint>();
  for (const { b } of lanes) {
    for (const [bucket, count] of Object.entries(b)) {
      buckets.set(Number(bucket), (buckets.get(Number(bucket)) ?? 0n) + count);
    }
  }
  return {
    count: lanes.reduce((count, { n }) => count + n, 0n),
    sum: lanes.reduce((sum, { s }) => addMoney(sum, fromDecimal(s)), NO_MONEY),
    buckets: new Map([...buckets].filter(([, count]) => count !== 0n)),
  };
}

/** All lanes of a version: a range, because the index on whole keys serves no filter on a part of them. */
export function histogramKeysOf(
  application: string,
  type: string,
  version: number,
): { readonly $gte: HistogramKey; readonly $lt: HistogramKey } {
  const [a, t] = [application, type];
  return { $gte: { a, t, v: version, l: LANE_MIN }, $lt: { a, t, v: version + 1, l: LANE_MIN } };
}

const LANE_MIN = 0;
