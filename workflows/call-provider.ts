import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { ProviderFailure } from './model-client.js';

/** Makes a paid call in an activity, and tells Temporal in its own words why it failed and when to try again. */
export async function callProvider<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    // Only Temporal's own failure counts as a cancellation.
    if (signal.aborted) throw new CancelledFailure('The call was cancelled.');
    if (!(error instanceof ProviderFailure)) throw error;
    throw ApplicationFailure.create({
      type: error.type,
      message: error.message,
      nonRetryable: !error.retryable,
      ...(error.retryAfterMs === undefined ? {} : { nextRetryDelay: error.retryAfterMs }),
    });
  }
}
