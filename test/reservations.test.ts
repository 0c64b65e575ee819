import { randomUUID } from 'node:crypto';
import { type Db, MongoClient, UUID } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { ExperiencesError, UsageRecord, UsageReservation } from '../services/client/index.js';
import { insertLimit, limitSum, resetLimit, setLimitConfig } from './support/limits.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';
import { expectVerified } from './support/verified.js';

/** Costs 0.00015 + 0.0003 = 0.00045; its estimate below 0.0015 + 0.003 = 0.0045. */
const CALL = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };
const ESTIMATE = { maxInputTokens: 10_000, maxOutputTokens: 5_000 };
const HOUR_MS = 3_600_000;

let service: TestService;
let db: Db;
const mongo = new MongoClient(inject('mongodbUri'));

beforeAll(async () => {
  service = await startTestService();
  db = mongo.db(service.options.databaseName);
  for (const name of ['Summary', 'Capped', 'Gone'])
    await service.client.types.create({ name, description: name });
  await setLimitConfig(db, 'Capped', { maxCost: '0.01' });
});
afterAll(async () => {
  await expectVerified(service.client);
  await mongo.close();
  await service.stop();
});

type Wanted = Partial<UsageReservation>;

async function reserve(wanted: Wanted = {}) {
  const { provider, model } = CALL;
  return service.client.usage.reserve({
    eventId: randomUUID(),
    provider,
    model,
    estimate: ESTIMATE,
    ...wanted,
  });
}

async function record(usage: Partial<UsageRecord> = {}) {
  return service.client.usage.record({ ...CALL, ...usage });
}

async function totalsOf(experienceId: string | undefined) {
  return (await service.client.costs.get(experienceId ?? '')).totals;
}

/** As if its time were over: moves the end of its time, so that no test waits for it. */
async function expire(eventId: string): Promise<void> {
  const { matchedCount } = await db
    .collection('reservations')
    .updateOne({ '_id.e': new UUID(eventId) }, { $set: { u: new Date(Date.now() - 1) } });
  expect(matchedCount).toBe(1);
}

async function sweep() {
  return service.client.admin.sweepReservations();
}

/** A reservation that ran out and was swept. */
async function unsettled(wanted: Wanted = {}) {
  const reserved = await reserve(wanted);
  await expire(reserved.reservation.eventId);
  expect(await sweep()).toEqual({ unsettledCount: 1, settledCount: 0, more: false });
  return reserved.reservation;
}

async function reasonOf(call: Promise<unknown>): Promise<Pick<ExperiencesError, 'reason' | 'metadata'>> {
  return call.then(
    () => ({ reason: 'none', metadata: {} }),
    ({ reason, metadata }: ExperiencesError) => ({ reason, metadata }),
  );
}

describe('a reservation', () => {
  test('holds its estimate beside the cost of its experience, until its call is recorded', async () => {
    const { reservation, ...answer } = await reserve({ experienceType: 'Summary' });
    expect(answer).toEqual({
      duplicate: false,
      experienceCreated: true,
      experienceIdReplaced: false,
      warnings: [],
      limits: [],
    });
    const { eventId, experienceId = '' } = reservation;
    expect(reservation).toMatchObject({
      experienceType: 'Summary',
      experienceVersion: 1,
      state: 'OPEN',
      estimatedCost: { input: '0.0015', output: '0.003', total: '0.0045' },
    });
    expect(reservation.expireTime.getTime() - reservation.createTime.getTime()).toBe(900_000);
    expect(await totalsOf(experienceId)).toMatchObject({
      eventCount: 0n,
      cost: { total: '0' },
      heldCost: '0.0045',
      openReservationCount: 1n,
    });
    const { event, experienceCreated } = await record({ eventId });
    expect(event).toMatchObject({ experienceId, settlement: 'SETTLED', cost: { total: '0.00045' } });
    expect(experienceCreated).toBe(true);
    expect(await totalsOf(experienceId)).toMatchObject({
      eventCount: 1n,
      cost: { total: '0.00045' },
      heldCost: '0',
      openReservationCount: 0n,
    });
  });

  test.each<[string, Wanted['estimate'], string]>([
    ['units', { units: { text: { input: 10, output: 20 } } }, '0.0000135'],
    ['tokens', { maxInputTokens: 10, maxOutputTokens: 20 }, '0.0000135'],
    ['a cost', { cost: '1.25' }, '1.25'],
  ])('takes its estimate as %s', async (_, estimate, total) => {
    const { reservation } = await reserve({ ...(estimate && { estimate }) });
    expect(reservation.estimatedCost.total).toBe(total);
  });

  test('of units without a price holds nothing, with the reason', async () => {
    const { reservation, warnings } = await reserve({ experienceType: 'Summary', model: 'unheard-of' });
    expect(reservation.unpricedUnits).toEqual([
      { kind: 'text', input: 10_000n, output: 5_000n, reason: 'MODEL_UNKNOWN' },
    ]);
    expect(warnings.map(({ code }) => code)).toEqual(['UNITS_UNPRICED']);
    expect(await totalsOf(reservation.experienceId)).toMatchObject({
      heldCost: '0',
      openReservationCount: 1n,
    });
  });

  test('that holds nothing is refused as one without an estimate, and its estimate stands for the lost call', async () => {
    const { reservation } = await reserve({
      experienceType: 'Capped',
      estimate: { cost: '5' },
      holdsNothing: true,
    });
    expect(reservation).toMatchObject({ state: 'OPEN', estimatedCost: { total: '5' } });
    const { experienceId = '' } = reservation;
    const limits = async () =>
      (await reserve({ experienceId, estimate: { cost: '0.01' }, holdsNothing: true })).limits;
    expect(await limits()).toMatchObject([{ spentCost: '0', heldCost: '0', state: 'OK' }]);
    expect(await totalsOf(experienceId)).toMatchObject({ heldCost: '0', openReservationCount: 2n });
    await expire(reservation.eventId);
    expect(await sweep()).toEqual({ unsettledCount: 1, settledCount: 0, more: false });
    expect(await totalsOf(experienceId)).toMatchObject({
      cost: { total: '5' },
      unsettledCost: '5',
      heldCost: '0',
      openReservationCount: 1n,
    });
    expect(await reasonOf(limits())).toMatchObject({ reason: 'LIMIT_REACHED' });
    await record({ eventId: reservation.eventId });
    expect(await totalsOf(experienceId)).toMatchObject({
      cost: { total: '0.00045' },
      unsettledCost: '0',
      heldCost: '0',
    });
    expect(await limits()).toMatchObject([{ spentCost: '0.00045', heldCost: '0' }]);
  });

  test('made again answers the same one and holds once; with other content it is a conflict', async () => {
    const wanted = { eventId: randomUUID(), experienceType: 'Summary' };
    const first = await reserve(wanted);
    expect(await reserve({ ...wanted, ttlMs: 5_000 })).toEqual({ ...first, duplicate: true });
    expect((await totalsOf(first.reservation.experienceId)).heldCost).toBe('0.0045');
    for (const other of [{ model: 'gpt-4o' }, { estimate: { cost: '1' } }, { userId: 'ada' }]) {
      expect(await reasonOf(reserve({ ...wanted, ...other }))).toMatchObject({
        reason: 'EVENT_ID_CONFLICT',
        metadata: { event_id: wanted.eventId },
      });
    }
  });

  test('released holds nothing and costs nothing, however often it is released or made again', async () => {
    const wanted = { eventId: randomUUID(), experienceType: 'Summary' };
    const { reservation } = await reserve(wanted);
    for (const _ of [1, 2])
      expect(await service.client.usage.release(wanted.eventId)).toEqual({
        state: 'RELEASED',
        existed: true,
      });
    expect(await totalsOf(reservation.experienceId)).toMatchObject({
      eventCount: 0n,
      heldCost: '0',
      openReservationCount: 0n,
    });
    const again = await reserve(wanted);
    expect(again).toMatchObject({ duplicate: true, reservation: { state: 'RELEASED' } });
    expect((await totalsOf(reservation.experienceId)).heldCost).toBe('0');
  });

  test('that comes after its release holds nothing', async () => {
    const eventId = randomUUID();
    for (const _ of [1, 2])
      expect(await service.client.usage.release(eventId)).toEqual({ state: 'RELEASED', existed: false });
    const late = await reserve({ eventId, experienceType: 'Summary' });
    expect(late).toMatchObject({ duplicate: true, reservation: { state: 'RELEASED' } });
    expect(late.reservation.experienceId).toBeUndefined();
    expect((await record({ eventId })).event).toMatchObject({
      settlement: 'NONE',
      cost: { total: '0.00045' },
    });
    expect(await service.client.usage.release(eventId)).toEqual({ state: 'SETTLED', existed: true });
  });

  test('of a call that is recorded already holds nothing', async () => {
    const { event } = await record({ eventId: randomUUID(), experienceType: 'Summary' });
    const late = await reserve({ eventId: event.eventId, experienceType: 'Summary' });
    expect(late).toMatchObject({
      duplicate: true,
      reservation: { state: 'SETTLED', experienceId: event.experienceId },
    });
    expect(await totalsOf(event.experienceId)).toMatchObject({ heldCost: '0', openReservationCount: 0n });
    expect(await service.client.usage.release(event.eventId)).toEqual({ state: 'SETTLED', existed: true });
  });

  test('whose release came before its record is settled by the record all the same', async () => {
    const { reservation } = await reserve({ experienceType: 'Summary' });
    await service.client.usage.release(reservation.eventId);
    const { event } = await record({ eventId: reservation.eventId });
    expect(event).toMatchObject({ experienceId: reservation.experienceId, settlement: 'SETTLED' });
    expect(await totalsOf(reservation.experienceId)).toMatchObject({
      cost: { total: '0.00045' },
      heldCost: '0',
    });
  });

  test('settled by a record that names the type only stays in its experience', async () => {
    const { reservation } = await reserve({ experienceType: 'Summary' });
    const settled = await record({ eventId: reservation.eventId, experienceType: 'Summary' });
    expect(settled.event.experienceId).toBe(reservation.experienceId);
  });

  test('settled by a record that names another experience is counted there and held nowhere', async () => {
    const { reservation } = await reserve({ experienceType: 'Summary' });
    const other = randomUUID();
    await record({ eventId: reservation.eventId, experienceId: other, experienceType: 'Summary' });
    expect(await totalsOf(other)).toMatchObject({ cost: { total: '0.00045' }, heldCost: '0' });
    expect(await totalsOf(reservation.experienceId)).toMatchObject({ eventCount: 0n, heldCost: '0' });
  });

  test('is settled, released and swept though its experience or its type is deleted', async () => {
    const [a, b, c] = [
      await reserve({ experienceType: 'Gone' }),
      await reserve({ experienceType: 'Gone' }),
      await reserve({ experienceType: 'Gone' }),
    ];
    for (const { reservation } of [a, b, c])
      await service.client.experiences.delete(reservation.experienceId ?? '');
    await service.client.types.delete('Gone');
    const { event } = await record({ eventId: a.reservation.eventId, experienceType: 'Gone' });
    expect(event).toMatchObject({ experienceId: a.reservation.experienceId, settlement: 'SETTLED' });
    expect((await service.client.usage.release(b.reservation.eventId)).state).toBe('RELEASED');
    await expire(c.reservation.eventId);
    expect((await sweep()).unsettledCount).toBe(1);
    const late = await record({ eventId: c.reservation.eventId });
    expect(late.event).toMatchObject({ settlement: 'SETTLED', cost: { total: '0.00045' } });
  });

  test('recorded while it is made ends held nowhere', async () => {
    const [eventId, experienceId] = [randomUUID(), randomUUID()];
    const results = await Promise.all([
      reserve({ eventId, experienceId }),
      record({ eventId, experienceId }),
    ]);
    expect(results[1].event.cost.total).toBe('0.00045');
    await db
      .collection('reservations')
      .updateOne({ '_id.e': new UUID(eventId) }, { $set: { u: new Date(0) } });
    await sweep();
    expect(await totalsOf(experienceId)).toMatchObject({
      eventCount: 1n,
      cost: { total: '0.00045' },
      heldCost: '0',
      openReservationCount: 0n,
      unsettledEventCount: 0n,
    });
  });

  test('in a new experience with a made-up id is told so', async () => {
    const reserved = await reserve({ experienceId: 'no UUID', experienceType: 'Summary' });
    expect(reserved).toMatchObject({ experienceCreated: true, experienceIdReplaced: true });
    expect(reserved.warnings.map(({ code }) => code)).toEqual(['EXPERIENCE_ID_REPLACED']);
    const settled = await record({ eventId: reserved.reservation.eventId, experienceId: 'no UUID' });
    expect(settled).toMatchObject({
      event: { experienceId: reserved.reservation.experienceId },
      experienceIdReplaced: true,
    });
  });
});

describe('past its time a reservation', () => {
  test('is closed by an event at its estimate, which counts in every sum and is marked', async () => {
    const { eventId, experienceId, createTime } = await unsettled({
      experienceType: 'Summary',
      operationKey: 'a',
      step: 's',
      properties: { team: 'x' },
    });
    const [event] = await readAll(service.client.usage.list(experienceId ?? ''));
    expect(event).toMatchObject({
      eventId,
      outcome: 'UNKNOWN',
      settlement: 'UNSETTLED',
      useful: false,
      cost: { total: '0.0045' },
      units: { text: { input: 10_000n, output: 5_000n } },
      eventTime: createTime,
      operationKey: 'a',
      step: 's',
      properties: { team: 'x' },
    });
    expect(await totalsOf(experienceId)).toMatchObject({
      eventCount: 1n,
      cost: { total: '0.0045' },
      wastedCost: '0.0045',
      heldCost: '0',
      openReservationCount: 0n,
      unsettledCost: '0.0045',
      unsettledEventCount: 1n,
    });
    expect((await reserve({ eventId, experienceType: 'Summary' })).reservation.state).toBe('UNSETTLED');
  });

  test('before its time it is left alone', async () => {
    const { reservation } = await reserve({ experienceType: 'Summary' });
    expect(await sweep()).toEqual({ unsettledCount: 0, settledCount: 0, more: false });
    expect((await totalsOf(reservation.experienceId)).openReservationCount).toBe(1n);
  });

  test('is corrected by a late record in every sum to the last digit, once', async () => {
    await service.client.types.create({ name: 'Late', description: 'Late' });
    const { eventId, experienceId, createTime } = await unsettled({ experienceType: 'Late', userId: 'ada' });
    const usage = {
      eventId,
      model: 'gpt-4o',
      units: { text: { input: 1000, output: 500 } },
      latencyMs: 7,
      operationKey: 'late',
    };
    const { event, duplicate } = await record(usage);
    expect(duplicate).toBe(false);
    expect(event).toMatchObject({
      settlement: 'SETTLED',
      outcome: 'SUCCEEDED',
      useful: true,
      model: 'gpt-4o',
      cost: { total: '0.0075' },
      latencyMs: 7,
      userId: 'ada',
      eventTime: createTime,
    });
    expect(await record(usage)).toMatchObject({ duplicate: true, event });
    expect(await reasonOf(record({ ...usage, latencyMs: 8 }))).toMatchObject({ reason: 'EVENT_ID_CONFLICT' });
    expect(await totalsOf(experienceId)).toMatchObject({
      eventCount: 1n,
      cost: { total: '0.0075' },
      usefulCost: '0.0075',
      wastedCost: '0',
      units: { text: { input: 1000n, output: 500n } },
      unsettledCost: '0',
      unsettledEventCount: 0n,
    });
    const hour = (offset: number) => new Date(Math.floor(Date.now() / HOUR_MS + offset) * HOUR_MS);
    const report = await service.client.costs.query({
      startTime: hour(-1),
      endTime: hour(2),
      experienceType: 'Late',
      groupBy: ['MODEL'],
    });
    expect(report.rows.map(({ model, sum }) => [model, sum.eventCount, sum.cost.total])).toEqual([
      ['gpt-4o', 1n, '0.0075'],
    ]);
    const { distribution } = await service.client.costs.distribution('Late');
    expect(distribution).toMatchObject({ experienceCount: 1n, sum: '0.0075', maximum: '0.0075' });
  });

  test('is corrected to nothing by a late release, and by a record after that', async () => {
    const { eventId, experienceId } = await unsettled({ experienceType: 'Summary' });
    for (const _ of [1, 2])
      expect(await service.client.usage.release(eventId)).toEqual({ state: 'RELEASED', existed: true });
    expect(await totalsOf(experienceId)).toMatchObject({
      eventCount: 1n,
      cost: { total: '0' },
      units: {},
      unsettledCost: '0',
      unsettledEventCount: 0n,
    });
    const [event] = await readAll(service.client.usage.list(experienceId ?? ''));
    expect(event).toMatchObject({ settlement: 'RELEASED', outcome: 'CANCELLED', cost: { total: '0' } });
    await record({ eventId });
    expect(await totalsOf(experienceId)).toMatchObject({ eventCount: 1n, cost: { total: '0.00045' } });
  });

  test('of a late success makes the earlier success of its operation a wasted one', async () => {
    const experienceId = randomUUID();
    const { eventId } = await unsettled({ experienceId, operationKey: 'step' });
    await record({ experienceId, operationKey: 'step', eventId: randomUUID() });
    await record({ eventId, operationKey: 'step' });
    expect(await totalsOf(experienceId)).toMatchObject({ usefulCost: '0.00045', wastedCost: '0.00045' });
  });

  test('of an unattributed operation leaves one success useful, when another comes at once elsewhere', async () => {
    const other = await startTestService({ databaseName: service.options.databaseName });
    const operations = Array.from({ length: 20 }, () => randomUUID());
    const eventIds: string[] = [];
    for (const operationKey of operations) eventIds.push((await unsettled({ operationKey })).eventId);
    for (const [index, operationKey] of operations.entries()) {
      await Promise.all([
        record({ eventId: eventIds[index] ?? '', operationKey }),
        other.client.usage.record({ ...CALL, operationKey }),
      ]);
    }
    await other.stop();
    const useful = await db
      .collection('events')
      .aggregate([
        { $match: { op: { $in: operations }, us: true } },
        { $group: { _id: '$op', n: { $sum: 1 } } },
      ])
      .toArray();
    expect(useful.map(({ n }) => n)).toEqual(Array.from({ length: 20 }, () => 1));
  });

  test('given as a cost stands for that cost', async () => {
    const { experienceId } = await unsettled({ experienceType: 'Summary', estimate: { cost: '0.5' } });
    expect(await totalsOf(experienceId)).toMatchObject({ cost: { output: '0.5', total: '0.5' }, units: {} });
  });
});

describe('a limit', () => {
  test('of a new experience is its own, and refuses what would exceed it', async () => {
    const experienceId = randomUUID();
    const first = await reserve({ experienceId, experienceType: 'Capped', estimate: { cost: '0.006' } });
    expect(first.limits).toEqual([
      { limitId: experienceId, state: 'OK', maxCost: '0.01', spentCost: '0', heldCost: '0.006' },
    ]);
    expect((await service.client.experiences.get(experienceId)).hasLimit).toBe(true);
    const refused = reserve({ experienceId, estimate: { cost: '0.004000000000000001' } });
    expect(await reasonOf(refused)).toEqual({
      reason: 'LIMIT_REACHED',
      metadata: {
        blocked_limit_ids: experienceId,
        limit_states: `${experienceId}=BLOCKED`,
        max_cost: '0.01',
        spent_cost: '0',
        held_cost: '0.006',
        estimated_cost: '0.004000000000000001',
      },
    });
    await reserve({ experienceId, estimate: { cost: '0.004' } });
    const settled = await record({ eventId: first.reservation.eventId });
    expect(settled.limits).toEqual([
      { limitId: experienceId, state: 'OK', maxCost: '0.01', spentCost: '0.00045', heldCost: '0.004' },
    ]);
    expect(settled.event.limitIds).toEqual([experienceId]);
    expect(await limitSum(db, experienceId)).toEqual({
      spent: '0.00045',
      held: '0.004',
      unsettled: '0',
      events: 1,
      blocked: 1,
      blockedExternal: 0,
    });
  });

  test('that refuses leaves no experience behind', async () => {
    const experienceId = randomUUID();
    const refused = reserve({ experienceId, experienceType: 'Capped', estimate: { cost: '0.02' } });
    expect((await reasonOf(refused)).reason).toBe('LIMIT_REACHED');
    expect((await reasonOf(service.client.experiences.get(experienceId))).reason).toBe(
      'EXPERIENCE_NOT_FOUND',
    );
  });

  test('without an estimate admits what is spent and held up to the maximum, and refuses past it', async () => {
    const id = await insertLimit(db, { maxCost: '0.0045' });
    const { provider, model } = CALL;
    const admit = () =>
      service.client.usage.reserve({ eventId: randomUUID(), provider, model, limitIds: [id] });
    await reserve({ limitIds: [id] });
    await admit();
    await record({ limitIds: [id] });
    expect((await reasonOf(admit())).reason).toBe('LIMIT_REACHED');
    expect(await limitSum(db, id)).toMatchObject({ spent: '0.00045', held: '0.0045', blocked: 1 });
  });

  test('counts at another limit that it kept a call from', async () => {
    const [full, open] = [
      await insertLimit(db, { maxCost: '0.001' }),
      await insertLimit(db, { maxCost: '5', type: 'ALLOW' }),
    ];
    const refused = await reasonOf(reserve({ limitIds: [open, full] }));
    expect(refused.metadata.limit_states).toBe(`${open}=BLOCKED_EXTERNAL,${full}=BLOCKED`);
    expect(await limitSum(db, full)).toMatchObject({ held: '0', blocked: 1, blockedExternal: 0 });
    expect(await limitSum(db, open)).toMatchObject({ held: '0', blocked: 0, blockedExternal: 1 });
  });

  test('that only allows counts on and refuses nothing', async () => {
    const id = await insertLimit(db, { maxCost: '0.001', type: 'ALLOW', threshold: '0.4' });
    const states: unknown[] = [];
    for (let call = 0; call < 3; call += 1) {
      const { reservation } = await reserve({ experienceType: 'Summary', limitIds: [id] });
      const { limits } = await record({ eventId: reservation.eventId });
      states.push(limits.map(({ state, spentCost }) => [state, spentCost]));
    }
    expect(states).toEqual([[['EXCEEDED', '0.00045']], [['EXCEEDED', '0.0009']], [['OVERRUN', '0.00135']]]);
  });

  test('does not refuse a record, reserved or not', async () => {
    const id = await insertLimit(db, { maxCost: '0.0001' });
    const { limits } = await record({ limitIds: [id], experienceType: 'Summary' });
    expect(limits).toMatchObject([{ state: 'OVERRUN', spentCost: '0.00045' }]);
  });

  test('that was deleted refuses a reservation, and is charged what a record says was spent', async () => {
    const id = await insertLimit(db, { maxCost: '5' });
    await service.client.limits.delete(id);
    expect((await reasonOf(reserve({ limitIds: [id] }))).reason).toBe('LIMIT_NOT_FOUND');
    const { event, limits } = await record({ limitIds: [id], experienceType: 'Summary' });
    expect(event.limitIds).toEqual([id]);
    expect(limits).toMatchObject([{ limitId: id, spentCost: '0.00045' }]);
    expect(await limitSum(db, id)).toMatchObject({ spent: '0.00045', held: '0', events: 1 });
  });

  test('that is not there is not found, by a reservation as by a record', async () => {
    const missing = randomUUID();
    for (const call of [reserve({ limitIds: [missing] }), record({ limitIds: [missing] })])
      expect(await reasonOf(call)).toEqual({ reason: 'LIMIT_NOT_FOUND', metadata: { limit_id: missing } });
  });

  test('is given what it held in the period that it was held in, whatever resets came between', async () => {
    const id = await insertLimit(db, { maxCost: '5' });
    const ends = [
      await reserve({ limitIds: [id], experienceType: 'Summary' }),
      await reserve({ limitIds: [id], experienceType: 'Summary' }),
      await reserve({ limitIds: [id], experienceType: 'Summary' }),
    ];
    await resetLimit(db, id);
    const [settled, released, swept] = ends.map(({ reservation }) => reservation.eventId);
    await record({ eventId: settled ?? '' });
    await service.client.usage.release(released ?? '');
    await expire(swept ?? '');
    await sweep();
    expect(await limitSum(db, id, 1)).toMatchObject({
      spent: '0.00495',
      held: '0',
      unsettled: '0.0045',
      events: 2,
    });
    await record({ eventId: swept ?? '' });
    expect(await limitSum(db, id, 1)).toMatchObject({ spent: '0.0009', unsettled: '0', events: 2 });
    const next = await reserve({ limitIds: [id] });
    expect(next.limits).toMatchObject([{ spentCost: '0', heldCost: '0.0045' }]);
  });

  test('is charged what a repricing adds', async () => {
    const id = await insertLimit(db, { maxCost: '5' });
    const provider = `acme-${randomUUID()}`;
    await service.client.usage.record({ ...CALL, provider, limitIds: [id] });
    expect(await limitSum(db, id)).toMatchObject({ spent: '0', events: 1 });
    const rates = { text: { input: { base: '0.001' }, output: { base: '0.002' } } };
    await service.client.prices.create({ provider, model: CALL.model, rates, effectiveTime: new Date(0) });
    await service.client.prices.repriceUnpriced({ provider });
    expect(await limitSum(db, id)).toMatchObject({ spent: '2', events: 1 });
  });

  test('named by a record counts in its content', async () => {
    const [a, b] = [await insertLimit(db, { maxCost: '5' }), await insertLimit(db, { maxCost: '5' })];
    const eventId = randomUUID();
    await record({ eventId, limitIds: [a, b] });
    expect(await record({ eventId, limitIds: [b, a.toUpperCase()] })).toMatchObject({ duplicate: true });
    expect((await reasonOf(record({ eventId, limitIds: [a] }))).reason).toBe('EVENT_ID_CONFLICT');
  });
});
