import { MODEL_LENGTH_MAX } from '../domain/text-rules.js';
import { FALLBACK_PROVIDERS } from './fallback-providers.js';
import { compileMatchers, type ModelTest } from './model-matcher.js';
import type { Price } from './price.js';
import { lastAppended, laterPriceFirst } from './price-order.js';
import { pricesByModel } from './prices-by-model.js';

/** Names remembered a provider; resolving one again takes some ten microseconds. */
const RESOLVED_NAMES_MAX = 1_000;
const NO_PRICES: readonly Price[] = [];

interface CatalogueModel {
  readonly matches: ModelTest;
  readonly rank: number;
  /** In the order of `laterPriceFirst`. */
  readonly prices: readonly Price[];
}

/** The catalogue's prices by provider and spelling of a model. Nothing it answers ever changes. */
export class CatalogueIndex {
  readonly #models: ReadonlyMap<string, readonly CatalogueModel[]>;
  /** By provider and name as given; only a memory of what {@link #resolve} answers. */
  readonly #resolved = new Map<string, Map<string, readonly Price[]>>();

  constructor(prices: readonly Price[]) {
    this.#models = modelsByProvider(prices);
  }

  hasProvider(provider: string): boolean {
    return this.#models.has(provider) || FALLBACK_PROVIDERS.has(provider);
  }

  providers(): readonly string[] {
    return [...this.#models.keys()];
  }

  /** The prices of each model of a provider, the later in force first. */
  modelsOf(provider: string): readonly (readonly Price[])[] {
    return (this.#models.get(provider) ?? []).map(({ prices }) => prices);
  }

  /**
   * All prices of the model that a name means at a provider (an id as `providerId` answers), the later in force first;
   * none: the model is not known.
   */
  pricesOf(provider: string, model: string): readonly Price[] {
    if (model.length > MODEL_LENGTH_MAX || !this.hasProvider(provider)) return NO_PRICES;
    const resolved = this.#resolvedOf(provider);
    const known = resolved.get(model);
    if (known !== undefined) return known;
    const prices = this.#resolve(provider, model.trim().toLowerCase());
    if (resolved.size >= RESOLVED_NAMES_MAX) forgetOldest(resolved);
    resolved.set(model, prices);
    return prices;
  }

  #resolvedOf(provider: string): Map<string, readonly Price[]> {
    const known = this.#resolved.get(provider);
    if (known !== undefined) return known;
    const created = new Map<string, readonly Price[]>();
    this.#resolved.set(provider, created);
    return created;
  }

  #resolve(provider: string, model: string): readonly Price[] {
    const found = this.#match(provider, model);
    if (found !== undefined) return found.prices;
    const dashed = dashedDate(model);
    if (dashed === model) return NO_PRICES;
    return this.#match(provider, dashed)?.prices ?? NO_PRICES;
  }

  #match(provider: string, model: string): CatalogueModel | undefined {
    for (const candidate of [provider, ...(FALLBACK_PROVIDERS.get(provider) ?? [])]) {
      const found = this.#models.get(candidate)?.find(({ matches }) => matches(model));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function modelsByProvider(prices: readonly Price[]): ReadonlyMap<string, readonly CatalogueModel[]> {
  const providers = new Map<string, CatalogueModel[]>();
  for (const ofModel of pricesByModel(prices).values()) {
    const { provider, matchers, rank } = lastAppended(ofModel);
    const models = providers.get(provider) ?? [];
    models.push({ matches: compileMatchers(matchers), rank, prices: ofModel.toSorted(laterPriceFirst) });
    providers.set(provider, models);
  }
  for (const models of providers.values()) models.sort((a, b) => a.rank - b.rank);
  return providers;
}

function forgetOldest(resolved: Map<string, readonly Price[]>): void {
  const [oldest] = resolved.keys();
  if (oldest !== undefined) resolved.delete(oldest);
}

const UNDASHED_DATE = /-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)/g;

/** The name with a date such as `-20240718` written `-2024-07-18`. */
function dashedDate(model: string): string {
  return model.replaceAll(UNDASHED_DATE, (undashed, year: string, month: string, day: string) => {
    const date = new Date(`${year}-${month}-${day}T00:00:00Z`);
    return date.getUTCDate() === Number(day) ? `-${year}-${month}-${day}` : undashed;
  });
}
