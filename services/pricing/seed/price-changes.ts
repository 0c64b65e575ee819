import { formatMoney, MONEY_SCALE, type Money, money } from '../../domain/money.js';
import { priceAt, TOKEN_KINDS } from '../cost-of-units.js';
import type { Price, Rate } from '../price.js';

export interface PriceChange {
  readonly text: string;
  /** Larger than what is taken without a second look: a rate that is gone or that moved too far. */
  readonly isDoubtful: boolean;
}

/** What is taken without a second look, up or down. */
export const PRICE_MOVE_MAX_PERCENT = 30n;

/** What changes for a model at a date when `after` takes the place of `before`. Inherited rates are not told twice. */
export function priceChanges(before: Price, after: Price): readonly PriceChange[] {
  const since = after.effectiveTime?.toISOString().slice(0, 10) ?? 'ever';
  const changes: PriceChange[] = [];
  for (const kind of new Set([...before.rates.keys(), ...after.rates.keys()])) {
    for (const direction of ['input', 'output'] as const) {
      const subject = `${after.provider}:${after.model} since ${since}: ${kind}.${direction}`;
      const was = before.rates.get(kind)?.[direction];
      const is = after.rates.get(kind)?.[direction];
      if (is === undefined) {
        if (was !== undefined) changes.push({ text: `${subject} is gone`, isDoubtful: true });
      } else if (was === undefined) {
        changes.push({ text: `${subject} ${formatMoney(is.base)} is new`, isDoubtful: false });
      } else if (was.inheritedFrom === undefined || is.inheritedFrom === undefined) {
        changes.push(...moves(subject, was, is));
      }
    }
  }
  return changes;
}

/** Compares the base prices and what applies above each step of either. */
function moves(subject: string, was: Rate, is: Rate): readonly PriceChange[] {
  const steps = new Set([...was.tiers, ...is.tiers].map(({ inputUnitsAbove }) => inputUnitsAbove));
  return [0n, ...[...steps].map((step) => step + 1n)].flatMap((inputUnits) => {
    const [from, to] = [priceAt(was, inputUnits), priceAt(is, inputUnits)];
    if (from === to) return [];
    const place = inputUnits === 0n ? subject : `${subject} at ${inputUnits} input units`;
    const percent = from === 0n ? 'from nothing' : `${((to - from) * 100n) / from} %`;
    const text = `${place} ${formatMoney(from)} -> ${formatMoney(to)} (${percent})`;
    return [{ text, isDoubtful: isFar(from, to) }];
  });
}

/** Any step from 0 is far. */
function isFar(from: Money, to: Money): boolean {
  const moved = to > from ? to - from : from - to;
  return moved * 100n > from * PRICE_MOVE_MAX_PERCENT;
}

/** The dearest token on any list is far below; a price per million that was taken as one per unit is far above. */
const TOKEN_PRICE_MAX = money(10n ** BigInt(MONEY_SCALE - 2));

/** Rates that no token costs. */
export function implausibleRates({ provider, model, rates }: Price): readonly string[] {
  return [...rates].flatMap(([kind, { input, output }]) => {
    const prices = [input, output].flatMap((rate) =>
      rate === undefined ? [] : [rate.base, ...rate.tiers.map(({ price }) => price)],
    );
    const isDear = TOKEN_KINDS.has(kind) && prices.some((price) => price > TOKEN_PRICE_MAX);
    return isDear
      ? [`${provider}:${model} ${kind} costs more than ${formatMoney(TOKEN_PRICE_MAX)} a token`]
      : [];
  });
}
