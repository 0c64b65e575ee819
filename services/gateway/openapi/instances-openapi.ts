import {
  answer,
  jsonBody,
  type OpenApiOperation,
  type OpenApiPart,
  type OpenApiPaths,
  object,
  pathParameter,
  ref,
  type Schema,
} from './openapi-paths.js';
import { REQUEST_ID } from './page-openapi.js';

/**
 * Experiences under either era's paths. OpenAPI knows one name for a parameter of a path: POST takes the name of a type
 * where the other methods take the id of an experience.
 */
export function instancePaths(base: string, { tag, schema, propertiesMethods }: InstanceNames): OpenApiPaths {
  const id = pathParameter('id', 'Of the experience, in any spelling of a UUID');
  const operation = (
    operationId: string,
    summary: string,
    more: Partial<OpenApiOperation> = {},
  ): OpenApiOperation => ({
    operationId: `${tag}.${operationId}`,
    summary,
    tags: [tag],
    parameters: [id],
    responses: { 200: answer('The experience as it is now', ref(schema)) },
    ...more,
  });
  const properties = (method: string) =>
    operation(`${method}Properties`, 'Sets the properties that are named; null takes one away', {
      requestBody: jsonBody(ref('Properties')),
    });
  return {
    [`${base}/{id}`]: {
      post: operation('createInstance', 'Creates an experience of the type of this name; takes no body', {
        parameters: [pathParameter('id', 'The name of the type'), versionHeader('xProxy-UseCase-Version')],
      }),
      get: operation('getInstance', 'Reads an experience'),
      delete: operation('deleteInstance', 'Hides an experience; what was recorded stays'),
    },
    [`${base}/{id}/properties`]: Object.fromEntries(
      propertiesMethods.map((method) => [method, properties(method)]),
    ),
  };
}

interface InstanceNames {
  readonly tag: string;
  readonly schema: string;
  readonly propertiesMethods: readonly ('post' | 'put')[];
}

export const instancesOpenApi: OpenApiPart = {
  paths: instancePaths('/experiences/instances', {
    tag: 'experiences',
    schema: 'Instance',
    propertiesMethods: ['post'],
  }),
  schemas: {
    Instance: object(instanceMembers(), ['experience_id', 'request_id', 'properties']),
    Properties: object(
      { properties: { type: 'object', additionalProperties: { type: ['string', 'null'] } } },
      ['properties'],
    ),
  },
};

export function instanceMembers(): Readonly<Record<string, Schema>> {
  return {
    experience_id: { type: 'string', format: 'uuid' },
    limit_id: { type: 'string', description: 'Of the limit of its own; absent: it has none' },
    type_version: { type: 'integer', minimum: 1, description: 'Absent: it has no type yet' },
    request_id: REQUEST_ID,
    properties: { type: 'object', additionalProperties: { type: 'string' } },
  };
}

function versionHeader(name: string): Schema {
  return {
    name,
    in: 'header',
    required: false,
    description: 'The version of its type that it gets; absent: the current one',
    schema: { type: 'integer', minimum: 1 },
  };
}
