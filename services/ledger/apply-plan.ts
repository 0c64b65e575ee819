import { BookDeltas } from './book-deltas.js';
import { toEventDocument, toEventKey, toEventUpdate } from './event-document.js';
import type { Facts } from './facts.js';
import { toDecimal } from './money-decimal.js';
import { writeGuards } from './operation-guards.js';
import type { Plan } from './plan.js';
import { type Store, toBinary } from './store.js';
import type { Transaction } from './transaction.js';
import { insertAll, updateAll } from './write-commands.js';

/** Writes what was planned, in the transaction that it was planned in. One command after the other. */
export async function applyPlan(
  store: Store,
  plan: Plan,
  facts: Pick<Facts, 'experiences'>,
  lane: number,
  transaction: Transaction,
): Promise<void> {
  const documents = plan.newEvents.map(({ application, event, contentHash }) =>
    toEventDocument(application, event, contentHash),
  );
  await insertAll(store, store.events.collectionName, documents, transaction);
  const changes = plan.changes.map(({ application, after }) => ({
    filter: { _id: toEventKey(application, after.eventId) },
    update: toEventUpdate(after),
  }));
  await updateAll(store, store.events.collectionName, changes, transaction);
  await BookDeltas.of(plan, facts).apply(store, lane, transaction);
  await countRepricings(store, plan, transaction);
  await writeGuards(store, plan.newEvents, transaction);
  for (const [_id, kinds] of plan.unitKinds) {
    const added = { $addToSet: { uk: { $each: [...kinds] } }, $setOnInsert: { r: 0 } };
    await store.applications.updateOne({ _id }, added, { ...transaction, upsert: true });
  }
}

async function countRepricings(store: Store, plan: Plan, transaction: Transaction): Promise<void> {
  for (const { application, id, events, input, output } of plan.repricings) {
    const { matchedCount } = await store.repricings.updateOne(
      { _id: { a: application, i: toBinary(id) } },
      { $inc: { n: events, ci: toDecimal(input), co: toDecimal(output) } },
      transaction,
    );
    if (matchedCount !== 1) throw new Error('a repricing is noted before it prices');
  }
}
