import { instanceMembers, instancePaths } from './instances-openapi.js';
import { type OpenApiPart, object } from './openapi-paths.js';
import { typePaths } from './types-openapi.js';

export const useCasesOpenApi: OpenApiPart = {
  paths: {
    ...typePaths('/use_cases/definitions', { tag: 'use_cases', nameQuery: 'use_case_name' }),
    ...instancePaths('/use_cases/instances', {
      tag: 'use_cases',
      schema: 'UseCase',
      propertiesMethods: ['post', 'put'],
    }),
  },
  schemas: {
    UseCase: object(
      {
        use_case_id: { type: 'string', format: 'uuid' },
        use_case_name: { type: 'string', description: 'Absent: it has no type yet' },
        ...instanceMembers(),
      },
      ['use_case_id', 'experience_id', 'request_id', 'properties'],
    ),
  },
};
