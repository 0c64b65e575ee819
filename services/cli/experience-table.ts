import type { Experience } from '../client/index.js';
import { alignedOnPoint, pricedText, unpricedText } from './money-text.js';
import { countText, timeText } from './number-text.js';
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
      { head: '', optional: true },
      { head: 'CREATED' },
    ],
    experiences.map((experience, index) => [
      experience.experienceId,
      experience.experienceType === undefined
        ? 'none yet'
        : `${experience.experienceType} v${experience.experienceVersion}`,
      countText(experience.totals.eventCount),
      amounts[index] ?? '',
      unpricedText(experience.totals),
      timeText(experience.createTime),
    ]),
  );
}
