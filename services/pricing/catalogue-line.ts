import { v5 } from 'uuid';
import { formatMoney, type Money, parseMoney } from '../domain/money.js';
import { isUnitKind, type UnitKind } from '../domain/units.js';
import { isCanonicalUuid, type Uuid } from '../domain/uuid.js';
import type { ModelMatcher } from './model-matcher.js';
import { type Price, RATE_MAX, type Rate, type UnitRate } from './price.js';

/** A price as a line of catalogue.json, members in this order; decimal strings in USD per unit. */
export interface CatalogueLine {
  readonly id: string;
  readonly provider: string;
  readonly model: string;
  readonly rank: number;
  /** Absent: since ever. */
  readonly from?: string;
  readonly match: readonly ModelMatcher[];
  readonly rates: Readonly<Record<string, { readonly [direction in Direction]?: RateText }>>;
  /** By direction, the kinds that have another kind's rate. */
  readonly inherited?: { readonly [direction in Direction]?: Readonly<Record<string, string>> };
  readonly retired?: true;
  readonly created: string;
  readonly source: string;
}

type Direction = 'input' | 'output';
const DIRECTIONS = ['input', 'output'] as const;

type RateText =
  | string
  | { readonly base: string; readonly tiers: readonly { readonly above: number; readonly price: string }[] };

const LINE_MEMBERS = [
  'id',
  'provider',
  'model',
  'rank',
  'from',
  'match',
  'rates',
  'inherited',
  'retired',
  'created',
  'source',
];

/**
 * Reads a line that nothing has looked at yet. One that says something impossible is a broken file, not a caller's
 * fault: it throws. By hand in one pass, because thousands are read at every start: with a schema it took three times
 * as long.
 */
export function fromCatalogueLine(value: unknown): Price {
  const line = membersOf(value, LINE_MEMBERS);
  const id = textOf(line.id);
  if (!isCanonicalUuid(id)) throw new RangeError(`${id} is not a UUID`);
  if (line.retired !== undefined && line.retired !== true) throw new RangeError('retired is true or absent');
  return {
    id,
    source: 'catalogue',
    provider: textOf(line.provider),
    model: textOf(line.model),
    matchers: listOf(line.match).map(matcherOf),
    rank: countOf(line.rank),
    effectiveTime: line.from === undefined ? undefined : timeOf(line.from),
    rates: ratesOf(line.rates, line.inherited),
    retired: line.retired === true,
    createTime: timeOf(line.created),
    sourceNote: textOf(line.source),
  };
}

function matcherOf(value: unknown): ModelMatcher {
  const [rule, ...others] = Object.entries(membersOf(value));
  if (rule === undefined || others.length > 0) throw new RangeError('a matcher is one rule');
  const [name, operand] = rule;
  switch (name) {
    case 'equals':
      return { equals: textOf(operand) };
    case 'startsWith':
      return { startsWith: textOf(operand) };
    case 'endsWith':
      return { endsWith: textOf(operand) };
    case 'contains':
      return { contains: textOf(operand) };
    case 'regex':
      return { regex: textOf(operand) };
    case 'or':
      return { or: listOf(operand).map(matcherOf) };
    case 'and':
      return { and: listOf(operand).map(matcherOf) };
    default:
      throw new RangeError(`there is no rule ${name}`);
  }
}

function ratesOf(ratesValue: unknown, inheritedValue: unknown): ReadonlyMap<UnitKind, UnitRate> {
  const own = new Map<UnitKind, UnitRate>();
  for (const [kind, value] of Object.entries(membersOf(ratesValue))) {
    const { input, output } = membersOf(value, DIRECTIONS);
    own.set(kindOf(kind), {
      ...(input !== undefined && { input: rateOf(input) }),
      ...(output !== undefined && { output: rateOf(output) }),
    });
  }
  if (inheritedValue === undefined) return own;

  const all = new Map(own);
  const inherited = membersOf(inheritedValue, DIRECTIONS);
  for (const direction of DIRECTIONS) {
    for (const [heir, parent] of Object.entries(membersOf(inherited[direction] ?? {}))) {
      const [kind, inheritedFrom] = [kindOf(heir), kindOf(parent)];
      const rate = own.get(inheritedFrom)?.[direction];
      if (rate === undefined) throw new RangeError(`there is no ${direction} rate of ${parent} to inherit`);
      if (own.get(kind)?.[direction] !== undefined) throw new RangeError(`${heir} has a rate of its own`);
      const others = all.get(kind);
      const heirRate = { base: rate.base, tiers: rate.tiers, inheritedFrom };
      all.set(kind, direction === 'input' ? { ...others, input: heirRate } : { ...others, output: heirRate });
    }
  }
  return all;
}

const NO_TIERS: Rate['tiers'] = [];

function rateOf(value: unknown): Rate {
  if (typeof value === 'string') return { base: moneyOf(value), tiers: NO_TIERS };
  const { base, tiers } = membersOf(value, ['base', 'tiers']);
  let before = -1n;
  return {
    base: moneyOf(base),
    tiers: listOf(tiers).map((tier) => {
      const { above, price } = membersOf(tier, ['above', 'price']);
      const inputUnitsAbove = BigInt(countOf(above));
      if (inputUnitsAbove <= before) throw new RangeError('tiers ascend');
      before = inputUnitsAbove;
      return { inputUnitsAbove, price: moneyOf(price) };
    }),
  };
}

function kindOf(text: unknown): UnitKind {
  const kind = textOf(text);
  if (!isUnitKind(kind)) throw new RangeError(`${kind} is not a unit kind`);
  return kind;
}

function moneyOf(value: unknown): Money {
  const text = textOf(value);
  const amount = parseMoney(text);
  if (amount === undefined || amount < 0n || amount > RATE_MAX)
    throw new RangeError(`${text} is not a price`);
  return amount;
}

function timeOf(value: unknown): Date {
  const text = textOf(value);
  const time = new Date(text);
  if (Number.isNaN(time.getTime()) || time.toISOString() !== text)
    throw new RangeError(`${text} is not a time`);
  return time;
}

/** An object; with names, one that has no other members. */
function membersOf(value: unknown, names?: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RangeError('not an object');
  const members: Record<string, unknown> = { ...value };
  if (names !== undefined) {
    for (const name in members) if (!names.includes(name)) throw new RangeError(`there is no member ${name}`);
  }
  return members;
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new RangeError('not a list');
  return value;
}

function textOf(value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new RangeError('not a text');
  return value;
}

function countOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new RangeError('not a count');
  return value;
}

export function toCatalogueLine(price: Price): CatalogueLine {
  return { id: price.id, ...contentOf(price) };
}

const CATALOGUE_NAMESPACE = '6a0ea5a4-1f0b-4d0e-9d0f-0f3e4c7b52d1';

/** The id of a catalogue price: the same for the same content, whoever seeds it. */
export function catalogueId(price: Omit<Price, 'id'>): Uuid {
  const id = v5(JSON.stringify(contentOf(price)), CATALOGUE_NAMESPACE);
  if (!isCanonicalUuid(id)) throw new RangeError('a UUIDv5 is a UUID');
  return id;
}

function contentOf(price: Omit<Price, 'id'>): Omit<CatalogueLine, 'id'> {
  const inherited = inheritedToText(price.rates);
  return {
    provider: price.provider,
    model: price.model,
    rank: price.rank,
    ...(price.effectiveTime !== undefined && { from: price.effectiveTime.toISOString() }),
    match: price.matchers,
    rates: ratesToText(price.rates),
    ...(Object.keys(inherited).length > 0 && { inherited }),
    ...(price.retired && { retired: true as const }),
    created: price.createTime.toISOString(),
    source: price.sourceNote,
  };
}

/** Rates that are their kind's own. Kinds are put in alphabetical order: the content, and so the id, has one form. */
function ratesToText(rates: Price['rates']): CatalogueLine['rates'] {
  const texts = sorted(rates).map(([kind, { input, output }]): [string, CatalogueLine['rates'][string]] => [
    kind,
    {
      ...(input !== undefined && input.inheritedFrom === undefined && { input: rateToText(input) }),
      ...(output !== undefined && output.inheritedFrom === undefined && { output: rateToText(output) }),
    },
  ]);
  return Object.fromEntries(texts.filter(([, text]) => Object.keys(text).length > 0));
}

function inheritedToText(rates: Price['rates']): NonNullable<CatalogueLine['inherited']> {
  const texts = DIRECTIONS.map((direction): [Direction, Record<string, string>] => {
    const heirs = sorted(rates).flatMap(([kind, rate]): [string, string][] => {
      const inheritedFrom = rate[direction]?.inheritedFrom;
      return inheritedFrom === undefined ? [] : [[kind, inheritedFrom]];
    });
    return [direction, Object.fromEntries(heirs)];
  });
  return Object.fromEntries(texts.filter(([, heirs]) => Object.keys(heirs).length > 0));
}

function sorted(rates: Price['rates']): readonly (readonly [UnitKind, UnitRate])[] {
  return [...rates].sort(([a], [b]) => (a < b ? -1 : 1));
}

function rateToText({ base, tiers }: Rate): RateText {
  if (tiers.length === 0) return formatMoney(base);
  return {
    base: formatMoney(base),
    tiers: tiers.map(({ inputUnitsAbove, price }) => ({
      above: Number(inputUnitsAbove),
      price: formatMoney(price),
    })),
  };
}
