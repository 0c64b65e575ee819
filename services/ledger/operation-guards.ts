import { type OperationOf, operationHash } from './operation-hash.js';
import type { Store } from './store.js';
import type { Transaction } from './transaction.js';
import { updateAll } from './write-commands.js';

/**
 * Two successes of an operation of an experience meet in its totals, and one of the two transactions is run again. For
 * unattributed ones there is no such document but this: one of a few by their hash.
 */
export async function writeGuards(
  store: Store,
  events: readonly { readonly application: string; readonly event: OperationOf }[],
  transaction: Transaction,
): Promise<void> {
  const guards = new Map<string, { a: string; s: number }>();
  for (const { application, event } of events) {
    if (event.experienceId !== undefined || event.operationKey === undefined) continue;
    const s = (operationHash(event).buffer[0] ?? 0) % GUARD_SLOTS;
    guards.set(`${application}/${s}`, { a: application, s });
  }
  const updates = [...guards.values()].map((_id) => ({
    filter: { _id },
    update: { $inc: { n: 1n } },
    upsert: true,
  }));
  await updateAll(store, store.guards.collectionName, updates, transaction);
}

const GUARD_SLOTS = 64;
