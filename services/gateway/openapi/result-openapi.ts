import { object, type Schema } from './openapi-paths.js';

/** What ingest, requests and the proxy answer of a call. */

const AMOUNT = object({ base: { type: 'number', description: 'In US dollars, with all its digits' } }, [
  'base',
]);
const COUNTS = object({ input: { type: 'integer' }, output: { type: 'integer' } }, ['input', 'output']);

export const RESULT_SCHEMA: Schema = object(
  {
    request_id: { type: 'string' },
    request_tags: { type: 'array', items: { type: 'string' } },
    limits: {
      type: 'object',
      additionalProperties: object(
        { state: { enum: ['ok', 'exceeded', 'overrun', 'blocked', 'blocked_external', 'failed'] } },
        ['state'],
      ),
    },
    experience_id: { type: 'string', format: 'uuid' },
    use_case_id: { type: 'string', format: 'uuid', description: 'The same, under its later name' },
    use_case_step: { type: 'string' },
    resource_id: {
      type: 'string',
      format: 'uuid',
      description: 'The version of the resource that priced it',
    },
    user_id: { type: 'string' },
    blocked_limit_ids: { type: 'array', items: { type: 'string' } },
    cost: {
      ...object({ currency: { const: 'usd' }, input: AMOUNT, output: AMOUNT, total: AMOUNT }, [
        'currency',
        'input',
        'output',
        'total',
      ]),
      description: 'Of the units that have a price; absent: none has, and what it cost is not known',
    },
    unknown_units: { type: 'object', additionalProperties: COUNTS, description: 'Units without a price' },
    duplicate_request: { const: true, description: 'It was recorded before, and counts once' },
    warnings: {
      type: 'array',
      items: { type: 'string' },
      description: 'Such as that the usage was estimated, or that the call could not be recorded',
    },
    queued: { const: true, description: 'It is on the way to the ledger' },
  },
  ['request_id'],
);
