import { addMoney } from '../domain/money.js';
import { type Cost, EVENT_COST_MAX, type Repricing, type UsageEvent } from '../domain/usage.js';
import { costOfUnits } from '../pricing/cost-of-units.js';
import type { PriceBook } from '../pricing/price-book.js';

/**
 * Prices what has no price in a recorded event, at the price in force at the event's time; what it was priced at it keeps.
 * undefined: there is still no price for any of it, or it would cost more than an event may.
 */
export function repriceEvent(
  event: UsageEvent,
  prices: PriceBook,
  step: Pick<Repricing, 'id' | 'time'>,
): { readonly event: UsageEvent; readonly cost: Cost } | undefined {
  const found = prices.findForCall(event.provider, event.model, event.requestedModel, event.eventTime);
  if (!('price' in found)) return undefined;
  const left = new Map(event.unpriced.map(({ kind, input, output }) => [kind, { input, output }]));
  const { unpriced, ...cost } = costOfUnits(left, found, event.units);
  if (countOf(unpriced) === countOf(event.unpriced)) return undefined;
  const sum = addCost(event.cost, cost);
  if (sum.total > EVENT_COST_MAX) return undefined;
  const repriced: UsageEvent = {
    ...event,
    cost: sum,
    priceId: event.priceId ?? found.price.id,
    unpriced,
    repricings: [...event.repricings, { ...step, priceId: found.price.id, cost }],
    warnings: event.warnings.filter((warning) => warning !== 'UNITS_UNPRICED' || unpriced.length > 0),
  };
  return { event: repriced, cost };
}

function addCost(a: Cost, b: Cost): Cost {
  return {
    input: addMoney(a.input, b.input),
    output: addMoney(a.output, b.output),
    total: addMoney(a.total, b.total),
  };
}

function countOf(unpriced: UsageEvent['unpriced']): bigint {
  return unpriced.reduce((sum, { input, output }) => sum + input + output, 0n);
}
