import type { ExperienceCost, ExperienceTotals, Units } from '../client/index.js';
import { factsText } from './facts-text.js';
import { alignedOnPoint, moneyText, pricedText, sumText } from './money-text.js';
import { countText, timeText } from './number-text.js';

/** What one experience has cost, for people: the exact total, of what it is made up, and what has no price. */
export function costSummary(cost: ExperienceCost): string {
  const { totals } = cost;
  return factsText([
    ['Experience', cost.experienceId],
    [
      'Type',
      cost.experienceType === undefined ? 'none yet' : `${cost.experienceType} v${cost.experienceVersion}`,
    ],
    ['Cost', [sumText(totals), ...partsText(totals)].join('\n')],
    ['Calls', callsText(totals)],
    ['Units', unitsText(totals.units)],
    ['First call', totals.firstEventTime === undefined ? undefined : timeText(totals.firstEventTime)],
    ['Last call', totals.lastEventTime === undefined ? undefined : timeText(totals.lastEventTime)],
  ]);
}

/** The total divided twice: by direction, and by whether it was of use. */
function partsText(totals: ExperienceTotals): readonly string[] {
  if (totals.eventCount === 0n || pricedText(totals) === '') return [];
  const parts = {
    input: totals.cost.input,
    output: totals.cost.output,
    useful: totals.usefulCost,
    wasted: totals.wastedCost,
  };
  const amounts = padded(alignedOnPoint(Object.values(parts).map(moneyText)));
  return Object.keys(parts).map((name, index) => `  ${name.padEnd(6)}  ${amounts[index]}`);
}

function callsText({ eventCount, unpricedEventCount }: ExperienceTotals): string {
  if (eventCount === 0n) return 'none recorded yet';
  return unpricedEventCount === 0n
    ? countText(eventCount)
    : `${countText(eventCount)} (${countText(unpricedEventCount)} with unpriced units)`;
}

/** undefined: nothing was used. */
function unitsText(units: Units): string | undefined {
  const kinds = Object.keys(units);
  if (kinds.length === 0) return undefined;
  const width = Math.max(...kinds.map((kind) => kind.length));
  const inputs = padded(Object.values(units).map(({ input }) => countText(input)));
  const outputs = padded(Object.values(units).map(({ output }) => countText(output)));
  return kinds
    .map((kind, index) => `${kind.padEnd(width)}  ${inputs[index]} in  ${outputs[index]} out`)
    .join('\n');
}

function padded(texts: readonly string[]): readonly string[] {
  const width = Math.max(...texts.map((text) => text.length));
  return texts.map((text) => text.padStart(width));
}
