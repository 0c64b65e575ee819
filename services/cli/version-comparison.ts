import type { CostChange, CostComparison, CostDistribution, VersionComparison } from '../client/index.js';
import { MEAN_DIGITS, PERCENTILE_DIGITS, percentileName } from './distribution-text.js';
import { alignedOnPoint, moneyText, percentText, roundedMoney } from './money-text.js';
import { countText } from './number-text.js';
import { tableText } from './table.js';

/** Two versions beside each other, how each figure has changed, and a sentence on whether that is chance. */
export function versionComparison({ first, second, comparison }: VersionComparison): string {
  const versions = [first, second] as const;
  if (comparison === undefined) {
    return versions
      .map(({ experienceType, experienceVersion, experienceCount }) =>
        experienceCount === 0n
          ? `No call was recorded to an experience of ${experienceType} v${experienceVersion} yet.`
          : '',
      )
      .filter((line) => line !== '')
      .join('\n');
  }
  const lines: readonly (readonly [name: string, (of: CostDistribution) => string, CostChange])[] = [
    ['Mean', ({ mean = '' }) => roundedMoney(mean, MEAN_DIGITS), comparison.mean],
    ['Cheapest', ({ minimum = '' }) => moneyText(minimum), comparison.minimum],
    ...comparison.percentiles.map(
      ({ percentile, change }, index) =>
        [
          percentileName(percentile),
          ({ percentiles }: CostDistribution) =>
            roundedMoney(percentiles[index]?.cost ?? '', PERCENTILE_DIGITS),
          change,
        ] as const,
    ),
    ['Dearest', ({ maximum = '' }) => moneyText(maximum), comparison.maximum],
  ];
  const columns = versions.map((of) => alignedOnPoint(lines.map(([, text]) => text(of))));
  const table = tableText(
    [
      { head: first.experienceType },
      { head: `V${first.experienceVersion}`, align: 'right' },
      { head: `V${second.experienceVersion}`, align: 'right' },
      { head: 'CHANGE', align: 'right' },
    ],
    [
      ['Experiences', ...versions.map(({ experienceCount }) => countText(experienceCount)), ''],
      ...lines.map(([name, , change], index) => [
        name,
        columns[0]?.[index] ?? '',
        columns[1]?.[index] ?? '',
        changeText(change),
      ]),
    ],
  );
  return `${table}\n\n${verdictText(second.experienceVersion, comparison)}`;
}

function verdictText(version: number, { rankTest, percentiles }: CostComparison): string {
  const median = percentiles.find(({ percentile }) => percentile === 50)?.change;
  const change = median === undefined ? '' : ` (median ${changeText(median)})`;
  const test = rankTest.pValue === undefined ? '' : ` (${rankTest.name}, ${pText(rankTest.pValue)})`;
  const share = percentText(rankTest.probabilityOfSuperiority.toFixed(6));
  const odds = `Of two random experiences that of version ${version} is the dearer one in ${share} of cases.`;
  switch (rankTest.verdict) {
    case 'SECOND_DEARER':
      return `Version ${version} is dearer${change}, beyond chance${test}.\n${odds}`;
    case 'SECOND_CHEAPER':
      return `Version ${version} is cheaper${change}, beyond chance${test}.\n${odds}`;
    case 'WITHIN_CHANCE':
      return `That version ${version} differs${change} may well be chance${test}.\n${odds}`;
    case 'TOO_FEW':
      return `There are too few experiences to say whether version ${version} differs${change} beyond chance.`;
    default:
      return rankTest.verdict satisfies never;
  }
}

/** In percent; as an amount where the first was nothing, or next to nothing. */
function changeText({ absolute, relative }: CostChange): string {
  if (absolute === '0') return '±0 %';
  const sign = absolute.startsWith('-') ? '−' : '+';
  const without = (text: string) => text.replace('-', '');
  return relative === undefined || relative.length > RELATIVE_LENGTH_MAX
    ? `${sign}${moneyText(without(absolute))}`
    : `${sign}${percentText(without(relative))}`;
}

function pText(p: number): string {
  return p < P_SHOWN_MIN ? `p < ${P_SHOWN_MIN}` : `p = ${Number(p.toPrecision(2))}`;
}

const P_SHOWN_MIN = 0.0001;
const RELATIVE_LENGTH_MAX = 12;
