import type { CostHistogram } from '../domain/cost-distribution.js';
import type { KeptSum } from '../domain/cost-query.js';
import { addMoney, type Money, NO_MONEY } from '../domain/money.js';
import type { HistogramDocument, HistogramKey, RollupDocument } from './documents.js';
import { fromDecimal } from './money-decimal.js';
import { fromSumsFields } from './sums.js';

/** What rollups and histograms say, for reading. One key is kept in several lanes: only their sum says something. */

export function fromRollupDocument(document: RollupDocument): KeptSum {
  const { t: type, v: version, p: provider, m: model, h: start } = document._id;
  return { type, version, provider, model, start, sum: fromSumsFields(document) };
}

export function fromHistogramDocuments(lanes: readonly HistogramDocument[]): {
  readonly count: bigint;
  readonly sum: Money;
  readonly buckets: CostHistogram;
} {
  const buckets = new Map<number, bigint>();
  for (const { b } of lanes) {
    for (const [bucket, count] of Object.entries(b ?? {})) {
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
