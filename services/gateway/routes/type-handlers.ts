import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ExperiencesError, type ExperienceType, type NewLimitConfig, type Page } from '../../client/index.js';
import { optional, readBody } from '../body-fields.js';
import { LIMIT_CONFIG, toJsonLimitConfig } from '../limit-config-json.js';
import { listAnswer, queryText } from '../pages.js';
import { pathPart } from '../path-part.js';
import type { Gateway } from '../route-group.js';

type Handler = (request: FastifyRequest) => Promise<object>;

/** What can be done with types, under the names of either era: experience types, and the use cases they became. */
export function typeHandlers({ clientOf }: Gateway, options: { readonly nameQuery: string }) {
  const nameOf = (request: FastifyRequest): string => pathPart(request, 'name');
  return {
    async create(request) {
      const stated = readBody(NEW_TYPE, request.body);
      return toJsonType(await createOrFind(clientOf(request).types, stated), request);
    },

    async list(request) {
      const { types } = clientOf(request);
      const name = queryText(request.query, options.nameQuery);
      const toJson = (type: ExperienceType): object => toJsonType(type, request);
      if (name !== undefined) return listAnswer(request, () => pageOfOne(types, name), toJson);
      return listAnswer(
        request,
        ({ sortAscending, ...page }) => types.page({ ...page, descending: sortAscending === false }),
        toJson,
      );
    },

    async get(request) {
      return toJsonType(await clientOf(request).types.get(nameOf(request)), request);
    },

    async update(request) {
      const { description, logging_enabled } = readBody(CHANGED_TYPE, request.body ?? {});
      const { types } = clientOf(request);
      const name = nameOf(request);
      if (description === undefined && logging_enabled === undefined)
        return toJsonType(await types.get(name), request);
      const change = {
        ...(description === undefined ? {} : { description }),
        ...(logging_enabled === undefined ? {} : { loggingDisabled: !logging_enabled }),
      };
      return toJsonType(await types.update(name, change), request);
    },

    async remove(request) {
      return toJsonType(await clientOf(request).types.delete(nameOf(request)), request);
    },

    /** Setting it again overwrites it. */
    async setLimit(request) {
      const limitConfig = readBody(LIMIT_CONFIG, request.body);
      return toJsonType(await clientOf(request).types.update(nameOf(request), { limitConfig }), request);
    },

    /** Removing one that is not there succeeds. */
    async removeLimit(request) {
      const change = { limitConfig: null };
      return toJsonType(await clientOf(request).types.update(nameOf(request), change), request);
    },

    /** A client that names its request, as it repeats it, raises once. */
    async incrementVersion(request) {
      const key = request.headers['idempotency-key'];
      const once = typeof key === 'string' && key !== '' ? { requestId: key } : {};
      const { type } = await clientOf(request).types.incrementVersion(nameOf(request), once);
      return toJsonType(type, request);
    },
  } satisfies Record<string, Handler>;
}

export function toJsonType(type: ExperienceType, request: FastifyRequest): object {
  return {
    request_id: request.id,
    name: type.name,
    description: type.description,
    logging_enabled: !type.loggingDisabled,
    ...(type.limitConfig === undefined ? {} : { limit_config: toJsonLimitConfig(type.limitConfig) }),
    type_version: type.currentVersion,
  };
}

interface StatedType {
  readonly name: string;
  readonly description: string;
  readonly limit_config: NewLimitConfig | undefined;
  readonly logging_enabled: boolean | undefined;
}

type Types = ReturnType<Gateway['clientOf']>['types'];

/**
 * Instrumented programs create their type at each start and lose their attribution when that is refused. So what they
 * leave out is not compared: neither a limit that was set since, nor a workflow, which this API cannot say.
 */
async function createOrFind(types: Types, stated: StatedType): Promise<ExperienceType> {
  const { name, description, limit_config, logging_enabled } = stated;
  try {
    const { type } = await types.create({
      name,
      description,
      ...(limit_config === undefined ? {} : { limitConfig: limit_config }),
      ...(logging_enabled === undefined ? {} : { loggingDisabled: !logging_enabled }),
    });
    return type;
  } catch (error) {
    const isThere = hasReason(error, 'EXPERIENCE_TYPE_ALREADY_EXISTS');
    // Without the scope to create it may be there all the same, and then there is nothing to be refused.
    if (!isThere && !hasReason(error, 'SCOPE_MISSING')) throw error;
    const existing = await findType(types, name);
    if (existing === undefined || !saysTheSame(existing, stated)) throw error;
    return existing;
  }
}

function saysTheSame(type: ExperienceType, stated: StatedType): boolean {
  const { limit_config: limit, logging_enabled: logs } = stated;
  return (
    type.description === stated.description.trim() &&
    (logs === undefined || logs === !type.loggingDisabled) &&
    (limit === undefined || (type.limitConfig !== undefined && isSameLimit(type.limitConfig, limit)))
  );
}

function isSameLimit(config: NonNullable<ExperienceType['limitConfig']>, stated: NewLimitConfig): boolean {
  const tags = new Set(stated.tags ?? []);
  return (
    config.maxCost === stated.maxCost &&
    config.type === (stated.type ?? 'ALLOW') &&
    config.threshold === (stated.threshold ?? '1') &&
    config.tags.length === tags.size &&
    config.tags.every((tag) => tags.has(tag))
  );
}

/**
 * undefined: there is none, or the key may not see it; so a deleted type stays refused. What may pass is thrown: as a refusal
 * for good it would end the attribution of a whole process.
 */
async function findType(types: Types, name: string): Promise<ExperienceType | undefined> {
  try {
    return await types.get(name);
  } catch (error) {
    if (hasReason(error, 'EXPERIENCE_TYPE_NOT_FOUND') || hasReason(error, 'SCOPE_MISSING')) return undefined;
    throw error;
  }
}

/** A list by exact name has one or none. */
async function pageOfOne(types: Types, name: string): Promise<Page<ExperienceType>> {
  try {
    return { items: [await types.get(name)], nextPageToken: '' };
  } catch (error) {
    if (hasReason(error, 'EXPERIENCE_TYPE_NOT_FOUND')) return { items: [], nextPageToken: '' };
    throw error;
  }
}

function hasReason(error: unknown, reason: string): boolean {
  return error instanceof ExperiencesError && error.reason === reason;
}

const NEW_TYPE = z.object({
  name: z.string(),
  description: z.string(),
  limit_config: optional(LIMIT_CONFIG),
  logging_enabled: optional(z.boolean()),
});
const CHANGED_TYPE = z.object({
  description: optional(z.string()),
  logging_enabled: optional(z.boolean()),
});
