import { setTimeout as sleep } from 'node:timers/promises';
import { MongoError } from 'mongodb';
import { inSnapshotSession, isSnapshotGone, type Snapshot } from './snapshot.js';
import type { Store } from './store.js';
import { isUnreachable, storeFault } from './store-fault.js';

/**
 * Reads of several collections as they were at one moment. The server keeps a moment for five minutes, so a body reads
 * one range of keys and never everything. It is run again in a new snapshot when the store was away or has given the
 * moment up, so it must have no effect but its answer.
 */
export async function inLongSnapshot<T>(
  store: Store,
  signal: AbortSignal,
  body: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      return await inSnapshotSession(store, () => SNAPSHOT_TIME_MAX_MS, body);
    } catch (error) {
      signal.throwIfAborted();
      if (attempt >= ATTEMPTS_MAX || !isPassing(error)) throw storeFault(error);
      await sleep(attempt * BACKOFF_MS);
    }
  }
}

function isPassing(error: unknown): boolean {
  if (isSnapshotGone(error)) return true;
  return error instanceof MongoError && (PASSING_CODES.has(Number(error.code)) || isUnreachable(error));
}

/** CursorNotFound, InterruptedDueToReplStateChange. */
const PASSING_CODES = new Set([43, 11_602]);
const ATTEMPTS_MAX = 8;
const BACKOFF_MS = 100;
const SNAPSHOT_TIME_MAX_MS = 280_000;
