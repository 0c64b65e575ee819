import type { BookDifference, BookProgress, BookSummary } from '../client/index.js';
import { countOf, countText, timeText } from './number-text.js';
import { tableText } from './table.js';

/** What a check of the books says to people. */

export function bookProgressText(progress: BookProgress): string {
  const { experienceCount, experienceCountEstimate, eventCount, eventCountEstimate, hourCount } = progress;
  const parts = [
    `checking ${progress.phase.toLowerCase()}`,
    `${countText(experienceCount)} of about ${countOf(experienceCountEstimate, 'experience')}`,
    `${countText(eventCount)} of about ${countOf(eventCountEstimate, 'event')} to read`,
    countOf(hourCount, 'hour'),
  ];
  if (progress.differenceCount > 0n) parts.push(countOf(progress.differenceCount, 'difference'));
  return parts.join(', ');
}

export function differencesTable(differences: readonly BookDifference[]): string {
  return tableText(
    [
      { head: 'What' },
      { head: 'Figure' },
      { head: 'Expected', align: 'right' },
      { head: 'Found', align: 'right' },
      { head: 'Difference', align: 'right', optional: true },
      { head: 'Repair' },
    ],
    differences.map((each) => [
      subjectText(each),
      each.figure,
      each.expected || '-',
      each.found || '-',
      each.difference,
      STATES[each.state],
    ]),
  );
}

export function summaryText(summary: BookSummary, shown: number): readonly string[] {
  const checked = [
    countOf(summary.experienceCount, 'experience'),
    countOf(summary.hourCount, 'hour'),
    countOf(summary.dayCount, 'day'),
    countOf(summary.histogramCount, 'histogram'),
    ...(summary.limitCount > 0n ? [countOf(summary.limitCount, 'limit')] : []),
    ...(summary.reservationCount > 0n ? [countOf(summary.reservationCount, 'reservation')] : []),
  ].join(', ');
  const lines = [`Checked ${checked}; ${countOf(summary.eventCount, 'event')} read.`];
  if (summary.differenceCount === 0n) return [...lines, 'The books balance.'];
  const more = summary.differenceCount - BigInt(shown);
  const found = `${countOf(summary.differenceCount, 'difference')}, ${countText(summary.repairedCount)} repaired, ${countText(summary.notRepairableCount)} not repairable`;
  return [...lines, `${found}${more > 0n ? `; the first ${countText(shown)} are shown` : ''}.`];
}

function subjectText(difference: BookDifference): string {
  const { subject, experienceId, eventId, startTime, provider, model, limitId, limitPeriod } = difference;
  const type = difference.experienceType
    ? `${difference.experienceType} v${difference.experienceVersion}`
    : 'no type';
  switch (subject) {
    case 'EXPERIENCE':
      return `experience ${experienceId}`;
    case 'EVENT':
      return `event ${eventId}`;
    case 'RESERVATION':
      return `reservation ${eventId}`;
    case 'LIMIT':
      return `limit ${limitId}, period ${limitPeriod}`;
    case 'HISTOGRAM':
      return `histogram of ${type}`;
    case 'HOUR_ROLLUP':
    case 'DAY_ROLLUP': {
      const start = startTime === undefined ? '' : timeText(startTime);
      return `${subject === 'HOUR_ROLLUP' ? 'hour' : 'day'} ${start}, ${type}, ${provider} ${model}`;
    }
    default:
      return subject satisfies never;
  }
}

const STATES = {
  REPAIRABLE: 'can be mended',
  REPAIRED: 'mended',
  NOT_REPAIRABLE: 'cannot be mended',
} as const satisfies Record<BookDifference['state'], string>;
