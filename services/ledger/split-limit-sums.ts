import type { Binary, Decimal128, Filter } from 'mongodb';
import type { EventDocument } from './documents.js';
import { DECIDING_LANE, limitLane, limitSumKey, limitSumKeysOf } from './limit-document.js';
import { fromDecimal, toDecimal } from './money-decimal.js';
import { fromBinary, type Store } from './store.js';
import { inTransaction } from './transaction.js';

/**
 * Version 3 did not keep apart what limits were charged for input and for output: it is made of the events. Run twice it
 * writes the same, so a process that dies in it leaves nothing that the next one does not mend.
 */
export async function splitLimitSums(store: Store, application: string): Promise<void> {
  const charged = { '_id.a': application, 'li.i': { $exists: true } } as unknown as Filter<EventDocument>;
  const sums = store.events.aggregate<ChargedInput>(
    [
      { $match: charged },
      { $unwind: '$li' },
      { $group: { _id: { i: '$li.i', p: '$li.p', b: '$li.b' }, si: { $sum: '$ci' } } },
    ],
    { allowDiskUse: true, hint: 'by_limit' },
  );
  for await (const { _id, si } of sums) {
    const limitId = fromBinary(_id.i);
    const lane = _id.b === true ? DECIDING_LANE : limitLane(0);
    const input = toDecimal(fromDecimal(si));
    await inTransaction(store, Date.now() + WRITE_TIME_MAX_MS, async (transaction) => {
      const ofPeriod = { _id: limitSumKeysOf(application, limitId, _id.p, _id.p) };
      await store.limitSums.updateMany(ofPeriod, { $unset: { si: '' } }, transaction);
      const key = { _id: limitSumKey(application, limitId, _id.p, lane) };
      await store.limitSums.updateOne(key, { $set: { si: input } }, { ...transaction, upsert: true });
    });
  }
}

interface ChargedInput {
  readonly _id: { readonly i: Binary; readonly p: number; readonly b?: boolean };
  readonly si: Decimal128;
}

const WRITE_TIME_MAX_MS = 10_000;
