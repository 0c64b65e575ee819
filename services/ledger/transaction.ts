import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientSession, MongoError, MongoServerError } from 'mongodb';
import { Fault } from '../domain/fault.js';
import { type Store, TRANSACTION_OPTIONS } from './store.js';
import { isStoreAway, storeFault } from './store-fault.js';

/**
 * Runs `body` in a transaction until it is committed, has failed for good, or the deadline has passed. The driver's own
 * `withTransaction` is not used: it goes on for 120 seconds whatever the caller's deadline is.
 *
 * Body and commit may be carried out several times, so body must be repeatable; all it decides it must read in the
 * session. After a fault UNAVAILABLE or DEADLINE_EXCEEDED the outcome may be unknown; every entry that commits here has
 * an identity, so that sending it again finds what happened.
 */
export async function inTransaction<T>(
  store: Store,
  deadline: number,
  body: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    checkDeadline(deadline);
    const session = store.client.startSession();
    try {
      session.startTransaction(TRANSACTION_OPTIONS);
      const result = await body({ session, maxTimeMS: timeLeftMs(deadline) });
      await commit(session, deadline);
      return result;
    } catch (error) {
      if (session.inTransaction()) await session.abortTransaction().catch(() => undefined); // The server ends it anyway.
      if (!isWorthAnotherAttempt(error, attempt)) throw storeFault(error);
    } finally {
      await session.endSession().catch(() => undefined); // Only gives a server-side resource back early.
    }
    await sleep(backoffMs(attempt));
  }
}

export interface Transaction {
  readonly session: ClientSession;
  /** What is left of the caller's time, for each command. */
  readonly maxTimeMS: number;
}

/** Thrown by a body to be run again in a new snapshot, after it has made itself ready for it. */
export class RunAgain extends Error {
  override readonly name = 'RunAgain';
}

async function commit(session: ClientSession, deadline: number): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await session.commitTransaction();
      return;
    } catch (error) {
      const unknown = error instanceof MongoError && error.hasErrorLabel('UnknownTransactionCommitResult');
      if (!unknown || Date.now() >= deadline || attempt >= COMMIT_ATTEMPTS_MAX) throw error;
      await sleep(backoffMs(attempt));
    }
  }
}

/**
 * A conflict with another transaction, or an id that another one inserted after our snapshot: a new snapshot sees it.
 * When the store cannot be reached the caller is told at once: it has the retry hint, and its time is its own.
 */
function isWorthAnotherAttempt(error: unknown, attempt: number): boolean {
  if (error instanceof RunAgain) return attempt < ATTEMPTS_MAX;
  if (!(error instanceof MongoError) || attempt >= ATTEMPTS_MAX) return false;
  if (error instanceof MongoServerError && error.code === DUPLICATE_KEY) return true;
  if (!error.hasErrorLabel('TransientTransactionError')) return false;
  return error instanceof MongoServerError || attempt < AWAY_ATTEMPTS_MAX || !isStoreAway(error);
}

export function checkDeadline(deadline: number): void {
  if (Date.now() < deadline) return;
  throw new Fault(
    'DEADLINE_EXCEEDED',
    'The time for this call was over before its outcome was certain; sending it again is safe.',
  );
}

export function timeLeftMs(deadline: number): number {
  return Math.max(1, Math.min(COMMAND_TIME_MAX_MS, Math.ceil(deadline - Date.now())));
}

/** Jittered, so that two processes in conflict do not meet again. */
function backoffMs(attempt: number): number {
  return Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 1.5 ** attempt);
}

const ATTEMPTS_MAX = 200;
const AWAY_ATTEMPTS_MAX = 2;
const COMMIT_ATTEMPTS_MAX = 5;
const BACKOFF_FIRST_MS = 4;
const BACKOFF_MAX_MS = 120;
const COMMAND_TIME_MAX_MS = 10_000;
const DUPLICATE_KEY = 11_000;
