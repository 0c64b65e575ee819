import { addMoney, type Money, money, wholeMoney } from '../domain/money.js';
import { type UnitKind, type Units, unitKind } from '../domain/units.js';
import type { Cost, UnpricedReason, UnpricedUnits } from '../domain/usage.js';
import type { Rate, UnitRate } from './price.js';
import type { FoundPrice } from './price-book.js';

export interface CostOfUnits extends Cost {
  /** In the alphabetical order of the kinds; what is here is not in the cost, and is not free. */
  readonly unpriced: readonly UnpricedUnits[];
}

/** The kinds that are counted in tokens: their input units together decide which tier of a rate applies. */
export const TOKEN_KINDS: ReadonlySet<UnitKind> = new Set(
  [
    'text',
    'text_cache_read',
    'text_cache_write',
    'text_cache_write_1h',
    'vision',
    'vision_cache_read',
    'audio',
    'audio_cache_read',
    'video',
    'video_cache_read',
    'reasoning',
    'citation',
  ].map(unitKind),
);

/**
 * Far above what any event may cost and far below what money can hold, so that the absurd sum of an event that is
 * refused anyway is still an amount. Each direction stops here; whatever is less is exact.
 */
const COST_MAX: Money = wholeMoney(10n ** 15n);

/**
 * What units cost at a price, exactly: `total` = `input` + `output`. Units without a price are answered beside it with
 * the reason, direction by direction; units of zero need no price. `request` is all that the request used, where `units`
 * are only a part of it: the whole decides the tier.
 */
export function costOfUnits(units: Units, found: FoundPrice, request = units): CostOfUnits {
  const rates = 'price' in found ? found.price.rates : undefined;
  const reason: UnpricedReason = 'price' in found ? 'UNIT_KIND_NOT_PRICED' : found.reason;
  const inputUnits = tokenInputUnits(request);
  const unpriced: UnpricedUnits[] = [];
  let input = 0n;
  let output = 0n;
  for (const [kind, count] of units) {
    const rate: UnitRate | undefined = rates?.get(kind);
    const left = { kind, input: 0n, output: 0n, reason };
    if (rate?.input !== undefined) input += priceAt(rate.input, inputUnits) * count.input;
    else left.input = count.input;
    if (rate?.output !== undefined) output += priceAt(rate.output, inputUnits) * count.output;
    else left.output = count.output;
    if (left.input > 0n || left.output > 0n) unpriced.push(left);
  }
  const cost = { input: bounded(input), output: bounded(output) };
  unpriced.sort((a, b) => (a.kind < b.kind ? -1 : 1));
  return { ...cost, total: addMoney(cost.input, cost.output), unpriced };
}

/** The price of one unit in a request with so many input units of all token kinds. */
export function priceAt(rate: Rate, inputUnits: bigint): Money {
  return rate.tiers.findLast(({ inputUnitsAbove }) => inputUnits > inputUnitsAbove)?.price ?? rate.base;
}

function tokenInputUnits(units: Units): bigint {
  let sum = 0n;
  for (const [kind, { input }] of units) if (TOKEN_KINDS.has(kind)) sum += input;
  return sum;
}

function bounded(amount: bigint): Money {
  return amount < COST_MAX ? money(amount) : COST_MAX;
}
