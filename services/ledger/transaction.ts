import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientSession, MongoError, MongoServerSelectionError } from 'mongodb';
import { Fault } from '../domain/fault.js';
import { type Store, TRANSACTION_OPTIONS } from './store.js';
import { isDuplicateKey, isUnreachable, storeFault, unsettled } from './store-fault.js';

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
    let failure: unknown;
    try {
      session.startTransaction(TRANSACTION_OPTIONS);
      const result = await body(commandOptions(session, deadline));
      await commit(session, deadline);
      return result;
    } catch (error) {
      failure = error;
    } finally {
      await end(session, failure);
    }
    if (attempt >= attemptsMax(failure)) {
      throw failure instanceof RunAgain || isDuplicateKey(failure) ? unsettled(failure) : storeFault(failure);
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

/** Read anew for each command, so that many commands of a body do not each take all the time. */
function commandOptions(session: ClientSession, deadline: number): Transaction {
  return {
    session,
    get maxTimeMS() {
      return timeLeftMs(deadline);
    },
  };
}

/** Sends the commit again while its outcome is unknown, which commits at most once. */
async function commit(session: ClientSession, deadline: number): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await session.commitTransaction();
      return;
    } catch (error) {
      if (attempt >= commitAttemptsMax(error) || Date.now() >= deadline) throw error;
      await sleep(backoffMs(attempt));
    }
  }
}

/** Aborts what is still open. Of a store that is away nobody waits for that: it ends the transaction by itself. */
async function end(session: ClientSession, failure: unknown): Promise<void> {
  const ended = session.endSession().catch(() => undefined); // Only gives a server-side resource back early.
  if (failure instanceof MongoError && isUnreachable(failure)) return;
  await ended;
}

/**
 * How often a body that failed so is run again: after a conflict with another transaction, or an id that another one
 * inserted after our snapshot, a new snapshot sees it. When the store cannot be reached the caller is told soon: it has
 * the retry hint, and its time is its own.
 */
function attemptsMax(failure: unknown): number {
  if (failure instanceof RunAgain || isDuplicateKey(failure)) return ATTEMPTS_MAX;
  if (!(failure instanceof MongoError) || !failure.hasErrorLabel('TransientTransactionError')) return 0;
  return isUnreachable(failure) ? AWAY_ATTEMPTS_MAX : ATTEMPTS_MAX;
}

function commitAttemptsMax(failure: unknown): number {
  if (!(failure instanceof MongoError)) return 0;
  if (failure instanceof MongoServerSelectionError) return 0; // The driver has waited for the store by then.
  if (isUnreachable(failure)) return AWAY_ATTEMPTS_MAX;
  return failure.hasErrorLabel('UnknownTransactionCommitResult') ? COMMIT_ATTEMPTS_MAX : 0;
}

function checkDeadline(deadline: number): void {
  if (Date.now() >= deadline) throw deadlineExceeded();
}

export function deadlineExceeded(): Fault {
  return new Fault(
    'DEADLINE_EXCEEDED',
    'The time for this call was over before its outcome was certain; sending it again is safe.',
  );
}

/** What a command may take of the caller's time; of each by itself, so that the store gives up when the caller does. */
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
