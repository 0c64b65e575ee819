import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ExperiencesClient } from '../../client/index.js';
import { readBody } from '../body-fields.js';
import { providerOfCategory } from '../category.js';
import type { Gateway, RouteGroup } from '../route-group.js';
import { callResultOf, resultJson } from './result-json.js';

/**
 * Requests are recorded events: read again, and labelled afterwards. In paths of the early clients the category stands
 * before the id; the id alone decides, because it is unique.
 */
export const requestsRoutes: RouteGroup = (app, gateway) => {
  const label = async (request: FastifyRequest, idOf: IdOf): Promise<object> => {
    const client = gateway.clientOf(request);
    const change = labelChange(readBody(PROPERTIES, request.body).properties);
    const eventId = await idOf(client, request.params);
    await client.usage.updateProperties(eventId, change);
    return { request_id: eventId };
  };
  for (const method of ['POST', 'PUT'] as const) {
    app.route({
      method,
      url: '/api/v1/requests/:request_id/properties',
      handler: (request) => label(request, async (_client, params) => BY_ID.parse(params).request_id),
    });
    app.route({
      method,
      url: '/api/v1/requests/provider/:category/:provider_response_id/properties',
      handler: (request) => label(request, byResponse),
    });
  }
  for (const path of ['/requests/result/:category/:request_id', '/requests/:request_id/result']) {
    app.get(`/api/v1${path}`, async (request) => {
      const { request_id } = BY_ID.parse(request.params);
      const read = await gateway.clientOf(request).usage.get(request_id);
      return { xproxy_result: resultJson(callResultOf(read)) };
    });
  }
  app.get('/api/v1/requests/provider/:category/:provider_response_id/result', async (request) => {
    const read = await gateway.clientOf(request).usage.get(responseOf(request.params));
    return { xproxy_result: resultJson(callResultOf(read)) };
  });
  requestsWithSlash(app, gateway, label);
};

/** Ids may hold slashes, which clients do not encode in paths: then they are what is left of the path. */
function requestsWithSlash(app: FastifyInstance, gateway: Gateway, label: Label): void {
  const options = { config: { isOtherSpelling: true } };
  app.get('/api/v1/requests/*', options, async (request, reply) => {
    const { '*': rest } = REST.parse(request.params);
    const response = PROVIDER_RESULT.exec(rest)?.groups;
    const id = (RESULT_BY_CATEGORY.exec(rest) ?? RESULT.exec(rest))?.groups;
    if (response === undefined && id === undefined) return reply.callNotFound();
    const { usage } = gateway.clientOf(request);
    const read = await usage.get(response === undefined ? BY_ID.parse(id).request_id : responseOf(response));
    return { xproxy_result: resultJson(callResultOf(read)) };
  });
  for (const method of ['POST', 'PUT'] as const) {
    app.route({
      method,
      url: '/api/v1/requests/*',
      ...options,
      handler: (request, reply) => {
        const { '*': rest } = REST.parse(request.params);
        const response = PROVIDER_PROPERTIES.exec(rest)?.groups;
        if (response !== undefined) return label(request, (client) => byResponse(client, response));
        const id = PROPERTIES_OF_ID.exec(rest)?.groups;
        if (id === undefined) return reply.callNotFound();
        return label(request, async () => BY_ID.parse(id).request_id);
      },
    });
  }
}

type Label = (request: FastifyRequest, idOf: IdOf) => Promise<object>;
type IdOf = (client: ExperiencesClient, params: unknown) => Promise<string>;

const byResponse: IdOf = async (client, params) => (await client.usage.get(responseOf(params))).event.eventId;

function responseOf(params: unknown): { readonly provider: string; readonly providerResponseId: string } {
  const { category, provider_response_id } = BY_RESPONSE.parse(params);
  return { provider: providerOfCategory(category), providerResponseId: provider_response_id };
}

/** A property that is null is removed. */
function labelChange(properties: Readonly<Record<string, string | null>>) {
  const entries = Object.entries(properties);
  return {
    set: Object.fromEntries(entries.flatMap(([key, value]) => (value === null ? [] : [[key, value]]))),
    remove: entries.flatMap(([key, value]) => (value === null ? [key] : [])),
  };
}

const PROPERTIES = z.object({ properties: z.record(z.string(), z.string().nullable()) });
const REST = z.object({ '*': z.string() });
const RESULT_BY_CATEGORY = /^result\/[^/]+\/(?<request_id>.+)$/;
const RESULT = /^(?<request_id>.+)\/result$/;
const PROVIDER_RESULT = /^provider\/(?<category>[^/]+)\/(?<provider_response_id>.+)\/result$/;
const PROPERTIES_OF_ID = /^(?<request_id>.+)\/properties$/;
const PROVIDER_PROPERTIES = /^provider\/(?<category>[^/]+)\/(?<provider_response_id>.+)\/properties$/;
const BY_ID = z.object({ request_id: z.string() });
const BY_RESPONSE = z.object({ category: z.string(), provider_response_id: z.string() });
