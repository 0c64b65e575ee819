import { object, queryParameter, ref, type Schema } from './openapi-paths.js';

export const REQUEST_ID: Schema = { type: 'string', description: 'Of this HTTP request' };

/** What every list takes. */
export const PAGE_PARAMETERS: readonly Schema[] = [
  queryParameter('cursor', 'As the page before answered it; absent: the first page'),
  queryParameter('limit', 'How many a page holds at most; absent: 50', {
    type: 'integer',
    minimum: 1,
    maximum: 1000,
  }),
  queryParameter('sort_ascending', 'Absent: in the order of the list', { type: 'boolean' }),
];

/** A page, or for clients that state a version before alpha.60 everything in one array. */
export function listAnswerSchema(item: string): Schema {
  return {
    oneOf: [
      object(
        {
          request_id: REQUEST_ID,
          items: { type: 'array', items: ref(item) },
          cursor: {
            type: ['string', 'null'],
            description: 'Asks for the next page; null: this was the last',
          },
        },
        ['request_id', 'items', 'cursor'],
      ),
      { type: 'array', items: ref(item) },
    ],
  };
}
