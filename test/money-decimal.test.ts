import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { Decimal128, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { formatMoney, type Money, money, parseMoney } from '../services/domain/money.js';
import { fromDecimal, toDecimal } from '../services/ledger/money-decimal.js';

/** The most that 34 digits hold: 16 before the point, 18 after it. */
const MOST = 10n ** 34n - 1n;

/** An amount as its text, as a whole number of 10^-18, and as the server prints the Decimal128 of it. */
const AMOUNTS: readonly (readonly [text: string, units: bigint, decimal: string])[] = [
  ['0', 0n, '0E-18'],
  ['0.000000000000000001', 1n, '1E-18'],
  ['-0.000000000000000001', -1n, '-1E-18'],
  ['0.00045', 450_000_000_000_000n, '0.000450000000000000'],
  ['1', 1_000_000_000_000_000_000n, '1.000000000000000000'],
  ['-1', -1_000_000_000_000_000_000n, '-1.000000000000000000'],
  ['1000000.000000000000000001', 1_000_000_000_000_000_000_000_001n, '1000000.000000000000000001'],
  // 2^64 - 1, 2^64 and 2^113 - 1: where the words of the encoding meet and where its mantissa ends.
  ['18.446744073709551615', 18_446_744_073_709_551_615n, '18.446744073709551615'],
  ['18.446744073709551616', 18_446_744_073_709_551_616n, '18.446744073709551616'],
  ['9999999999999999.999999999999999999', MOST, '9999999999999999.999999999999999999'],
  ['-9999999999999999.999999999999999999', -MOST, '-9999999999999999.999999999999999999'],
];

const anyMoney = fc.bigInt({ min: -MOST, max: MOST }).map(money);

describe('an amount of money', () => {
  test.each(AMOUNTS)(
    '%s is the same as text, as a whole number and as a Decimal128',
    (text, units, decimal) => {
      expect(parseMoney(text)).toBe(units);
      expect(formatMoney(money(units))).toBe(text);
      expect(toDecimal(money(units)).toString()).toBe(decimal);
      expect(fromDecimal(Decimal128.fromString(decimal))).toBe(units);
    },
  );

  test('survives text, Decimal128 and both, whatever it is', () => {
    fc.assert(
      fc.property(anyMoney, (amount) => {
        expect(parseMoney(formatMoney(amount))).toBe(amount);
        expect(fromDecimal(toDecimal(amount))).toBe(amount);
        expect(parseMoney(plainText(toDecimal(amount)))).toBe(amount);
      }),
    );
  });

  test('has the bytes that the driver would write for the same text', () => {
    fc.assert(
      fc.property(anyMoney, (amount) => {
        const sign = amount < 0n ? '-' : '';
        const written = Decimal128.fromString(`${sign}${amount < 0n ? -amount : amount}E-18`);
        expect(Buffer.from(toDecimal(amount).bytes)).toEqual(Buffer.from(written.bytes));
      }),
    );
  });

  test.each(['-0', '-0.0', '0.000', '000'])('has no negative or padded nothing: %s is 0', (text) => {
    const amount = parseMoney(text);
    expect(amount).toBe(0n);
    expect(toDecimal(amount as Money).toString()).toBe('0E-18');
  });

  test.each([
    ['more than 16 digits before the point', '10000000000000000'],
    ['more than 18 digits after the point', '0.0000000000000000001'],
    ['an exponent', '1e3'],
    ['a plus', '+1'],
    ['white space', ' 1'],
    ['no digit before the point', '.5'],
    ['no digit after the point', '1.'],
    ['a comma', '1,5'],
    ['a hexadecimal number', '0x10'],
    ['another script', '١'],
    ['NaN', 'NaN'],
    ['infinity', 'Infinity'],
    ['nothing', ''],
    ['65 characters', `0.${'0'.repeat(63)}`],
  ])('is not made of %s', (_what, text) => {
    expect(parseMoney(text)).toBeUndefined();
  });

  test('is never 10^16 or beyond', () => {
    expect(() => money(MOST + 1n)).toThrow(RangeError);
    expect(() => money(-MOST - 1n)).toThrow(RangeError);
  });
});

describe('a Decimal128 that the store answers', () => {
  test.each([
    ['1', 1_000_000_000_000_000_000n],
    ['1E+3', 1_000_000_000_000_000_000_000n],
    ['-2.50', -2_500_000_000_000_000_000n],
    ['1E+15', 10n ** 33n],
    ['0', 0n],
    ['0E+6111', 0n],
    ['-0', 0n],
    ['-0E-18', 0n],
    ['1.5E-17', 15n],
  ])('with the exponent -18 or a higher one is read: %s', (decimal, units) => {
    expect(fromDecimal(Decimal128.fromString(decimal))).toBe(units);
  });

  test.each([
    ['finer than 10^-18', '1E-19'],
    ['finer, even where the digits are zeros', '1.0000000000000000000'],
    ['finer, even if it is nothing', '0E-19'],
    ['10^16', '1E+16'],
    ['far beyond 10^16', '9E+6111'],
    ['not a number', 'NaN'],
    ['infinite', 'Infinity'],
    ['negative and infinite', '-Infinity'],
  ])('is refused as corrupt when it is %s', (_what, decimal) => {
    expect(() => fromDecimal(Decimal128.fromString(decimal))).toThrow(RangeError);
  });

  test('may lie anywhere in a larger buffer', () => {
    const bytes = new Uint8Array(40);
    bytes.set(toDecimal(money(7n)).bytes, 13);
    expect(fromDecimal(new Decimal128(bytes.subarray(13, 29)))).toBe(7n);
  });
});

describe('$inc on the server', () => {
  const client = new MongoClient(inject('mongodbUri'));
  const sums = client
    .db(`test_${randomUUID().slice(0, 8)}`)
    .collection<{ _id: string; sum: Decimal128 }>('sums');
  beforeAll(() => client.connect());
  afterAll(() => client.close());

  test.each<[what: string, amounts: readonly string[], sum: string]>([
    ['amounts that binary fractions cannot hold', ['0.1', '0.2', '0.3'], '0.600000000000000000'],
    ['an amount and its opposite', ['1', '-1'], '0E-18'],
    [
      'the smallest amount and the largest event',
      ['0.000000000000000001', '1000000'],
      '1000000.000000000000000001',
    ],
    [
      'up to the last digit that fits',
      ['9999999999999999.999999999999999998', '0.000000000000000001'],
      '9999999999999999.999999999999999999',
    ],
    ['below zero and back', ['0.5', '-2', '1.5'], '0E-18'],
  ])('adds %s exactly and keeps the exponent -18', async (what, amounts, sum) => {
    expect(
      (
        await added(
          what,
          amounts.map((text) => parseMoney(text) as Money),
        )
      ).toString(),
    ).toBe(sum);
  });

  test('adds any amounts as BigInt does', async () => {
    const part = fc.bigInt({ min: -(10n ** 33n), max: 10n ** 33n }).map(money);
    const numbered = fc.array(part, { minLength: 1, maxLength: 9 });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(numbered, async (amounts) => {
        round += 1;
        const sum = await added(`round ${round}`, amounts);
        expect(fromDecimal(sum)).toBe(amounts.reduce<bigint>((total, amount) => total + amount, 0n));
        expect(exponentOf(sum)).toBe(-18);
      }),
      { numRuns: 50 },
    );
  });

  test('drops a digit at 10^16, which is read as beyond what money holds and never as another amount', async () => {
    const sum = await added('too much', [money(MOST), money(1n)]);
    expect(exponentOf(sum)).toBe(-17);
    expect(() => fromDecimal(sum)).toThrow(RangeError);
  });

  async function added(id: string, amounts: readonly Money[]): Promise<Decimal128> {
    for (const amount of amounts) {
      await sums.updateOne({ _id: id }, { $inc: { sum: toDecimal(amount) } }, { upsert: true });
    }
    const found = await sums.findOne({ _id: id });
    if (found === null) throw new Error('a sum was written');
    return found.sum;
  }
});

/** Without an exponent: Decimal128 prints small amounts as 1E-18. */
function plainText(decimal: Decimal128): string {
  const [digits = '', exponent] = decimal.toString().split('E');
  if (exponent === undefined) return digits;
  const [whole = '', fraction = ''] = digits.replace('-', '').split('.');
  const places = fraction.length - Number(exponent);
  const padded = `${whole}${fraction}`.padStart(places + 1, '0');
  const sign = digits.startsWith('-') ? '-' : '';
  return `${sign}${padded.slice(0, -places)}.${padded.slice(-places)}`;
}

/** From the bytes: IEEE 754-2008, binary integer decimal. */
function exponentOf(decimal: Decimal128): number {
  const high = Buffer.from(decimal.bytes).readBigUInt64LE(8);
  return Number((high >> 49n) & 0x3fffn) - 6176;
}
