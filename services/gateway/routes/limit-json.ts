import { createHash } from 'node:crypto';
import type { Limit, LimitPeriod } from '../../client/index.js';
import { exactNumber } from '../json-text.js';
import { toJsonLimitConfig } from '../limit-config-json.js';

/** Limits as this API writes them. */

export function limitJson(limit: Limit): object {
  return {
    limit_id: limit.limitId,
    limit_name: limit.name,
    ...toJsonLimitConfig(limit),
    limit_creation_timestamp: limit.createTime.toISOString(),
    limit_update_timestamp: limit.updateTime.toISOString(),
    totals: totalsJson(limit.period),
  };
}

/** A period that a reset has ended; `max` is that of the limit, which a reset does not change. */
export function limitHistoryJson(limit: Limit, ended: LimitPeriod): object {
  return {
    limit_id: limit.limitId,
    limit_name: limit.name,
    ...toJsonLimitConfig(limit),
    threshold: undefined,
    limit_reset_timestamp: (ended.endTime ?? limit.updateTime).toISOString(),
    totals: totalsJson(ended),
  };
}

/** The tags of a limit. They have no ids of their own: each number is made of the name, so that it stays the same. */
export function tagsJson({ tags, createTime }: Limit): readonly object[] {
  return tags.map((tag) => ({
    tag_id: createHash('sha256').update(tag).digest().readUInt32BE() >>> 1,
    tag_name: tag,
    // When a limit got its tag is not kept: it cannot be before the limit was there.
    created_on: createTime.toISOString(),
  }));
}

function totalsJson(period: LimitPeriod): object {
  const { okCount, exceededCount, overrunCount, failedCount } = period;
  const { blockedCount, blockedExternalCount, eventCount } = period;
  const count = (number: bigint) => exactNumber(String(number));
  return {
    cost: {
      input: { base: exactNumber(period.spentInputCost) },
      output: { base: exactNumber(period.spentOutputCost) },
      total: {
        base: exactNumber(period.spentCost),
        ...(period.overrunCost === '0' ? {} : { overrun_base: exactNumber(period.overrunCost) }),
      },
    },
    requests: {
      ok: count(okCount),
      exceeded: count(exceededCount),
      overrun: count(overrunCount),
      failed: count(failedCount),
      blocked: count(blockedCount),
      blocked_external: count(blockedExternalCount),
      total: count(eventCount + blockedCount + blockedExternalCount),
    },
  };
}
