import type { Price, Rate } from '../price.js';

export function sameRates(a: Price['rates'], b: Price['rates']): boolean {
  if (a.size !== b.size) return false;
  return [...a].every(([kind, { input, output }]) => {
    const other = b.get(kind);
    return sameRate(input, other?.input) && sameRate(output, other?.output);
  });
}

export function sameRate(a: Rate | undefined, b: Rate | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.base === b.base &&
    a.inheritedFrom === b.inheritedFrom &&
    a.tiers.length === b.tiers.length &&
    a.tiers.every((tier, index) => {
      const other = b.tiers[index];
      return tier.inputUnitsAbove === other?.inputUnitsAbove && tier.price === other.price;
    })
  );
}
