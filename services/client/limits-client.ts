import { contract } from '../contract/contract.js';
import { newUuid } from '../domain/new-uuid.js';
import { type Channel, callUnary } from './call.js';
import { fromWireLimit, fromWireLimitPeriod } from './from-wire-limits.js';
import type { Limit, LimitFilter, LimitPeriod, NewLimitConfig } from './limit-types.js';
import type { Money } from './money.js';
import { PAGE_SIZE, type Page, type PageRequest, pages } from './pages.js';
import { toWireInt, toWireLimitConfig } from './to-wire.js';

const methods = contract.LimitService.service;

/** Limits: accumulators with a maximum, to which calls are charged. */
export class LimitsClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** The existing limit of that name if it has the same content. */
  async create(
    limit: NewLimitConfig & { readonly name: string },
  ): Promise<{ readonly limit: Limit; readonly alreadyExisted: boolean }> {
    const { name, ...config } = limit;
    const request = { name, config: toWireLimitConfig(config) };
    const answer = await callUnary(this.#channel, methods.CreateLimit, request);
    return { limit: fromWireLimit(answer.limit), alreadyExisted: answer.alreadyExisted };
  }

  /** With the periods that resets have ended, newest first; at most 100. */
  async get(
    limitId: string,
    options: { readonly showDeleted?: boolean } = {},
  ): Promise<{ readonly limit: Limit; readonly pastPeriods: readonly LimitPeriod[] }> {
    const answer = await callUnary(this.#channel, methods.GetLimit, { limitId, ...options });
    return { limit: fromWireLimit(answer.limit), pastPeriods: answer.pastPeriods.map(fromWireLimitPeriod) };
  }

  /** Newest first unless asked otherwise, read page by page. */
  list(filter: LimitFilter = {}): AsyncGenerator<Limit, void, undefined> {
    return pages((pageToken) => this.page(filter, { pageSize: PAGE_SIZE, pageToken }));
  }

  async page(
    filter: LimitFilter,
    page: PageRequest & {
      /** How many to leave out before the page, at most 100,000. */
      readonly skip?: number;
      /** Whether `totalSize` is wanted. */
      readonly countTotal?: boolean;
    },
  ): Promise<Page<Limit> & { readonly totalSize: number }> {
    const { tags = [], ...rest } = filter;
    const skip = toWireInt('skip', page.skip ?? 0);
    const request = { ...rest, ...page, skip, tags: [...tags] };
    const answer = await callUnary(this.#channel, methods.ListLimits, request);
    const { nextPageToken, totalSize } = answer;
    return { items: answer.limits.map(fromWireLimit), nextPageToken, totalSize };
  }

  /** Changes the fields that are given; an empty threshold is 1. */
  async update(
    limitId: string,
    change: {
      readonly name?: string;
      readonly maxCost?: Money;
      readonly threshold?: string;
      readonly tags?: readonly string[];
      readonly etag?: string;
    },
  ): Promise<Limit> {
    const { tags = [], ...rest } = change;
    const paths = [
      ...(change.name === undefined ? [] : ['name']),
      ...(change.maxCost === undefined ? [] : ['max_cost']),
      ...(change.threshold === undefined ? [] : ['threshold']),
      ...(change.tags === undefined ? [] : ['tags']),
    ];
    const request = { limitId, ...rest, tags: [...tags], updateMask: { paths } };
    const options = { repeatable: change.etag === undefined };
    const answer = await callUnary(this.#channel, methods.UpdateLimit, request, options);
    return fromWireLimit(answer.limit);
  }

  /** Begins a new period, once for each call of this method. */
  async reset(
    limitId: string,
    options: { readonly requestId?: string } = {},
  ): Promise<{ readonly limit: Limit; readonly endedPeriod: LimitPeriod }> {
    const request = { limitId, requestId: options.requestId ?? newUuid() };
    const answer = await callUnary(this.#channel, methods.ResetLimit, request);
    return { limit: fromWireLimit(answer.limit), endedPeriod: fromWireLimitPeriod(answer.endedPeriod) };
  }

  async delete(limitId: string, options: { readonly etag?: string } = {}): Promise<Limit> {
    const answer = await callUnary(this.#channel, methods.DeleteLimit, { limitId, ...options });
    return fromWireLimit(answer.limit);
  }
}
