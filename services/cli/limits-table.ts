import type { Limit, LimitConfig, LimitPeriod } from '../client/index.js';
import { factsText } from './facts-text.js';
import { alignedOnPoint, moneyText, percentText } from './money-text.js';
import { countText, timeText } from './number-text.js';
import { tableText } from './table.js';
import { visibleLine } from './visible-text.js';

/** Amounts of the current period; what no limit has takes no column. */
export function limitsTable(limits: readonly Limit[]): string {
  if (limits.length === 0) return 'There are no such limits.';
  const maxima = alignedOnPoint(limits.map(({ maxCost }) => moneyText(maxCost)));
  const spent = alignedOnPoint(limits.map(({ period }) => moneyText(period.spentCost)));
  const held = alignedOnPoint(limits.map(({ period }) => amountOrNothing(period.heldCost)));
  return tableText(
    [
      { head: 'LIMIT' },
      { head: 'NAME' },
      { head: 'TYPE' },
      { head: 'MAX', align: 'right' },
      { head: 'SPENT', align: 'right' },
      { head: 'HELD', align: 'right', optional: true },
      { head: 'STATE' },
      { head: 'TAGS', optional: true },
      { head: 'DELETED', optional: true },
    ],
    limits.map((limit, index) => [
      limit.limitId,
      visibleLine(limit.name, NAME_WIDTH_MAX),
      limit.type.toLowerCase(),
      maxima[index] ?? '',
      spent[index] ?? '',
      held[index] ?? '',
      limit.state.toLowerCase(),
      visibleLine(limit.tags.join(', '), TAGS_WIDTH_MAX),
      limit.deleteTime === undefined ? '' : timeText(limit.deleteTime),
    ]),
  );
}

/** The limit, and below it its periods, if it was ever reset. */
export function limitDetails(limit: Limit, pastPeriods: readonly LimitPeriod[] = []): string {
  const { period } = limit;
  const facts = factsText([
    ['Limit', limit.limitId],
    ['Name', limit.name],
    ['Experience', limit.experienceId],
    ['Type', limit.type === 'BLOCK' ? 'block: refuses reservations' : 'allow: refuses nothing'],
    ['Maximum', moneyText(limit.maxCost)],
    ['Threshold', percentText(limit.threshold)],
    ['State', limit.state.toLowerCase()],
    ['Spent', moneyText(period.spentCost)],
    ['Held', moneyText(period.heldCost)],
    ['Unsettled', fact(period.unsettledCost)],
    ['Overrun', fact(period.overrunCost)],
    ['Calls', countText(period.eventCount)],
    ['Refused', period.blockedCount === 0n ? undefined : countText(period.blockedCount)],
    ['Period', `${period.number}, since ${timeText(period.startTime)}`],
    ['Tags', limit.tags.length === 0 ? undefined : limit.tags.join(', ')],
    ['Created', timeText(limit.createTime)],
    ['Changed', timeText(limit.updateTime)],
    ['Deleted', limit.deleteTime === undefined ? undefined : timeText(limit.deleteTime)],
    ['Etag', limit.etag],
  ]);
  return pastPeriods.length === 0 ? facts : `${facts}\n\n${periodsTable([period, ...pastPeriods])}`;
}

/** `block at $5, exceeded from 80 %`, as a type's facts say what each new experience gets. */
export function limitConfigText({ type, maxCost, threshold, tags }: LimitConfig): string {
  const exceeded = threshold === '1' ? '' : `, exceeded from ${percentText(threshold)}`;
  const tagged = tags.length === 0 ? '' : `, tagged ${tags.join(', ')}`;
  return `${type.toLowerCase()} at ${moneyText(maxCost)}${exceeded}${tagged}`;
}

function periodsTable(periods: readonly LimitPeriod[]): string {
  const amounts = (of: (period: LimitPeriod) => string) => alignedOnPoint(periods.map(of));
  const spent = amounts(({ spentCost }) => moneyText(spentCost));
  const held = amounts(({ heldCost }) => amountOrNothing(heldCost));
  const unsettled = amounts(({ unsettledCost }) => amountOrNothing(unsettledCost));
  const overrun = amounts(({ overrunCost }) => amountOrNothing(overrunCost));
  return tableText(
    [
      { head: 'PERIOD', align: 'right' },
      { head: 'FROM' },
      { head: 'UNTIL' },
      { head: 'SPENT', align: 'right' },
      { head: 'HELD', align: 'right', optional: true },
      { head: 'UNSETTLED', align: 'right', optional: true },
      { head: 'OVERRUN', align: 'right', optional: true },
      { head: 'CALLS', align: 'right' },
      { head: 'REFUSED', align: 'right', optional: true },
    ],
    periods.map((period, index) => [
      String(period.number),
      timeText(period.startTime),
      period.endTime === undefined ? 'now' : timeText(period.endTime),
      spent[index] ?? '',
      held[index] ?? '',
      unsettled[index] ?? '',
      overrun[index] ?? '',
      countText(period.eventCount),
      period.blockedCount === 0n ? '' : countText(period.blockedCount),
    ]),
  );
}

function amountOrNothing(amount: string): string {
  return amount === '0' ? '' : moneyText(amount);
}

function fact(amount: string): string | undefined {
  return amount === '0' ? undefined : moneyText(amount);
}

const NAME_WIDTH_MAX = 32;
const TAGS_WIDTH_MAX = 24;
