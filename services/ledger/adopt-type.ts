import { ADOPTED_EVENTS_MAX } from '../domain/experience.js';
import type { Adoption } from './adoption.js';
import { type Revisions, readRevisions, sameRevisions } from './application-state.js';
import { BookDeltas } from './book-deltas.js';
import { fromEventDocument } from './event-document.js';
import { fromExperienceDocument } from './experience-document.js';
import { type Store, toBinary } from './store.js';
import { inTransaction } from './transaction.js';

/**
 * An untyped experience takes a type: its events take it with it, its totals' place in the rollups and its entry in the
 * histogram move, in one transaction. It does nothing when another call came first, when there are more events than may be
 * moved, or when a type has changed since; the caller plans again and sees what is there.
 */
export async function adoptType(
  store: Store,
  adoption: Adoption,
  options: { readonly revisions: Revisions; readonly lane: number; readonly deadline: number },
): Promise<void> {
  const { application, type, version } = adoption;
  const key = { a: application, x: toBinary(adoption.experienceId) };
  await inTransaction(store, options.deadline, async (transaction) => {
    const revisions = await readRevisions(store, new Set([application]), transaction);
    if (!sameRevisions(revisions.of(application), options.revisions)) return;
    const taken = { $set: { t: type, v: version } };
    const document = await store.experiences.findOneAndUpdate(
      { _id: key, t: '', n: { $lte: BigInt(ADOPTED_EVENTS_MAX) } },
      taken,
      { ...transaction, returnDocument: 'before' },
    );
    if (document === null) return;
    const events = await store.events.find({ '_id.a': application, x: key.x }, transaction).toArray();
    await store.events.updateMany({ '_id.a': application, x: key.x }, taken, transaction);
    const experience = fromExperienceDocument(document);
    const deltas = BookDeltas.ofAdoption(application, experience, { ...experience, type, version });
    for (const event of events.map(fromEventDocument)) {
      deltas.changeEvent(application, event, { ...event, experienceType: type, experienceVersion: version });
    }
    await deltas.apply(store, options.lane, transaction);
  });
}
