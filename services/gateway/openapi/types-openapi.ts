import {
  answer,
  jsonBody,
  type OpenApiOperation,
  type OpenApiPart,
  type OpenApiPaths,
  object,
  pathParameter,
  queryParameter,
  ref,
} from './openapi-paths.js';
import { listAnswerSchema, PAGE_PARAMETERS, REQUEST_ID } from './page-openapi.js';

/** Types under either era's paths. */
export function typePaths(
  base: string,
  era: { readonly tag: string; readonly nameQuery: string },
): OpenApiPaths {
  const { tag, nameQuery } = era;
  const name = pathParameter('name', 'Of the type, exactly as it was created');
  const operation = (
    id: string,
    summary: string,
    more: Partial<OpenApiOperation> = {},
  ): OpenApiOperation => ({
    operationId: `${tag}.${id}`,
    summary,
    tags: [tag],
    parameters: [name],
    responses: { 200: answer('The type as it is now', ref('Type')) },
    ...more,
  });
  return {
    [base]: {
      post: operation('createType', 'Creates a type, or answers it if it exists with what is stated', {
        parameters: [],
        requestBody: jsonBody(ref('NewType')),
      }),
      get: operation('listTypes', 'Lists types in the order of names', {
        parameters: [queryParameter(nameQuery, 'Only the type of exactly this name'), ...PAGE_PARAMETERS],
        responses: { 200: answer('Types', listAnswerSchema('Type')) },
      }),
    },
    [`${base}/{name}`]: {
      get: operation('getType', 'Reads a type'),
      put: operation('updateType', 'Changes what is given', {
        requestBody: jsonBody(ref('ChangedType'), false),
      }),
      delete: operation('deleteType', 'Hides a type; what was recorded stays'),
    },
    [`${base}/{name}/limit_config`]: {
      post: operation('setLimitConfig', 'Gives each new experience a limit of its own', {
        requestBody: jsonBody(ref('NewLimitConfig')),
      }),
      delete: operation('removeLimitConfig', 'Gives new experiences no limit'),
    },
    [`${base}/{name}/increment_version`]: {
      post: operation('incrementVersion', 'Raises the version that new experiences get; takes no body', {
        parameters: [
          name,
          {
            name: 'Idempotency-Key',
            in: 'header',
            required: false,
            description: 'The same again raises no further',
            schema: { type: 'string', maxLength: 128 },
          },
        ],
      }),
    },
  };
}

const TYPES = typePaths('/experiences/types', { tag: 'experiences', nameQuery: 'name' });
const TYPE = '/experiences/types/{name}';

export const typesOpenApi: OpenApiPart = {
  paths: {
    ...TYPES,
    [TYPE]: {
      ...TYPES[TYPE],
      patch: {
        operationId: 'experiences.patchType',
        summary: 'Changes what is given, as clients up to alpha.59 ask for it',
        tags: ['experiences'],
        parameters: [pathParameter('name', 'Of the type')],
        requestBody: jsonBody(ref('ChangedType'), false),
        responses: { 200: answer('The type as it is now', ref('Type')) },
      },
    },
  },
  schemas: {
    Type: object(
      {
        request_id: REQUEST_ID,
        name: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' },
        description: { type: 'string', minLength: 1, maxLength: 1024 },
        logging_enabled: {
          type: 'boolean',
          description: 'Kept and answered, without effect: no prompt and no answer is ever kept',
        },
        limit_config: ref('LimitConfig'),
        type_version: { type: 'integer', minimum: 1 },
      },
      ['request_id', 'name', 'description', 'logging_enabled', 'type_version'],
    ),
    NewType: object(
      {
        name: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' },
        description: { type: 'string', minLength: 1, maxLength: 1024 },
        limit_config: { anyOf: [ref('NewLimitConfig'), { type: 'null' }] },
        logging_enabled: { type: ['boolean', 'null'] },
      },
      ['name', 'description'],
    ),
    ChangedType: object(
      { description: { type: ['string', 'null'] }, logging_enabled: { type: ['boolean', 'null'] } },
      [],
    ),
    LimitConfig: object(
      {
        max: { type: 'number', exclusiveMinimum: 0, description: 'In US dollars, with all its digits' },
        limit_type: { enum: ['block', 'allow'] },
        threshold: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
        limit_tags: { type: 'array', items: { type: 'string' } },
      },
      ['max', 'limit_type', 'threshold'],
    ),
    NewLimitConfig: object(
      {
        max: { type: ['number', 'string'], description: 'In US dollars; at most 18 digits after the point' },
        limit_type: {
          type: ['string', 'null'],
          description: '`block` or `allow` in any case; absent: `allow`',
        },
        threshold: { type: ['number', 'string', 'null'], description: 'A part of `max`; absent: 1' },
        limit_tags: { type: ['array', 'null'], items: { type: 'string' } },
      },
      ['max'],
    ),
  },
};
