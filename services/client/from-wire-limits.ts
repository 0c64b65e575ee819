import type { Limit__Output } from '../contract/generated/experiences/v1/Limit.js';
import type { LimitPeriod__Output } from '../contract/generated/experiences/v1/LimitPeriod.js';
import { fromWireLimitConfig, fromWireTime, promised } from './from-wire.js';
import type { Limit, LimitPeriod, LimitState } from './limit-types.js';

/** The contract's messages of limits as the client answers them. */

export function fromWireLimit(wire: Limit__Output | null): Limit {
  const limit = promised(wire);
  return {
    limitId: limit.limitId,
    name: limit.name,
    ...fromWireLimitConfig(promised(limit.config)),
    experienceId: limit.experienceId || undefined,
    state: limit.state.replace('LIMIT_STATE_', '') as LimitState,
    period: fromWireLimitPeriod(limit.period),
    etag: limit.etag,
    createTime: promised(fromWireTime(limit.createTime)),
    updateTime: promised(fromWireTime(limit.updateTime)),
    deleteTime: fromWireTime(limit.deleteTime),
  };
}

export function fromWireLimitPeriod(wire: LimitPeriod__Output | null): LimitPeriod {
  const period = promised(wire);
  return {
    number: period.number,
    startTime: promised(fromWireTime(period.startTime)),
    endTime: fromWireTime(period.endTime),
    spentCost: period.spentCost,
    heldCost: period.heldCost,
    unsettledCost: period.unsettledCost,
    overrunCost: period.overrunCost,
    eventCount: BigInt(period.eventCount),
    blockedCount: BigInt(period.blockedCount),
    blockedExternalCount: BigInt(period.blockedExternalCount),
    spentInputCost: period.spentInputCost,
    spentOutputCost: period.spentOutputCost,
    okCount: BigInt(period.okCount),
    exceededCount: BigInt(period.exceededCount),
    overrunCount: BigInt(period.overrunCount),
    failedCount: BigInt(period.failedCount),
  };
}
