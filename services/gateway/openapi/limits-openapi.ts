import {
  answer,
  jsonBody,
  type OpenApiOperation,
  type OpenApiPart,
  object,
  pathParameter,
  queryParameter,
  ref,
  type Schema,
} from './openapi-paths.js';
import { PAGE_PARAMETERS, REQUEST_ID } from './page-openapi.js';

const ID = pathParameter('limit_id', 'Of the limit');
const COUNT: Schema = { type: 'integer', minimum: 0 };
const LIMITS: Schema = { type: 'array', items: ref('Limit') };
const HISTORIES: Schema = { type: 'array', items: ref('LimitHistory') };
const TAGS = { limit_tags: { type: 'array', items: { type: 'string' } } };
const TIME: Schema = { type: 'string', format: 'date-time' };
const AMOUNT = object({ base: { type: 'number' } }, ['base']);
const REQUEST_COUNTS = {
  ok: COUNT,
  exceeded: COUNT,
  overrun: COUNT,
  failed: COUNT,
  blocked: COUNT,
  blocked_external: COUNT,
  total: COUNT,
};
const ONE = answer(
  'The limit as it is now',
  object({ request_id: REQUEST_ID, limit: ref('Limit') }, ['request_id', 'limit']),
);

function operation(id: string, summary: string, more: Partial<OpenApiOperation> = {}): OpenApiOperation {
  return {
    operationId: `limits.${id}`,
    summary,
    tags: ['limits'],
    parameters: [ID],
    responses: { 200: ONE },
    ...more,
  };
}

function tagOperation(id: string, summary: string, body = true): OpenApiOperation {
  const tags = answer('All tags that there are then', { type: 'array', items: ref('LimitTag') });
  const requestBody = body ? { requestBody: jsonBody(object(TAGS, ['limit_tags'])) } : {};
  return operation(id, summary, { ...requestBody, responses: { 200: tags } });
}

export const limitsOpenApi: OpenApiPart = {
  paths: {
    '/limits': {
      post: operation('create', 'Creates a limit, or answers that of the name if it is the same', {
        parameters: [],
        requestBody: jsonBody({
          allOf: [ref('NewLimitConfig'), object({ limit_name: { type: 'string' } }, ['limit_name'])],
        }),
      }),
      get: operation('list', 'Lists the shared limits, newest first', {
        parameters: [
          queryParameter('limit_name', 'Only the limit of exactly this name'),
          queryParameter('tags', 'Only limits with all of these, with commas between them'),
          ...PAGE_PARAMETERS,
          queryParameter('page_number', 'Before alpha.60: from 1', { type: 'integer', minimum: 1 }),
          queryParameter('page_size', 'Before alpha.60', { type: 'integer', minimum: 1 }),
        ],
        responses: { 200: answer('Limits', { anyOf: [ref('LimitsPage'), ref('NumberedLimits')] }) },
      }),
    },
    '/limits/{limit_id}': {
      get: operation('get', 'Reads a limit', {
        responses: {
          200: answer(
            'The limit as it is now, and the periods before each reset, the latest first',
            object({ request_id: REQUEST_ID, limit: ref('Limit'), limit_history: HISTORIES }, [
              'request_id',
              'limit',
              'limit_history',
            ]),
          ),
        },
      }),
      put: operation('update', 'Changes name or maximum', {
        requestBody: jsonBody(
          object(
            { limit_name: { type: ['string', 'null'] }, max: { type: ['number', 'string', 'null'] } },
            [],
          ),
          false,
        ),
      }),
      delete: operation('delete', 'Hides a limit; what was charged to it is kept', {
        responses: {
          200: answer(
            'It is hidden',
            object({ request_id: REQUEST_ID, message: { type: 'string' } }, ['request_id']),
          ),
        },
      }),
    },
    '/limits/{limit_id}/reset': {
      post: operation('reset', 'Begins a new period with nothing spent', {
        requestBody: jsonBody(
          object(
            {
              resetDate: {
                type: ['string', 'null'],
                description: 'Taken and not followed: a reset is at once, and the answer tells when that was',
              },
            },
            [],
          ),
          false,
        ),
        responses: {
          200: answer(
            'The period that has ended',
            object({ request_id: REQUEST_ID, limit_history: ref('LimitHistory') }, [
              'request_id',
              'limit_history',
            ]),
          ),
        },
      }),
    },
    '/limits/{limit_id}/tags': {
      get: tagOperation('listTags', 'Lists the tags of a limit', false),
      post: tagOperation('addTags', 'Adds tags'),
      put: tagOperation('setTags', 'Puts these tags in the place of all'),
      delete: tagOperation('removeAllTags', 'Removes all tags', false),
    },
    '/limits/{limit_id}/tags/remove': { patch: tagOperation('removeTags', 'Removes these tags') },
  },
  schemas: {
    LimitTotals: object(
      {
        cost: object(
          {
            input: AMOUNT,
            output: AMOUNT,
            total: object({ base: { type: 'number' }, overrun_base: { type: 'number' } }, ['base']),
          },
          ['input', 'output', 'total'],
        ),
        requests: object(REQUEST_COUNTS, Object.keys(REQUEST_COUNTS)),
      },
      ['cost', 'requests'],
    ),
    Limit: {
      allOf: [
        ref('LimitConfig'),
        object(
          {
            limit_id: { type: 'string', format: 'uuid' },
            limit_name: { type: 'string' },
            limit_creation_timestamp: TIME,
            limit_update_timestamp: TIME,
            totals: ref('LimitTotals'),
          },
          ['limit_id', 'limit_name', 'limit_creation_timestamp', 'limit_update_timestamp', 'totals'],
        ),
      ],
    },
    LimitHistory: object(
      {
        limit_id: { type: 'string', format: 'uuid' },
        limit_name: { type: 'string' },
        limit_type: { enum: ['block', 'allow'] },
        max: { type: 'number' },
        limit_tags: { type: 'array', items: { type: 'string' } },
        limit_reset_timestamp: TIME,
        totals: ref('LimitTotals'),
      },
      ['limit_id', 'limit_name', 'limit_type', 'max', 'limit_reset_timestamp', 'totals'],
    ),
    LimitTag: object({ tag_id: COUNT, tag_name: { type: 'string' }, created_on: TIME }, [
      'tag_id',
      'tag_name',
      'created_on',
    ]),
    LimitsPage: object({ request_id: REQUEST_ID, items: LIMITS, cursor: { type: ['string', 'null'] } }, [
      'request_id',
      'items',
      'cursor',
    ]),
    NumberedLimits: object(
      {
        currentPage: COUNT,
        totalPages: COUNT,
        totalCount: COUNT,
        pageSize: COUNT,
        hasNextPage: { type: 'boolean' },
        hasPreviousPage: { type: 'boolean' },
        items: LIMITS,
        request_id: REQUEST_ID,
      },
      ['currentPage', 'totalPages', 'totalCount', 'pageSize', 'hasNextPage', 'hasPreviousPage', 'items'],
    ),
  },
};
