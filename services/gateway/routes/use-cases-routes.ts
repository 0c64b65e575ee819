import type { FastifyRequest } from 'fastify';
import type { Experience } from '../../client/index.js';
import type { ErrorRows, FieldCodes } from '../error-table.js';
import type { RouteGroup } from '../route-group.js';
import { instanceHandlers } from './instance-handlers.js';
import { typeHandlers } from './type-handlers.js';

/** Types and experiences by the names that they got later; the objects are the same. */
export const useCasesRoutes: RouteGroup = (app, gateway) => {
  const config = { errorRows: ERROR_ROWS, fieldCodes: FIELD_CODES };
  const types = typeHandlers(gateway, { nameQuery: 'use_case_name' });
  app.post(TYPES, { config }, types.create);
  app.get(TYPES, { config }, types.list);
  app.get(TYPE, { config }, types.get);
  app.put(TYPE, { config }, types.update);
  app.delete(TYPE, { config }, types.remove);
  app.post(
    `${TYPE}/increment_version`,
    { config: { ...config, isRepeatable: false } },
    types.incrementVersion,
  );
  app.post(`${TYPE}/limit_config`, { config }, types.setLimit);
  app.delete(`${TYPE}/limit_config`, { config }, types.removeLimit);

  const instances = instanceHandlers(gateway, toJsonUseCase);
  app.post(`${INSTANCES}/:name`, { config }, instances.create);
  app.get(`${INSTANCES}/:id`, { config }, instances.get);
  app.delete(`${INSTANCES}/:id`, { config }, instances.remove);
  app.post(`${INSTANCES}/:id/properties`, { config }, instances.setProperties);
  app.put(`${INSTANCES}/:id/properties`, { config }, instances.setProperties);
};

/** Later clients read one name, earlier ones the other; neither minds what it does not know. */
function toJsonUseCase(experience: Experience, request: FastifyRequest): object {
  const { experienceId: id, experienceType: name, experienceVersion: version } = experience;
  return {
    use_case_id: id,
    experience_id: id,
    ...(name === undefined ? {} : { use_case_name: name }),
    ...(experience.hasLimit ? { limit_id: id } : {}),
    ...(version === undefined ? {} : { type_version: version }),
    request_id: request.id,
    properties: experience.properties,
  };
}

const TYPES = '/api/v1/use_cases/definitions';
const TYPE = `${TYPES}/:name`;
const INSTANCES = '/api/v1/use_cases/instances';

const ERROR_ROWS: ErrorRows = {
  EXPERIENCE_TYPE_NOT_FOUND: { statusCode: 404, code: 'use_case_not_found' },
  EXPERIENCE_NOT_FOUND: { statusCode: 404, code: 'use_case_instance_not_found' },
  EXPERIENCE_TYPE_ALREADY_EXISTS: { statusCode: 400, code: 'use_case_already_exists' },
};
const FIELD_CODES: FieldCodes = {
  name: 'invalid_use_case_name',
  experience_type: 'invalid_use_case_name',
  description: 'invalid_use_case_description',
};
