import {
  answer,
  jsonBody,
  type OpenApiPart,
  object,
  pathParameter,
  ref,
  type Schema,
} from './openapi-paths.js';
import { listAnswerSchema, PAGE_PARAMETERS } from './page-openapi.js';

const CATEGORY = pathParameter('category', '`system.x` is the built-in x; any other is your own');
const RESOURCE = pathParameter('resource', 'Name of the model; slashes in it need not be encoded');
const ID = pathParameter('resource_id', 'Of one version');
const PRICE: Schema = {
  type: 'number',
  minimum: 0,
  description: 'In US dollars a unit, with all its digits',
};
const NEW_PRICE: Schema = {
  type: ['number', 'string', 'null'],
  description: 'In US dollars a unit; at most 18 digits after the point; absent: no price',
};
const RESOURCES: Schema = { type: 'array', items: ref('Resource') };

export const resourcesOpenApi: OpenApiPart = {
  paths: {
    '/categories': {
      get: {
        operationId: 'categories.list',
        summary: 'Lists categories: your own first, then the built-in ones',
        tags: ['categories'],
        parameters: PAGE_PARAMETERS,
        responses: { 200: answer('Categories', listAnswerSchema('Category')) },
      },
    },
    '/categories/{category}': {
      delete: {
        operationId: 'categories.delete',
        summary: 'Retires all resources of a category of your own',
        tags: ['categories'],
        parameters: [CATEGORY],
        responses: { 200: answer('What was retired', RESOURCES) },
      },
    },
    '/categories/{category}/resources': {
      get: {
        operationId: 'resources.list',
        summary: 'Lists the version in force of each resource',
        tags: ['categories'],
        parameters: [CATEGORY, ...PAGE_PARAMETERS],
        responses: { 200: answer('Resources', listAnswerSchema('Resource')) },
      },
    },
    '/categories/{category}/resources/{resource}': {
      post: {
        operationId: 'resources.create',
        summary: 'Adds a version to a resource of your own; it prices events from its start on',
        tags: ['categories'],
        parameters: [CATEGORY, RESOURCE],
        requestBody: jsonBody(ref('NewResource')),
        responses: { 200: answer('The version', ref('Resource')) },
      },
      get: {
        operationId: 'resources.listVersions',
        summary: 'Lists all versions of a resource, oldest first',
        tags: ['categories'],
        parameters: [CATEGORY, RESOURCE, ...PAGE_PARAMETERS],
        responses: { 200: answer('Versions', listAnswerSchema('Resource')) },
      },
      delete: {
        operationId: 'resources.deleteVersions',
        summary:
          'Retires a resource of your own, with its versions to come; what was recorded keeps its cost',
        tags: ['categories'],
        parameters: [CATEGORY, RESOURCE],
        responses: { 200: answer('What was retired', RESOURCES) },
      },
    },
    '/categories/{category}/resources/{resource}/{resource_id}': {
      post: {
        operationId: 'resources.createNested',
        summary: 'As without the last part, which belongs to the name',
        tags: ['categories'],
        parameters: [CATEGORY, RESOURCE, ID],
        requestBody: jsonBody(ref('NewResource')),
        responses: { 200: answer('The version', ref('Resource')) },
      },
      get: {
        operationId: 'resources.get',
        summary: 'Reads one version',
        tags: ['categories'],
        parameters: [CATEGORY, RESOURCE, ID],
        responses: { 200: answer('The version', ref('Resource')) },
      },
      delete: {
        operationId: 'resources.delete',
        summary: 'Retires one version; what was recorded keeps its cost',
        tags: ['categories'],
        parameters: [CATEGORY, RESOURCE, ID],
        responses: { 200: answer('The version', ref('Resource')) },
      },
    },
  },
  schemas: {
    Category: object(
      {
        category: { type: 'string' },
        resource_count: { type: 'integer', description: 'Resources with a price in force now or later' },
        start_timestamp: { type: 'string', format: 'date-time' },
      },
      ['category', 'resource_count', 'start_timestamp'],
    ),
    Resource: object(
      {
        category: { type: 'string' },
        resource: { type: 'string' },
        resource_id: { type: 'string', format: 'uuid' },
        start_timestamp: { type: 'string', format: 'date-time' },
        deprecated_timestamp: {
          type: 'string',
          format: 'date-time',
          description: 'From when on it prices nothing: it was retired or a later version took its place',
        },
        proxy_allowed: { type: 'boolean' },
        units: {
          type: 'object',
          additionalProperties: object({ input_price: PRICE, output_price: PRICE }, []),
        },
      },
      ['category', 'resource', 'resource_id', 'start_timestamp', 'proxy_allowed', 'units'],
    ),
    NewResource: object(
      {
        units: {
          type: 'object',
          minProperties: 1,
          additionalProperties: object({ input_price: NEW_PRICE, output_price: NEW_PRICE }, []),
        },
        start_timestamp: {
          type: ['string', 'null'],
          description: 'ISO 8601; without offset it is UTC; absent: now',
        },
      },
      ['units'],
    ),
  },
};
