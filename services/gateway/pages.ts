import type { FastifyRequest } from 'fastify';
import type { Page } from '../client/index.js';
import { listShapeOf } from './client-era.js';
import { HttpFault } from './http-fault.js';

/** Which page of a list is asked for. */
export interface PageQuery {
  /** As a page before answered it; absent: the first page. */
  readonly cursor?: string;
  readonly limit: number;
  /** Absent: the list's own order. */
  readonly sortAscending?: boolean;
}

/** What is read of the service for it. */
export interface PageRequest {
  readonly pageSize: number;
  /** Empty: the first page. */
  readonly pageToken: string;
  /** undefined: the list's own order. */
  readonly sortAscending: boolean | undefined;
}

/**
 * Answers a list in the shape that the caller reads: one page with the cursor of the next, or, for clients from before
 * there were pages, one array with everything.
 */
export async function listAnswer<Item>(
  request: FastifyRequest,
  read: (page: PageRequest) => Promise<Page<Item>>,
  toJson: (item: Item) => object,
): Promise<object> {
  const query = pageQueryOf(request.query);
  const { limit, cursor = '', sortAscending } = query;
  if (listShapeOf(request.headers) === 'array') return wholeArray(read, sortAscending, toJson);
  const { items, nextPageToken } = await read({ pageSize: limit, pageToken: cursor, sortAscending });
  return {
    request_id: request.id,
    items: items.map(toJson),
    cursor: nextPageToken === '' ? null : nextPageToken,
  };
}

/** Whoever sends the same name twice is told, as with any other bad value. */
export function pageQueryOf(query: unknown): PageQuery {
  const cursor = queryText(query, 'cursor');
  const limit = queryText(query, 'limit');
  const ascending = queryText(query, 'sort_ascending');
  if (limit !== undefined && !/^[1-9]\d{0,5}$/.test(limit))
    throw badQuery('limit', 'must be a whole number from 1 on');
  if (ascending !== undefined && !/^(?:true|false)$/i.test(ascending))
    throw badQuery('sort_ascending', 'must be true or false');
  return {
    ...(cursor === undefined ? {} : { cursor }),
    limit: limit === undefined ? PAGE_ITEMS_DEFAULT : Math.min(Number(limit), PAGE_ITEMS_MAX),
    ...(ascending === undefined ? {} : { sortAscending: ascending.toLowerCase() === 'true' }),
  };
}

/** A query parameter; empty counts as absent. */
export function queryText(query: unknown, name: string): string | undefined {
  if (typeof query !== 'object' || query === null || !Object.hasOwn(query, name)) return undefined;
  const value: unknown = Object.getOwnPropertyDescriptor(query, name)?.value;
  if (typeof value !== 'string') throw badQuery(name, 'is given more than once');
  return value === '' ? undefined : value;
}

export function badQuery(name: string, what: string): HttpFault {
  return new HttpFault(400, 'request_processing_error', `The query parameter '${name}' ${what}.`);
}

async function wholeArray<Item>(
  read: (page: PageRequest) => Promise<Page<Item>>,
  sortAscending: boolean | undefined,
  toJson: (item: Item) => object,
): Promise<object> {
  const all: object[] = [];
  let pageToken = '';
  do {
    const page = await read({ pageSize: PAGE_ITEMS_MAX, pageToken, sortAscending });
    for (const item of page.items) all.push(toJson(item));
    pageToken = page.nextPageToken;
    // A shorter array would look like the whole list.
    if (all.length > ARRAY_ITEMS_MAX || (all.length === ARRAY_ITEMS_MAX && pageToken !== '')) {
      const message = `There are more than ${ARRAY_ITEMS_MAX}: read them with a client that reads pages.`;
      throw new HttpFault(400, 'request_processing_error', message);
    }
  } while (pageToken !== '');
  return all;
}

const PAGE_ITEMS_DEFAULT = 50;
/** What the service answers at once at most. */
const PAGE_ITEMS_MAX = 1_000;
/** Of a list for clients that read no pages. */
const ARRAY_ITEMS_MAX = 10_000;
