import type { Limit as WireLimit } from '../contract/generated/experiences/v1/Limit.js';
import type { LimitPeriod as WirePeriod } from '../contract/generated/experiences/v1/LimitPeriod.js';
import { etagOf } from '../domain/experience-type.js';
import type { ChargedLimit, LimitPeriod } from '../domain/limit.js';
import { formatMoney, subtractMoney } from '../domain/money.js';
import { toWireLimitConfig, toWireTime } from './to-wire.js';

/** Limits as the contract's messages. */

export function toWireLimit({ limit, state, period }: ChargedLimit): WireLimit {
  return {
    limitId: limit.id,
    name: limit.name,
    config: toWireLimitConfig(limit),
    experienceId: limit.experienceId ?? '',
    state: `LIMIT_STATE_${state}`,
    period: toWireLimitPeriod(period),
    etag: etagOf(limit),
    createTime: toWireTime(limit.createTime),
    updateTime: toWireTime(limit.updateTime),
    deleteTime: toWireTime(limit.deleteTime),
  };
}

export function toWireLimitPeriod({ number, startTime, endTime, sum, overrun }: LimitPeriod): WirePeriod {
  return {
    number,
    startTime: toWireTime(startTime),
    endTime: toWireTime(endTime),
    spentCost: formatMoney(sum.spent),
    heldCost: formatMoney(sum.held),
    unsettledCost: formatMoney(sum.unsettled),
    overrunCost: formatMoney(overrun),
    eventCount: String(sum.eventCount),
    blockedCount: String(sum.blockedCount),
    blockedExternalCount: String(sum.blockedExternalCount),
    spentInputCost: formatMoney(sum.spentInput),
    spentOutputCost: formatMoney(subtractMoney(sum.spent, sum.spentInput)),
    okCount: String(sum.effects.ok),
    exceededCount: String(sum.effects.exceeded),
    overrunCount: String(sum.effects.overrun),
    failedCount: String(sum.effects.failed),
  };
}
