import type { LimitConfig__Output } from '../contract/generated/experiences/v1/LimitConfig.js';
import type { LimitType__Output } from '../contract/generated/experiences/v1/LimitType.js';
import {
  LIMIT_COST_MAX,
  LIMIT_THRESHOLD_SCALE,
  LIMIT_THRESHOLD_WHOLE,
  type LimitConfig,
  type LimitType,
} from '../domain/limit.js';
import { formatMoney, type Money, parseMoney } from '../domain/money.js';
import { checkedTags } from './attribution-metadata.js';
import type { RequestCheck } from './request-check.js';

/** What a request says of a limit. Bad fields go to the check. */

export function fromWireLimitConfig(
  field: string,
  wire: LimitConfig__Output,
  check: RequestCheck,
): LimitConfig {
  return {
    type: fromWireLimitType(`${field}.type`, wire.type, check),
    maxCost: fromWireMaxCost(`${field}.max_cost`, wire.maxCost, check),
    threshold: fromWireThreshold(`${field}.threshold`, wire.threshold, check),
    tags: checkedTags(`${field}.tags`, wire.tags, check),
  };
}

export function fromWireMaxCost(field: string, text: string, check: RequestCheck): Money {
  const amount = parseMoney(text);
  if (text === '') check.bad(field, 'is required');
  else if (amount === undefined)
    check.bad(field, 'must be a decimal number with at most 16 digits before and 18 after the point');
  else if (amount <= 0n) check.bad(field, 'must be more than 0');
  else if (amount > LIMIT_COST_MAX) check.bad(field, `must not be more than ${formatMoney(LIMIT_COST_MAX)}`);
  return amount ?? LIMIT_COST_MAX;
}

/** Empty means the whole. */
export function fromWireThreshold(field: string, text: string, check: RequestCheck): Money {
  if (text === '') return LIMIT_THRESHOLD_WHOLE;
  const part = parseMoney(text);
  const isPart = part !== undefined && part > 0n && part <= LIMIT_THRESHOLD_WHOLE;
  if (!isPart || part % THRESHOLD_STEP !== 0n) {
    const digits = LIMIT_THRESHOLD_SCALE;
    check.bad(
      field,
      `must be a decimal number above 0, at most 1, with at most ${digits} digits after the point`,
    );
  }
  return part ?? LIMIT_THRESHOLD_WHOLE;
}

function fromWireLimitType(field: string, wire: LimitType__Output, check: RequestCheck): LimitType {
  switch (wire) {
    case 'LIMIT_TYPE_UNSPECIFIED':
    case 'LIMIT_TYPE_ALLOW':
      return 'ALLOW';
    case 'LIMIT_TYPE_BLOCK':
      return 'BLOCK';
    default:
      // A number that the contract does not name comes here, whatever the type says.
      wire satisfies never;
      check.bad(field, 'is not a type of the contract');
      return 'ALLOW';
  }
}

const THRESHOLD_STEP = LIMIT_THRESHOLD_WHOLE / 10n ** BigInt(LIMIT_THRESHOLD_SCALE);
