import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Experience } from '../../client/index.js';
import { readBody } from '../body-fields.js';
import { pathPart } from '../path-part.js';
import type { Gateway } from '../route-group.js';
import { versionHeaderOf } from '../version-header.js';

type Handler = (request: FastifyRequest) => Promise<object>;

/** What can be done with single experiences; `toJson` names their members as the era does. */
export function instanceHandlers(
  { clientOf }: Gateway,
  toJson: (experience: Experience, request: FastifyRequest) => object,
) {
  const idOf = (request: FastifyRequest): string => pathPart(request, 'id');
  return {
    async create(request) {
      const experienceVersion = versionHeaderOf(request.headers);
      const { experience } = await clientOf(request).experiences.create({
        experienceType: pathPart(request, 'name'),
        ...(experienceVersion === undefined ? {} : { experienceVersion }),
      });
      return toJson(experience, request);
    },

    async get(request) {
      return toJson(await clientOf(request).experiences.get(idOf(request)), request);
    },

    /** The service answers a repeated deletion as the first; here what is deleted is not there. */
    async remove(request) {
      const { experiences } = clientOf(request);
      await experiences.get(idOf(request));
      return toJson(await experiences.delete(idOf(request)), request);
    },

    /** Those that are named are set, or taken away by null; the others stay. */
    async setProperties(request) {
      const { properties } = readBody(PROPERTIES, request.body);
      const set: Record<string, string> = {};
      const remove: string[] = [];
      for (const [key, value] of Object.entries(properties)) {
        if (value === null) remove.push(key);
        else set[key] = value;
      }
      const { experiences } = clientOf(request);
      return toJson(await experiences.updateProperties(idOf(request), { set, remove }), request);
    },
  } satisfies Record<string, Handler>;
}

const PROPERTIES_NAMED_MAX = 256;
const PROPERTIES = z.object({
  properties: z
    .record(z.string(), z.string().nullable())
    .refine((map) => Object.keys(map).length <= PROPERTIES_NAMED_MAX, 'names too many properties'),
});
