import {
  answer,
  type OpenApiOperation,
  type OpenApiPart,
  object,
  pathParameter,
  queryParameter,
  ref,
  type Schema,
} from './openapi-paths.js';

/** A decimal string, exact, in US dollars. */
const MONEY: Schema = { type: 'string', pattern: '^-?\\d+(\\.\\d+)?$' };
/** A number, but a string from 2^53 on. */
const COUNT: Schema = { type: ['integer', 'string'] };
const TEXT: Schema = { type: 'string' };
const TIME: Schema = { type: 'string', format: 'date-time' };
const NUMBER: Schema = { type: 'number' };
const UNITS: Schema = {
  type: 'object',
  additionalProperties: object({ input: COUNT, output: COUNT }, ['input', 'output']),
};
const COST = object({ input: MONEY, output: MONEY, total: MONEY, currency_code: TEXT }, [
  'input',
  'output',
  'total',
  'currency_code',
]);
const SUM = {
  event_count: COUNT,
  cost: COST,
  useful_cost: MONEY,
  wasted_cost: MONEY,
  unpriced_event_count: COUNT,
  units: UNITS,
};
const OF_SUM = Object.keys(SUM);
const CHANGE = { absolute: MONEY, relative: { type: 'string' } };

function read(id: string, summary: string, parameters: readonly Schema[], schema: string): OpenApiOperation {
  return {
    operationId: `costs.${id}`,
    summary,
    tags: ['costs'],
    parameters,
    responses: { 200: answer('Amounts are decimal strings, exact', ref(schema)) },
  };
}

const PERCENTILES = queryParameter('percentiles', 'With commas between them, as 50,99.9');

export const readingOpenApi: OpenApiPart = {
  paths: {
    '/costs/experiences/{id}': {
      get: read(
        'ofExperience',
        'What an experience has cost, every recorded call included',
        [pathParameter('id', 'Of the experience')],
        'ExperienceCost',
      ),
    },
    '/costs/experiences/{id}/events': {
      get: read(
        'eventsOfExperience',
        'Its calls, in the order they were recorded',
        [
          pathParameter('id', 'Of the experience'),
          queryParameter('cursor', 'As the page before answered it'),
          queryParameter('limit', 'How many a page holds at most; absent: 50', { type: 'integer' }),
        ],
        'EventsPage',
      ),
    },
    '/costs/types/{name}/distribution': {
      get: read(
        'distribution',
        'How the experiences of a version differ in cost',
        [
          pathParameter('name', 'Of the type'),
          queryParameter('version', 'Absent: the current one', { type: 'integer' }),
          PERCENTILES,
          queryParameter('dearest', 'How many of the dearest experiences; absent: 10', { type: 'integer' }),
          queryParameter('bars', 'Into how many bars at most; absent: 40', { type: 'integer' }),
        ],
        'CostDistributionDetails',
      ),
    },
    '/costs/types/{name}/versions/compare': {
      get: read(
        'compareVersions',
        'How the costs of two versions differ, and whether beyond chance',
        [
          pathParameter('name', 'Of the type'),
          { ...queryParameter('from', 'The version to compare with', { type: 'integer' }), required: true },
          { ...queryParameter('to', 'The version to compare', { type: 'integer' }), required: true },
          PERCENTILES,
        ],
        'VersionComparison',
      ),
    },
    '/costs/series': {
      get: read(
        'series',
        'What was spent in a range of time, added up as asked for',
        [
          { ...queryParameter('from', 'A full hour in UTC'), required: true },
          { ...queryParameter('to', 'A full hour in UTC, exclusive'), required: true },
          queryParameter('bucket', 'hour, day or month; absent: the whole range together'),
          queryParameter(
            'group_by',
            'Of experience_type, experience_version, provider and model, with commas between them',
          ),
          queryParameter('experience_type', 'Only of this type'),
          queryParameter('experience_version', 'Only of this version; needs experience_type', {
            type: 'integer',
          }),
          queryParameter('provider', 'Only this provider'),
          queryParameter('model', 'Only this model'),
        ],
        'CostSeries',
      ),
    },
  },
  schemas: {
    ExperienceCost: object(
      {
        experience_id: { type: 'string', format: 'uuid' },
        experience_type: TEXT,
        experience_version: { type: 'integer' },
        ...SUM,
        held_cost: MONEY,
        open_reservation_count: COUNT,
        unsettled_cost: MONEY,
        unsettled_event_count: COUNT,
        first_event_time: TIME,
        last_event_time: TIME,
      },
      ['experience_id', ...OF_SUM, 'held_cost', 'unsettled_cost'],
    ),
    CostEvent: object(
      {
        event_id: TEXT,
        experience_id: TEXT,
        provider: TEXT,
        model: TEXT,
        units: UNITS,
        outcome: { enum: ['SUCCEEDED', 'FAILED', 'CANCELLED', 'TIMED_OUT', 'UNKNOWN'] },
        cost: COST,
        useful: { type: 'boolean' },
        settlement: { enum: ['NONE', 'SETTLED', 'UNSETTLED', 'RELEASED'] },
        event_time: TIME,
        record_time: TIME,
        properties: { type: 'object', additionalProperties: TEXT },
      },
      ['event_id', 'provider', 'model', 'units', 'outcome', 'cost', 'useful', 'event_time', 'record_time'],
    ),
    EventsPage: object(
      { items: { type: 'array', items: ref('CostEvent') }, cursor: { type: ['string', 'null'] } },
      ['items', 'cursor'],
    ),
    CostDistribution: object(
      {
        experience_type: TEXT,
        experience_version: { type: 'integer' },
        experience_count: COUNT,
        sum: MONEY,
        mean: MONEY,
        minimum: MONEY,
        maximum: MONEY,
        percentiles: {
          type: 'array',
          items: object({ percentile: NUMBER, cost: MONEY }, ['percentile', 'cost']),
        },
        percentile_error_max: NUMBER,
        currency_code: TEXT,
      },
      ['experience_type', 'experience_version', 'experience_count', 'percentiles', 'currency_code'],
    ),
    CostDistributionDetails: {
      allOf: [
        ref('CostDistribution'),
        object(
          {
            bars: {
              type: 'array',
              items: object({ above: MONEY, up_to: MONEY, experience_count: COUNT }, ['above', 'up_to']),
            },
            dearest_experiences: {
              type: 'array',
              items: object(
                { experience_id: TEXT, total_cost: MONEY, event_count: COUNT, create_time: TIME },
                ['experience_id', 'total_cost'],
              ),
            },
          },
          ['bars', 'dearest_experiences'],
        ),
      ],
    },
    VersionComparison: object(
      {
        from: ref('CostDistribution'),
        to: ref('CostDistribution'),
        comparison: object(
          {
            mean: object(CHANGE, ['absolute']),
            minimum: object(CHANGE, ['absolute']),
            maximum: object(CHANGE, ['absolute']),
            percentiles: {
              type: 'array',
              items: object({ percentile: NUMBER, ...CHANGE }, ['percentile', 'absolute']),
            },
            rank_test: object(
              {
                name: TEXT,
                method: { enum: ['EXACT', 'NORMAL', 'NONE'] },
                u: NUMBER,
                z: NUMBER,
                p_value: NUMBER,
                alpha: NUMBER,
                probability_of_superiority: NUMBER,
                verdict: { enum: ['TOO_FEW', 'WITHIN_CHANCE', 'SECOND_DEARER', 'SECOND_CHEAPER'] },
              },
              ['name', 'method', 'verdict'],
            ),
          },
          ['mean', 'percentiles', 'rank_test'],
        ),
      },
      ['from', 'to'],
    ),
    CostSeries: object(
      {
        rows: {
          type: 'array',
          items: object(
            {
              bucket_start_time: TIME,
              experience_type: TEXT,
              experience_version: { type: 'integer' },
              provider: TEXT,
              model: TEXT,
              ...SUM,
            },
            OF_SUM,
          ),
        },
        total: object(SUM, OF_SUM),
      },
      ['rows', 'total'],
    ),
  },
};
