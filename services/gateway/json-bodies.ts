import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { invalidJson, parseJson } from './json-text.js';
import { RequestBodies } from './request-bodies.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Until it is closed, the request's body counts as held. */
    response: ServerResponse | undefined;
  }
}

/**
 * JSON is the only kind of body. Clients of that API state `application/json` with every request, also with those that
 * have no body: an empty one is none.
 */
export function addJsonBodies(app: FastifyInstance): void {
  const bodies = new RequestBodies({ heldBytesMax: BODIES_HELD_BYTES_MAX });
  app.removeAllContentTypeParsers();
  app.decorateRequest('response', undefined);
  app.addHook('onRequest', (request, { raw }, done) => {
    request.response = raw;
    done();
  });
  app.addContentTypeParser(JSON_TYPES, async ({ raw, response, routeOptions }: FastifyRequest) => {
    const { bytes, release } = await bodies.read(raw, { bytesMax: routeOptions.bodyLimit });
    if (response === undefined || response.destroyed) release();
    else response.once('close', release);
    return bytes.length === 0 ? undefined : parseJson(textOf(bytes));
  });
}

/** RFC 8259, section 8.1: UTF-8; a byte order mark may be ignored. */
function textOf(body: Buffer): string {
  try {
    return UTF_8.decode(body);
  } catch (error) {
    throw invalidJson('is not UTF-8', error);
  }
}

/** For all requests in flight, those to providers aside. */
const BODIES_HELD_BYTES_MAX = 128 * 1024 * 1024;
const UTF_8 = new TextDecoder('utf-8', { fatal: true });
/** RFC 6839, section 3.1: `+json`. */
const JSON_TYPES = /^application\/(?:json|[a-z0-9!#$&^_.+-]{1,100}\+json)(?:\s*;|$)/;
