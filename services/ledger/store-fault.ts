import {
  MongoBulkWriteError,
  MongoError,
  MongoNetworkError,
  MongoServerError,
  MongoServerSelectionError,
} from 'mongodb';
import { Fault } from '../domain/fault.js';

/** What a caller can do after the store failed; anything that is not the store's doing is given back as it is. */
export function storeFault(error: unknown): unknown {
  if (!(error instanceof MongoError)) return error;
  if (error.code === MAX_TIME_EXPIRED) {
    return new Fault('DEADLINE_EXCEEDED', 'The time for this call was over before the store answered.', {
      cause: error,
    });
  }
  if (isUnreachable(error) || AWAY_CODES.has(Number(error.code))) {
    return new Fault(
      'STORE_UNAVAILABLE',
      'The store cannot be reached; sending the same call again is safe.',
      { retryAfterMs: RETRY_AFTER_MS, cause: error },
    );
  }
  if (error.hasErrorLabel('SystemOverloadedError')) {
    return new Fault('OVERLOADED', 'The store has as much to do as it can.', {
      retryAfterMs: RETRY_AFTER_MS,
      cause: error,
    });
  }
  if (PASSING_LABELS.some((label) => error.hasErrorLabel(label))) return unsettled(error);
  return error;
}

/** The store is there, but did not carry out what it was asked for, or does not know yet whether it did. */
export function unsettled(cause: unknown): Fault {
  return new Fault(
    'STORE_UNAVAILABLE',
    'The store did not settle this call in time; sending the same call again is safe.',
    { retryAfterMs: RETRY_AFTER_MS, cause },
  );
}

/** Whether there was no answer at all. The driver wraps even a cut connection as the error of a bulk write. */
export function isUnreachable(error: MongoError): boolean {
  const inner = error instanceof MongoBulkWriteError ? error.errorResponse : error;
  return (
    inner instanceof MongoNetworkError ||
    inner instanceof MongoServerSelectionError ||
    (inner instanceof MongoError && UNREACHABLE_NAMES.has(inner.name))
  );
}

/** An id that another writer inserted after our snapshot. */
export function isDuplicateKey(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY;
}

/** Runs a read or a single write outside of a transaction; failures of the store come out as faults. */
export async function withStoreFaults<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storeFault(error);
  }
}

const RETRY_AFTER_MS = 1_000;
const DUPLICATE_KEY = 11_000;
const MAX_TIME_EXPIRED = 50;
/** HostUnreachable, HostNotFound, WriteConcernFailed, NetworkTimeout, ShutdownInProgress, PrimarySteppedDown, and kin. */
const AWAY_CODES = new Set([6, 7, 64, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 14031]);
const PASSING_LABELS = [
  'TransientTransactionError',
  'UnknownTransactionCommitResult',
  'RetryableWriteError',
] as const;
/** Of the pool and the client, which the driver does not export all as classes. */
const UNREACHABLE_NAMES = new Set([
  'MongoWaitQueueTimeoutError',
  'MongoPoolClosedError',
  'MongoPoolClearedError',
  'PoolClearedOnNetworkError',
  'MongoServerClosedError',
  'MongoTopologyClosedError',
  'MongoClientClosedError',
  'MongoNotConnectedError',
]);
