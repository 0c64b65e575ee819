import type { Uuid } from '../domain/uuid.js';
import { factKey } from './fact-key.js';
import type { Facts, KnownLimit } from './facts.js';
import {
  DECIDING_LANE,
  fromLimitDocument,
  limitKey,
  limitSumKey,
  limitSumKeys,
  sumOf,
} from './limit-document.js';
import type { LimitSumDocument } from './limit-fields.js';
import { fromBinary, type Store } from './store.js';
import type { Transaction } from './transaction.js';

/** Limits as a snapshot has them, with what is spent and held in their current periods. */
export async function readLimits(
  store: Store,
  wanted: readonly { readonly application: string; readonly limitId: Uuid }[],
  transaction: Transaction,
): Promise<Facts['limits']> {
  const limits = new Map<string, KnownLimit>();
  if (wanted.length === 0) return limits;
  const keys = wanted.map(({ application, limitId }) => limitKey(application, limitId));
  const documents = await store.limits.find({ _id: { $in: keys } }, transaction).toArray();
  if (documents.length === 0) return limits;
  const known = documents.map((document) => ({
    application: document._id.a,
    limit: fromLimitDocument(document),
  }));
  // All that a blocking limit decides by is in one document.
  const sumKeys = known.flatMap(({ application, limit: { id, period, type } }) =>
    type === 'BLOCK'
      ? [limitSumKey(application, id, period, DECIDING_LANE)]
      : limitSumKeys(application, id, period, false),
  );
  const found = new Map<string, LimitSumDocument[]>();
  for (const document of await store.limitSums.find({ _id: { $in: sumKeys } }, transaction).toArray()) {
    const key = factKey(document._id.a, fromBinary(document._id.i));
    found.set(key, [...(found.get(key) ?? []), document]);
  }
  for (const { application, limit } of known) {
    const key = factKey(application, limit.id);
    limits.set(key, { limit, sum: sumOf(found.get(key) ?? []) });
  }
  return limits;
}
