import {
  type Limit,
  type LimitConfig,
  type LimitPeriodStart,
  type LimitSum,
  ownLimitName,
} from '../domain/limit.js';
import { addMoney, NO_MONEY } from '../domain/money.js';
import type { Uuid } from '../domain/uuid.js';
import { LANES_MAX } from './lane-leases.js';
import type {
  LimitConfigFields,
  LimitDocument,
  LimitKey,
  LimitSumDocument,
  LimitSumKey,
} from './limit-fields.js';
import { fromDecimal, toDecimal } from './money-decimal.js';
import { fromBinary, toBinary } from './store.js';

export function limitKey(application: string, id: Uuid): LimitKey {
  return { a: application, i: toBinary(id) };
}

export function toLimitDocument(application: string, limit: Limit): LimitDocument {
  const isNameTaken = limit.experienceId === undefined && limit.deleteTime === undefined;
  return {
    _id: limitKey(application, limit.id),
    n: limit.name,
    ...(isNameTaken ? { nk: limit.name } : {}),
    ...toLimitConfigFields(limit),
    ...(limit.experienceId === undefined ? { s: true } : { x: toBinary(limit.experienceId) }),
    pn: limit.period,
    ps: limit.periods.map(({ number, startTime, requestId, maxCost }) => ({
      p: number,
      c: startTime,
      ...(requestId === undefined ? {} : { q: requestId }),
      ...(maxCost === undefined ? {} : { mx: toDecimal(maxCost) }),
    })),
    r: limit.revision,
    c: limit.createTime,
    u: limit.updateTime,
    ...(limit.deleteTime === undefined ? {} : { d: limit.deleteTime }),
  };
}

export function fromLimitDocument(document: LimitDocument): Limit {
  return {
    id: fromBinary(document._id.i),
    name: document.n,
    ...fromLimitConfigFields(document),
    experienceId: document.x === undefined ? undefined : fromBinary(document.x),
    period: document.pn,
    periods: document.ps.map(({ p, c, q, mx }) => ({
      number: p,
      startTime: c,
      requestId: q,
      maxCost: mx === undefined ? undefined : fromDecimal(mx),
    })),
    revision: document.r,
    createTime: document.c,
    updateTime: document.u,
    deleteTime: document.d,
  };
}

export function toLimitConfigFields(config: LimitConfig): LimitConfigFields {
  return {
    ty: config.type === 'BLOCK' ? 'b' : 'a',
    mx: toDecimal(config.maxCost),
    th: toDecimal(config.threshold),
    ...(config.tags.length === 0 ? {} : { tg: [...config.tags] }),
  };
}

export function fromLimitConfigFields(fields: LimitConfigFields): LimitConfig {
  return {
    type: fields.ty === 'b' ? 'BLOCK' : 'ALLOW',
    maxCost: fromDecimal(fields.mx),
    threshold: fromDecimal(fields.th),
    tags: fields.tg ?? [],
  };
}

/** A limit as it begins: in its first period, at its first revision. */
export function newLimit(
  limit: Pick<Limit, 'id' | 'name' | 'experienceId'>,
  { type, maxCost, threshold, tags }: LimitConfig,
  time: Date,
): Limit {
  return {
    ...limit,
    type,
    maxCost,
    threshold,
    tags,
    period: FIRST_PERIOD.number,
    periods: [{ ...FIRST_PERIOD, startTime: time }],
    revision: 1,
    createTime: time,
    updateTime: time,
    deleteTime: undefined,
  };
}

/** An experience's own limit has its id, so there is at most one and it is found without a search. */
export function newOwnLimit(experienceId: Uuid, type: string, config: LimitConfig, time: Date): Limit {
  return newLimit({ id: experienceId, name: ownLimitName(type, experienceId), experienceId }, config, time);
}

/**
 * Where a blocking limit has all that is decided by, so that two decisions meet. Its counts of refusals are in the lanes
 * like everything of an allowing limit, whose charges never meet.
 */
export const DECIDING_LANE = 0;

/** Where lane `lane` (from 0) of a process charges. */
export function limitLane(lane: number): number {
  return lane + 1;
}

export function limitSumKey(application: string, id: Uuid, period: number, lane: number): LimitSumKey {
  return { a: application, i: toBinary(id), p: period, l: lane };
}

/** All keys under which a limit may have something in one period, for `$in`; at most `LANES_MAX` and one. */
export function limitSumKeys(
  application: string,
  id: Uuid,
  period: number,
  blocking: boolean,
): readonly LimitSumKey[] {
  const lanes = Array.from({ length: LANES_MAX }, (_, lane) => limitLane(lane));
  return [...(blocking ? [DECIDING_LANE] : []), ...lanes].map((lane) =>
    limitSumKey(application, id, period, lane),
  );
}

/** The keys of a limit in a range of periods, both ends included: one run of the index on whole keys. */
export function limitSumKeysOf(
  application: string,
  id: Uuid,
  first: number,
  last: number,
): { readonly $gte: LimitSumKey; readonly $lt: LimitSumKey } {
  return {
    $gte: limitSumKey(application, id, first, DECIDING_LANE),
    $lt: limitSumKey(application, id, last + 1, DECIDING_LANE),
  };
}

/** What the documents of one limit and period say together; an absent field is nothing. */
export function sumOf(documents: Iterable<LimitSumDocument>): LimitSum {
  let sum = NO_LIMIT_SUM;
  for (const { sp, si, ho, un, n, ko, ke, kv, kf, nb, nx } of documents) {
    const { ok, exceeded, overrun, failed } = sum.effects;
    sum = {
      spent: sp === undefined ? sum.spent : addMoney(sum.spent, fromDecimal(sp)),
      spentInput: si === undefined ? sum.spentInput : addMoney(sum.spentInput, fromDecimal(si)),
      held: ho === undefined ? sum.held : addMoney(sum.held, fromDecimal(ho)),
      unsettled: un === undefined ? sum.unsettled : addMoney(sum.unsettled, fromDecimal(un)),
      eventCount: sum.eventCount + BigInt(n ?? 0),
      effects: {
        ok: ok + BigInt(ko ?? 0),
        exceeded: exceeded + BigInt(ke ?? 0),
        overrun: overrun + BigInt(kv ?? 0),
        failed: failed + BigInt(kf ?? 0),
      },
      blockedCount: sum.blockedCount + BigInt(nb ?? 0),
      blockedExternalCount: sum.blockedExternalCount + BigInt(nx ?? 0),
    };
  }
  return sum;
}

export const NO_LIMIT_SUM: LimitSum = {
  spent: NO_MONEY,
  spentInput: NO_MONEY,
  held: NO_MONEY,
  unsettled: NO_MONEY,
  eventCount: 0n,
  effects: { ok: 0n, exceeded: 0n, overrun: 0n, failed: 0n },
  blockedCount: 0n,
  blockedExternalCount: 0n,
};

const FIRST_PERIOD: Omit<LimitPeriodStart, 'startTime'> = {
  number: 1,
  requestId: undefined,
  maxCost: undefined,
};
