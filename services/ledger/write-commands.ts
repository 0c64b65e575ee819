import { type Document, MongoServerError } from 'mongodb';
import type { Store } from './store.js';
import type { Transaction } from './transaction.js';

/**
 * The server's own commands instead of the driver's bulk writes: those take every document through a second
 * serialisation, to measure it. What a commit may hold is far below what one command may.
 */
export async function insertAll(
  store: Store,
  collection: string,
  documents: readonly Document[],
  transaction: Transaction,
): Promise<number> {
  if (documents.length === 0) return 0;
  return run(store, { insert: collection, documents }, transaction);
}

/**
 * A few new documents and changes of those that are there in one command, where there are both: a new one is put where the
 * snapshot has none, so what another transaction put there meanwhile is a conflict. Answers how many were found or made.
 */
export async function writeAll(
  store: Store,
  collection: string,
  { created, updates }: { readonly created: readonly Document[]; readonly updates: readonly Update[] },
  transaction: Transaction,
): Promise<number> {
  if (updates.length === 0 || created.length > PUTS_MAX) {
    const made = await insertAll(store, collection, created, transaction);
    return made + (await updateAll(store, collection, updates, transaction));
  }
  const puts = created.map((document) => ({
    filter: { _id: document._id },
    update: document,
    upsert: true,
  }));
  return updateAll(store, collection, [...updates, ...puts], transaction);
}

interface Update {
  readonly filter: Document;
  readonly update: Document;
  readonly upsert?: boolean;
}

/** Answers how many documents were found or made. */
export async function updateAll(
  store: Store,
  collection: string,
  updates: readonly Update[],
  transaction: Transaction,
): Promise<number> {
  if (updates.length === 0) return 0;
  const statements = updates.map(({ filter, update, upsert = false }) => ({ q: filter, u: update, upsert }));
  return run(store, { update: collection, updates: statements }, transaction);
}

async function run(store: Store, command: Document, { session, maxTimeMS }: Transaction): Promise<number> {
  const answer = await store.db.command({ ...command, ordered: true, maxTimeMS }, { session });
  const [error] = (answer.writeErrors ?? []) as readonly Document[];
  if (error !== undefined) throw new MongoServerError({ ...error, message: error.errmsg });
  return Number(answer.n);
}

/** To put one takes longer than to insert it: 16 as much as a command of their own, 500 nearly three times (measured). */
const PUTS_MAX = 16;
