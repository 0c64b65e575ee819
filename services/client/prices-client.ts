import { contract } from '../contract/contract.js';
import { newUuid } from '../domain/new-uuid.js';
import { type Channel, callUnary } from './call.js';
import { fromWireCost, fromWirePrice, fromWirePricedProvider, fromWireTime, promised } from './from-wire.js';
import { PAGE_SIZE, type Page, type PageRequest, pages } from './pages.js';
import { toWireRates, toWireTime } from './to-wire.js';
import type { Price, PricedProvider, RepricingResult, RetiredPrice } from './types.js';

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

  /**
   * Prices recorded events whose units had no price, now that one covers their time; what an event was priced at it keeps.
   * Goes on until all is done, each part with the client's time. The same id again goes on with what was cut off.
   */
  async repriceUnpriced(
    events: {
      readonly startTime?: Date;
      /** Exclusive. */
      readonly endTime?: Date;
      readonly provider?: string;
      /** Only with a provider. */
      readonly model?: string;
      readonly repricingId?: string;
    } = {},
  ): Promise<RepricingResult> {
    const { startTime, endTime, repricingId = newUuid(), ...names } = events;
    let [pageToken, unpricedEventCount] = ['', 0n];
    for (;;) {
      const answer = await callUnary(this.#channel, methods.RepriceUnpriced, {
        ...names,
        repricingId,
        startTime: toWireTime(startTime),
        endTime: toWireTime(endTime),
        pageToken,
      });
      unpricedEventCount += BigInt(answer.unpricedEventCount);
      pageToken = answer.nextPageToken;
      if (pageToken !== '') continue;
      const repricedEventCount = BigInt(answer.repricedEventCount);
      return {
        repricingId,
        repricedEventCount,
        addedCost: fromWireCost(answer.addedCost),
        unpricedEventCount,
      };
    }
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

  /** The providers that have prices, your own first; one with prices from both sources is there twice. */
  async providersPage(page: PageRequest): Promise<Page<PricedProvider>> {
    const answer = await callUnary(this.#channel, methods.ListPricedProviders, page);
    return { items: answer.providers.map(fromWirePricedProvider), nextPageToken: answer.nextPageToken };
  }

  /** The price in force of each model of a provider, by model. */
  async inForcePage(
    models: { readonly provider: string; readonly source: Price['source']; readonly time?: Date },
    page: PageRequest,
  ): Promise<Page<Price>> {
    const answer = await callUnary(this.#channel, methods.ListPricesInForce, {
      provider: models.provider,
      source: `PRICE_SOURCE_${models.source}`,
      time: toWireTime(models.time),
      ...page,
    });
    return { items: answer.prices.map(fromWirePrice), nextPageToken: answer.nextPageToken };
  }

  /** Ends all own prices of a model, later ones too; what this call has ended, by date, at most 1,000. */
  async retireModel(provider: string, model: string): Promise<readonly RetiredPrice[]> {
    const answer = await callUnary(this.#channel, methods.RetireModel, { provider, model });
    return answer.retiredPrices.map(({ price, retireTime }) => ({
      price: fromWirePrice(price),
      retireTime: promised(fromWireTime(retireTime)),
    }));
  }
}
