import { contract } from '../contract/contract.js';
import { newUuid } from '../domain/new-uuid.js';
import { type Channel, callUnary } from './call.js';
import { fromWirePrice } from './from-wire.js';
import { PAGE_SIZE, pages } from './pages.js';
import { toWireRates, toWireTime } from './to-wire.js';
import type { Price } from './types.js';

const methods = contract.PriceService.service;

/** Prices: dated facts, appended, never edited. */
export class PricesClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  async create(price: {
    readonly provider: string;
    readonly model: string;
    readonly rates: Price['rates'];
    /** Absent: from now on. */
    readonly effectiveTime?: Date;
    readonly priceId?: string;
  }): Promise<Price> {
    const answer = await callUnary(this.#channel, methods.CreatePrice, {
      provider: price.provider,
      model: price.model,
      rates: toWireRates(price.rates),
      effectiveTime: toWireTime(price.effectiveTime),
      priceId: price.priceId ?? newUuid(),
    });
    return fromWirePrice(answer.price);
  }

  /** From the given time (absent: now) on the catalogue applies again. */
  async retire(priceId: string, options: { readonly retireTime?: Date } = {}): Promise<Price> {
    const request = { priceId, retireTime: toWireTime(options.retireTime) };
    return fromWirePrice((await callUnary(this.#channel, methods.RetirePrice, request)).price);
  }

  async get(priceId: string): Promise<Price> {
    return fromWirePrice((await callUnary(this.#channel, methods.GetPrice, { priceId })).price);
  }

  /** By provider, model and date, your own first; read page by page. */
  list(
    filter: { readonly provider?: string; readonly model?: string; readonly source?: Price['source'] } = {},
  ): AsyncGenerator<Price, void, undefined> {
    const { source, ...names } = filter;
    return pages(async (pageToken) => {
      const answer = await callUnary(this.#channel, methods.ListPrices, {
        ...names,
        ...(source === undefined ? {} : { source: `PRICE_SOURCE_${source}` as const }),
        pageSize: PAGE_SIZE,
        pageToken,
      });
      return { items: answer.prices.map(fromWirePrice), nextPageToken: answer.nextPageToken };
    });
  }
}
