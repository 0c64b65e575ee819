import { BookDeltas } from './book-deltas.js';
import { toEventDocument, toEventKey, toEventUpdate } from './event-document.js';
import type { Facts } from './facts.js';
import { toLimitDocument } from './limit-document.js';
import { toDecimal } from './money-decimal.js';
import { writeGuards } from './operation-guards.js';
import type { Plan } from './planned-batch.js';
import { toReservationDocument, toStateField } from './reservation-document.js';
import { type Store, toBinary } from './store.js';
import type { Transaction } from './transaction.js';
import { insertAll, updateAll, writeAll } from './write-commands.js';

/** Writes what was planned, in the transaction that it was planned in. One command after the other. */
export async function applyPlan(
  store: Store,
  plan: Plan,
  facts: Pick<Facts, 'experiences'> & { readonly reserving: ReadonlySet<string> },
  lane: number,
  transaction: Transaction,
): Promise<void> {
  const documents = plan.newEvents.map(({ application, event, contentHash }) =>
    toEventDocument(application, event, contentHash),
  );
  await insertAll(store, store.events.collectionName, documents, transaction);
  const changes = plan.changes.map(({ application, after, contentHash }) => ({
    filter: { _id: toEventKey(application, after.eventId) },
    update:
      contentHash === undefined ? toEventUpdate(after) : toEventDocument(application, after, contentHash),
  }));
  await updateAll(store, store.events.collectionName, changes, transaction);
  await writeReservations(store, plan, facts.reserving, transaction);
  const limits = plan.newLimits.map(({ application, limit }) => toLimitDocument(application, limit));
  await insertAll(store, store.limits.collectionName, limits, transaction);
  await BookDeltas.of(plan, facts).apply(store, lane, transaction);
  await countRepricings(store, plan, transaction);
  const replaced = plan.changes.filter(({ contentHash }) => contentHash !== undefined);
  const called = [
    ...plan.newEvents,
    ...replaced.map(({ application, after }) => ({ application, event: after })),
  ];
  await writeGuards(store, called, transaction);
  for (const [_id, kinds] of plan.unitKinds) {
    const added = { $addToSet: { uk: { $each: [...kinds] } }, $setOnInsert: { r: 0 } };
    await store.applications.updateOne({ _id }, added, { ...transaction, upsert: true });
  }
}

/** The first of an application is noted with it: from then on its records are looked up among its reservations. */
async function writeReservations(
  store: Store,
  { reservations }: Plan,
  reserving: ReadonlySet<string>,
  transaction: Transaction,
): Promise<void> {
  if (reservations.length === 0) return;
  const { collectionName } = store.reservations;
  const made = reservations.filter(({ before }) => before === undefined);
  const documents = made.map(({ application, after, contentHash }) =>
    toReservationDocument(application, after, contentHash),
  );
  const moved = reservations.flatMap(({ application, before, after }) =>
    before === undefined
      ? []
      : [
          {
            filter: { _id: toEventKey(application, after.eventId) },
            update: { $set: { s: toStateField(after.state) } },
          },
        ],
  );
  const found = await writeAll(store, collectionName, { created: documents, updates: moved }, transaction);
  if (found !== reservations.length) throw new Error('every reservation that a batch closes is there');
  for (const _id of new Set(made.map(({ application }) => application))) {
    if (reserving.has(_id)) continue;
    const noted = { $set: { hr: true as const }, $setOnInsert: { r: 0 } };
    await store.applications.updateOne({ _id }, noted, { ...transaction, upsert: true });
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
