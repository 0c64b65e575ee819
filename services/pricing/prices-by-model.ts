import type { Price } from './price.js';

/** Groups of at least one price each, by {@link modelKey} of what `nameOf` makes of provider and model. */
export function pricesByModel(
  prices: readonly Price[],
  nameOf: (price: Price) => string = ({ provider, model }) => modelKey(provider, model),
): ReadonlyMap<string, readonly [Price, ...Price[]]> {
  const groups = new Map<string, [Price, ...Price[]]>();
  for (const price of prices) {
    const group = groups.get(nameOf(price));
    if (group === undefined) groups.set(nameOf(price), [price]);
    else group.push(price);
  }
  return groups;
}

/** Neither part holds a line break. */
export function modelKey(provider: string, model: string): string {
  return `${provider}\n${model}`;
}
