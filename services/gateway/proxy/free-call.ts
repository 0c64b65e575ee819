import type { FastifyReply, FastifyRequest } from 'fastify';
import { HttpFault } from '../http-fault.js';
import { AnswerReader } from './answer-reader.js';
import { unsentFault } from './ask-provider.js';
import { callEnd } from './call-end.js';
import { keyOf, requireRecording } from './caller-key.js';
import { answerHeaders, upstreamHeaders } from './header-rules.js';
import { plainAnswer } from './plain-answer.js';
import type { ProviderName } from './provider-host.js';
import type { ProxyWorld } from './proxy-call.js';
import { UpstreamFault } from './upstream-fault.js';

/**
 * A question that costs nothing, which clients ask on the same base URL: it goes by the rules of callers, hosts, headers
 * and bounds, and into no book. `path`: at the provider, without its query.
 */
export async function freeCall(
  world: ProxyWorld,
  { provider, path }: { readonly provider: ProviderName; readonly path: string },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const { scopes } = await world.callers.callerOf(keyOf(request.headers));
  requireRecording(scopes);
  const baseUri = request.headers['xproxy-provider-baseuri'];
  const base = world.hosts.baseOf(
    provider,
    typeof baseUri === 'string' && baseUri !== '' ? baseUri : undefined,
  );
  const headers = upstreamHeaders(request.raw.rawHeaders);
  const place = world.upstreams.enter(base);
  const end = callEnd(reply.raw, true);
  try {
    const query = /\?.*$/s.exec(request.raw.url ?? '')?.[0] ?? '';
    const { signal } = end;
    const asked = {
      method: 'GET',
      path: `${path}${query}`,
      headers,
      body: '',
      signal,
      abandoned: signal,
    } as const;
    const answer = plainAnswer(await place.send(asked));
    const reader = new AnswerReader(answer.body, signal);
    try {
      if (answer.statusCode < 200 || (answer.statusCode >= 300 && answer.statusCode < 400))
        throw new HttpFault(502, 'provider_error', 'The provider answered with a redirect.');
      const bytes = await reader.whole();
      reply.code(answer.statusCode).headers(answerHeaders(answer.headers)).send(bytes);
    } finally {
      reader.close();
    }
  } catch (error) {
    if (error instanceof UpstreamFault && error.isUnsent) throw unsentFault(error);
    // To one who has left nothing is said, whatever it is.
    if (!(error instanceof UpstreamFault) && !end.hasLeft()) throw error;
    throw new HttpFault(502, 'provider_error', 'The provider did not answer.', { cause: error });
  } finally {
    end.done();
    place.leave();
  }
}
