import { formatMoney, type Money, NO_MONEY, parseMoney, subtractMoney } from './money.js';

/**
 * How much of a call's cost lies beyond the maximum of a limit, by how its limits stand right after it: of several the largest,
 * and never more than the call. Calls that were committed together each count what all of them went beyond.
 */
export function overrunOf(cost: string, limits: readonly Standing[]): string {
  const total = read(cost);
  let largest = NO_MONEY;
  for (const { maxCost, spentCost } of limits) {
    const beyond = subtractMoney(read(spentCost), read(maxCost));
    if (beyond >= total) return formatMoney(total);
    if (beyond > largest) largest = beyond;
  }
  return formatMoney(largest);
}

interface Standing {
  readonly maxCost: string;
  readonly spentCost: string;
}

function read(amount: string): Money {
  const money = parseMoney(amount);
  if (money === undefined) throw new Error('the service answered an amount that is no money');
  return money;
}
