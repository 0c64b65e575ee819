import { formatMoney, MONEY_SCALE, type Money, money, multiplyMoney, parseMoney } from '../domain/money.js';
import { countOf } from './number-text.js';

/** Money as people read it: every digit of the exact amount, and what has no price beside it, never as zero. */

export function moneyText(amount: string): string {
  return `$${amount}`;
}

/** A sum over calls, of which some may have units without a price; the totals of an experience are one. */
export interface CallSum {
  readonly cost: { readonly total: string };
  readonly unpricedEventCount: bigint;
}

/** `$0.0012`, `$0.0012 + 2 calls unpriced`, or only `2 calls unpriced`. */
export function sumText(sum: CallSum): string {
  return [pricedText(sum), unpricedText(sum)].filter((part) => part !== '').join(' ');
}

/** Empty when only what has no price was used: an amount that is not known must not look like zero. */
export function pricedText({ cost, unpricedEventCount }: CallSum): string {
  return cost.total === '0' && unpricedEventCount > 0n ? '' : moneyText(cost.total);
}

/** Empty when everything has a price. */
export function unpricedText(sum: CallSum): string {
  if (sum.unpricedEventCount === 0n) return '';
  const text = `${countOf(sum.unpricedEventCount, 'call')} unpriced`;
  return pricedText(sum) === '' ? text : `+ ${text}`;
}

/** Pads amounts of one column at their end, so that right-aligned their points stand below each other. */
export function alignedOnPoint(amounts: readonly string[]): string[] {
  const fractionLength = (text: string) => (text.includes('.') ? text.length - text.indexOf('.') : 0);
  const longest = Math.max(0, ...amounts.map(fractionLength));
  return amounts.map((text) => (text === '' ? '' : text + ' '.repeat(longest - fractionLength(text))));
}

/** An amount that is not exact anyway, to so many significant digits; `≈` where some were cut off. */
export function roundedMoney(amount: string, digits: number): string {
  const rounded = significant(amount, digits);
  return rounded === amount ? moneyText(amount) : `≈ ${moneyText(rounded)}`;
}

/** A part, such as `0.1825`, as a percentage to three digits: `18.3 %`. */
export function percentText(part: string): string {
  return `${significant(formatMoney(multiplyMoney(parsed(part), 100n)), PERCENT_DIGITS)} %`;
}

/** A decimal rounded half-up to so many significant digits; digits before the point all stay. */
function significant(decimal: string, digits: number): string {
  const amount = parsed(decimal);
  const magnitude = amount < 0n ? -amount : amount;
  const cut = Math.min(MONEY_SCALE, magnitude.toString().length - digits);
  if (cut <= 0) return decimal;
  const step = 10n ** BigInt(cut);
  const rounded = ((magnitude + step / 2n) / step) * step;
  return formatMoney(money(amount < 0n ? -rounded : rounded));
}

function parsed(decimal: string): Money {
  const amount = parseMoney(decimal);
  if (amount === undefined) throw new RangeError(`'${decimal}' is not a canonical decimal`);
  return amount;
}

const PERCENT_DIGITS = 3;

/** What a million units cost, exactly: the figure that providers list. */
export function perMillionText(pricePerUnit: string): string {
  return moneyText(formatMoney(multiplyMoney(parsed(pricePerUnit), 1_000_000n)));
}

/** A price per million units as the price of one: the point moves, no digit is lost. */
export function perUnitPrice(pricePerMillion: string): string {
  const [integer = '', fraction = ''] = pricePerMillion.split('.');
  const digits = integer.padStart(MILLION_DIGITS + 1, '0');
  return `${digits.slice(0, -MILLION_DIGITS)}.${digits.slice(-MILLION_DIGITS)}${fraction}`;
}

const MILLION_DIGITS = 6;
