import type { CostReport, CostRow, CostSum, TimeBucket } from '../client/index.js';
import { alignedOnPoint, moneyText, pricedText } from './money-text.js';
import { countOf, countText, timeText } from './number-text.js';
import { type Column, tableText } from './table.js';
import { visibleLine } from './visible-text.js';

/** What was spent in a range, one line a combination, and all of it together. */
export function costReport(
  { rows, total }: CostReport,
  range: { readonly startTime: Date; readonly endTime: Date; readonly timeBucket: TimeBucket | undefined },
): string {
  const when = `from ${timeText(range.startTime)} to ${timeText(range.endTime)}`;
  if (rows.length === 0) return `No calls were made ${when}.`;
  const sums = [...rows.map(({ sum }) => sum), total];
  const costs = alignedOnPoint(sums.map(pricedText));
  const wasted = alignedOnPoint(sums.map(wastedText));
  const figures = (sum: CostSum, index: number) => [
    countText(sum.eventCount),
    costs[index] ?? '',
    wasted[index] ?? '',
    sum.unpricedEventCount === 0n ? '' : countOf(sum.unpricedEventCount, 'call'),
  ];
  const names = rows.map((row) => namesOf(row, range.timeBucket));
  const columns = nameColumns(range.timeBucket);
  const firstShown = columns.findIndex((_, column) => names.some((cells) => cells[column] !== ''));
  const table = tableText(
    [
      ...columns,
      { head: 'CALLS', align: 'right' },
      { head: 'COST', align: 'right' },
      { head: 'WASTED', align: 'right', optional: true },
      { head: 'UNPRICED', align: 'right', optional: true },
    ],
    rows.map(({ sum }, index) => [...(names[index] ?? []), ...figures(sum, index)]),
    [...columns.map((_, column) => (column === firstShown ? 'all' : '')), ...figures(total, rows.length)],
  );
  return `Spent ${when}\n\n${table}`;
}

function nameColumns(bucket: TimeBucket | undefined): readonly Column[] {
  return [
    { head: `${bucket ?? ''} (UTC)`, optional: true },
    { head: 'TYPE', optional: true },
    { head: 'VERSION', align: 'right', optional: true },
    { head: 'PROVIDER', optional: true },
    { head: 'MODEL', optional: true },
  ];
}

function namesOf(row: CostRow, bucket: TimeBucket | undefined): readonly string[] {
  const { bucketStartTime, experienceType, experienceVersion, provider, model } = row;
  return [
    bucketStartTime === undefined || bucket === undefined
      ? ''
      : bucketStartTime.toISOString().slice(0, TIME_LENGTH[bucket]).replace('T', ' '),
    experienceType === '' ? 'none' : (experienceType ?? ''),
    experienceVersion === undefined ? '' : versionText(experienceVersion),
    visibleLine(provider ?? '', NAME_WIDTH_MAX),
    visibleLine(model ?? '', NAME_WIDTH_MAX),
  ];
}

function versionText(version: number): string {
  return version === 0 ? 'none' : `v${version}`;
}

function wastedText({ wastedCost }: CostSum): string {
  return wastedCost === '0' ? '' : moneyText(wastedCost);
}

/** Of an ISO time: as much as tells one bucket from another. */
const TIME_LENGTH = { HOUR: 16, DAY: 10, MONTH: 7 } as const;
const NAME_WIDTH_MAX = 32;
