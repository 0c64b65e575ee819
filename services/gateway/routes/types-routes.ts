import type { RouteGroup } from '../route-group.js';
import { typeHandlers } from './type-handlers.js';

/** Experience types. Clients up to alpha.59 change one by PATCH, later ones by PUT. */
export const typesRoutes: RouteGroup = (app, gateway) => {
  const types = typeHandlers(gateway, { nameQuery: 'name' });
  app.post(ALL, types.create);
  app.get(ALL, types.list);
  app.get(ONE, types.get);
  app.patch(ONE, types.update);
  app.put(ONE, types.update);
  app.delete(ONE, types.remove);
  app.post(`${ONE}/limit_config`, types.setLimit);
  app.delete(`${ONE}/limit_config`, types.removeLimit);
  // Clients name no request: a repeat raises again.
  app.post(`${ONE}/increment_version`, { config: { isRepeatable: false } }, types.incrementVersion);
};

const ALL = '/api/v1/experiences/types';
const ONE = `${ALL}/:name`;
