import { z } from 'zod';
import { DECIMAL, optional, readBody } from '../body-fields.js';
import { LIMIT_CONFIG } from '../limit-config-json.js';
import { pathPart } from '../path-part.js';
import type { RouteGroup } from '../route-group.js';
import { limitHistoryJson, limitJson } from './limit-json.js';
import { limitTagsRoutes } from './limit-tags-routes.js';
import { limitsList } from './limits-list.js';

/** Limits: what may be spent, what is, and what was between two resets. */
export const limitsRoutes: RouteGroup = (app, gateway) => {
  app.post('/api/v1/limits', { config: { fieldCodes: CREATE_CODES } }, async (request) => {
    const { limit_name: name, limit_id: _id, ...config } = readBody(NEW_LIMIT, request.body, CREATE_FAILED);
    const { limit } = await gateway.clientOf(request).limits.create({ name, ...config });
    return { request_id: request.id, limit: limitJson(limit) };
  });

  app.get('/api/v1/limits', async (request) => limitsList(gateway.clientOf(request).limits, request));

  app.get(ONE, async (request) => {
    const { limit, pastPeriods } = await gateway.clientOf(request).limits.get(pathPart(request, 'limit_id'));
    const history = pastPeriods.map((period) => limitHistoryJson(limit, period));
    return { request_id: request.id, limit: limitJson(limit), limit_history: history };
  });

  app.put(ONE, { config: { fieldCodes: UPDATE_CODES } }, async (request) => {
    const { limits } = gateway.clientOf(request);
    const { limit_name: name, max: maxCost } = readBody(CHANGED_LIMIT, request.body ?? {}, UPDATE_FAILED);
    const id = pathPart(request, 'limit_id');
    const change = {
      ...(name === undefined ? {} : { name }),
      ...(maxCost === undefined ? {} : { maxCost }),
    };
    const isChange = Object.keys(change).length > 0;
    const limit = isChange ? await limits.update(id, change) : (await limits.get(id)).limit;
    return { request_id: request.id, limit: limitJson(limit) };
  });

  app.delete(ONE, async (request) => {
    await gateway.clientOf(request).limits.delete(pathPart(request, 'limit_id'));
    return { request_id: request.id, message: 'The limit is deleted; what was charged to it is kept.' };
  });

  /** A date in the body is read for its form only: a reset is when it is asked for, and the answer tells when that was. Another one ends
   * a period with nothing in it. */
  app.post(`${ONE}/reset`, { config: { isRepeatable: false } }, async (request) => {
    readBody(RESET, request.body ?? {});
    const key = request.headers['idempotency-key'];
    const once = typeof key === 'string' && key !== '' ? { requestId: key } : {};
    const { limits } = gateway.clientOf(request);
    const { limit, endedPeriod } = await limits.reset(pathPart(request, 'limit_id'), once);
    return { request_id: request.id, limit_history: limitHistoryJson(limit, endedPeriod) };
  });

  limitTagsRoutes(app, gateway);
};

const ONE = '/api/v1/limits/:limit_id';
const CREATE_FAILED = 'create_limit_validation_failed';
const UPDATE_FAILED = 'update_limit_validation_failed';
const CREATE_CODES = {
  name: CREATE_FAILED,
  threshold: CREATE_FAILED,
  type: CREATE_FAILED,
  tags: CREATE_FAILED,
};
const UPDATE_CODES = { name: UPDATE_FAILED };

/** The service makes the ids: one that a caller makes could be that of an experience, whose own limit has its id. */
const NO_ID = optional(z.never({ error: 'is made by the service' }));
const NEW_LIMIT = z.object({ limit_name: z.string(), limit_id: NO_ID }).and(LIMIT_CONFIG);
const CHANGED_LIMIT = z.object({ limit_name: optional(z.string()), max: optional(DECIMAL) });
const RESET = z.object({ resetDate: optional(z.string()) });
