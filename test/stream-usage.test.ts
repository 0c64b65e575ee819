import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ExperiencesError } from '../services/client/index.js';
import { contract } from '../services/contract/contract.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { expectBooks } from './support/books.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { startTestService, type TestService } from './support/service.js';
import { startServiceProcess } from './support/service-process.js';
import { RawUsageStream } from './support/usage-stream.js';
import { waitUntil } from './support/wait-until.js';

const { StreamUsage } = contract.UsageService.service;

/** 1,000 tokens in and 500 out: 0.00045 dollars by the catalogue. */
const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: '1000', output: '500' } } };
/** How many messages of a stream the service has under way at most. */
const WINDOW = 16;

let mongod: OwnMongod;
let service: TestService;
beforeAll(async () => {
  mongod = await startOwnMongod();
  service = await startTestService({ mongodbUri: mongod.uri });
});
afterAll(async () => {
  await expectBooks(mongod.client, service.options.databaseName);
  await service.stop();
  await mongod.stop();
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

async function stored(eventIds: readonly string[], of: TestService = service): Promise<readonly string[]> {
  const { events } = await expectBooks(mongod.client, of.options.databaseName);
  const ids = new Set(events.map(({ id }) => id));
  return eventIds.filter((eventId) => ids.has(eventId));
}

describe('a message', () => {
  test('is answered by its sequence when its events are in every sum', async () => {
    const [stream, experienceId] = [open(), newUuid()];
    for (const sequence of [1, 2, 7]) {
      const records = times(sequence, (n) => ({
        ...call,
        eventId: `${experienceId} ${sequence} ${n}`,
        attribution: { experienceId },
      }));
      stream.send({ sequence: String(sequence), records });
      const answer = await stream.answer(sequence);
      expect(answer).toMatchObject({ recordedCount: sequence, duplicateCount: 0, failedCount: 0 });
      expect(answer.results.map(({ index, ack }) => [index, ack?.eventId])).toEqual(
        records.map(({ eventId }, index) => [index, eventId]),
      );
      expect(answer.results[0]?.ack).toMatchObject({
        experienceId,
        duplicate: false,
        cost: { total: '0.00045', currencyCode: 'USD' },
      });
    }
    const { totals } = await service.client.costs.get(experienceId);
    expect([totals.eventCount, totals.cost.total]).toEqual([10n, '0.0045']);
    stream.end();
    expect(await stream.ended).toBe('OK');
  });

  test('names what is wrong with a record under its path, and records the others', async () => {
    const stream = open();
    stream.send({ sequence: '1', records: [call, { ...call, model: '' }, call] });
    const { results, ...counts } = await stream.answer(1);
    expect(counts).toMatchObject({ recordedCount: 2, failedCount: 1 });
    expect(results[1]).toMatchObject({
      index: 1,
      error: { code: 3, message: 'records[1].model: is required' },
    });
  });

  test('may ask for the errors alone, and another of the same stream for all', async () => {
    const stream = open();
    const records = [call, { ...call, model: '' }];
    stream.send({ sequence: '1', records, view: 'BATCH_VIEW_ERRORS_ONLY' });
    stream.send({ sequence: '2', records });
    expect((await stream.answer(1)).results.map(({ index }) => index)).toEqual([1]);
    expect((await stream.answer(2)).results.map(({ index }) => index)).toEqual([0, 1]);
  });

  test('of 500 records is taken', async () => {
    const stream = open();
    const records = [call, ...times(499, () => ({ ...call, model: '' }))];
    stream.send({ sequence: '1', records });
    expect(await stream.answer(1)).toMatchObject({ recordedCount: 1, failedCount: 499 });
  });

  test('is attributed by the metadata of the stream where it says nothing itself', async () => {
    const [experienceId, other] = [newUuid(), newUuid()];
    const stream = open({ metadata: { 'xproxy-experience-id': experienceId } });
    stream.send({ sequence: '1', records: [call, { ...call, attribution: { experienceId: other } }] });
    const { results } = await stream.answer(1);
    expect(results[0]?.ack?.experienceId).toBe(experienceId);
    expect(results[1]?.error?.message).toContain('experience_id');
  });
});

describe('a stream is ended, after what was under way is answered, by', () => {
  const one = { sequence: '1', records: [call] };
  test.each<[what: string, message: Buffer, fields: string[]]>([
    [
      'a sequence that was there',
      StreamUsage.requestSerialize({ sequence: '5', records: [call] }),
      ['sequence'],
    ],
    [
      'a sequence below the one before',
      StreamUsage.requestSerialize({ sequence: '4', records: [call] }),
      ['sequence'],
    ],
    ['a message of nothing', Buffer.alloc(0), ['sequence', 'records']],
    [
      'a view that is none',
      Buffer.concat([StreamUsage.requestSerialize({ sequence: '6', records: [call] }), Buffer.of(0x18, 9)]),
      ['view'],
    ],
    [
      '501 records',
      StreamUsage.requestSerialize({ sequence: '6', records: times(501, () => call) }),
      ['records'],
    ],
    ['half a million empty records', Buffer.alloc(1_000_000, Buffer.of(0x12, 0)), ['records']],
    ['bytes that are no message', Buffer.of(0xff), []],
  ])('%s', async (_what, message, fields) => {
    const stream = open();
    stream.send({ ...one, sequence: '5' });
    stream.sendBytes(message);
    expect(await stream.ended).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: fields.map((field) => ({ field })),
    });
    expect(stream.answers).toMatchObject([{ ackedSequence: '5', recordedCount: 1 }]);
  });

  test('metadata that says two things', async () => {
    const stream = open({ metadata: { 'xproxy-user-id': 'ada, bob' } });
    stream.send(one);
    expect(await stream.ended).toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'xproxy-user-id' }],
    });
  });

  test('the stop of the service', async () => {
    const stopping = await startTestService({ mongodbUri: mongod.uri });
    const stream = open({ to: stopping });
    const ids = times(30, () => newUuid());
    stream.send(one);
    await stream.answer(1);
    for (const [index, eventId] of ids.entries()) {
      stream.send({ sequence: String(index + 2), records: [{ ...call, eventId }] });
    }
    await stopping.stop();
    expect(await stream.ended).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'SHUTTING_DOWN',
      retryAfterMs: 1_000,
    });
    const told = stream.answers
      .slice(1)
      .flatMap(({ results }) => results.map(({ ack }) => ack?.eventId ?? ''));
    // What was begun is answered: there is nothing in the books that nobody was told of.
    expect([...(await stored(ids, stopping))].sort()).toEqual([...told].sort());
  });
});

describe('the window', () => {
  /** Waits until a count has stayed the same for half a second. */
  async function stillness(what: string, count: () => Promise<number> | number): Promise<number> {
    let [last, since] = [-1, Date.now()];
    return waitUntil(what, async () => {
      const now = await count();
      if (now !== last) [last, since] = [now, Date.now()];
      return Date.now() - since > 500 ? now : undefined;
    });
  }

  test('is full when the store stalls: the service reads no further, and goes on when the store does', async () => {
    const stream = open();
    const ids = times(400, () => newUuid());
    const properties = Object.fromEntries(times(32, (n) => [`filler ${n}`, 'x'.repeat(1_000)]));
    stream.send({ sequence: '1', records: [call] });
    await stream.answer(1);
    mongod.stall();
    try {
      for (const [index, eventId] of ids.entries()) {
        stream.send({ sequence: String(index + 2), records: [{ ...call, eventId, properties }] });
      }
      // 16 under way, 16 read ahead, and a few on the connection, of 32 KB each: most must wait in the client.
      const unsent = await stillness('the client has sent what it may', () => stream.unsent());
      expect(unsent).toBeGreaterThan(400 - 100);
      expect(stream.answers).toHaveLength(1);
    } finally {
      mongod.goOn();
    }
    await stream.answer(401);
    await waitUntil('all are answered', () => (stream.answers.length === 401 ? true : undefined));
    expect(await stored(ids)).toEqual(ids);
  });

  test('is full when the caller reads no answers: the service records no further, and all when it reads', async () => {
    const stream = open();
    stream.send({ sequence: '1', records: [call] });
    await stream.answer(1);
    stream.pauseReading();
    const ids = times(400, () => newUuid());
    // Each answer takes about 100 KB, for the errors in it.
    const units = Object.fromEntries(times(40, (n) => [`É${n}`, { input: '-1', output: '0' }]));
    const bad = times(50, () => ({ ...call, units }));
    for (const [index, eventId] of ids.entries()) {
      stream.send({ sequence: String(index + 2), records: [{ ...call, eventId }, ...bad] });
    }
    const recorded = await stillness('nothing more is recorded', async () => {
      const done = await stored(ids);
      return done.length === 0 ? -1 : done.length;
    });
    // 16 answers are in the client, 16 written and as many under way, and a few on the connection.
    expect(recorded).toBeLessThan(100);
    stream.resumeReading();
    await stream.answer(401);
    await waitUntil('all are answered', () => (stream.answers.length === 401 ? true : undefined));
    expect(await stored(ids)).toEqual(ids);
  });

  test(`holds ${WINDOW} messages, answered as each is durable`, async () => {
    const stream = open();
    for (let sequence = 1; sequence <= 200; sequence += 1) {
      stream.send({ sequence: String(sequence), records: [call] });
    }
    stream.end();
    expect(await stream.ended).toBe('OK');
    expect(stream.answers.map(({ ackedSequence }) => Number(ackedSequence)).sort((a, b) => a - b)).toEqual(
      times(200, (n) => n + 1),
    );
  });
});

test('a stream whose service has too much to do waits, and loses nothing', async () => {
  const busy = await startTestService({ mongodbUri: mongod.uri, writesWaitingMax: 4 });
  onTestFinished(() => busy.stop());
  const streams = times(3, () => open({ to: busy }));
  const ids = times(300, () => newUuid());
  for (const [index, stream] of streams.entries()) {
    for (let message = 0; message < 10; message += 1) {
      const from = index * 100 + message * 10;
      const records = ids.slice(from, from + 10).map((eventId) => ({ ...call, eventId }));
      stream.send({ sequence: String(message + 1), records });
    }
    stream.end();
  }
  expect(await Promise.all(streams.map(({ ended }) => ended))).toEqual(['OK', 'OK', 'OK']);
  const answers = streams.flatMap((stream) => stream.answers);
  expect(answers.map(({ recordedCount }) => recordedCount)).toEqual(times(30, () => 10));
  expect(await stored(ids, busy)).toEqual(ids);
});

test('a store that stays away ends the stream with UNAVAILABLE, and sent again nothing counts twice', async () => {
  const ids = times(50, () => newUuid());
  const messages = ids.map((eventId, index) => ({
    sequence: String(index + 1),
    records: [{ ...call, eventId }],
  }));
  const stream = open();
  mongod.stall();
  try {
    for (const message of messages) stream.send(message);
    expect(await stream.ended).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'STORE_UNAVAILABLE',
      retryAfterMs: 1_000,
    });
    expect(stream.answers).toEqual([]);
  } finally {
    mongod.goOn();
  }
  const again = open();
  for (const message of messages) again.send(message);
  again.end();
  expect(await again.ended).toBe('OK');
  expect(again.answers).toHaveLength(50);
  expect(await stored(ids)).toEqual(ids);
}, 60_000);

describe('a cancelled stream', () => {
  test('loses nothing that was acknowledged, records nothing that was not sent, and harms no other', async () => {
    const bystander = open();
    const [told, sent] = [new Set<string>(), new Set<string>()];
    for (let round = 0; round < 10; round += 1) {
      const stream = open();
      for (let sequence = 1; sequence <= 40; sequence += 1) {
        const records = times(5, () => ({ ...call, eventId: newUuid() }));
        for (const { eventId } of records) sent.add(eventId);
        stream.send({ sequence: String(sequence), records });
      }
      await waitUntil('some are acknowledged', () => (stream.answers.length > round ? true : undefined));
      stream.cancel();
      expect(await stream.ended).toMatchObject({ code: 'CANCELLED' });
      for (const { results } of stream.answers) for (const { ack } of results) told.add(ack?.eventId ?? '');
    }
    expect(told.size).toBeGreaterThan(0);
    expect(told.size).toBeLessThan(sent.size);
    expect(await stored([...told])).toEqual([...told]);
    bystander.send({ sequence: '1', records: [call] });
    await bystander.answer(1);
  });

  test('leaves room for another one', async () => {
    const many = times(256, () => new RawUsageStream(service.address));
    for (const stream of many) stream.send({ sequence: '1', records: [call] });
    await Promise.all(many.map((stream) => stream.answer(1)));
    const refused = open();
    expect(await refused.ended).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'OVERLOADED' });
    for (const stream of many) stream.close();
    await waitUntil('a stream is taken again', async () => {
      const stream = new RawUsageStream(service.address);
      stream.send({ sequence: '1', records: [call] });
      stream.end();
      const end = await stream.ended;
      stream.close();
      return end === 'OK' ? true : undefined;
    });
  });
});

test('a service killed in mid-stream has in its books what it acknowledged', async () => {
  const databaseName = `test_${newUuid().slice(-12)}`;
  const process = await startServiceProcess({ mongodbUri: mongod.uri, databaseName });
  const stream = new RawUsageStream(process.address);
  onTestFinished(() => stream.close());
  const sent = new Set<string>();
  for (let sequence = 1; sequence <= 500; sequence += 1) {
    const records = times(4, () => ({ ...call, eventId: newUuid() }));
    for (const { eventId } of records) sent.add(eventId);
    stream.send({ sequence: String(sequence), records });
  }
  await waitUntil('some messages are acknowledged', () => (stream.answers.length > 20 ? true : undefined));
  process.kill('SIGKILL');
  await process.exited;
  expect(await stream.ended).toBeInstanceOf(ExperiencesError);
  const told = stream.answers.flatMap(({ results }) => results.map(({ ack }) => ack?.eventId ?? ''));
  const { events } = await expectBooks(mongod.client, databaseName, { sent, told: new Map() });
  const ids = new Set(events.map(({ id }) => id));
  expect(told.filter((id) => !ids.has(id))).toEqual([]);
  expect(told.length).toBeLessThan(sent.size);
});
