import type { Experience } from '../client/index.js';
import { alignedOnPoint, pricedText } from './money-text.js';
import { countOf, countText, timeText } from './number-text.js';
import { tableText } from './table.js';

export function experienceTable(experiences: readonly Experience[]): string {
  if (experiences.length === 0) return 'There are no such experiences.';
  const amounts = alignedOnPoint(experiences.map(({ totals }) => pricedText(totals)));
  return tableText(
    [
      { head: 'EXPERIENCE' },
      { head: 'TYPE' },
      { head: 'CALLS', align: 'right' },
      { head: 'COST', align: 'right', optional: true },
      { head: 'UNPRICED', align: 'right', optional: true },
      { head: 'CREATED' },
      { head: 'DELETED', optional: true },
    ],
    experiences.map(({ totals: { eventCount, unpricedEventCount }, ...experience }, index) => [
      experience.experienceId,
      experience.experienceType === undefined
        ? 'none yet'
        : `${experience.experienceType} v${experience.experienceVersion}`,
      countText(eventCount),
      amounts[index] ?? '',
      unpricedEventCount === 0n ? '' : countOf(unpricedEventCount, 'call'),
      timeText(experience.createTime),
      experience.deleteTime === undefined ? '' : timeText(experience.deleteTime),
    ]),
  );
}
