import type { RouteGroup } from '../route-group.js';
import { openApiDocument } from './openapi-document.js';

export const openApiRoutes: RouteGroup = (app) => {
  const document = openApiDocument();
  app.get('/api/v1/openapi.json', async () => document);
  app.get('/api/v1/health', { config: { isAlwaysAnswered: true } }, async () => ({ status: 'ok' }));
};
