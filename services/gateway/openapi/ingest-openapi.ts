import {
  answer,
  jsonBody,
  type OpenApiPart,
  object,
  queryParameter,
  ref,
  type Schema,
} from './openapi-paths.js';
import { RESULT_SCHEMA } from './result-openapi.js';

const TEXT: Schema = { type: ['string', 'null'] };
const COUNT: Schema = { type: ['integer', 'null'], minimum: 0, maximum: 2147483647 };
const PROPERTIES: Schema = { type: ['object', 'null'], additionalProperties: { type: ['string', 'null'] } };

const EVENT = {
  category: {
    type: 'string',
    minLength: 1,
    description: '`system.x` is the built-in x; any other is your own',
  },
  resource: { type: ['string', 'null'], minLength: 1 },
  units: {
    type: 'object',
    description: 'Unit kind to what was used of it; kinds do not overlap',
    additionalProperties: object({ input: COUNT, output: COUNT }, []),
  },
  event_timestamp: {
    type: ['string', 'null'],
    description: 'ISO 8601; without offset it is UTC; absent: now',
  },
  end_to_end_latency_ms: COUNT,
  time_to_first_token_ms: COUNT,
  http_status_code: { type: ['integer', 'null'], description: 'From 400 on, and 299: the call failed' },
  provider_response_id: TEXT,
  properties: PROPERTIES,
  experience_properties: PROPERTIES,
  use_case_properties: PROPERTIES,
} as const;

const ATTRIBUTION = {
  experience_id: TEXT,
  experience_name: TEXT,
  experience_version: COUNT,
  use_case_id: TEXT,
  use_case_name: TEXT,
  use_case_version: COUNT,
  use_case_step: TEXT,
  user_id: TEXT,
  account_name: TEXT,
  request_tags: { type: ['array', 'null'], items: { type: 'string' } },
  limit_ids: { type: ['array', 'null'], items: { type: 'string' } },
} as const;

const KEY: Schema = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'The same again counts once; the same with other content is refused',
  schema: { type: 'string', maxLength: 123 },
};

const header = (name: string, description: string): Schema => ({
  name,
  in: 'header',
  required: false,
  description,
  schema: { type: 'string' },
});

export const ingestOpenApi: OpenApiPart = {
  paths: {
    '/ingest': {
      post: {
        operationId: 'ingest.event',
        summary: 'Records a call that was made without the proxy; its bodies are dropped',
        tags: ['ingest'],
        parameters: [
          KEY,
          queryParameter('id', 'The same as Idempotency-Key'),
          header('xProxy-Experience-ID', 'The experience that it belongs to'),
          header('xProxy-Experience-Name', 'The type of the experience; without an id a new one is made'),
          header('xProxy-Experience-Version', 'Version of the type for a new experience'),
          header('xProxy-Limit-IDs', 'Limits to charge, with commas between them; none may block'),
          header('xProxy-Request-Tags', 'With commas between them'),
          header('xProxy-User-ID', 'Whom the call was made for'),
        ],
        requestBody: jsonBody(ref('IngestEvent')),
        responses: { 200: answer('It is in the ledger', ref('Ingested')) },
      },
    },
    '/ingest/bulk': {
      post: {
        operationId: 'ingest.bulk',
        summary: 'Records up to 1,000 calls; what is wrong with one is that one’s error',
        tags: ['ingest'],
        parameters: [KEY],
        requestBody: jsonBody({ type: 'array', minItems: 1, maxItems: 1000, items: ref('IngestItem') }),
        responses: {
          200: answer('At least one is in the ledger', ref('BulkIngested')),
          400: answer('None is', { anyOf: [ref('BulkIngested'), ref('Error')] }),
        },
      },
    },
  },
  schemas: {
    XproxyResult: RESULT_SCHEMA,
    IngestEvent: object(EVENT, ['category', 'resource', 'units']),
    IngestItem: object({ ...EVENT, ...ATTRIBUTION }, ['category', 'resource', 'units']),
    Ingested: object(
      {
        request_id: { type: 'string', description: 'The id of the event' },
        event_timestamp: { type: 'string', format: 'date-time' },
        ingest_timestamp: { type: 'string', format: 'date-time' },
        duplicate_request: { const: true },
        xproxy_result: ref('XproxyResult'),
      },
      ['request_id', 'event_timestamp', 'ingest_timestamp', 'xproxy_result'],
    ),
    BulkIngested: object(
      {
        request_id: { type: 'string', description: 'Of this HTTP request' },
        ingest_timestamp: { type: 'string', format: 'date-time' },
        ingest_count: { type: 'integer' },
        error_count: { type: 'integer' },
        item_error_count: { type: 'integer' },
        total_count: { type: 'integer' },
        errors: {
          type: 'array',
          items: object({ item_index: { type: 'integer', minimum: 0 }, xproxy_result: ref('Error') }, [
            'item_index',
            'xproxy_result',
          ]),
        },
        warnings: { type: 'array', items: { type: 'string' } },
      },
      ['request_id', 'ingest_timestamp', 'ingest_count', 'error_count', 'item_error_count', 'total_count'],
    ),
  },
};
