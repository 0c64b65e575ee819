import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ExperiencesError, type Limit } from '../../client/index.js';
import { readBody } from '../body-fields.js';
import { pathPart } from '../path-part.js';
import type { Gateway } from '../route-group.js';
import { tagsJson } from './limit-json.js';

/** The tags of a limit, as clients up to alpha.130 change them: each answers all that there are then. */
export function limitTagsRoutes(app: FastifyInstance, gateway: Gateway): void {
  const options = { config: { fieldCodes: { tags: UPDATE_FAILED } } };
  const change = async (request: FastifyRequest, next: (tags: readonly string[]) => readonly string[]) => {
    const { limits } = gateway.clientOf(request);
    return tagsJson(await changeTags(limits, pathPart(request, 'limit_id'), next));
  };
  const stated = ({ body }: FastifyRequest) => readBody(TAGS, body, UPDATE_FAILED).limit_tags;

  app.get(TAGS_PATH, async (request) => {
    const { limit } = await gateway.clientOf(request).limits.get(pathPart(request, 'limit_id'));
    return tagsJson(limit);
  });
  app.post(TAGS_PATH, options, async (request) => {
    const added = stated(request);
    return change(request, (tags) => [...new Set([...tags, ...added])]);
  });
  app.put(TAGS_PATH, options, async (request) => {
    const all = stated(request);
    return change(request, () => all);
  });
  app.patch(`${TAGS_PATH}/remove`, options, async (request) => {
    const removed = new Set(stated(request));
    return change(request, (tags) => tags.filter((tag) => !removed.has(tag)));
  });
  app.delete(TAGS_PATH, options, async (request) => change(request, () => []));
}

type Limits = ReturnType<Gateway['clientOf']>['limits'];

/** Bound to the etag that was read, so that of two changes at once none is lost. */
async function changeTags(
  limits: Limits,
  limitId: string,
  next: (tags: readonly string[]) => readonly string[],
): Promise<Limit> {
  for (let attempt = 1; ; attempt += 1) {
    const { limit } = await limits.get(limitId);
    try {
      return await limits.update(limitId, { tags: next(limit.tags), etag: limit.etag });
    } catch (error) {
      const isStale = error instanceof ExperiencesError && error.reason === 'ETAG_MISMATCH';
      if (!isStale || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

const TAGS_PATH = '/api/v1/limits/:limit_id/tags';
const UPDATE_FAILED = 'update_limit_validation_failed';
const TAGS = z.object({ limit_tags: z.array(z.string()) });
const ATTEMPTS_MAX = 10;
