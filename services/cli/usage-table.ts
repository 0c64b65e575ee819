import type { UnitCount, Units, UsageEvent } from '../client/index.js';
import { formatMoney, parseMoney, sumMoney } from '../domain/money.js';
import { alignedOnPoint, type CallSum, moneyText, pricedText, sumText } from './money-text.js';
import { countOf, countText, durationText } from './number-text.js';
import { tableText } from './table.js';
import { unpricedUnitsText } from './unpriced-units-text.js';
import { visibleLine } from './visible-text.js';

/** Paid calls, one a row and one line a unit kind, and their exact sum; below it what has no price, and why. */
export function usageTable(events: readonly UsageEvent[]): string {
  if (events.length === 0) return 'No calls are recorded.';
  const sum = sumOf(events);
  const amounts = alignedOnPoint([...events.map(pricedPart), pricedText(sum)]);
  const rows = events.map((event, index) => [
    visibleLine(event.step ?? '–', STEP_WIDTH_MAX),
    visibleLine(event.model, MODEL_WIDTH_MAX),
    ...unitCells(event.units),
    costCell(amounts[index] ?? '', isUnpriced(event)),
    event.latencyMs === undefined ? '' : durationText(event.latencyMs),
    event.outcome.toLowerCase().replace('_', ' '),
    event.useful ? 'useful' : 'wasted',
  ]);
  const sums = [
    countOf(events.length, 'call'),
    '',
    ...unitCells(unitsOf(events)),
    costCell(amounts.at(-1) ?? '', sum.unpricedEventCount > 0n),
    '',
    '',
    '',
  ];
  return [tableText(COLUMNS, rows, sums), sumLine(events), ...unpricedLines(events)].join('\n');
}

function isUnpriced({ unpricedUnits }: UsageEvent): boolean {
  return unpricedUnits.length > 0;
}

/** Empty when only what has no price was used. */
function pricedPart(event: UsageEvent): string {
  return event.cost.total === '0' && isUnpriced(event) ? '' : moneyText(event.cost.total);
}

/** What has no price takes a line of its own, so that the table stays as narrow as without. */
function costCell(amount: string, unpriced: boolean): string {
  if (!unpriced) return amount;
  return amount === '' ? 'unpriced' : `${amount}\n+ unpriced`;
}

/** Kinds, input and output, each a cell with one line a kind. */
function unitCells(units: Units): readonly [string, string, string] {
  const counts = Object.values(units);
  return [
    Object.keys(units).join('\n'),
    counts.map(({ input }) => countText(input)).join('\n'),
    counts.map(({ output }) => countText(output)).join('\n'),
  ];
}

function unitsOf(events: readonly UsageEvent[]): Units {
  const sums = new Map<string, UnitCount>();
  for (const { units } of events) {
    for (const [kind, { input, output }] of Object.entries(units)) {
      const sum = sums.get(kind) ?? { input: 0n, output: 0n };
      sums.set(kind, { input: sum.input + input, output: sum.output + output });
    }
  }
  return Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function sumOf(events: readonly UsageEvent[]): CallSum {
  const amounts = events.map(({ cost }) => {
    const amount = parseMoney(cost.total);
    if (amount === undefined) throw new RangeError(`'${cost.total}' is not an amount of money`);
    return amount;
  });
  return {
    cost: { total: formatMoney(sumMoney(amounts)) },
    unpricedEventCount: BigInt(events.filter(isUnpriced).length),
  };
}

function sumLine(events: readonly UsageEvent[]): string {
  const sums = {
    Total: events,
    Useful: events.filter((event) => event.useful),
    Wasted: events.filter((event) => !event.useful),
  };
  return Object.entries(sums)
    .map(([name, part]) => `${name}: ${sumText(sumOf(part))}.`)
    .join(' ');
}

/** Each reason once, however many calls it concerns. */
function unpricedLines(events: readonly UsageEvent[]): readonly string[] {
  const reasons = events.flatMap((event) =>
    event.unpricedUnits.map((units) => unpricedUnitsText(event, units)),
  );
  return [...new Set(reasons)].map((reason) => visibleLine(`Unpriced: ${reason}.`, LINE_WIDTH_MAX));
}

const COLUMNS = [
  { head: 'STEP' },
  { head: 'MODEL' },
  { head: 'UNITS' },
  { head: 'IN', align: 'right' },
  { head: 'OUT', align: 'right' },
  { head: 'COST', align: 'right' },
  { head: 'LATENCY', align: 'right', optional: true },
  { head: 'OUTCOME' },
  { head: 'USE' },
] as const;
const STEP_WIDTH_MAX = 24;
const MODEL_WIDTH_MAX = 24;
const LINE_WIDTH_MAX = 120;
