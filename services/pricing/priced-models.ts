import type { Price } from './price.js';
import type { PriceBook } from './price-book.js';
import { priceInForce } from './price-order.js';

/** A provider that has prices from one source. */
export interface PricedProvider {
  readonly provider: string;
  readonly source: Price['source'];
  /** With a price in force now or later. */
  readonly modelCount: number;
  /** undefined: since ever. */
  readonly firstEffectiveTime: Date | undefined;
}

/** Those of one source, by provider. */
export function pricedProviders(
  book: PriceBook,
  source: Price['source'],
  now: Date,
): readonly PricedProvider[] {
  const providers = book.providers(source).map((provider) => {
    const models = book.modelsOf(source, provider);
    return {
      provider,
      source,
      modelCount: models.filter((prices) => isPricedFrom(prices, now)).length,
      firstEffectiveTime: firstTime(models.flat()),
    };
  });
  return providers.sort((a, b) => (a.provider < b.provider ? -1 : 1));
}

/** The price in force of each model that has one then, by model. */
export function pricesInForce(
  book: PriceBook,
  source: Price['source'],
  provider: string,
  time: Date,
): readonly Price[] {
  return book
    .modelsOf(source, provider)
    .flatMap((prices) => priceInForce(prices, time) ?? [])
    .filter(({ retired }) => !retired)
    .sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
}

/** What the prices of one provider and source are listed by. */
export function orderOf({ model }: Price): string {
  return model.toLowerCase();
}

/** `prices` of one model, the later in force first. */
function isPricedFrom(prices: readonly Price[], now: Date): boolean {
  const inForce = priceInForce(prices, now);
  if (inForce !== undefined && !inForce.retired) return true;
  return prices.some(
    ({ effectiveTime, retired }) => !retired && effectiveTime !== undefined && effectiveTime > now,
  );
}

function firstTime(prices: readonly Price[]): Date | undefined {
  const times = prices.filter(({ retired }) => !retired).map(({ effectiveTime }) => effectiveTime?.getTime());
  const known = times.flatMap((time) => time ?? []);
  return known.length === 0 || known.length < times.length ? undefined : new Date(Math.min(...known));
}
