import type { Collection, Document, Filter } from 'mongodb';
import { type CheckProgress, type CheckScope, isWholeScope } from './check-scope.js';
import type { HistogramDocument } from './documents.js';
import type { LimitSumDocument } from './limit-fields.js';
import { READ_TIME_MAX_MS, type Store } from './store.js';

/** What kept sums say of how much a check has to read; only for its progress, for they may be what is wrong. */
export async function estimatedTotals(
  store: Store,
  scope: CheckScope,
): Promise<Pick<CheckProgress, 'experiencesTotal' | 'eventsTotal'>> {
  const { application } = scope;
  const all = { _id: { $gt: { a: application }, $lt: { a: `${application}\u0000` } } };
  const days = { '_id.a': application, '_id.g': 'd' };
  const charged = isWholeScope(scope) ? await countIn(store.limitSums, all as Filter<LimitSumDocument>) : 0;
  return {
    experiencesTotal: await countIn(store.histograms, all as Filter<HistogramDocument>),
    eventsTotal: (await countIn(store.rollups, days)) * 2 + charged,
  };
}

async function countIn<T extends Document>(sums: Collection<T>, filter: Filter<T>): Promise<number> {
  const [sum] = await sums
    .aggregate<{ n: bigint }>([{ $match: filter }, { $group: { _id: null, n: { $sum: '$n' } } }], {
      maxTimeMS: READ_TIME_MAX_MS,
    })
    .toArray();
  return Math.max(0, Number(sum?.n ?? 0));
}
