import { ApplicationFailure } from '@temporalio/common';
import { ExperiencesError } from '../services/client/index.js';
import { SERVICE_AWAY } from './plugin/worker.js';

/**
 * Reads from the service in an activity, before anything is spent, and tells Temporal in its own words why it could not:
 * `DocumentNotFound` ends the run, as a document that was deleted or has expired does not come back; of `SERVICE_AWAY` the
 * workflow knows that it may wait.
 */
export async function readService<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof ExperiencesError)) throw error;
    if (error.reason === 'DOCUMENT_NOT_FOUND')
      throw ApplicationFailure.create({
        type: 'DocumentNotFound',
        message: 'The document was deleted or has expired.',
        nonRetryable: true,
        cause: error,
      });
    if (!AWAY_CODES.has(error.code)) throw error;
    throw ApplicationFailure.create({
      type: SERVICE_AWAY,
      message: `The service could not be read: ${error.code}. Nothing was spent.`,
      cause: error,
      ...(error.retryAfterMs === undefined ? {} : { nextRetryDelay: error.retryAfterMs }),
    });
  }
}

/** Without INTERNAL: a fault of the service that stays is no outage to be sat out. */
const AWAY_CODES = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED', 'ABORTED']);
