import type { Price, Rate } from '../client/index.js';
import { factsText } from './facts-text.js';
import { alignedOnPoint, moneyText, perMillionText } from './money-text.js';
import { countText, timeText } from './number-text.js';
import { tableText } from './table.js';
import { visibleLine } from './visible-text.js';

/** Prices per million units, as providers list them; rates that only repeat another kind's are left out. */
export function priceTable(prices: readonly Price[]): string {
  if (prices.length === 0) return 'There are no such prices.';
  const lines = prices.flatMap(linesOf);
  const inputs = alignedOnPoint(lines.map(({ rate }) => perMillion(rate?.input)));
  const outputs = alignedOnPoint(lines.map(({ rate }) => perMillion(rate?.output)));
  return tableText(
    [
      { head: 'MODEL, PRICE ID' },
      { head: 'UNITS' },
      { head: 'IN / 1M', align: 'right', optional: true },
      { head: 'OUT / 1M', align: 'right', optional: true },
      { head: 'FROM' },
      { head: 'SOURCE' },
    ],
    lines.map(({ name, rate, from, source }, index) => [
      name,
      rate?.label ?? '',
      inputs[index] ?? '',
      outputs[index] ?? '',
      from,
      source,
    ]),
  );
}

/** A price's lines in the table: its name and its id below each other, beside them its rates. */
function linesOf(price: Price) {
  const rates = rateLines(price).filter(({ inheritedFrom }) => inheritedFrom === '');
  const names = [visibleLine(`${price.provider} ${price.model}`, MODEL_WIDTH_MAX), price.priceId];
  const source = price.source === 'CATALOGUE' ? 'catalogue' : 'own';
  return Array.from({ length: Math.max(names.length, rates.length) }, (_, index) => ({
    name: names[index] ?? '',
    rate: rates[index],
    from: index === 0 ? (price.effectiveTime?.toISOString().slice(0, 10) ?? 'always') : '',
    source: index === 0 ? (price.retired ? `${source}, ended` : source) : '',
  }));
}

/** One price with all it says, per unit and per million units. */
export function priceDetails(price: Price): string {
  const facts = factsText([
    ['Price', price.priceId],
    ['Provider', price.provider],
    ['Model', price.model],
    ['From', price.effectiveTime === undefined ? 'always' : timeText(price.effectiveTime)],
    [
      'Source',
      price.source === 'CATALOGUE' ? `the catalogue, from ${price.sourceNote ?? 'unknown data'}` : 'your own',
    ],
    ['Created', timeText(price.createTime)],
    ['Retired', price.retired ? 'it only ends the price before it: the catalogue applies again' : undefined],
  ]);
  const lines = rateLines(price);
  if (lines.length === 0) return facts;
  const column = (text: (line: RateLine) => string) => alignedOnPoint(lines.map(text));
  const columns = [
    lines.map(({ label }) => label),
    column(({ input }) => perUnit(input)),
    column(({ input }) => perMillion(input)),
    column(({ output }) => perUnit(output)),
    column(({ output }) => perMillion(output)),
    lines.map(({ inheritedFrom }) => inheritedFrom),
  ];
  const table = tableText(
    [
      { head: 'UNITS' },
      { head: 'IN', align: 'right', optional: true },
      { head: 'IN / 1M', align: 'right', optional: true },
      { head: 'OUT', align: 'right', optional: true },
      { head: 'OUT / 1M', align: 'right', optional: true },
      { head: 'SAME AS', optional: true },
    ],
    lines.map((_, index) => columns.map((cells) => cells[index] ?? '')),
  );
  return `${facts}\n\n${table}`;
}

/** A kind's rate, or a tier of it. */
interface RateLine {
  readonly label: string;
  /** Per unit; undefined: no price. */
  readonly input: string | undefined;
  readonly output: string | undefined;
  /** The kind whose rate this is; empty: its own. */
  readonly inheritedFrom: string;
}

function rateLines(price: Price): readonly RateLine[] {
  return Object.entries(price.rates)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([kind, { input, output }]) => {
      const inheritedFrom = [...new Set([input?.inheritedFrom, output?.inheritedFrom])]
        .filter((from) => from !== undefined)
        .join(', ');
      const base = { label: kind, input: input?.base, output: output?.base, inheritedFrom };
      const tiers = tierStarts(input, output).map((above) => ({
        label: `  above ${countText(above)} in`,
        input: priceAbove(input, above),
        output: priceAbove(output, above),
        inheritedFrom,
      }));
      return [base, ...tiers];
    });
}

function tierStarts(...rates: readonly (Rate | undefined)[]): readonly bigint[] {
  const starts = rates.flatMap((rate) => rate?.tiers ?? []).map(({ inputUnitsAbove }) => inputUnitsAbove);
  return [...new Set(starts)].sort((a, b) => (a < b ? -1 : 1));
}

function priceAbove(rate: Rate | undefined, above: bigint): string | undefined {
  return rate?.tiers?.findLast(({ inputUnitsAbove }) => inputUnitsAbove <= above)?.price ?? rate?.base;
}

function perUnit(price: string | undefined): string {
  return price === undefined ? '' : moneyText(price);
}

function perMillion(price: string | undefined): string {
  return price === undefined ? '' : perMillionText(price);
}

const MODEL_WIDTH_MAX = 44;
