/**
 * Money: whole numbers of 10^-18 of the currency. It is made, added and formatted here and nowhere else; no
 * `number` ever holds it. On the wire it is a canonical decimal string, in MongoDB a Decimal128 at exponent -18.
 */
export type Money = bigint & { readonly [moneyBrand]: true };
declare const moneyBrand: unique symbol;

/** Digits after the point. */
export const MONEY_SCALE = 18;
const INTEGER_DIGITS_MAX = 16;
const ONE = 10n ** BigInt(MONEY_SCALE);
/** 34 digits: what a Decimal128 holds exactly. */
const MONEY_LIMIT = 10n ** BigInt(INTEGER_DIGITS_MAX + MONEY_SCALE);

export const NO_MONEY = 0n as Money;

/** Amounts at or beyond 10^16 of the currency cannot be stored exactly; reaching one is a bug upstream. */
export function money(units: bigint): Money {
  if (units >= MONEY_LIMIT || units <= -MONEY_LIMIT) {
    throw new RangeError('an amount of money is beyond 10^16');
  }
  return units as Money;
}

export function addMoney(a: Money, b: Money): Money {
  return money(a + b);
}

export function sumMoney(amounts: Iterable<Money>): Money {
  let sum = NO_MONEY;
  for (const amount of amounts) sum = addMoney(sum, amount);
  return sum;
}

export function subtractMoney(from: Money, amount: Money): Money {
  return money(from - amount);
}

/** The exact product of a price per unit and a whole number of units; never rounded. */
export function multiplyMoney(pricePerUnit: Money, units: bigint): Money {
  return money(pricePerUnit * units);
}

/** An average: rounded half-even at the last digit that money has. */
export function divideMoney(amount: Money, by: bigint): Money {
  return money(dividedHalfEven(amount, by));
}

/**
 * How many times one amount is of another, as a decimal string rounded half-even at six digits; undefined where the other
 * is nothing.
 */
export function moneyRatio(amount: Money, of: Money): string | undefined {
  if (of === 0n) return undefined;
  const millionths = dividedHalfEven(amount * 10n ** RATIO_SCALE, of);
  return decimalText(millionths * 10n ** (BigInt(MONEY_SCALE) - RATIO_SCALE));
}

/** Digits after the point of a ratio. */
const RATIO_SCALE = 6n;

function dividedHalfEven(dividend: bigint, divisor: bigint): bigint {
  const [numerator, denominator] = divisor < 0n ? [-dividend, -divisor] : [dividend, divisor];
  const quotient = numerator / denominator; // Cut towards zero.
  const rest = numerator % denominator;
  const twice = 2n * (rest < 0n ? -rest : rest);
  const away = twice > denominator || (twice === denominator && quotient % 2n !== 0n);
  if (!away) return quotient;
  return numerator < 0n ? quotient - 1n : quotient + 1n;
}

/** Whole currency, for bounds such as "at most 1,000,000 an event". */
export function wholeMoney(whole: bigint): Money {
  return money(whole * ONE);
}

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?$/;

/**
 * Reads a decimal string. Unlike what we write it may have leading zeros and trailing zeros; not a `+`, an exponent or
 * white space. Answers undefined for anything that is not exact at 18 digits after the point and 16 before it.
 */
export function parseMoney(text: string): Money | undefined {
  if (text.length > 64) return undefined;
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign = '', integer = '', fraction = ''] = match;
  const fractionDigits = fraction.replace(/0+$/, '');
  const integerDigits = integer.replace(/^0+/, '');
  if (fractionDigits.length > MONEY_SCALE || integerDigits.length > INTEGER_DIGITS_MAX) return undefined;
  const magnitude = BigInt(integerDigits + fractionDigits.padEnd(MONEY_SCALE, '0'));
  return money(sign === '-' ? -magnitude : magnitude);
}

/** Canonical decimal string: no `+`, no exponent, no needless zeros; `0` for nothing. */
export function formatMoney(amount: Money): string {
  return decimalText(amount);
}

/** A whole number of 10^-18 as a decimal string. */
function decimalText(units: bigint): string {
  const magnitude = units < 0n ? -units : units;
  const fraction = (magnitude % ONE).toString().padStart(MONEY_SCALE, '0').replace(/0+$/, '');
  const text = fraction === '' ? `${magnitude / ONE}` : `${magnitude / ONE}.${fraction}`;
  return units < 0n ? `-${text}` : text;
}
