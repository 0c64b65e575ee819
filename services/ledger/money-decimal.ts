import { Decimal128 } from 'mongodb';
import { MONEY_SCALE, type Money, money, NO_MONEY } from '../domain/money.js';

/**
 * Money as MongoDB keeps it: Decimal128 at exponent -18, by its bytes (IEEE 754-2008, binary integer decimal).
 * The exponent is always the same, so `$inc` adds exactly as long as a sum stays below 10^16.
 */
export function toDecimal(amount: Money): Decimal128 {
  if (amount === NO_MONEY) return ZERO;
  const negative = amount < 0n;
  const magnitude = negative ? -amount : (amount as bigint);
  const high = (magnitude >> 64n) | (EXPONENT_BITS << 49n) | (negative ? SIGN_BIT : 0n);
  const bytes = Buffer.allocUnsafe(16);
  bytes.writeBigUInt64LE(magnitude & LOW_WORD, 0);
  bytes.writeBigUInt64LE(high, 8);
  return new Decimal128(bytes);
}

/** Reads any finite Decimal128 whose exponent is -18 or more; anything else is a corrupt amount. */
export function fromDecimal(decimal: Decimal128): Money {
  const view = new DataView(decimal.bytes.buffer, decimal.bytes.byteOffset, 16);
  const low = view.getBigUint64(0, true);
  const high = view.getBigUint64(8, true);
  if (((high >> 61n) & 3n) === 3n) throw new RangeError('an amount in the store is not a finite Decimal128');
  const exponent = Number((high >> 49n) & 0x3fffn) - EXPONENT_BIAS;
  if (exponent < -MONEY_SCALE) throw new RangeError('an amount in the store is finer than 10^-18');
  const magnitude = (((high & ((1n << 49n) - 1n)) << 64n) | low) * 10n ** BigInt(exponent + MONEY_SCALE);
  return money((high & SIGN_BIT) === 0n ? magnitude : -magnitude);
}

const EXPONENT_BIAS = 6176;
const EXPONENT_BITS = BigInt(EXPONENT_BIAS - MONEY_SCALE);
const SIGN_BIT = 1n << 63n;
const LOW_WORD = (1n << 64n) - 1n;
const ZERO = Decimal128.fromString(`0E-${MONEY_SCALE}`);
