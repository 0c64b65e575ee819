import fc from 'fast-check';
import { type Db, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { fromStatus } from '../services/client/experiences-error.js';
import { contract } from '../services/contract/contract.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { USAGE_LIMITS, withinLimits } from '../services/server/item-limits.js';
import { insertLimit, limitSum } from './support/limits.js';
import { startTestService, type TestService } from './support/service.js';
import { RawUsageStream } from './support/usage-stream.js';
import { expectVerified } from './support/verified.js';

/** Reservations and releases as items of a stream's messages; by our recorder: recorder-reservations.test.ts. */

const { StreamUsage } = contract.UsageService.service;

const MODEL = { provider: 'openai', model: 'gpt-4o-mini' };
/** 1,000 tokens in and 500 out: 0.00045 dollars by the catalogue. */
const CALL = { ...MODEL, units: { text: { input: '1000', output: '500' } } };
const DIME = { ...MODEL, estimate: { cost: '0.1' } };

let service: TestService;
let db: Db;
const mongo = new MongoClient(inject('mongodbUri'));

beforeAll(async () => {
  service = await startTestService();
  db = mongo.db(service.options.databaseName);
  await service.client.types.create({ name: 'Summary', description: 'Summary' });
});
afterAll(async () => {
  await expectVerified(service.client);
  await mongo.close();
  await service.stop();
});

function open(
  options: ConstructorParameters<typeof RawUsageStream>[1] & { readonly to?: TestService } = {},
): RawUsageStream {
  const stream = new RawUsageStream((options.to ?? service).address, options);
  onTestFinished(() => stream.close());
  return stream;
}

function times<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

function reservation(fields: object = {}) {
  return { ...DIME, eventId: newUuid(), ...fields };
}

describe('a message', () => {
  test('of all three kinds answers each in the order of its list, and all are in the sums', async () => {
    const limitId = await insertLimit(db, { maxCost: '1' });
    const attribution = { limitIds: [limitId] };
    const [settled, released] = [reservation({ attribution }), reservation({ attribution })];
    const [first, second] = [reservation({ attribution }), reservation({ attribution, estimate: null })];
    const stream = open();
    stream.send({ sequence: '1', reservations: [settled, released] });
    expect((await stream.answer(1)).reservationResults).toMatchObject([
      { index: 0, response: { reservation: { state: 'RESERVATION_STATE_OPEN' }, duplicate: false } },
      { index: 1, response: { limits: [{ limitId, maxCost: '1', spentCost: '0', heldCost: '0.2' }] } },
    ]);
    const unknown = newUuid();
    stream.send({
      sequence: '2',
      reservations: [first, second],
      records: [CALL, { ...CALL, eventId: settled.eventId }],
      releases: [{ eventId: unknown }, { eventId: released.eventId }],
      view: 'BATCH_VIEW_ERRORS_ONLY',
    });
    const answer = await stream.answer(2);
    expect(answer).toMatchObject({ recordedCount: 2, duplicateCount: 0, failedCount: 0, results: [] });
    expect(answer.reservationResults).toMatchObject([
      {
        index: 0,
        response: { reservation: { eventId: first.eventId, estimatedCost: { output: '0.1', total: '0.1' } } },
      },
      { index: 1, response: { reservation: { eventId: second.eventId, estimatedCost: { total: '0' } } } },
    ]);
    expect(answer.releaseResults).toMatchObject([
      { index: 0, response: { state: 'RESERVATION_STATE_RELEASED', existed: false } },
      { index: 1, response: { state: 'RESERVATION_STATE_RELEASED', existed: true } },
    ]);
    expect(await limitSum(db, limitId)).toEqual({
      spent: '0.00045',
      held: '0.1',
      unsettled: '0',
      events: 1,
      blocked: 0,
      blockedExternal: 0,
    });
    stream.end();
    expect(await stream.ended).toBe('OK');
  });

  test('with one id in all three lists reserves it, then records it, then finds it settled', async () => {
    const limitId = await insertLimit(db, { maxCost: '1' });
    const stream = open();
    const ids = times(20, () => newUuid());
    stream.send({
      sequence: '1',
      reservations: ids.map((eventId) =>
        reservation({ eventId, attribution: { limitIds: [limitId] }, estimate: { cost: '0.01' } }),
      ),
      records: ids.map((eventId) => ({ ...CALL, eventId })),
      releases: ids.map((eventId) => ({ eventId })),
    });
    const { results, reservationResults, releaseResults } = await stream.answer(1);
    expect(new Set(reservationResults.map(({ response }) => response?.reservation?.state))).toEqual(
      new Set(['RESERVATION_STATE_OPEN']),
    );
    expect(new Set(results.map(({ ack }) => ack?.settlement))).toEqual(new Set(['SETTLEMENT_SETTLED']));
    expect(new Set(releaseResults.map(({ response }) => response?.state))).toEqual(
      new Set(['RESERVATION_STATE_SETTLED']),
    );
    expect(await limitSum(db, limitId)).toMatchObject({ spent: '0.009', held: '0', events: 20 });
  });

  test('sent again answers each reservation as it stands, and holds nothing twice', async () => {
    const limitId = await insertLimit(db, { maxCost: '1' });
    const reservations = times(5, () => reservation({ attribution: { limitIds: [limitId] } }));
    for (const isAgain of [false, true]) {
      const stream = open();
      stream.send({ sequence: '1', reservations });
      const { reservationResults } = await stream.answer(1);
      expect(reservationResults.map(({ response }) => response?.duplicate)).toEqual(times(5, () => isAgain));
      expect(await limitSum(db, limitId)).toMatchObject({ held: '0.5' });
    }
  });

  test('of 500 items over all lists is taken', async () => {
    const stream = open();
    stream.send({
      sequence: '1',
      reservations: times(200, () => reservation({ model: '' })),
      records: times(200, () => ({ ...CALL, model: '' })),
      releases: times(100, () => ({ eventId: '' })),
    });
    const answer = await stream.answer(1);
    expect(answer.failedCount).toBe(200);
    expect(answer.reservationResults[199]).toMatchObject({
      index: 199,
      error: { message: 'reservations[199].model: is required' },
    });
    expect(answer.releaseResults[99]).toMatchObject({
      index: 99,
      error: { message: 'releases[99].event_id: is required' },
    });
  });

  test('is attributed by the metadata of the stream where an item says nothing itself', async () => {
    const experienceId = newUuid();
    const stream = open({ metadata: { 'xproxy-experience-id': experienceId } });
    const other = { experienceId: newUuid() };
    stream.send({ sequence: '1', reservations: [reservation(), reservation({ attribution: other })] });
    const [own, conflict] = (await stream.answer(1)).reservationResults;
    expect(own?.response?.reservation?.experienceId).toBe(experienceId);
    expect(conflict?.error && fromStatus(conflict.error)).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'ATTRIBUTION_CONFLICT',
      violations: [{ field: 'reservations[1].attribution.experience_id' }],
    });
  });
});

describe('what is wrong with an item is its own result:', () => {
  const conflicting = newUuid();
  const unknownLimit = newUuid();
  let small: string;
  let large: string;
  beforeAll(async () => {
    small = await insertLimit(db, { maxCost: '0.25' });
    large = await insertLimit(db, { maxCost: '100' });
    await service.client.usage.reserve({ ...DIME, eventId: conflicting });
  });

  test.each<[what: string, fields: () => object, error: () => object]>([
    [
      'a missing model',
      () => ({ model: '' }),
      () => ({
        reason: 'INVALID_FIELDS',
        message: 'reservations[1].model: is required',
        violations: [{ field: 'reservations[1].model', description: 'is required' }],
      }),
    ],
    [
      'units below nothing',
      () => ({ estimate: { units: { units: { text: { input: '-1' } } } } }),
      () => ({
        reason: 'INVALID_FIELDS',
        violations: [{ field: 'reservations[1].estimate.units[text].input' }],
      }),
    ],
    [
      'a time that is too short, and no id',
      () => ({ ttl: { seconds: '0', nanos: 1 }, eventId: '' }),
      () => ({
        reason: 'INVALID_FIELDS',
        violations: [{ field: 'reservations[1].event_id' }, { field: 'reservations[1].ttl' }],
      }),
    ],
    [
      'an id that is reserved for another call',
      () => ({ eventId: conflicting, model: 'gpt-4o' }),
      () => ({ code: 'ALREADY_EXISTS', reason: 'EVENT_ID_CONFLICT' }),
    ],
    [
      'a limit that is none',
      () => ({ attribution: { limitIds: [unknownLimit] } }),
      () => ({ code: 'NOT_FOUND', reason: 'LIMIT_NOT_FOUND', metadata: { limit_id: unknownLimit } }),
    ],
    [
      'a limit that refuses',
      () => ({ attribution: { limitIds: [small, large] }, estimate: { cost: '0.3' } }),
      () => ({
        code: 'FAILED_PRECONDITION',
        reason: 'LIMIT_REACHED',
        metadata: {
          blocked_limit_ids: small,
          limit_states: `${small}=BLOCKED,${large}=BLOCKED_EXTERNAL`,
          max_cost: '0.25',
          spent_cost: '0',
          held_cost: '0',
          estimated_cost: '0.3',
        },
      }),
    ],
  ])('%s', async (_what, fields, error) => {
    const stream = open();
    const [before, after] = [reservation(), reservation()];
    stream.send({
      sequence: '1',
      reservations: [before, reservation(fields()), after],
      records: [CALL],
      releases: [{ eventId: newUuid() }],
    });
    const { recordedCount, reservationResults, releaseResults } = await stream.answer(1);
    expect(reservationResults.map(({ index, response }) => [index, response?.reservation?.eventId])).toEqual([
      [0, before.eventId],
      [1, undefined],
      [2, after.eventId],
    ]);
    const status = reservationResults[1]?.error;
    expect(status && fromStatus(status)).toMatchObject(error());
    expect([recordedCount, releaseResults[0]?.response?.existed]).toEqual([1, false]);
  });

  test('more parts than the service decodes', async () => {
    const limitIds = times(500, () => newUuid());
    const kinds = Object.fromEntries(times(450, (n) => [`kind_${n}`, { input: '1', output: '1' }]));
    const labels = Object.fromEntries(times(500, (n) => [`key ${n}`, 'x']));
    const [first, between, last] = [reservation(), reservation(), reservation()];
    const known = newUuid();
    const bytes = Buffer.concat([
      StreamUsage.requestSerialize({
        sequence: '1',
        records: [
          { ...CALL, eventId: known },
          { ...CALL, properties: labels },
        ],
        reservations: [
          first,
          reservation({ properties: labels }),
          reservation({ attribution: { limitIds } }),
          between,
          reservation({ estimate: { units: { units: kinds } } }),
          last,
        ],
      }),
      // A release whose id is said 600 times.
      Buffer.from([0x2a, 0xb0, 0x09]),
      Buffer.alloc(1_200, Buffer.of(0x0a, 0)),
      StreamUsage.requestSerialize({ releases: [{ eventId: newUuid() }] }),
    ]);
    const stream = open();
    stream.sendBytes(bytes);
    const { results, reservationResults, releaseResults } = await stream.answer(1);
    expect(results.map(({ ack, error }) => ack?.eventId ?? error?.message)).toEqual([
      known,
      'records[1]: has more than 400 parts',
    ]);
    expect(
      reservationResults.map(({ response, error }) => response?.reservation?.eventId ?? error?.message),
    ).toEqual([
      first.eventId,
      'reservations[1]: has more than 400 parts',
      'reservations[2]: has more than 400 parts',
      between.eventId,
      'reservations[4]: has more than 400 parts',
      last.eventId,
    ]);
    expect(releaseResults.map(({ response, error }) => response?.state ?? error?.message)).toEqual([
      'releases[0]: has more than 400 parts',
      'RESERVATION_STATE_RELEASED',
    ]);
  });
});

describe('a message of too much', () => {
  const refused = { code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS' };
  test.each<[what: string, bytes: () => Buffer, field: string]>([
    [
      '501 items, the last of them a release',
      () =>
        StreamUsage.requestSerialize({
          sequence: '1',
          records: times(200, () => CALL),
          reservations: times(200, () => reservation()),
          releases: times(101, () => ({ eventId: newUuid() })),
        }),
      'releases',
    ],
    ['half a million empty reservations', () => Buffer.alloc(1_000_000, Buffer.of(0x22, 0)), 'reservations'],
    ['half a million empty releases', () => Buffer.alloc(1_000_000, Buffer.of(0x2a, 0)), 'releases'],
    [
      'as many, of all kinds in turn',
      () => Buffer.alloc(999_996, Buffer.of(0x12, 0, 0x22, 0, 0x2a, 0)),
      'releases',
    ],
  ])('%s is refused before it is decoded', async (_what, makeBytes, field) => {
    const bytes = makeBytes();
    const decode = () => {
      throw new Error('it is decoded');
    };
    expect(() => withinLimits(bytes, USAGE_LIMITS.StreamUsage, () => undefined, decode)).toThrow(
      /^\w+: has, with the other lists, more than 500$/,
    );
    const stream = open();
    stream.sendBytes(bytes);
    expect(await stream.ended).toMatchObject({ ...refused, violations: [{ field }] });
  });

  test('is never let through, however its bytes are changed', () => {
    const limits = { ...USAGE_LIMITS.StreamUsage, itemsMax: 6 };
    const seed = StreamUsage.requestSerialize({
      sequence: '100000',
      view: 'BATCH_VIEW_ERRORS_ONLY',
      records: times(2, () => CALL),
      reservations: times(2, () => reservation({ ttl: { seconds: '60', nanos: 0 } })),
      releases: times(2, () => ({ eventId: newUuid() })),
    });
    const tags = [0x08, 0x0a, 0x12, 0x18, 0x22, 0x2a, 0x80, 0xff, 0x00];
    const change = fc.record({ at: fc.nat(seed.length - 1), bytes: fc.array(fc.constantFrom(...tags)) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        let bytes = seed;
        for (const { at, bytes: put } of changes) {
          bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(put), bytes.subarray(at)]);
        }
        let decoded: Record<'records' | 'reservations' | 'releases', unknown[]>;
        try {
          decoded = withinLimits(
            bytes,
            limits,
            () => undefined,
            StreamUsage.requestDeserialize,
          ) as typeof decoded;
        } catch {
          return true; // Refused, here or by the decoder.
        }
        return decoded.records.length + decoded.reservations.length + decoded.releases.length <= 6;
      }),
      { numRuns: 10_000 },
    );
  });
});

test('a stream whose service has too much to do waits, and settles every item once', async () => {
  const busy = await startTestService({ writesWaitingMax: 4 });
  onTestFinished(() => busy.stop());
  const busyDb = mongo.db(busy.options.databaseName);
  const limitId = await insertLimit(busyDb, { maxCost: '5' });
  const streams = times(3, () => open({ to: busy }));
  const ids = times(90, () => newUuid());
  const attribution = { limitIds: [limitId] };
  for (const [index, stream] of streams.entries()) {
    for (let message = 0; message < 6; message += 1) {
      const some = ids.slice(index * 30 + message * 5, index * 30 + message * 5 + 5);
      stream.send({
        sequence: String(message + 1),
        reservations: some.map((eventId) => reservation({ eventId, attribution })),
        records: times(5, () => ({ ...CALL, attribution })),
        releases: times(5, () => ({ eventId: newUuid() })),
      });
    }
    stream.end();
  }
  expect(await Promise.all(streams.map(({ ended }) => ended))).toEqual(['OK', 'OK', 'OK']);
  const answers = streams.flatMap((stream) => stream.answers);
  expect(answers.map(({ recordedCount }) => recordedCount)).toEqual(times(18, () => 5));
  const reserved = answers.flatMap(({ reservationResults }) => reservationResults);
  const refused = reserved.filter(({ error }) => error && fromStatus(error).reason === 'LIMIT_REACHED');
  // 90 calls of $0.00045 are spent and 49 dimes held: one more would be beyond $5, unless it came before any was spent.
  expect(reserved).toHaveLength(90);
  expect([49, 50]).toContain(reserved.filter(({ response }) => response).length);
  expect(refused.length).toBe(90 - reserved.filter(({ response }) => response).length);
  expect(
    answers.flatMap(({ releaseResults }) => releaseResults.map(({ response }) => response?.existed)),
  ).toEqual(times(90, () => false));
  expect(await limitSum(busyDb, limitId)).toMatchObject({
    spent: '0.0405',
    held: String(reserved.filter(({ response }) => response).length / 10),
    events: 90,
    blocked: refused.length,
  });
  await expectVerified(busy.client);
});
