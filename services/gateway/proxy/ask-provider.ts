import { HttpFault } from '../http-fault.js';
import { ClientLeft } from './call-end.js';
import { privateHost } from './provider-host.js';
import { cutOutcome, type ProxiedCall, promptAnswer, resultOf } from './proxied-call.js';
import { UpstreamFault } from './upstream-fault.js';
import type { UpstreamAnswer, UpstreamPlace, UpstreamRequest } from './upstreams.js';

/** Throws HttpFault when there is no answer at all; the call is settled then, or released if it never left. */
export async function askProvider(
  call: ProxiedCall,
  place: UpstreamPlace,
  request: Omit<UpstreamRequest, 'signal' | 'abandoned'>,
): Promise<UpstreamAnswer> {
  const { books, end } = call;
  try {
    if (end.hasLeft()) throw new UpstreamFault('unreachable', new ClientLeft());
    books.send();
    return await place.send({ ...request, signal: end.signal, abandoned: end.abandoned });
  } catch (error) {
    if (error instanceof UpstreamFault && error.isUnsent) {
      await books.release();
      throw unsentFault(error);
    }
    const outcome = cutOutcome(call, error);
    const settled = await books.settle({ outcome: outcome ?? 'FAILED', answer: promptAnswer(call) });
    if (outcome === undefined) throw error;
    const isLate = error instanceof UpstreamFault && error.failure === 'timeout';
    throw new HttpFault(isLate ? 504 : 502, 'provider_error', 'The provider did not answer.', {
      result: resultOf(call, settled),
      cause: error,
    });
  }
}

/** What is answered of a request that never left. */
export function unsentFault({ failure, cause }: UpstreamFault): HttpFault {
  switch (failure) {
    case 'private address':
      return privateHost();
    case 'unsendable':
      return new HttpFault(400, 'request_processing_error', 'A header of the request cannot be sent.', {
        cause,
      });
    case 'certificate':
      return new HttpFault(
        502,
        'invalid_provider_ssl_certificate',
        "The certificate of the provider's host is not valid.",
        { cause },
      );
    default:
      return new HttpFault(502, 'provider_error', 'The provider cannot be reached.', { cause });
  }
}
