import { MONEY_SCALE, type Money, money } from '../../domain/money.js';

const DECIMAL = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/;

export interface PricePerUnit {
  readonly price: Money;
  /** The listed price has no exact form per unit and was rounded to the nearest, halves up. */
  readonly rounded: boolean;
}

/**
 * The price of one unit, of a price listed for so many units. The double is never calculated with: its shortest
 * decimal is what the list's author wrote, and the rest is done on that text.
 */
export function pricePerUnit(listed: number, units: bigint): PricePerUnit {
  const match = DECIMAL.exec(String(listed));
  if (match === null) throw new RangeError(`${listed} is not a price`);
  const [, integer = '', fraction = '', exponent = '0'] = match;
  const shift = MONEY_SCALE - fraction.length + Number(exponent);
  const numerator = BigInt(integer + fraction) * 10n ** BigInt(Math.max(shift, 0));
  const denominator = units * 10n ** BigInt(Math.max(-shift, 0));
  return {
    price: money((2n * numerator + denominator) / (2n * denominator)),
    rounded: numerator % denominator !== 0n,
  };
}
