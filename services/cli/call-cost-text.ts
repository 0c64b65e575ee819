import type { CostEstimate } from '../client/index.js';
import { moneyText } from './money-text.js';
import { unpricedUnitsText } from './unpriced-units-text.js';

/** What a call costs, and below it each kind of its units that has no price, with the reason. */
export function callCostText(
  call: { readonly provider: string; readonly model: string },
  { cost, unpricedUnits }: Pick<CostEstimate, 'cost' | 'unpricedUnits'>,
): string {
  const parts = `(input ${moneyText(cost.input)}, output ${moneyText(cost.output)})`;
  const known = cost.total !== '0' || unpricedUnits.length === 0;
  return [
    ...(known ? [`${moneyText(cost.total)} ${parts}`] : []),
    ...unpricedUnits.map((units) => `${known ? '+ ' : ''}unpriced: ${unpricedUnitsText(call, units)}`),
  ].join('\n');
}
