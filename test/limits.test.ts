import { randomUUID } from 'node:crypto';
import { type Collection, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { Limit } from '../services/client/index.js';
import type { LimitsClient } from '../services/client/limits-client.js';
import { contract } from '../services/contract/contract.js';
import { limitStateOf } from '../services/domain/limit.js';
import { type Money, NO_MONEY, parseMoney } from '../services/domain/money.js';
import { parseUuid, type Uuid } from '../services/domain/uuid.js';
import { limitLane, limitSumKey, newOwnLimit, toLimitDocument } from '../services/ledger/limit-document.js';
import type { LimitDocument, LimitSumDocument } from '../services/ledger/limit-fields.js';
import { toDecimal } from '../services/ledger/money-decimal.js';
import { RawClient, readPages } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';

const methods = contract.LimitService.service;
const APPLICATION = 'default';

let service: TestService;
let raw: RawClient;
let limits: LimitsClient;
let sums: Collection<LimitSumDocument>;
let documents: Collection<LimitDocument>;
const mongo = new MongoClient(inject('mongodbUri'));
beforeAll(async () => {
  service = await startTestService();
  raw = new RawClient(service.address);
  ({ limits } = service.client);
  const db = mongo.db(service.options.databaseName);
  sums = db.collection('limit_sums');
  documents = db.collection('limits');
});
afterAll(async () => {
  raw.close();
  await service.stop();
  await mongo.close();
});

let made = 0;
function newName(): string {
  made += 1;
  return `limit ${made}`;
}

/** Each call another limit, with everything given. */
async function newLimit(): Promise<Limit> {
  const content = { maxCost: '5', threshold: '0.8', type: 'BLOCK', tags: ['red', 'blue'] } as const;
  return (await limits.create({ name: newName(), ...content })).limit;
}

/** An amount that a test writes out. */
function usd(text: string): Money {
  const amount = parseMoney(text);
  if (amount === undefined) throw new Error(`'${text}' is no amount`);
  return amount;
}

function uuid(text: string): Uuid {
  const id = parseUuid(text);
  if (id === undefined) throw new Error(`'${text}' is no UUID`);
  return id;
}

/** As recording does it: each lane, and what a blocking limit decides by, adds up by itself. */
async function charge(
  limitId: string,
  lane: number,
  amounts: { readonly spent?: string; readonly held?: string; readonly unsettled?: string },
  counts: Pick<LimitSumDocument, 'n' | 'nb' | 'nx'> = {},
  period = 1,
): Promise<void> {
  await sums.updateOne(
    { _id: limitSumKey(APPLICATION, uuid(limitId), period, lane) },
    {
      $inc: {
        sp: toDecimal(usd(amounts.spent ?? '0')),
        ho: toDecimal(usd(amounts.held ?? '0')),
        un: toDecimal(usd(amounts.unsettled ?? '0')),
        ...counts,
      },
    },
    { upsert: true },
  );
}

async function newOwned(type: string): Promise<{ readonly id: Uuid; readonly name: string }> {
  const id = uuid(randomUUID());
  const config = { type: 'BLOCK', maxCost: usd('1'), threshold: usd('1'), tags: ['own'] } as const;
  await documents.insertOne(toLimitDocument(APPLICATION, newOwnLimit(id, type, config, new Date())));
  return { id, name: `${type}/${id}` };
}

const NOTHING = {
  spentCost: '0',
  heldCost: '0',
  unsettledCost: '0',
  overrunCost: '0',
  eventCount: 0n,
  blockedCount: 0n,
  blockedExternalCount: 0n,
};

describe('a limit', () => {
  test('is created in its first period with nothing spent, and read as it was created', async () => {
    const content = { name: 'Team A: März', maxCost: '250.5', threshold: '0.800000', tags: ['a', 'b'] };
    const { limit, alreadyExisted } = await limits.create({ ...content, type: 'BLOCK' });
    expect(alreadyExisted).toBe(false);
    expect(limit).toMatchObject({
      name: 'Team A: März',
      maxCost: '250.5',
      threshold: '0.8',
      type: 'BLOCK',
      tags: ['a', 'b'],
      experienceId: undefined,
      state: 'OK',
      period: { number: 1, startTime: limit.createTime, endTime: undefined, ...NOTHING },
      updateTime: limit.createTime,
      deleteTime: undefined,
    });
    expect(limit.etag).toMatch(/^".+"$/);
    expect(Math.abs(Date.now() - limit.createTime.getTime())).toBeLessThan(10_000);
    expect(await limits.get(limit.limitId)).toEqual({ limit, pastPeriods: [] });
    expect(await limits.get(`{${limit.limitId.toUpperCase()}}`)).toEqual({ limit, pastPeriods: [] });
  });

  test('of a name and a maximum alone allows on, has no tags and is exceeded at its maximum', async () => {
    const { limit } = await limits.create({ name: newName(), maxCost: '0.000000000000000001' });
    expect(limit).toMatchObject({ type: 'ALLOW', threshold: '1', tags: [], maxCost: '0.000000000000000001' });
  });

  test('created again with the same content is the existing one, tags in any order', async () => {
    const limit = await newLimit();
    const content = { name: ` ${limit.name}`, maxCost: '5.00', threshold: '0.80', type: 'BLOCK' } as const;
    expect(await limits.create({ ...content, tags: ['blue', 'red', 'blue'] })).toEqual({
      limit,
      alreadyExisted: true,
    });
  });

  test.each<[what: string, other: object]>([
    ['maximum', { maxCost: '5.01' }],
    ['threshold', { threshold: '0.81' }],
    ['threshold, being the whole', { threshold: '' }],
    ['type', { type: 'ALLOW' }],
    ['tags', { tags: ['red'] }],
  ])('created again with another %s is refused and stays as it is', async (_what, other) => {
    const limit = await newLimit();
    const { name, maxCost, threshold, type, tags } = limit;
    await expect(limits.create({ name, maxCost, threshold, type, tags, ...other })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      reason: 'LIMIT_ALREADY_EXISTS',
      metadata: { limit_id: limit.limitId, limit_name: name },
    });
    expect((await limits.get(limit.limitId)).limit).toEqual(limit);
  });

  test('created by twenty calls at once is one limit', async () => {
    const content = { name: newName(), maxCost: '1' };
    const answers = await Promise.all(Array.from({ length: 20 }, () => limits.create(content)));
    expect(answers.filter(({ alreadyExisted }) => !alreadyExisted)).toHaveLength(1);
    expect(new Set(answers.map(({ limit }) => limit.limitId)).size).toBe(1);
  });

  const config = (bad: object) => ({ name: 'Bad', config: { maxCost: '1', ...bad } });
  test.each<[what: string, request: object, fields: string[]]>([
    ['nothing', {}, ['name', 'config']],
    ['no maximum', config({ maxCost: '' }), ['config.max_cost']],
    ['a maximum of nothing', config({ maxCost: '0.000' }), ['config.max_cost']],
    ['a maximum below nothing', config({ maxCost: '-1' }), ['config.max_cost']],
    ['a maximum above 10^12', config({ maxCost: '1000000000000.1' }), ['config.max_cost']],
    ['a maximum that no amount holds', config({ maxCost: '0.0000000000000000001' }), ['config.max_cost']],
    ['a maximum with an exponent', config({ maxCost: '1e3' }), ['config.max_cost']],
    ['a threshold of nothing', config({ threshold: '0' }), ['config.threshold']],
    ['a threshold above 1', config({ threshold: '1.000001' }), ['config.threshold']],
    ['a threshold of 7 digits', config({ threshold: '0.1234567' }), ['config.threshold']],
    ['a threshold that is no number', config({ threshold: '80%' }), ['config.threshold']],
    ['a type that is none', config({ type: 9 }), ['config.type']],
    ['33 tags', config({ tags: Array.from({ length: 33 }, (_, index) => `tag-${index}`) }), ['config.tags']],
    ['a tag with a space', config({ tags: ['a b'] }), ['config.tags']],
    [
      'everything wrong',
      { name: 'n'.repeat(129), config: { maxCost: 'x', threshold: 'y', type: 9, tags: [''] } },
      ['name', 'config.type', 'config.max_cost', 'config.threshold', 'config.tags'],
    ],
    ['a name with a control character', { name: 'a\u0000b', config: { maxCost: '1' } }, ['name']],
  ])('with %s is refused, all bad fields in one answer', async (_what, request, fields) => {
    await expect(raw.call(methods.CreateLimit, request)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: fields.map((field) => ({ field })),
    });
  });

  const MISSING = 'f0e1d2c3-0000-4000-8000-000000000000';
  test.each<[method: string, id: string, call: (id: string) => Promise<unknown>]>([
    ['get', MISSING, (id) => limits.get(id)],
    ['get a deleted', MISSING, (id) => limits.get(id, { showDeleted: true })],
    ['get, being no UUID,', 'my limit', (id) => limits.get(id)],
    ['update', MISSING, (id) => limits.update(id, { maxCost: '1' })],
    ['update, being no UUID,', 'my limit', (id) => limits.update(id, { maxCost: '1' })],
    ['reset', MISSING, (id) => limits.reset(id)],
    ['delete', MISSING, (id) => limits.delete(id)],
  ])('that there is not is NOT_FOUND to %s', async (_method, id, call) => {
    await expect(call(id)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      reason: 'LIMIT_NOT_FOUND',
      metadata: { limit_id: id },
    });
  });

  test.each<[method: string, call: () => Promise<unknown>]>([
    ['get', () => raw.call(methods.GetLimit, {})],
    ['update', () => raw.call(methods.UpdateLimit, { maxCost: '1' })],
    ['reset', () => raw.call(methods.ResetLimit, {})],
    ['delete', () => raw.call(methods.DeleteLimit, {})],
  ])('without an id is no limit to %s', async (_method, call) => {
    await expect(call()).rejects.toMatchObject({ violations: [{ field: 'limit_id' }] });
  });
});

/** Costs 0.00045; its estimate of ten times as much holds 0.0045. */
const CALL = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };

describe('a call that names limits', () => {
  const { provider, model } = CALL;
  const estimate = { maxInputTokens: 10_000, maxOutputTokens: 5_000 };
  const reserve = async (limitIds: readonly string[], eventId: string = randomUUID()) =>
    service.client.usage.reserve({ eventId, provider, model, estimate, limitIds });
  const periodOf = async (limitId: string) => (await limits.get(limitId)).limit.period;

  test.each(['ALLOW', 'BLOCK'] as const)('is charged to each, being of type %s', async (type) => {
    const [one, two] = [
      await newLimit(),
      (await limits.create({ name: newName(), maxCost: '0.0005', type })).limit,
    ];
    const limitIds = [one.limitId, two.limitId];
    const answer = await service.client.usage.record({ ...CALL, limitIds });
    expect(answer.limits.map(({ limitId, state }) => [limitId, state])).toEqual([
      [one.limitId, 'OK'],
      [two.limitId, 'OK'],
    ]);
    await service.client.usage.record({ ...CALL, limitIds });
    expect((await limits.get(one.limitId)).limit).toMatchObject({
      state: 'OK',
      period: { spentCost: '0.0009', eventCount: 2n },
    });
    expect((await limits.get(two.limitId)).limit).toMatchObject({
      state: 'OVERRUN',
      period: { spentCost: '0.0009', overrunCost: '0.0004', eventCount: 2n },
    });
  });

  test('holds its estimate from its reservation on; a refused one is counted', async () => {
    const { limit: tight } = await limits.create({ name: newName(), maxCost: '0.005', type: 'BLOCK' });
    const { limit: wide } = await limits.create({ name: newName(), maxCost: '5', type: 'BLOCK' });
    const both = [tight.limitId, wide.limitId];
    const { reservation } = await reserve(both);
    await expect(reserve(both)).rejects.toMatchObject({ reason: 'LIMIT_REACHED' });
    expect(await periodOf(tight.limitId)).toMatchObject({
      spentCost: '0',
      heldCost: '0.0045',
      blockedCount: 1n,
      blockedExternalCount: 0n,
    });
    expect(await periodOf(wide.limitId)).toMatchObject({
      heldCost: '0.0045',
      blockedCount: 0n,
      blockedExternalCount: 1n,
    });
    await service.client.usage.release(reservation.eventId);
    expect(await periodOf(tight.limitId)).toMatchObject({ spentCost: '0', heldCost: '0', eventCount: 0n });
  });

  test('settles in the period it was reserved in, and a reset lets the next one pass', async () => {
    const { limit } = await limits.create({ name: newName(), maxCost: '0.005', type: 'BLOCK' });
    const { reservation } = await reserve([limit.limitId]);
    await expect(reserve([limit.limitId])).rejects.toMatchObject({ reason: 'LIMIT_REACHED' });
    await limits.reset(limit.limitId);
    await reserve([limit.limitId]);
    await service.client.usage.record({ ...CALL, eventId: reservation.eventId });
    expect(await limits.get(limit.limitId)).toMatchObject({
      limit: { period: { number: 2, spentCost: '0', heldCost: '0.0045', blockedCount: 0n } },
      pastPeriods: [{ number: 1, spentCost: '0.00045', heldCost: '0', eventCount: 1n, blockedCount: 1n }],
    });
  });

  test('passes as soon as the maximum is raised', async () => {
    const { limit } = await limits.create({ name: newName(), maxCost: '0.001', type: 'BLOCK' });
    await expect(reserve([limit.limitId])).rejects.toMatchObject({ reason: 'LIMIT_REACHED' });
    await limits.update(limit.limitId, { maxCost: '0.0045' });
    expect((await reserve([limit.limitId])).reservation.state).toBe('OPEN');
  });

  test('is refused when one of them is deleted, unless it was made already', async () => {
    const [one, gone] = [await newLimit(), await newLimit()];
    await limits.delete(gone.limitId);
    const limitIds = [one.limitId, gone.limitId];
    const refusal = { reason: 'LIMIT_NOT_FOUND', metadata: { limit_id: gone.limitId } };
    await expect(reserve(limitIds)).rejects.toMatchObject(refusal);
    expect(await periodOf(one.limitId)).toMatchObject(NOTHING);
    await service.client.usage.record({ ...CALL, limitIds });
    expect(await periodOf(one.limitId)).toMatchObject({ ...NOTHING, spentCost: '0.00045', eventCount: 1n });
    const { limit } = await limits.get(gone.limitId, { showDeleted: true });
    expect(limit.period).toMatchObject({ ...NOTHING, spentCost: '0.00045', eventCount: 1n });
  });
});

describe('the state of a limit', () => {
  test.each<[maxCost: string, threshold: string, spent: string, state: string]>([
    ['5', '0.8', '0', 'OK'],
    ['5', '0.8', '3.999999999999999999', 'OK'],
    ['5', '0.8', '4', 'EXCEEDED'],
    ['5', '0.8', '5', 'EXCEEDED'],
    ['5', '0.8', '5.000000000000000001', 'OVERRUN'],
    ['5', '1', '4.999999999999999999', 'OK'],
    ['5', '1', '5', 'EXCEEDED'],
    // The part of the maximum is 0.0000000000000000005, below what money can hold.
    ['0.000000000000000001', '0.5', '0', 'OK'],
    ['0.000000000000000001', '0.5', '0.000000000000000001', 'EXCEEDED'],
    ['1000000000000', '0.000001', '1000000', 'EXCEEDED'],
    ['1000000000000', '0.000001', '999999.999999999999999999', 'OK'],
  ])('of %s from %s on is, with %s spent, %s', (maxCost, threshold, spent, state) => {
    expect(limitStateOf({ maxCost: usd(maxCost), threshold: usd(threshold) }, usd(spent))).toBe(state);
  });

  test('adds up what is charged in all lanes; what is held beside changes nothing of it', async () => {
    const { limitId } = await newLimit();
    await charge(limitId, 0, { spent: '1.5', held: '3', unsettled: '0.5' }, { n: 3n });
    await charge(limitId, limitLane(0), {}, { nb: 2n });
    await charge(limitId, limitLane(31), { spent: '2.499999999999999999' }, { n: 1n, nb: 1n, nx: 4n });
    const expected = {
      state: 'OK',
      period: {
        number: 1,
        spentCost: '3.999999999999999999',
        heldCost: '3',
        unsettledCost: '0.5',
        overrunCost: '0',
        eventCount: 4n,
        blockedCount: 3n,
        blockedExternalCount: 4n,
      },
    };
    expect((await limits.get(limitId)).limit).toMatchObject(expected);
    expect((await readAll(limits.list())).find((limit) => limit.limitId === limitId)).toMatchObject(expected);
    await charge(limitId, 0, { spent: '1.25' });
    expect((await limits.get(limitId)).limit).toMatchObject({
      state: 'OVERRUN',
      period: { spentCost: '5.249999999999999999', overrunCost: '0.249999999999999999' },
    });
  });

  test('of a limit that only allows is all in lanes', async () => {
    const { limit } = await limits.create({ name: newName(), maxCost: '1' });
    await charge(limit.limitId, limitLane(5), { spent: '0.75' }, { n: 1n });
    await charge(limit.limitId, limitLane(6), { spent: '0.25' }, { n: 1n });
    const { name } = limit;
    expect(await readAll(limits.list({ name }))).toMatchObject([
      { state: 'EXCEEDED', period: { spentCost: '1', eventCount: 2n } },
    ]);
    expect((await limits.create({ name, maxCost: '1' })).limit).toMatchObject({ state: 'EXCEEDED' });
  });
});

describe('an update', () => {
  const BEFORE = { maxCost: '5', threshold: '0.8', tags: ['red', 'blue'] };
  test.each<[what: string, paths: string[] | undefined, given: object, becomes: object]>([
    ['one path', ['max_cost'], { maxCost: '6', threshold: '0.5' }, { ...BEFORE, maxCost: '6' }],
    [
      'two paths',
      ['threshold', 'tags'],
      { threshold: '0.5', tags: ['green'] },
      { ...BEFORE, threshold: '0.5', tags: ['green'] },
    ],
    ['a path to empty tags', ['tags'], {}, { ...BEFORE, tags: [] }],
    ['a path to an empty threshold', ['threshold'], {}, { ...BEFORE, threshold: '1' }],
    ['no mask', undefined, { maxCost: '7', tags: ['green'] }, { ...BEFORE, maxCost: '7', tags: ['green'] }],
    ['an empty mask', [], { threshold: '0.1' }, { ...BEFORE, threshold: '0.1' }],
    [
      '*',
      ['*'],
      { name: 'All new', maxCost: '8' },
      { name: 'All new', maxCost: '8', threshold: '1', tags: [] },
    ],
  ])('with %s changes what it names and nothing else', async (_what, paths, given, becomes) => {
    const before = await newLimit();
    const { limit } = await raw.call(methods.UpdateLimit, {
      limitId: before.limitId,
      ...given,
      ...(paths === undefined ? {} : { updateMask: { paths } }),
    });
    const after = (await limits.get(before.limitId)).limit;
    expect(after).toEqual({ ...before, ...becomes, etag: limit?.etag, updateTime: after.updateTime });
    expect(after.etag).not.toBe(before.etag);
    expect(after.updateTime.getTime()).toBeGreaterThanOrEqual(before.updateTime.getTime());
  });

  test.each<[what: string, request: object, fields: string[]]>([
    ['a path that is not there', { updateMask: { paths: ['colour'] } }, ['update_mask']],
    ['a path that never changes', { updateMask: { paths: ['type', 'name'] }, name: 'x' }, ['update_mask']],
    ['nothing to change', {}, ['update_mask']],
    ['* and no name and no maximum', { updateMask: { paths: ['*'] } }, ['name', 'max_cost']],
    [
      'several bad fields',
      { name: 'n'.repeat(129), maxCost: '0', threshold: '2', tags: ['a b'] },
      ['name', 'max_cost', 'threshold', 'tags'],
    ],
  ])('with %s is refused and changes nothing', async (_what, request, fields) => {
    const before = await newLimit();
    await expect(
      raw.call(methods.UpdateLimit, { limitId: before.limitId, ...request }),
    ).rejects.toMatchObject({ reason: 'INVALID_FIELDS', violations: fields.map((field) => ({ field })) });
    expect((await limits.get(before.limitId)).limit).toEqual(before);
  });

  test('lowers a maximum to what is spent and not below it, whatever is held', async () => {
    const limit = await newLimit();
    await charge(limit.limitId, 0, { spent: '2', held: '1' });
    await expect(limits.update(limit.limitId, { maxCost: '1.999999999999999999' })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'LIMIT_MAX_BELOW_SPEND',
      metadata: { limit_id: limit.limitId, max_cost: '1.999999999999999999', spent_cost: '2' },
    });
    expect((await limits.get(limit.limitId)).limit).toMatchObject({ maxCost: '5', etag: limit.etag });
    expect(await limits.update(limit.limitId, { maxCost: '2' })).toMatchObject({
      maxCost: '2',
      state: 'EXCEEDED',
    });
  });

  test('of another field of an overrun limit is made, its maximum named or not', async () => {
    const { limitId } = await newLimit();
    await charge(limitId, 0, { spent: '6' });
    expect(await limits.update(limitId, { tags: ['late'] })).toMatchObject({ state: 'OVERRUN' });
    expect(await limits.update(limitId, { threshold: '0.5', maxCost: '5.0' })).toMatchObject({
      threshold: '0.5',
      state: 'OVERRUN',
    });
    expect(await limits.update(limitId, { maxCost: '10' })).toMatchObject({ state: 'EXCEEDED' });
  });

  test('to the name of another limit is refused, to its own is made, and frees the old name', async () => {
    const [limit, other] = [await newLimit(), await newLimit()];
    await expect(limits.update(limit.limitId, { name: other.name })).rejects.toMatchObject({
      reason: 'LIMIT_ALREADY_EXISTS',
      metadata: { limit_id: other.limitId },
    });
    await limits.update(limit.limitId, { name: limit.name });
    await limits.update(limit.limitId, { name: newName() });
    const { alreadyExisted } = await limits.create({ name: limit.name, maxCost: '1' });
    expect(alreadyExisted).toBe(false);
  });

  test('of ten calls to one name gives it to one limit', async () => {
    const name = newName();
    const many = await Promise.all(Array.from({ length: 10 }, newLimit));
    const answers = await Promise.allSettled(many.map(({ limitId }) => limits.update(limitId, { name })));
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await readAll(limits.list({ name }))).toHaveLength(1);
  });
});

describe('an etag', () => {
  test.each<[method: string, call: (id: string, etag: string) => Promise<unknown>]>([
    ['update', (id, etag) => limits.update(id, { maxCost: '9', etag })],
    ['delete', (id, etag) => limits.delete(id, { etag })],
  ])(
    'lets %s only what was seen, and a stale one is answered with the current one',
    async (_method, call) => {
      const { limitId, etag: stale } = await newLimit();
      const { limit: current } = await limits.reset(limitId);
      await expect(call(limitId, stale)).rejects.toMatchObject({
        code: 'ABORTED',
        reason: 'ETAG_MISMATCH',
        metadata: { limit_id: limitId, current_etag: current.etag },
      });
      expect((await limits.get(limitId)).limit).toEqual(current);
      await call(limitId, current.etag);
      expect((await limits.get(limitId, { showDeleted: true })).limit.etag).not.toBe(current.etag);
    },
  );

  test('lets one of ten updates at once through', async () => {
    const { limitId, etag } = await newLimit();
    const answers = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) => limits.update(limitId, { maxCost: `${10 + n}`, etag })),
    );
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('stays as it is while calls are charged', async () => {
    const { limitId, etag } = await newLimit();
    await charge(limitId, 0, { spent: '1' });
    expect((await limits.get(limitId)).limit.etag).toBe(etag);
  });
});

describe('a reset', () => {
  test('begins a period with nothing spent and keeps the one before', async () => {
    const before = await newLimit();
    const { limitId } = before;
    await charge(limitId, 0, { spent: '5.5', held: '0.25', unsettled: '0.5' }, { n: 7n });
    await charge(limitId, limitLane(1), {}, { nb: 2n, nx: 1n });
    const { limit, endedPeriod } = await limits.reset(limitId);
    expect(endedPeriod).toEqual({
      number: 1,
      startTime: before.createTime,
      endTime: limit.period.startTime,
      spentCost: '5.5',
      heldCost: '0.25',
      unsettledCost: '0.5',
      overrunCost: '0.5',
      eventCount: 7n,
      blockedCount: 2n,
      blockedExternalCount: 1n,
      spentInputCost: '0',
      spentOutputCost: '5.5',
      okCount: 0n,
      exceededCount: 0n,
      overrunCount: 0n,
      failedCount: 0n,
    });
    expect(limit).toMatchObject({ state: 'OK', period: { number: 2, endTime: undefined, ...NOTHING } });
    expect(await limits.get(limitId)).toEqual({ limit, pastPeriods: [endedPeriod] });
  });

  test('leaves to a past period what is still charged to it, measured by its own maximum', async () => {
    const { limitId } = await newLimit();
    await charge(limitId, 0, { spent: '5', held: '1' });
    await limits.reset(limitId);
    await limits.update(limitId, { maxCost: '0.5' });
    await charge(limitId, 0, { spent: '0.75', held: '-1' }); // A reservation made before the reset is settled.
    await charge(limitId, 0, { spent: '0.75' }, {}, 2);
    expect(await limits.get(limitId)).toMatchObject({
      limit: { state: 'OVERRUN', period: { number: 2, spentCost: '0.75', overrunCost: '0.25' } },
      pastPeriods: [{ number: 1, spentCost: '5.75', heldCost: '0', overrunCost: '0.75' }],
    });
  });

  test('of a request id is made once, and a repeat answers the period that it ended', async () => {
    const { limitId } = await newLimit();
    await charge(limitId, 0, { spent: '1' });
    const first = await raw.call(methods.ResetLimit, { limitId, requestId: 'May 2026' });
    expect(first).toMatchObject({ duplicate: false, endedPeriod: { number: 1, spentCost: '1' } });
    await limits.reset(limitId, { requestId: 'June 2026' });
    const repeat = await raw.call(methods.ResetLimit, { limitId, requestId: 'May 2026' });
    expect(repeat).toMatchObject({ duplicate: true, limit: { period: { number: 3 } } });
    expect(repeat.endedPeriod).toEqual(first.endedPeriod);
  });

  test('is made by every call without a request id, and once by an id that twenty calls send at once', async () => {
    const { limitId } = await newLimit();
    for (const number of [2, 3]) {
      const answer = await raw.call(methods.ResetLimit, { limitId });
      expect(answer).toMatchObject({ duplicate: false, limit: { period: { number } } });
    }
    const requestId = 'once';
    const answers = await Promise.all(Array.from({ length: 20 }, () => limits.reset(limitId, { requestId })));
    expect(new Set(answers.map(({ endedPeriod }) => endedPeriod.number))).toEqual(new Set([3]));
    expect((await limits.get(limitId)).limit.period.number).toBe(4);
  });

  test('of a request id that is none is refused', async () => {
    const { limitId } = await newLimit();
    const bad = raw.call(methods.ResetLimit, { limitId, requestId: 'Mai\u00e4' });
    await expect(bad).rejects.toMatchObject({ violations: [{ field: 'request_id' }] });
  });

  test('keeps the latest 100 past periods, the newest first', async () => {
    const { limitId } = await newLimit();
    await charge(limitId, 0, { spent: '1' });
    await charge(limitId, 0, { spent: '0.125' }, {}, 3);
    for (let n = 1; n <= 102; n += 1) await limits.reset(limitId, { requestId: `reset ${n}` });
    const { limit, pastPeriods } = await limits.get(limitId);
    expect(limit.period.number).toBe(103);
    expect(pastPeriods).toHaveLength(100);
    expect(pastPeriods[0]?.number).toBe(102);
    expect(pastPeriods.at(-1)).toMatchObject({ number: 3, spentCost: '0.125' });
    const { endedPeriod } = await limits.reset(limitId, { requestId: 'reset 102' });
    expect(endedPeriod.number).toBe(102);
    expect((await limits.reset(limitId, { requestId: 'reset 3' })).endedPeriod.number).toBe(3);
    // That of the oldest known period is forgotten: what it ended is known no more.
    expect((await limits.reset(limitId, { requestId: 'reset 2' })).endedPeriod.number).toBe(103);
  });
});

describe('a deleted limit', () => {
  test('is hidden, but shown with its history to who asks for it', async () => {
    const before = await newLimit();
    const { limitId, name } = before;
    await charge(limitId, 0, { spent: '1' });
    await limits.reset(limitId);
    const deleted = await limits.delete(limitId);
    expect(deleted).toMatchObject({ limitId, name, deleteTime: expect.any(Date) });
    await expect(limits.get(limitId)).rejects.toMatchObject({ reason: 'LIMIT_NOT_FOUND' });
    expect(await limits.get(limitId, { showDeleted: true })).toMatchObject({
      limit: deleted,
      pastPeriods: [{ spentCost: '1' }],
    });
    expect(await readAll(limits.list({ name }))).toEqual([]);
    expect(await readAll(limits.list({ name, showDeleted: true }))).toEqual([deleted]);
    expect(deleted.etag).not.toBe(before.etag);
    expect(await limits.delete(limitId)).toEqual(deleted);
  });

  test('cannot be changed or reset', async () => {
    const { limitId } = await newLimit();
    await limits.delete(limitId);
    await expect(limits.update(limitId, { maxCost: '9' })).rejects.toMatchObject({
      reason: 'LIMIT_NOT_FOUND',
    });
    await expect(limits.reset(limitId)).rejects.toMatchObject({ reason: 'LIMIT_NOT_FOUND' });
  });

  test('leaves its name to another one', async () => {
    const { limitId, name, maxCost, threshold, type, tags } = await newLimit();
    await limits.delete(limitId);
    const content = { name, maxCost, threshold, type, tags };
    const { limit, alreadyExisted } = await limits.create(content);
    expect(alreadyExisted).toBe(false);
    expect(limit.limitId).not.toBe(limitId);
    expect(await readAll(limits.list({ name, showDeleted: true }))).toHaveLength(2);
  });
});

describe("an experience's own limit", () => {
  test('has its id, is listed only when asked for, and is found by its name', async () => {
    const { id, name } = await newOwned('Summary');
    expect((await limits.get(id)).limit).toMatchObject({
      limitId: id,
      name,
      experienceId: id,
      type: 'BLOCK',
    });
    const ids = async (owned: boolean) =>
      (await readAll(limits.list({ showOwned: owned }))).map(({ limitId }) => limitId);
    expect(await ids(false)).not.toContain(id);
    expect(await ids(true)).toContain(id);
    expect(await readAll(limits.list({ name }))).toEqual([]);
    expect(await readAll(limits.list({ name, showOwned: true }))).toMatchObject([{ limitId: id }]);
    expect(await readAll(limits.list({ tags: ['own'] }))).toEqual([]);
    expect(await readAll(limits.list({ tags: ['own'], showOwned: true }))).toContainEqual(
      expect.objectContaining({ limitId: id }),
    );
  });

  test('keeps its name, changes else, is reset and deleted like any', async () => {
    const { id, name } = await newOwned('Summary');
    await expect(limits.update(id, { name: 'Mine' })).rejects.toMatchObject({
      violations: [{ field: 'name' }],
    });
    expect(await limits.update(id, { name, maxCost: '2' })).toMatchObject({ name, maxCost: '2' });
    expect((await limits.reset(id)).limit.period.number).toBe(2);
    expect((await limits.delete(id)).deleteTime).toBeInstanceOf(Date);
  });

  test('does not take its name from a shared limit', async () => {
    const { id, name } = await newOwned('Chat');
    const { limit, alreadyExisted } = await limits.create({ name, maxCost: '1' });
    expect(alreadyExisted).toBe(false);
    expect(limit.limitId).not.toBe(id);
  });
});

describe('the list of limits', () => {
  let own: TestService;
  let rawOwn: RawClient;
  beforeAll(async () => {
    own = await startTestService();
    rawOwn = new RawClient(own.address);
    const tagged: readonly (readonly string[])[] = [['a'], ['a', 'b'], ['b', 'a', 'c'], [], ['c']];
    for (const [index, tags] of tagged.entries())
      await own.client.limits.create({ name: `L${index}`, maxCost: '1', tags });
    const [gone] = await readAll(own.client.limits.list({ name: 'L1' }));
    await own.client.limits.delete(gone?.limitId ?? '');
  });
  afterAll(async () => {
    rawOwn.close();
    await own.stop();
  });

  test.each<[what: string, filter: object, pages: string[][]]>([
    [
      'all',
      {},
      [
        ['L4', 'L3'],
        ['L2', 'L0'],
      ],
    ],
    ['all with the deleted', { showDeleted: true }, [['L4', 'L3'], ['L2', 'L1'], ['L0']]],
    [
      'all with owned ones',
      { showOwned: true },
      [
        ['L4', 'L3'],
        ['L2', 'L0'],
      ],
    ],
    ['a tag', { tags: ['a'] }, [['L2', 'L0']]],
    ['a tag with the deleted', { tags: ['a'], showDeleted: true }, [['L2', 'L1'], ['L0']]],
    ['two tags', { tags: ['b', 'a'], showDeleted: true }, [['L2', 'L1']]],
    ['a tag that none has', { tags: ['z'] }, [[]]],
    ['a name', { name: 'L3' }, [['L3']]],
    ['a name and a tag', { name: 'L4', tags: ['c'] }, [['L4']]],
    ['a name in another case', { name: 'l3' }, [[]]],
  ])('of %s is newest first in pages of two, each limit once', async (_what, filter, pages) => {
    const read = await readPages(async (pageToken) => {
      const answer = await rawOwn.call(methods.ListLimits, { ...filter, pageSize: 2, pageToken });
      return { items: answer.limits.map(({ name }) => name), nextPageToken: answer.nextPageToken };
    });
    expect(read).toEqual(pages);
  });

  test('refuses a token of another filter, and names all bad fields', async () => {
    const { nextPageToken } = await rawOwn.call(methods.ListLimits, { pageSize: 1 });
    await expect(
      rawOwn.call(methods.ListLimits, { pageToken: nextPageToken, showDeleted: true }),
    ).rejects.toMatchObject({ violations: [{ field: 'page_token' }] });
    await expect(
      rawOwn.call(methods.ListLimits, { pageSize: -1, name: 'n'.repeat(129), tags: ['a b'], pageToken: 'x' }),
    ).rejects.toMatchObject({
      violations: ['name', 'tags', 'page_size', 'page_token'].map((field) => ({ field })),
    });
  });

  test('tells of every limit of a large page how it stands', async () => {
    const many = Array.from({ length: 150 }, (_, index) => `many ${index}`);
    await Promise.all(
      many.map(async (name) => own.client.limits.create({ name, maxCost: '1', tags: ['many'] })),
    );
    const listed = await readAll(own.client.limits.list({ tags: ['many'] }));
    const collection = mongo.db(own.options.databaseName).collection<LimitSumDocument>('limit_sums');
    await collection.insertMany(
      listed.map(({ limitId }, index) => ({
        _id: limitSumKey(APPLICATION, uuid(limitId), 1, limitLane(index % 32)),
        sp: toDecimal(index % 2 === 0 ? usd('2') : NO_MONEY),
      })),
    );
    const states = (await readAll(own.client.limits.list({ tags: ['many'] }))).map(({ state }) => state);
    expect(states).toEqual(many.map((_, index) => (index % 2 === 0 ? 'OVERRUN' : 'OK')));
  });
});

describe("a type's limit", () => {
  const types = contract.ExperienceTypeService.service;
  const limitConfig = { maxCost: '5.00', threshold: '0.8', type: 'BLOCK', tags: ['chat'] } as const;
  const stored = { ...limitConfig, maxCost: '5' };
  const content = () => ({ name: `T-${newName().replace(' ', '-')}`, description: 'Has a limit' });

  test('is created, read and listed with the type, and part of its content', async () => {
    const type = { ...content(), limitConfig };
    const created = await service.client.types.create(type);
    expect(created.type.limitConfig).toEqual(stored);
    expect(await service.client.types.get(type.name)).toEqual(created.type);
    expect(await readAll(service.client.types.list())).toContainEqual(created.type);
    expect(await service.client.types.create(type)).toEqual({ ...created, alreadyExisted: true });
    for (const other of [{ maxCost: '6' }, { type: 'ALLOW' as const }, { threshold: '1' }, { tags: [] }]) {
      await expect(
        service.client.types.create({ ...type, limitConfig: { ...limitConfig, ...other } }),
      ).rejects.toMatchObject({ reason: 'EXPERIENCE_TYPE_ALREADY_EXISTS' });
    }
    const { name, description } = type;
    await expect(service.client.types.create({ name, description })).rejects.toMatchObject({
      reason: 'EXPERIENCE_TYPE_ALREADY_EXISTS',
    });
  });

  test('is none where none is given', async () => {
    expect((await service.client.types.create(content())).type.limitConfig).toBeUndefined();
  });

  test.each<[what: string, request: object, becomes: object | undefined]>([
    [
      'a new one',
      { limitConfig: { maxCost: '7' } },
      { maxCost: '7', threshold: '1', type: 'ALLOW', tags: [] },
    ],
    ['its path and none', { updateMask: { paths: ['limit_config'] } }, undefined],
    ['* and none', { description: 'New', updateMask: { paths: ['*'] } }, undefined],
    [
      'another path',
      { limitConfig: { maxCost: '7' }, description: 'New', updateMask: { paths: ['description'] } },
      stored,
    ],
    ['no mask and no limit', { description: 'New' }, stored],
  ])('after an update with %s is as it says', async (_what, request, becomes) => {
    const { name, description } = content();
    await service.client.types.create({ name, description, limitConfig });
    await raw.call(types.UpdateExperienceType, { name, ...request });
    expect((await service.client.types.get(name)).limitConfig).toEqual(becomes);
  });

  test('is changed and taken away by the client', async () => {
    const { name, description } = content();
    await service.client.types.create({ name, description });
    const given = await service.client.types.update(name, { limitConfig });
    expect(given).toMatchObject({ description, limitConfig: stored });
    expect((await service.client.types.update(name, { description: 'Other' })).limitConfig).toEqual(stored);
    expect((await service.client.types.update(name, { limitConfig: null })).limitConfig).toBeUndefined();
  });

  test('is given to each new experience as it is then, or the one that its creator names', async () => {
    const { name, description } = content();
    await service.client.types.create({ name, description, limitConfig });
    const { event } = await service.client.usage.record({ ...CALL, experienceType: name });
    await service.client.types.update(name, { limitConfig: { maxCost: '7' } });
    const { experience: later } = await service.client.experiences.create({ experienceType: name });
    const { experience: named } = await service.client.experiences.create({
      experienceType: name,
      limitConfig: { maxCost: '9', tags: ['named'] },
    });
    const ownOf = async (id = '') => (await limits.get(id)).limit;
    expect(await ownOf(event.experienceId)).toMatchObject({
      ...stored,
      name: `${name}/${event.experienceId}`,
      experienceId: event.experienceId,
      period: { number: 1, spentCost: '0.00045', eventCount: 1n },
    });
    expect(await ownOf(later.experienceId)).toMatchObject({ maxCost: '7', type: 'ALLOW', tags: [] });
    expect(await ownOf(named.experienceId)).toMatchObject({ maxCost: '9', tags: ['named'] });
    await service.client.types.update(name, { limitConfig: null });
    const { experience: free } = await service.client.experiences.create({ experienceType: name });
    await expect(ownOf(free.experienceId)).rejects.toMatchObject({ reason: 'LIMIT_NOT_FOUND' });
  });

  test('that is wrong is refused with all that is wrong', async () => {
    const bad = { maxCost: '-1', threshold: '2', type: 9 as never, tags: [''] };
    const fields = ['type', 'max_cost', 'threshold', 'tags'].map((field) => ({
      field: `limit_config.${field}`,
    }));
    const { name, description } = content();
    await expect(
      raw.call(types.CreateExperienceType, { name, description, limitConfig: bad }),
    ).rejects.toMatchObject({ violations: fields });
    await service.client.types.create({ name, description });
    await expect(
      raw.call(contract.ExperienceService.service.CreateExperience, {
        experienceType: name,
        limitConfig: bad,
      }),
    ).rejects.toMatchObject({ violations: fields });
    await expect(raw.call(types.UpdateExperienceType, { name, limitConfig: bad })).rejects.toMatchObject({
      violations: fields,
    });
  });
});
