import { InvalidArgumentError } from 'commander';
import type { CostDimension, Price, UnitsInput } from '../client/index.js';
import { SCOPES, type Scope } from '../domain/api-key.js';
import { applicationIdRule } from '../domain/application.js';
import { perUnitPrice } from './money-text.js';

/** What options and arguments are read into. Each reader throws commander's error, whose text follows the option's name. */

export function wholeNumber(max: number): (text: string) => number {
  return (text) => {
    if (/^\d{1,9}$/.test(text) && Number(text) >= 1 && Number(text) <= max) return Number(text);
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${max.toLocaleString('en-US')}.`);
  };
}

export function seconds(max: number): (text: string) => number {
  return (text) => {
    if (/^\d{1,6}(\.\d{1,3})?$/.test(text) && Number(text) > 0 && Number(text) <= max) return Number(text);
    throw new InvalidArgumentError(`It must be a number of seconds up to ${max}.`);
  };
}

/** An amount of money, as it is typed: exact. */
export function amount(text: string): string {
  if (AMOUNT.test(text)) return text;
  throw new InvalidArgumentError('It must be an amount in USD as a decimal number, such as 2.50.');
}

/** A part of a whole, as it is typed. */
export function part(text: string): string {
  if (PART.test(text)) return text;
  throw new InvalidArgumentError('It must be a part of 1 as a decimal number, such as 0.8.');
}

/** For an option that is given once for each tag. */
export function tag(text: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), text];
}

export function address(text: string): string {
  if (isAddress(text)) return text;
  throw new InvalidArgumentError('It must be host:port.');
}

export function applicationId(text: string): string {
  const wrong = applicationIdRule(text);
  if (wrong === undefined) return text;
  throw new InvalidArgumentError(`It ${wrong}.`);
}

/** `read,record`: each at most once. */
export function scopes(text: string): readonly Scope[] {
  const stated = text.split(',').map((name) => SCOPES.find((scope) => scope.toLowerCase() === name.trim()));
  if (stated.includes(undefined) || new Set(stated).size < stated.length)
    throw new InvalidArgumentError('It must be one or more of read,record,admin.');
  return stated.filter((scope) => scope !== undefined);
}

export function isAddress(text: string): boolean {
  return /^\S+:\d{1,5}$/.test(text);
}

/** A date, which begins at midnight UTC, or a time with its zone: without one it would depend on where it is read. */
export function time(text: string): Date {
  const match = TIME.exec(text);
  const day = match?.[1];
  const date = new Date(text);
  if (day !== undefined && Number.isFinite(date.getTime()) && isDay(day)) return date;
  throw new InvalidArgumentError(
    'It must be a time such as 2026-01-31T12:00:00Z, or a date such as 2026-01-31.',
  );
}

/** A time as `time` reads it that is a full hour: costs are kept by the hour. */
export function fullHour(text: string): Date {
  const read = time(text);
  if (read.getTime() % HOUR_MS === 0) return read;
  throw new InvalidArgumentError('It must be a full hour in UTC, such as 2026-01-31T12:00:00Z, or a date.');
}

/** `type,version`: each at most once. */
export function costDimensions(text: string): readonly CostDimension[] {
  const dimensions = text.split(',').map((name) => DIMENSIONS.get(name.trim()));
  if (dimensions.includes(undefined) || new Set(dimensions).size < dimensions.length) {
    throw new InvalidArgumentError(`It must be one or more of ${[...DIMENSIONS.keys()].join(',')}.`);
  }
  return dimensions.filter((dimension) => dimension !== undefined);
}

/** `50,99.9` */
export function percentiles(text: string): readonly number[] {
  const list = text.split(',').map((part) => (PERCENTILE.test(part.trim()) ? Number(part) : 0));
  if (list.length <= PERCENTILES_MAX && list.every((percent) => percent > 0 && percent <= 100)) return list;
  throw new InvalidArgumentError(
    `It must be at most ${PERCENTILES_MAX} percentages up to 100, such as 50,99.9.`,
  );
}

/** For an option that is given once for each property. */
export function property(
  text: string,
  earlier: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  const [key, value] = split(text, '=');
  if (key === '' || value === undefined) throw new InvalidArgumentError('It must be key=value.');
  return added(earlier, key, value);
}

/** `text=1000/500`: input and output; either may be left out, as in `text=1000` or `text=/500`. */
export function units(text: string, earlier: UnitsInput | undefined): UnitsInput {
  const [kind, counts] = split(text, '=');
  const match = UNIT_COUNTS.exec(counts ?? '');
  if (kind === '' || match === null || counts === '') {
    throw new InvalidArgumentError('It must be kind=input/output in whole numbers, such as text=1000/500.');
  }
  const [, input, output] = match;
  return added(earlier, kind, {
    ...(input === undefined ? {} : { input: BigInt(input) }),
    ...(output === undefined ? {} : { output: BigInt(output) }),
  });
}

/** As they were typed: whether for one unit or a million another option says. */
export type TypedRates = Readonly<Record<string, { readonly input?: string; readonly output?: string }>>;

/** `text=0.00000015/0.0000006`: input and output; either may be left out. */
export function rate(text: string, earlier: TypedRates | undefined): TypedRates {
  const [kind, prices] = split(text, '=');
  const match = RATE_PRICES.exec(prices ?? '');
  if (kind === '' || match === null || prices === '') {
    throw new InvalidArgumentError(
      'It must be kind=input/output in decimal numbers, such as text=0.00000015/0.0000006.',
    );
  }
  const [, input, output] = match;
  return added(earlier, kind, {
    ...(input === undefined ? {} : { input }),
    ...(output === undefined ? {} : { output }),
  });
}

/** Rates per unit, as the service has them. */
export function ratesPerUnit(typed: TypedRates, perMillion: boolean): Price['rates'] {
  const toRate = (price: string) => ({ base: perMillion ? perUnitPrice(price) : price });
  return Object.fromEntries(
    Object.entries(typed).map(([kind, { input, output }]) => [
      kind,
      {
        ...(input === undefined ? {} : { input: toRate(input) }),
        ...(output === undefined ? {} : { output: toRate(output) }),
      },
    ]),
  );
}

/** From a minute's part of one up to a year, as the service keeps things. */
export function days(text: string): number {
  const value = /^\d{1,3}(?:\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0 && value <= 365) return value;
  throw new InvalidArgumentError('It must be a number of days above 0, at most 365.');
}

export function jsonObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Readonly<Record<string, unknown>>;
    }
  } catch {
    // Answered below, as for JSON that is no object.
  }
  throw new InvalidArgumentError(`It must be a JSON object, such as '{"chunkTokens": 800}'.`);
}

function split(text: string, separator: string): readonly [string, string | undefined] {
  const index = text.indexOf(separator);
  return index < 0 ? [text, undefined] : [text.slice(0, index), text.slice(index + separator.length)];
}

/** The same key twice is a slip, of which one half would be lost silently. */
function added<Value>(
  earlier: Readonly<Record<string, Value>> | undefined,
  key: string,
  value: Value,
): Readonly<Record<string, Value>> {
  if (earlier !== undefined && Object.hasOwn(earlier, key)) {
    throw new InvalidArgumentError(`'${key}' is given twice.`);
  }
  return { ...earlier, [key]: value };
}

/** `Date` takes the 31st of a short month for the first of the next. */
function isDay(day: string): boolean {
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}

const TIME = /^(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;
const AMOUNT = /^\d{1,16}(?:\.\d{1,18})?$/;
const PART = /^[01](?:\.\d{1,6})?$/;
const UNIT_COUNTS = /^(\d{1,18})?(?:\/(\d{1,18})?)?$/;
const RATE_PRICES = /^(\d{1,20}(?:\.\d{1,24})?)?(?:\/(\d{1,20}(?:\.\d{1,24})?)?)?$/;
const HOUR_MS = 3_600_000;
const DIMENSIONS: ReadonlyMap<string, CostDimension> = new Map([
  ['type', 'EXPERIENCE_TYPE'],
  ['version', 'EXPERIENCE_VERSION'],
  ['provider', 'PROVIDER'],
  ['model', 'MODEL'],
]);
const PERCENTILE = /^\d{1,3}(?:\.\d{1,3})?$/;
const PERCENTILES_MAX = 20;
