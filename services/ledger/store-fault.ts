import {
  MongoError,
  MongoNetworkError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
} from 'mongodb';
import { Fault } from '../domain/fault.js';

/** What a caller can do after the store failed; anything that is not the store's doing is given back as it is. */
export function storeFault(error: unknown): unknown {
  if (!(error instanceof MongoError)) return error;
  if (error instanceof MongoServerError && error.code === MAX_TIME_EXPIRED) {
    return new Fault('DEADLINE_EXCEEDED', 'The time for this call was over before the store answered.', {
      cause: error,
    });
  }
  if (isStoreAway(error)) {
    return new Fault(
      'STORE_UNAVAILABLE',
      'The store cannot be reached; sending the same call again is safe.',
      {
        retryAfterMs: RETRY_AFTER_MS,
        cause: error,
      },
    );
  }
  return error;
}

export function isStoreAway(error: MongoError): boolean {
  return (
    error instanceof MongoServerSelectionError ||
    error instanceof MongoNetworkError ||
    error.name === 'MongoWaitQueueTimeoutError' ||
    error instanceof MongoTopologyClosedError ||
    error.name === 'MongoPoolClosedError' ||
    error.name === 'MongoNotConnectedError' ||
    error.name === 'PoolClearedOnNetworkError' ||
    error.name === 'MongoPoolClearedError' ||
    (error instanceof MongoServerError && AWAY_CODES.has(Number(error.code))) ||
    error.hasErrorLabel('TransientTransactionError') ||
    error.hasErrorLabel('RetryableWriteError')
  );
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
const MAX_TIME_EXPIRED = 50;
/** HostUnreachable, HostNotFound, NetworkTimeout, ShutdownInProgress, PrimarySteppedDown, and kin. */
const AWAY_CODES = new Set([6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436]);
