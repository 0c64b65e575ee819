import { ADOPTED_EVENTS_MAX } from '../domain/experience.js';
import type { Adoption } from './plan.js';
import { type Store, toBinary } from './store.js';
import { inTransaction } from './transaction.js';

/**
 * An untyped experience takes a type: its events take it with it, in one transaction. It does nothing when another call
 * came first, or when there are more events than may be moved; the caller plans again and sees what is there.
 */
export async function adoptType(store: Store, adoption: Adoption, deadline: number): Promise<void> {
  const key = { a: adoption.application, x: toBinary(adoption.experienceId) };
  await inTransaction(store, deadline, async (options) => {
    const { modifiedCount } = await store.experiences.updateOne(
      { _id: key, t: '', n: { $lte: BigInt(ADOPTED_EVENTS_MAX) } },
      { $set: { t: adoption.type, v: adoption.version } },
      options,
    );
    if (modifiedCount === 0) return;
    await store.events.updateMany(
      { '_id.a': adoption.application, x: key.x },
      { $set: { t: adoption.type, v: adoption.version } },
      options,
    );
  });
}
