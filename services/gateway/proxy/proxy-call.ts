import type { FastifyReply, FastifyRequest } from 'fastify';
import { ExperiencesError } from '../../client/index.js';
import type { ProviderWire } from '../../providers/provider-contract.js';
import { HttpFault } from '../http-fault.js';
import type { RequestBodies } from '../request-bodies.js';
import { askProvider } from './ask-provider.js';
import { attributionOf } from './attribution-headers.js';
import { callBody } from './call-body.js';
import { type BooksWorld, CallBooks, type Settled } from './call-books.js';
import { callEnd } from './call-end.js';
import { callEstimate } from './call-estimate.js';
import type { CallerCache } from './caller-cache.js';
import { keyOf, requireRecording } from './caller-key.js';
import { upstreamHeaders } from './header-rules.js';
import { isEventStream, plainAnswer } from './plain-answer.js';
import type { ProviderHosts, ProviderName } from './provider-host.js';
import { answerHeadOf, type ProxiedCall, resultOf } from './proxied-call.js';
import { reserveCall } from './reserve-call.js';
import { StreamAnswer } from './stream-answer.js';
import type { UpstreamAnswer, Upstreams } from './upstreams.js';
import { errorAnswer, wholeAnswer } from './whole-answer.js';

export interface ProxyWorld extends BooksWorld {
  readonly callers: CallerCache;
  readonly bodies: RequestBodies;
  readonly hosts: ProviderHosts;
  readonly upstreams: Upstreams;
  /** The gateway's; undefined: it has none. */
  readonly ownKey: string | undefined;
  /** Sets what a call says of its experience. */
  setExperienceProperties(
    application: string,
    experienceId: string,
    properties: Readonly<Record<string, string>>,
  ): Promise<void>;
}

/** One of the provider's paths. */
export interface ProxyRoute {
  readonly provider: ProviderName;
  /** With the version: `/v1/chat/completions`. */
  readonly path: string;
  readonly wire: ProviderWire;
}

/**
 * The order of one call: who calls, what is asked, a place at the provider, the reservation, the provider, the settling,
 * the answer. Whatever is wrong with the request is found before anything is reserved. Throws HttpFault and the service's
 * errors as long as nothing was answered.
 */
export async function proxyCall(
  world: ProxyWorld,
  route: ProxyRoute,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const { provider, wire } = route;
  const { application, scopes } = await world.callers.callerOf(keyOf(request.headers));
  requireRecording(scopes);
  requireOutbox(world);
  const attribution = attributionOf(request.headers);
  const baseUri = request.headers['xproxy-provider-baseuri'];
  const base = world.hosts.baseOf(
    provider,
    typeof baseUri === 'string' && baseUri !== '' ? baseUri : undefined,
  );
  const headers = upstreamHeaders(request.raw.rawHeaders, world.ownKey);
  const held = await world.bodies.read(request.raw, { bytesMax: BODY_BYTES_MAX });
  try {
    const body = callBody(wire, held.bytes);
    const facts = {
      application,
      provider: attribution.priceAs.provider ?? provider,
      model: body.request.model,
      attribution,
      estimate: callEstimate(body.request.upstreamBody),
    };
    const place = world.upstreams.enter(base);
    const end = callEnd(reply.raw, body.request.stream);
    const books = new CallBooks(world, facts);
    const call: ProxiedCall = {
      wire,
      request: body.request,
      attribution,
      books,
      end,
      bodyBytes: held.bytes.length,
      reportBug: (error) =>
        world.logger.error({ err: error, requestId: books.eventId }, 'a fault of the gateway in mid-call'),
    };
    const path = `${route.path}${/\?.*$/s.exec(request.raw.url ?? '')?.[0] ?? ''}`;
    let answer: UpstreamAnswer | undefined;
    let settled: Settled | undefined;
    try {
      await reserveCall(call);
      if (Object.keys(attribution.experienceProperties).length > 0)
        books.goesOnBeside(setProperties(world, application, call));
      answer = await askProvider(call, place, { path, headers, body: body.text });
      settled = await passAnswer(call, answer, reply);
    } finally {
      end.done();
      place.leave();
      const { eventId: requestId, elapsedMs: latencyMs, reserveMs } = call.books;
      const facts = { status: answer?.statusCode, settled: settled?.kind, reserveMs, latencyMs };
      world.logger.info({ requestId, application, wire: wire.name, ...facts }, 'a call was proxied');
    }
  } finally {
    held.release();
  }
}

/** A call that could be recorded neither in the ledger nor on disk, should the ledger go away meanwhile, is not made. */
function requireOutbox({ outbox }: ProxyWorld): void {
  if (outbox.isReady) return;
  throw new HttpFault(503, 'request_processing_error', 'The gateway has no room for records just now.', {
    retryAfterMs: OUTBOX_RETRY_AFTER_MS,
  });
}

/**
 * What is said of an experience is no part of what is paid: that it could not be kept stops nothing, and the provider is
 * called meanwhile. Never rejects.
 */
async function setProperties(world: ProxyWorld, application: string, call: ProxiedCall): Promise<void> {
  const { attribution, books } = call;
  const experienceId = books.reserved?.reservation.experienceId;
  const properties = attribution.experienceProperties;
  if (experienceId === undefined) return;
  try {
    await world.setExperienceProperties(application, experienceId, properties);
  } catch (error) {
    if (!(error instanceof ExperiencesError)) return call.reportBug(error);
    world.logger.warn(
      { requestId: books.eventId, application, code: error.reason ?? error.code },
      'the properties of an experience were not kept',
    );
  }
}

async function passAnswer(
  call: ProxiedCall,
  upstream: UpstreamAnswer,
  reply: FastifyReply,
): Promise<Settled> {
  const answer = plainAnswer(upstream);
  const { statusCode, headers, body } = answer;
  const head = answerHeadOf(statusCode, headers);
  if (statusCode >= 300 && statusCode < 400) {
    body.destroy();
    const settled = await call.books.settle({ ...head, outcome: 'FAILED' });
    // It would lead the caller, with its keys, to a host that nobody has looked at.
    throw new HttpFault(502, 'provider_error', 'The provider answered with a redirect.', {
      result: resultOf(call, settled, true),
    });
  }
  if (statusCode > STATUS_MAX) {
    body.destroy();
    const settled = await call.books.settle({ outcome: 'FAILED' });
    throw new HttpFault(502, 'provider_error', 'The provider answered with a status that is none.', {
      result: resultOf(call, settled, true),
    });
  }
  if (statusCode >= 400) return errorAnswer(call, answer, head, reply);
  if (!(await isEventStream(answer, call.request.stream, call.end.signal)))
    return wholeAnswer(call, answer, head, reply);
  reply.hijack();
  return new StreamAnswer(call, head, reply.raw).run(answer);
}

/** RFC 9110, section 15: a code beyond is none. */
const STATUS_MAX = 599;
/** Images and documents in prompts are the largest. */
const BODY_BYTES_MAX = 32 * 1024 * 1024;
const OUTBOX_RETRY_AFTER_MS = 5_000;
