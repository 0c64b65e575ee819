import type { CostBar, CostDistributionDetails, DearExperience } from '../client/index.js';
import { factsText } from './facts-text.js';
import { alignedOnPoint, moneyText, pricedText, roundedMoney } from './money-text.js';
import { countOf, countText, timeText } from './number-text.js';
import { tableText } from './table.js';

/** How the uses of a feature differ in cost: figures, a chart, and the dearest ones. */
export function distributionText({
  distribution,
  bars,
  dearestExperiences,
}: CostDistributionDetails): string {
  const { experienceType, experienceVersion, experienceCount, sum, mean, minimum, maximum } = distribution;
  const name = `${experienceType} v${experienceVersion}`;
  if (sum === undefined || mean === undefined || minimum === undefined || maximum === undefined) {
    return `No call was recorded to an experience of ${name} yet.`;
  }
  const facts = factsText([
    ['Type', name],
    ['Experiences', countText(experienceCount)],
    ['Together', moneyText(sum)],
    ['Mean', roundedMoney(mean, MEAN_DIGITS)],
    ['Cheapest', moneyText(minimum)],
    ...distribution.percentiles.map(
      ({ percentile, cost }) => [percentileName(percentile), roundedMoney(cost, PERCENTILE_DIGITS)] as const,
    ),
    ['Dearest', moneyText(maximum)],
  ]);
  return [facts, chart(bars), dearestTable(dearestExperiences)].join('\n\n');
}

/** `p50`, also where two versions are compared. */
export function percentileName(percentile: number): string {
  return `p${percentile}`;
}

function chart(bars: readonly CostBar[]): string {
  const [most = 1n] = bars.map((bar) => bar.experienceCount).sort((a, b) => (a > b ? -1 : 1));
  const bounds = (pick: (bar: CostBar) => string) =>
    alignedOnPoint(bars.map((bar) => roundedMoney(pick(bar), BOUND_DIGITS).replace(/^≈ /, '')));
  const [above, upTo] = [bounds((bar) => bar.above), bounds((bar) => bar.upTo)];
  return tableText(
    [
      { head: 'ABOVE', align: 'right' },
      { head: 'UP TO', align: 'right' },
      { head: 'EXPERIENCES', align: 'right' },
      { head: '' },
    ],
    bars.map(({ experienceCount, upTo: bound }, index) => [
      bound === '0' ? '' : (above[index] ?? ''),
      upTo[index] ?? '',
      countText(experienceCount),
      barText(experienceCount, most),
    ]),
  );
}

/** As long as its share of the longest; what is there at all is seen. */
function barText(count: bigint, most: bigint): string {
  if (count === 0n) return '';
  const eighths = Math.max(1, Number((count * BigInt(BAR_WIDTH * 8)) / most));
  return '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '');
}

function dearestTable(experiences: readonly DearExperience[]): string {
  const costs = alignedOnPoint(
    experiences.map(({ totalCost, unpricedEventCount }) =>
      pricedText({ cost: { total: totalCost }, unpricedEventCount }),
    ),
  );
  return tableText(
    [
      { head: 'DEAREST' },
      { head: 'CALLS', align: 'right' },
      { head: 'COST', align: 'right' },
      { head: 'UNPRICED', align: 'right', optional: true },
      { head: 'CREATED' },
      { head: 'DELETED', optional: true },
    ],
    experiences.map(({ experienceId, eventCount, unpricedEventCount, createTime, deleteTime }, index) => [
      experienceId,
      countText(eventCount),
      costs[index] ?? '',
      unpricedEventCount === 0n ? '' : countOf(unpricedEventCount, 'call'),
      timeText(createTime),
      deleteTime === undefined ? '' : timeText(deleteTime),
    ]),
  );
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;
/** With bounds and counts before it, it fits into 80 columns. */
const BAR_WIDTH = 36;
export const MEAN_DIGITS = 6;
/** More would look exact: a percentile may be off by 1 %. */
export const PERCENTILE_DIGITS = 4;
const BOUND_DIGITS = 3;
