import { Decimal128 } from 'mongodb';
import { formatMoney, type Money } from '../domain/money.js';
import { fromDecimal, toDecimal } from './money-decimal.js';

/**
 * The figures of a document of the books, by their path in it: `n`, `ci`, `un.text.i`, `b.17`. They are read from
 * documents that may be wrong in any way, so nothing here throws for what it reads, and sums have no limit: what a
 * figure is, and that it is one, is found out by comparing.
 */
export class Figures {
  readonly #values = new Map<string, bigint>();
  /** Fields that something unreadable should have been added to: what they ought to be is not known. */
  readonly #unknown = new Set<string>();
  /** Fields that hold something else than a figure. */
  readonly #unreadable = new Map<string, unknown>();

  get(field: string): bigint | undefined {
    return this.#values.get(field);
  }

  /** Whether there is a figure whose field begins so. */
  hasAny(start: string): boolean {
    return [...this.#values.keys()].some((field) => field.startsWith(start));
  }

  /** What can be read. */
  entries(): Iterable<readonly [field: string, value: bigint]> {
    return this.#values;
  }

  set(field: string, value: bigint): void {
    this.#values.set(field, value);
  }

  add(field: string, by: bigint): void {
    this.#values.set(field, (this.#values.get(field) ?? 0n) + by);
  }

  addAll(other: Figures): void {
    for (const [field, value] of other.#values) this.add(field, value);
    for (const field of other.#unknown) this.#unknown.add(field);
    for (const [field, value] of other.#unreadable) this.#unreadable.set(field, value);
  }

  markUnknown(...fields: readonly string[]): void {
    for (const field of fields) this.#unknown.add(field);
  }

  /** Reads a field of a document; what is no figure is kept as what it is. */
  read(field: string, value: unknown): void {
    const figure = toFigure(field, value);
    if (figure === undefined) this.#unreadable.set(field, value);
    else this.add(field, figure);
  }

  /** For what is no figure whatever it holds. */
  markUnreadable(field: string, value: unknown): void {
    this.#unreadable.set(field, value);
  }

  get isReadable(): boolean {
    return this.#unreadable.size === 0;
  }

  /** Where what is found here is not what is expected; a figure that is absent is zero, but for those of {@link OPTIONAL}. */
  differencesFrom(expected: Figures): FieldDifference[] {
    const fields = new Set([...expected.#values.keys(), ...this.#values.keys(), ...this.#unreadable.keys()]);
    const differences: FieldDifference[] = [];
    for (const field of fields) {
      if (expected.#unknown.has(field) || (field.startsWith('un.') && expected.#unknown.has('un'))) continue;
      const absent = OPTIONAL.has(field) ? undefined : 0n;
      const wanted = expected.#values.get(field) ?? absent;
      if (this.#unreadable.has(field)) {
        const found = this.#unreadable.get(field);
        differences.push({ field, expected: wanted, found: this.#values.get(field), unreadable: { found } });
        continue;
      }
      const found = this.#values.get(field) ?? absent;
      if (wanted !== found) differences.push({ field, expected: wanted, found, unreadable: undefined });
    }
    return differences.sort((a, b) => orderOf(a.field) - orderOf(b.field) || (a.field < b.field ? -1 : 1));
  }
}

export interface FieldDifference {
  readonly field: string;
  /** undefined: it is not to be there. */
  readonly expected: bigint | undefined;
  /** undefined: it is not there. */
  readonly found: bigint | undefined;
  /** What is there instead of a figure; where several documents are one sum, `found` is that of the others. */
  readonly unreadable: { readonly found: unknown } | undefined;
}

/** Fields whose absence is not zero: no event yet. */
const OPTIONAL: ReadonlySet<string> = new Set(['ct', 'f', 'l']);
const MONEY: ReadonlySet<string> = new Set([
  ...['ci', 'co', 'us', 'ws', 'ct', 's', 'ho', 'uc', 'sp', 'si'],
  ...['elsewhere.ho', 'elsewhere.uc', 'elsewhere.sp', 'elsewhere.si'],
]);
const TIMES: ReadonlySet<string> = new Set(['f', 'l']);
/** What every document of sums has. */
export const SUM_FIELDS = ['n', 'ci', 'co', 'us', 'ws', 'up'] as const;

/** The figure as MongoDB keeps it. */
export function toStored(field: string, figure: bigint): bigint | Decimal128 | Date {
  if (MONEY.has(field)) return toDecimal(figure as Money); // Far below what a Decimal128 holds: see FIGURE_MAX.
  return TIMES.has(field) ? new Date(Number(figure)) : figure;
}

/** For people and programs: amounts as decimals, times in ISO 8601; empty: absent. */
export function figureText(field: string, figure: bigint | undefined): string {
  if (figure === undefined || field === 'un') return '';
  if (MONEY.has(field)) return formatMoney(figure as Money); // Only to be shown.
  return TIMES.has(field) ? timeText(figure) : String(figure);
}

/** By how much; of times in milliseconds. Empty where one of the two is no figure. */
export function differenceText({ field, expected, found, unreadable }: FieldDifference): string {
  if (expected === undefined || found === undefined || unreadable !== undefined) return '';
  const by = found - expected;
  return MONEY.has(field) ? formatMoney(by as Money) : String(by); // Only to be shown.
}

export function foundText({ field, found, unreadable }: FieldDifference): string {
  return unreadable === undefined ? figureText(field, found) : unreadableText(unreadable.found);
}

/** What stands in the place of a figure, cut short: it may be anything. */
export function unreadableText(value: unknown): string {
  if (value === undefined) return 'absent';
  const text =
    typeof value === 'object' && value !== null && !('bytes' in value) ? 'no figure' : String(value);
  return `${text.slice(0, SHOWN_MAX)} (unreadable)`;
}

/** The name of a figure in the contract. */
export function figureName(field: string): string {
  const unit = /^un\.(.+)\.([io])$/.exec(field);
  if (unit !== null) return `units[${unit[1]}].${unit[2] === 'i' ? 'input' : 'output'}`;
  if (field.startsWith('b.')) return `buckets[${field.slice(2)}]`;
  if (field.startsWith(ELSEWHERE)) return `${ELSEWHERE}${figureName(field.slice(ELSEWHERE.length))}`;
  return NAMES[field] ?? field;
}

const NAMES: Readonly<Record<string, string>> = {
  n: 'event_count',
  ci: 'cost.input',
  co: 'cost.output',
  us: 'useful_cost',
  ws: 'wasted_cost',
  up: 'unpriced_event_count',
  un: 'units',
  ct: 'cost.total',
  f: 'first_event_time',
  l: 'last_event_time',
  s: 'sum',
  experiences: 'experience_count',
  sp: 'spent_cost',
  si: 'spent_input_cost',
  ho: 'held_cost',
  hn: 'open_reservation_count',
  uc: 'unsettled_cost',
  uq: 'unsettled_event_count',
};
/** Before figures of a limit that are where they have no place. */
export const ELSEWHERE = 'elsewhere.';
const ORDER = Object.keys(NAMES);

function orderOf(field: string): number {
  const index = ORDER.indexOf(field);
  return index < 0 ? ORDER.length : index;
}

/** undefined: it is no figure that this field may hold. */
export function toFigure(field: string, value: unknown): bigint | undefined {
  if (MONEY.has(field)) return value instanceof Decimal128 ? amountOf(value) : undefined;
  if (TIMES.has(field)) {
    const time = value instanceof Date ? value.getTime() : Number.NaN;
    return Number.isSafeInteger(time) ? BigInt(time) : undefined;
  }
  if (typeof value === 'bigint') return value;
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : undefined;
}

/** undefined: not finite, finer than 10^-18, or beyond any amount that can be. */
export function amountOf(value: unknown): bigint | undefined {
  if (!(value instanceof Decimal128)) return undefined;
  try {
    const amount = fromDecimal(value);
    return amount > FIGURE_MAX || amount < -FIGURE_MAX ? undefined : amount;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function timeText(milliseconds: bigint): string {
  const time = new Date(Number(milliseconds));
  return Number.isNaN(time.getTime()) ? `${milliseconds} ms` : time.toISOString();
}

/** 10^15 dollars: the difference of two such amounts is still an amount. */
const FIGURE_MAX = 10n ** 33n;
const SHOWN_MAX = 40;
