import { catalogueId } from '../catalogue-line.js';
import type { Price } from '../price.js';
import { lastAppended, laterPriceFirst, priceInForce } from '../price-order.js';
import type { DraftModel, DraftPrice } from './draft-model.js';
import { sameRates } from './same-rates.js';

export type PricesOfModel = readonly [Price, ...Price[]];

/**
 * The prices to append so that a model's prices say what its draft says, at every date. Existing ones are never
 * changed: at an equal date the one appended last counts.
 */
export function pricesToAppend(
  draft: DraftModel,
  rank: number,
  existing: PricesOfModel | undefined,
  now: Date,
): readonly Price[] {
  const append = (effectiveTime: Date | undefined, rates: Price['rates'] | undefined): Price =>
    catalogued({
      source: 'catalogue',
      provider: draft.provider,
      model: draft.model,
      matchers: draft.matchers,
      rank,
      effectiveTime,
      rates: rates ?? new Map(),
      retired: rates === undefined,
      createTime: now,
      sourceNote: draft.sourceNote,
    });

  const appended: Price[] = [];
  for (const time of datesOf(draft.prices, existing ?? [])) {
    const wanted = ratesAt(draft.prices, time);
    const current = existing === undefined ? undefined : priceFrom(existing, time);
    if (current === undefined || !saysSame(current, wanted)) appended.push(append(time, wanted));
  }
  if (
    appended.length === 0 &&
    existing !== undefined &&
    !describesSame(lastAppended(existing), draft, rank)
  ) {
    const [first] = draft.prices;
    appended.push(append(first.effectiveTime, first.rates));
  }
  return appended;
}

/** What to append when the data no longer has the model: from now on no name means it. */
export function retirementToAppend(existing: PricesOfModel, now: Date, sourceNote: string): readonly Price[] {
  const last = lastAppended(existing);
  if (last.matchers.length === 0) return [];
  return [
    catalogued({
      ...last,
      matchers: [],
      effectiveTime: undefined,
      rates: new Map(),
      retired: true,
      createTime: now,
      sourceNote,
    }),
  ];
}

function catalogued(price: Omit<Price, 'id'>): Price {
  return { ...price, id: catalogueId(price) };
}

/** All dates at which either says something new, ascending. */
function datesOf(drafts: readonly DraftPrice[], existing: readonly Price[]): readonly (Date | undefined)[] {
  const times = [...drafts, ...existing].map(({ effectiveTime }) => effectiveTime);
  const dated = new Set(times.filter((time) => time !== undefined).map((time) => time.getTime()));
  const ascending = [...dated].sort((a, b) => a - b).map((timeMs) => new Date(timeMs));
  return times.includes(undefined) ? [undefined, ...ascending] : ascending;
}

/** undefined: no price applies at that date. */
function ratesAt(drafts: readonly DraftPrice[], time: Date | undefined): Price['rates'] | undefined {
  return drafts.findLast(({ effectiveTime }) => {
    if (effectiveTime === undefined) return true;
    return time !== undefined && effectiveTime <= time;
  })?.rates;
}

/** The price that counts among those in force from exactly that date on. */
function priceFrom(existing: readonly Price[], time: Date | undefined): Price | undefined {
  return existing
    .filter(({ effectiveTime }) => effectiveTime?.getTime() === time?.getTime())
    .toSorted(laterPriceFirst)[0];
}

function saysSame(price: Price, rates: Price['rates'] | undefined): boolean {
  return rates === undefined ? price.retired : !price.retired && sameRates(price.rates, rates);
}

function describesSame(price: Price, draft: DraftModel, rank: number): boolean {
  return price.rank === rank && JSON.stringify(price.matchers) === JSON.stringify(draft.matchers);
}

/** What the existing prices say at a date; for a comparison with what is appended there. */
export function priceBefore(existing: PricesOfModel, time: Date | undefined): Price | undefined {
  const ordered = existing.toSorted(laterPriceFirst);
  return time === undefined ? priceFrom(existing, undefined) : priceInForce(ordered, time);
}
