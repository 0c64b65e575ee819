import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ExperiencesClient, Price } from '../../client/index.js';
import { parseUuid } from '../../domain/uuid.js';
import { DECIMAL, optional, readBody } from '../body-fields.js';
import { HttpFault } from '../http-fault.js';
import { listAnswer } from '../pages.js';
import type { RouteGroup } from '../route-group.js';
import { parseTimestamp } from '../timestamp.js';
import { checkCategory, checkNotSystem, ofCategory } from './categories-routes.js';
import { type ResourceVersion, resourceWriter, versionsOf } from './resource-json.js';

/**
 * Resources: what a model of a category costs, in dated versions. A version is appended and never edited; to delete one is to
 * retire it: it prices no later event, and what was recorded keeps its cost.
 */
export const resourcesRoutes: RouteGroup = (app, gateway) => {
  for (const [url, isOtherSpelling] of RESOURCE_PATHS) {
    const options = { config: { isOtherSpelling } };
    app.post(url, options, async (request) => {
      const client = gateway.clientOf(request);
      const { category, resource } = resourceOf(request);
      checkNotSystem(category);
      const price = await client.prices.create({
        ...newPrice(request.body),
        provider: ofCategory(category).provider,
        model: resource,
      });
      return resourceWriter(request)({ price, endTime: undefined });
    });

    app.get(url, options, async (request) => {
      const client = gateway.clientOf(request);
      const { category, resource, resourceId } = resourceOf(request);
      const toJson = resourceWriter(request);
      const versions = await readVersions(client, category, resource);
      if (resourceId !== undefined) return toJson(versionOf(versions, resourceId));
      return listAnswer(request, async (page) => pageOf(versions, page), toJson);
    });

    app.delete(url, options, async (request) => {
      const client = gateway.clientOf(request);
      const { category, resource, resourceId } = resourceOf(request);
      checkNotSystem(category);
      const toJson = resourceWriter(request);
      const versions = await readVersions(client, category, resource);
      if (resourceId !== undefined) return toJson(await retire(client, versionOf(versions, resourceId)));
      const retired = await client.prices.retireModel(ofCategory(category).provider, resource);
      return retired.map(({ price, retireTime }) => toJson({ price, endTime: retireTime }));
    });
  }
};

/**
 * Names of models may hold slashes, which clients do not encode: so the last part of a path is the id of a version where it
 * is a UUID, and else belongs to the name.
 */
const RESOURCE_PATHS = [
  ['/api/v1/categories/:category/resources/:resource', false],
  ['/api/v1/categories/:category/resources/:resource/:resource_id', false],
  ['/api/v1/categories/:category/resources/*', true],
] as const;

function resourceOf({ params }: FastifyRequest): ResourceName {
  const { category, resource, resource_id: last, '*': rest } = PARAMS.parse(params);
  const parts = rest?.split('/') ?? [resource, last].filter((part) => part !== undefined);
  const resourceId = parts.length > 1 ? parseUuid(parts.at(-1) ?? '') : undefined;
  const name = (resourceId === undefined ? parts : parts.slice(0, -1)).join('/');
  return { category, resource: name, resourceId };
}

interface ResourceName {
  readonly category: string;
  readonly resource: string;
  /** undefined: the resource with all its versions. */
  readonly resourceId: string | undefined;
}

function newPrice(body: unknown): Pick<Price, 'rates'> & { readonly effectiveTime?: Date } {
  const { units, start_timestamp: start } = readBody(NEW_RESOURCE, body);
  const effectiveTime = start === undefined ? undefined : parseTimestamp(start);
  if (start !== undefined && effectiveTime === undefined)
    throw new HttpFault(400, 'request_processing_error', 'The start_timestamp is no time of ISO 8601.');
  const rates = Object.entries(units).map(([kind, { input_price, output_price }]) => [
    kind,
    {
      ...(input_price === undefined ? {} : { input: { base: input_price } }),
      ...(output_price === undefined ? {} : { output: { base: output_price } }),
    },
  ]);
  return { rates: Object.fromEntries(rates), ...(effectiveTime === undefined ? {} : { effectiveTime }) };
}

async function readVersions(
  client: ExperiencesClient,
  category: string,
  resource: string,
): Promise<readonly ResourceVersion[]> {
  const prices: Price[] = [];
  for await (const price of client.prices.list({ ...ofCategory(category), model: resource })) {
    prices.push(price);
    if (prices.length > VERSIONS_MAX) {
      const message = `The resource has more than ${VERSIONS_MAX} versions.`;
      throw new HttpFault(400, 'request_processing_error', message);
    }
  }
  if (prices.length > 0) return versionsOf(prices);
  await checkCategory(client, category);
  throw new HttpFault(404, 'category_resource_not_found', 'The category has no such resource.');
}

function versionOf(versions: readonly ResourceVersion[], resourceId: string): ResourceVersion {
  const version = versions.find(({ price }) => price.priceId === resourceId);
  if (version !== undefined) return version;
  throw new HttpFault(404, 'category_resource_not_found', 'The resource has no such version.');
}

/** One that has ended or is replaced prices nothing that is still to come: it is answered as it is. */
async function retire(client: ExperiencesClient, version: ResourceVersion): Promise<ResourceVersion> {
  const { price, endTime } = version;
  const now = new Date();
  if (endTime !== undefined && endTime <= now) return version;
  // One that is still to come ends at its start.
  const isToCome = price.effectiveTime !== undefined && price.effectiveTime > now;
  const options = isToCome ? { retireTime: price.effectiveTime } : {};
  const end = await client.prices.retire(price.priceId, options);
  return { price, endTime: end.effectiveTime };
}

/** The versions of a resource are few, and each needs the next one: they are read whole, and the cursor is a number. */
function pageOf(
  versions: readonly ResourceVersion[],
  { pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string },
) {
  if (!/^\d{0,6}$/.test(pageToken))
    throw new HttpFault(
      400,
      'request_processing_error',
      "The query parameter 'cursor' is not one of this list.",
    );
  const start = Number(pageToken);
  const end = start + pageSize;
  return { items: versions.slice(start, end), nextPageToken: end < versions.length ? String(end) : '' };
}

const PARAMS = z.object({
  category: z.string(),
  resource: z.string().optional(),
  resource_id: z.string().optional(),
  '*': z.string().optional(),
});
const NEW_RESOURCE = z.object({
  units: z.record(z.string(), z.object({ input_price: optional(DECIMAL), output_price: optional(DECIMAL) })),
  start_timestamp: optional(z.string()),
});
const VERSIONS_MAX = 10_000;
