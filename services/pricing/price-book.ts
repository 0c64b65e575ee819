import type { UnpricedReason } from '../domain/usage.js';
import { CatalogueIndex } from './catalogue-index.js';
import type { Price } from './price.js';
import { laterPriceFirst, priceInForce } from './price-order.js';
import { modelKey, pricesByModel } from './prices-by-model.js';
import { providerId } from './provider-id.js';

export type FoundPrice = { readonly price: Price } | { readonly reason: PriceMissingReason };

/** Why there is no price for a call at all. */
export type PriceMissingReason = Exclude<UnpricedReason, 'UNIT_KIND_NOT_PRICED'>;

/** The prices that apply to one application's calls: its own before the catalogue's. Immutable. */
export class PriceBook {
  readonly #catalogue: CatalogueIndex;
  /** By {@link ownKey}, each list in the order of `laterPriceFirst`. */
  readonly #own: ReadonlyMap<string, readonly Price[]>;
  readonly #ownProviders: ReadonlySet<string>;

  /**
   * Books of several applications may share the index of one catalogue; without one it is made of the catalogue prices
   * among `prices`.
   */
  constructor(prices: readonly Price[], catalogue = new CatalogueIndex(prices.filter(isCatalogue))) {
    const own = prices.filter((price) => !isCatalogue(price));
    const groups = pricesByModel(own, (price) => ownKey(price.provider, price.model));
    this.#catalogue = catalogue;
    this.#own = new Map([...groups].map(([key, prices]) => [key, prices.toSorted(laterPriceFirst)]));
    this.#ownProviders = new Set(own.map(({ provider }) => providerId(provider)));
  }

  /** Those that have prices from a source. */
  providers(source: Price['source']): readonly string[] {
    return source === 'catalogue' ? this.#catalogue.providers() : [...this.#ownProviders];
  }

  /** The prices that a source has of each model of a provider, the later in force first. */
  modelsOf(source: Price['source'], provider: string): readonly (readonly Price[])[] {
    const id = providerId(provider);
    if (source === 'catalogue') return this.#catalogue.modelsOf(id);
    if (!this.#ownProviders.has(id)) return [];
    return [...this.#own.values()].filter(
      ([first]) => first !== undefined && providerId(first.provider) === id,
    );
  }

  /**
   * The price in force at a time for a call: that of the model that answered or, where it has none, that of the model that
   * was asked for. The application's own prices go before the catalogue's, whichever model they are of: who prices
   * `house-model` does not know as what its server names itself.
   */
  findForCall(provider: string, model: string, requestedModel: string | undefined, time: Date): FoundPrice {
    const answered = this.find(provider, model, time);
    if (requestedModel === undefined || requestedModel === model || isOwn(answered)) return answered;
    const requested = this.find(provider, requestedModel, time);
    return isOwn(requested) || 'reason' in answered ? orElse(requested, answered) : answered;
  }

  /** The price in force at a time for a model, both named as the caller names them. */
  find(provider: string, model: string, time: Date): FoundPrice {
    const id = providerId(provider);
    const own = this.#ownProviders.has(id) ? this.#own.get(ownKey(id, model)) : undefined;
    const ownPrice = own === undefined ? undefined : priceInForce(own, time);
    if (ownPrice !== undefined && !ownPrice.retired) return { price: ownPrice };

    const listed = this.#catalogue.pricesOf(id, model);
    const listedPrice = priceInForce(listed, time);
    if (listedPrice !== undefined && !listedPrice.retired) return { price: listedPrice };

    if (own !== undefined || listed.length > 0) return { reason: 'NO_PRICE_AT_TIME' };
    if (this.#ownProviders.has(id) || this.#catalogue.hasProvider(id)) return { reason: 'MODEL_UNKNOWN' };
    return { reason: 'PROVIDER_UNKNOWN' };
  }
}

function isOwn(found: FoundPrice): boolean {
  return 'price' in found && !isCatalogue(found.price);
}

function orElse(found: FoundPrice, other: FoundPrice): FoundPrice {
  return 'price' in found ? found : other;
}

function isCatalogue({ source }: Price): boolean {
  return source === 'catalogue';
}

/** An application's price covers exactly one model, in any case. */
function ownKey(provider: string, model: string): string {
  return modelKey(providerId(provider), model.trim().toLowerCase());
}
