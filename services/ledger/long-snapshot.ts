import { setTimeout as sleep } from 'node:timers/promises';
import { MongoError } from 'mongodb';
import type { Snapshot } from './snapshot.js';
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
    const session = store.client.startSession({ snapshot: true });
    try {
      // The client's own read concern would hide that of the session.
      return await body({ session, readConcern: { level: 'snapshot' }, maxTimeMS: SNAPSHOT_TIME_MAX_MS });
    } catch (error) {
      signal.throwIfAborted();
      if (attempt >= ATTEMPTS_MAX || !isPassing(error)) throw storeFault(error);
      await sleep(attempt * BACKOFF_MS);
    } finally {
      await session.endSession().catch(() => undefined); // Only gives a server-side resource back early.
    }
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof MongoError && (GONE_CODES.has(Number(error.code)) || isUnreachable(error));
}

/** SnapshotTooOld, SnapshotUnavailable, CursorNotFound, InterruptedDueToReplStateChange. */
const GONE_CODES = new Set([239, 246, 43, 11_602]);
const ATTEMPTS_MAX = 8;
const BACKOFF_MS = 100;
const SNAPSHOT_TIME_MAX_MS = 280_000;
