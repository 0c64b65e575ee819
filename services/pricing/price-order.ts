import type { Price } from './price.js';

/** Of two prices of one model: the one in force later first, at equal times the one appended later, then by id. */
export function laterPriceFirst(a: Price, b: Price): number {
  return effectiveMs(b) - effectiveMs(a) || (appendedAfter(a, b) ? -1 : 1);
}

/** The price in force at a time, of a model's prices in the order of {@link laterPriceFirst}. */
export function priceInForce(prices: readonly Price[], time: Date): Price | undefined {
  const timeMs = time.getTime();
  return prices.find((price) => effectiveMs(price) <= timeMs);
}

/** Of a catalogue model's prices the one that says which names mean the model now. */
export function lastAppended(prices: readonly [Price, ...Price[]]): Price {
  return prices.reduce((last, price) => (appendedAfter(price, last) ? price : last));
}

function appendedAfter(a: Price, b: Price): boolean {
  return (a.createTime.getTime() - b.createTime.getTime() || (a.id > b.id ? 1 : -1)) > 0;
}

/** Below all times and finite, so that the difference of two is 0 and not NaN. */
const SINCE_EVER_MS = -Number.MAX_VALUE;

function effectiveMs(price: Price): number {
  return price.effectiveTime?.getTime() ?? SINCE_EVER_MS;
}
