import { frameOpenApi } from './frame-openapi.js';
import { ingestOpenApi } from './ingest-openapi.js';
import { instancesOpenApi } from './instances-openapi.js';
import { limitsOpenApi } from './limits-openapi.js';
import { answer, type OpenApiOperation, type OpenApiPart, type OpenApiPaths, ref } from './openapi-paths.js';
import { proxyOpenApi } from './proxy-openapi.js';
import { readingOpenApi } from './reading-openapi.js';
import { requestsOpenApi } from './requests-openapi.js';
import { resourcesOpenApi } from './resources-openapi.js';
import { typesOpenApi } from './types-openapi.js';
import { useCasesOpenApi } from './use-cases-openapi.js';

/** What the groups of routes say about themselves; a test holds it against what is registered and answered. */
export const OPENAPI_PARTS: readonly OpenApiPart[] = [
  frameOpenApi,
  typesOpenApi,
  instancesOpenApi,
  useCasesOpenApi,
  ingestOpenApi,
  requestsOpenApi,
  resourcesOpenApi,
  limitsOpenApi,
  readingOpenApi,
  proxyOpenApi,
];

/** The document at `GET /api/v1/openapi.json`. */
export function openApiDocument(parts: readonly OpenApiPart[] = OPENAPI_PARTS): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Experiences',
      version: '1',
      description: 'What one use of a GenAI feature costs: exact, durable, per experience.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/api/v1' }],
    security: [{ apiKey: [] }, { bearer: [] }],
    paths: Object.assign({}, ...parts.map(({ paths }) => withErrors(paths))),
    components: {
      schemas: Object.assign({}, ...parts.map(({ schemas }) => schemas)),
      securitySchemes: {
        apiKey: { type: 'apiKey', in: 'header', name: 'xProxy-api-key' },
        bearer: { type: 'http', scheme: 'bearer' },
      },
    },
  };
}

function withErrors(paths: OpenApiPaths): object {
  return Object.fromEntries(
    Object.entries(paths).map(([path, operations]) => [
      path,
      Object.fromEntries(
        Object.entries(operations).map(([method, operation]) => [method, withError(operation)]),
      ),
    ]),
  );
}

function withError(operation: OpenApiOperation): OpenApiOperation {
  const error = answer('Refused or failed; the status says which', ref('Error'));
  return { ...operation, responses: { ...operation.responses, default: error } };
}
