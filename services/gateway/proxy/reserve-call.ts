import { ExperiencesError } from '../../client/index.js';
import { HttpFault } from '../http-fault.js';
import { isOwnKeyRefused } from './call-books.js';
import { blockedResult } from './call-result.js';
import type { ProxiedCall } from './proxied-call.js';

/** Throws the documented answer of a block: no provider is called, and there is no cost. */
export async function reserveCall({ books, attribution }: ProxiedCall): Promise<void> {
  try {
    await books.reserve();
  } catch (error) {
    if (!(error instanceof ExperiencesError)) throw error;
    if (error.reason === 'LIMIT_REACHED') {
      const told = { requestId: books.eventId, attribution, reserved: undefined };
      throw new HttpFault(400, 'limit_reached', error.message, { result: blockedResult(told, error) });
    }
    // The gateway's own key was refused, which the caller can do nothing about.
    if (isOwnKeyRefused(error)) {
      throw new HttpFault(503, 'unexpected_error', 'The gateway may not record for this application.', {
        cause: error,
      });
    }
    throw error;
  }
}
