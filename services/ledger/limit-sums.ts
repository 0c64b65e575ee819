import type { Limit, LimitSum } from '../domain/limit.js';
import { limitSumKeys, limitSumKeysOf, sumOf } from './limit-document.js';
import type { LimitSumDocument } from './limit-fields.js';
import { fromBinary, type Store } from './store.js';
import { type Transaction, timeLeftMs } from './transaction.js';

/** What was charged to limits, for reading. */

export type ReadOptions = Transaction | { readonly maxTimeMS: number };

/** In the limit's current period. */
export async function readSum(
  store: Store,
  application: string,
  { id, period }: Limit,
  options: ReadOptions,
): Promise<LimitSum> {
  const keys = limitSumKeysOf(application, id, period, period);
  return sumOf(await store.limitSums.find({ _id: keys }, options).toArray());
}

/** In each period that the limit knows, by number. */
export async function readPeriodSums(
  store: Store,
  application: string,
  limit: Limit,
  options: ReadOptions,
): Promise<(period: number) => LimitSum> {
  const first = limit.periods[0]?.number ?? limit.period;
  const keys = limitSumKeysOf(application, limit.id, first, limit.period);
  const documents = await store.limitSums.find({ _id: keys }, options).toArray();
  const byPeriod = groups(documents, ({ _id }) => _id.p);
  return (period) => sumOf(byPeriod.get(period) ?? []);
}

/** Of many limits, each in its current period. */
export async function readCurrentSums(
  store: Store,
  application: string,
  limits: readonly Limit[],
  deadline: number,
): Promise<(limit: Limit) => LimitSum> {
  const documents: LimitSumDocument[] = [];
  for (let start = 0; start < limits.length; start += CHUNK) {
    const keys = limits
      .slice(start, start + CHUNK)
      .flatMap(({ id, period, type }) => limitSumKeys(application, id, period, type === 'BLOCK'));
    const found = store.limitSums.find({ _id: { $in: keys } }, { maxTimeMS: timeLeftMs(deadline) });
    documents.push(...(await found.toArray()));
  }
  const byLimit = groups(documents, ({ _id }) => fromBinary(_id.i));
  return ({ id }) => sumOf(byLimit.get(id) ?? []);
}

function groups<Key>(
  documents: readonly LimitSumDocument[],
  keyOf: (document: LimitSumDocument) => Key,
): ReadonlyMap<Key, readonly LimitSumDocument[]> {
  const byKey = new Map<Key, LimitSumDocument[]>();
  for (const document of documents) {
    const group = byKey.get(keyOf(document));
    if (group === undefined) byKey.set(keyOf(document), [document]);
    else group.push(document);
  }
  return byKey;
}

/** Limits of one read: each has as many keys as there are lanes. */
const CHUNK = 100;
