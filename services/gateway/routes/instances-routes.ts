import type { FastifyRequest } from 'fastify';
import type { Experience } from '../../client/index.js';
import type { RouteGroup } from '../route-group.js';
import { instanceHandlers } from './instance-handlers.js';

/** Experiences. POST takes the name of a type where the other methods take an id. */
export const instancesRoutes: RouteGroup = (app, gateway) => {
  const instances = instanceHandlers(gateway, toJsonInstance);
  app.post(`${ALL}/:name`, instances.create);
  app.get(`${ALL}/:id`, instances.get);
  app.delete(`${ALL}/:id`, instances.remove);
  app.post(`${ALL}/:id/properties`, instances.setProperties);
};

function toJsonInstance(experience: Experience, request: FastifyRequest): object {
  return {
    experience_id: experience.experienceId,
    // The limit of its own has its id.
    ...(experience.hasLimit ? { limit_id: experience.experienceId } : {}),
    ...(experience.experienceVersion === undefined ? {} : { type_version: experience.experienceVersion }),
    request_id: request.id,
    properties: experience.properties,
  };
}

const ALL = '/api/v1/experiences/instances';
