import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ExperiencesError } from '../client/index.js';
import type { Logger } from '../runtime/logger.js';
import { type ErrorRows, type FieldCodes, httpFaultOf } from './error-table.js';
import { HttpFault } from './http-fault.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route answers otherwise than the table of errors. */
    errorRows?: ErrorRows;
    /** Whether the path is another spelling of one that is documented. */
    isOtherSpelling?: boolean;
    /** The codes of bad fields that only this route has. */
    fieldCodes?: FieldCodes;
    /** Absent: true. False: the same request again does it again, so clients are told not to repeat a failed one by themselves. */
    isRepeatable?: boolean;
  }
}

/** The documented body of every answer that is no success. */
export function errorBody(fault: HttpFault): object {
  return {
    statusCode: fault.statusCode,
    message: fault.message,
    ...(fault.code === undefined ? {} : { xproxy_error: { code: fault.code, message: fault.message } }),
    ...(fault.result === undefined ? {} : { xproxy_result: fault.result }),
  };
}

/**
 * OpenAI's client for JavaScript shows of a body its `error` alone, and without one says that there is no body; in that member
 * it has all that is documented. That for Python shows either, and there is none in the documents, so others get none.
 */
function shownBody(fault: HttpFault, request: FastifyRequest): object {
  const body = errorBody(fault);
  if (!OPENAI_FOR_JAVASCRIPT.test(request.headers['user-agent'] ?? '')) return body;
  return { ...body, error: { ...body, code: fault.code, type: 'xproxy_error' } };
}

/** Whatever a route has thrown, as what is answered. A bug of ours is told by an incident id, which the log explains. */
export function faultOf(error: unknown, request: FastifyRequest, logger: Logger): HttpFault {
  if (error instanceof HttpFault) return error;
  if (error instanceof ExperiencesError) {
    const fault = httpFaultOf(error, request.routeOptions.config);
    if (fault.statusCode >= 500)
      logger.warn(
        { requestId: request.id, code: error.code, reason: error.reason },
        'the service did not answer a request',
      );
    return fault;
  }
  const known = faultOfFramework(error);
  if (known !== undefined) return known;
  const incidentId = randomUUID();
  logger.error(
    { err: error, incidentId, requestId: request.id },
    'a request failed by a fault of the gateway',
  );
  return new HttpFault(500, 'unexpected_error', `The gateway failed; the incident is ${incidentId}.`);
}

export function sendFault(reply: FastifyReply, fault: HttpFault): FastifyReply {
  if (fault.retryAfterMs !== undefined) {
    // RFC 9110, section 10.2.3: whole seconds. The other is what generated clients read first.
    reply.header('retry-after', String(Math.max(1, Math.ceil(fault.retryAfterMs / 1_000))));
    reply.header('retry-after-ms', String(Math.ceil(fault.retryAfterMs)));
  }
  // What generated clients ask before they repeat anything that failed.
  if (reply.routeOptions.config.isRepeatable === false && mayBeDone(fault))
    reply.header('x-should-retry', 'false');
  // RFC 9110, section 15.5.2: it names how to authenticate.
  if (fault.statusCode === 401) reply.header('www-authenticate', 'Bearer');
  return reply.code(fault.statusCode).send(shownBody(fault, reply.request));
}

/** What was shed after an unanswered try as well. */
function mayBeDone({ statusCode, cause }: HttpFault): boolean {
  return statusCode >= 500 || (cause instanceof ExperiencesError && cause.mayBeDone);
}

/** What Fastify refuses by itself, in words of our own: its texts name its parts. */
function faultOfFramework(error: unknown): HttpFault | undefined {
  if (!(error instanceof Error) || !('statusCode' in error) || !('code' in error)) return undefined;
  const { statusCode, code } = error;
  if (typeof code !== 'string' || typeof statusCode !== 'number') return undefined;
  if (code === 'ECONNRESET' || code === 'ECONNABORTED')
    return new HttpFault(400, 'request_processing_error', 'The request was cut.');
  if (!code.startsWith('FST_ERR_') || statusCode < 400 || statusCode > 499) return undefined;
  const message = MESSAGE_OF_STATUS[statusCode] ?? 'The request is not valid.';
  return new HttpFault(statusCode, 'request_processing_error', message, { cause: error });
}

/** `OpenAI/JS 6.49.0`, or `AzureOpenAI/JS 6.49.0`. */
const OPENAI_FOR_JAVASCRIPT = /\b(?:Azure)?OpenAI\/JS /;
const MESSAGE_OF_STATUS: Readonly<Record<number, string>> = {
  413: 'The body is too large.',
  414: 'A part of the path is too long.',
  415: 'The body must be JSON: content-type application/json or application/*+json, without content-encoding.',
};
