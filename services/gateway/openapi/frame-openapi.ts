import { answer, type OpenApiPart, object } from './openapi-paths.js';

export const frameOpenApi: OpenApiPart = {
  paths: {
    '/openapi.json': {
      get: {
        operationId: 'getOpenApiDocument',
        summary: 'This document',
        tags: ['gateway'],
        responses: { 200: answer('OpenAPI 3.1', { type: 'object' }) },
        security: [],
      },
    },
    '/health': {
      get: {
        operationId: 'getHealth',
        summary: 'Whether this process answers; it does not ask the service',
        tags: ['gateway'],
        responses: { 200: answer('It does', object({ status: { const: 'ok' } }, ['status'])) },
        security: [],
      },
    },
  },
  schemas: {
    Error: object(
      {
        statusCode: { type: 'integer', minimum: 400, maximum: 599 },
        message: { type: 'string', description: 'For people; it may change' },
        xproxy_error: object(
          { code: { type: 'string', description: 'For programs' }, message: { type: 'string' } },
          ['code', 'message'],
        ),
        xproxy_result: { type: 'object' },
      },
      ['statusCode', 'message'],
    ),
  },
};
