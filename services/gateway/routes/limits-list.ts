import type { FastifyRequest } from 'fastify';
import type { LimitFilter } from '../../client/index.js';
import { listShapeOf } from '../client-era.js';
import { exactNumber } from '../json-text.js';
import { badQuery, listAnswer, pageQueryOf, queryText } from '../pages.js';
import type { Gateway } from '../route-group.js';
import { limitJson } from './limit-json.js';

type Limits = ReturnType<Gateway['clientOf']>['limits'];

/**
 * The limits that are shared, newest first, or oldest first when asked to ascend; `sort_by` is not looked at. Clients from
 * before there were cursors get numbered pages with counts.
 */
export async function limitsList(limits: Limits, request: FastifyRequest): Promise<object> {
  const { sortAscending } = pageQueryOf(request.query);
  const filter = { ...filterOf(request), oldestFirst: sortAscending === true };
  if (listShapeOf(request.headers) === 'array') return numberedPage(limits, filter, request);
  return listAnswer(
    request,
    ({ pageSize, pageToken }) => limits.page(filter, { pageSize, pageToken }),
    limitJson,
  );
}

async function numberedPage(limits: Limits, filter: LimitFilter, request: FastifyRequest): Promise<object> {
  const number = numberOf(request, 'page_number', 1, PAGE_NUMBER_MAX);
  const size = numberOf(request, 'page_size', PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX);
  const skip = (number - 1) * size;
  if (skip > SKIP_MAX) throw badQuery('page_number', `is beyond the first ${SKIP_MAX} limits`);
  const { items, totalSize } = await limits.page(filter, { pageSize: size, skip, countTotal: true });
  const totalPages = Math.ceil(totalSize / size);
  return {
    currentPage: count(number),
    totalPages: count(totalPages),
    totalCount: count(totalSize),
    pageSize: count(size),
    hasNextPage: number < totalPages,
    hasPreviousPage: number > 1,
    items: items.map(limitJson),
    request_id: request.id,
  };
}

function filterOf({ query }: FastifyRequest): LimitFilter {
  const name = queryText(query, 'limit_name');
  const tags = (queryText(query, 'tags') ?? '').split(',').flatMap((tag) => tag.trim() || []);
  return { ...(name === undefined ? {} : { name }), ...(tags.length === 0 ? {} : { tags }) };
}

function numberOf({ query }: FastifyRequest, name: string, absent: number, max: number): number {
  const text = queryText(query, name);
  if (text === undefined) return absent;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw badQuery(name, 'must be a whole number from 1 on');
  return Math.min(Number(text), max);
}

function count(number: number): object {
  return exactNumber(String(number));
}

const PAGE_SIZE_DEFAULT = 50;
/** What the service answers at once at most. */
const PAGE_SIZE_MAX = 1_000;
const PAGE_NUMBER_MAX = 1_000_000;
/** How many limits the service leaves out before a page. */
const SKIP_MAX = 100_000;
