import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ExperiencesClient } from '../services/client/index.js';
import { toWireRecord } from '../services/client/to-wire.js';
import { contract } from '../services/contract/contract.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { createLogger } from '../services/runtime/logger.js';
import { expectBooks } from './support/books.js';
import { Callers } from './support/callers.js';
import { type CommandFailure, type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { RawClient } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { startReplyCutter } from './support/reply-cutter.js';
import { startTestService, type TestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';

/** 1,000 tokens in and 500 out: 0.00045 dollars. */
const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };
const POOL_SIZE = 24;
/** One waits for news of the server, one measures its distance. */
const MONITORS = 2;
const WRITE_CONFLICT = { errorCode: 112, errorLabels: ['TransientTransactionError'] } as const;

const { RecordUsage } = contract.UsageService.service;

let mongod: OwnMongod;
let service: TestService;
let raw: RawClient;
let databaseName: string;

beforeAll(async () => {
  mongod = await startOwnMongod();
  service = await startTestService({ mongodbUri: mongod.uri });
  raw = new RawClient(service.address);
  ({ databaseName } = service.options);
  await service.client.types.create({ name: 'Summary', description: 'A summary' });
});
afterAll(async () => {
  raw.close();
  await service.stop();
  await mongod.stop();
});
afterEach(async () => {
  await mongod.failNothing();
  await waitUntil('the service has ended every transaction', async () =>
    (await openTransactions()) === 0 ? true : undefined,
  );
  await expectBooks(mongod.client, databaseName);
});

describe('while MongoDB is away', () => {
  test('every call is answered UNAVAILABLE with a hint, and recording goes on by itself when it is back', async () => {
    const callers = new Callers();
    const patient = new ExperiencesClient({ address: service.address, timeoutMs: 40_000 });
    const experiences = [newUuid(), newUuid(), newUuid()];
    const over = new AbortController();
    const load = callers.load(patient, 12, over.signal, () => ({
      ...call,
      experienceId: experiences[callers.sent.size % 3] ?? '',
    }));
    try {
      await waitUntil('a hundred calls are acknowledged', () => (callers.told.size > 100 ? true : undefined));
      await mongod.kill();
      try {
        await expectAway(experiences[0] ?? '');
      } finally {
        await mongod.restart();
      }
      const before = callers.told.size;
      await waitUntil('a hundred more are acknowledged', () =>
        callers.told.size > before + 100 ? true : undefined,
      );
    } finally {
      over.abort();
      await load;
      patient.close();
    }
    expect(callers.failures).toEqual([]);
    expect(callers.unanswered()).toEqual([]);
    await expectBooks(mongod.client, databaseName, { ...callers, sent: undefined });
  });

  /** Calls of every kind, by a client that gives up before it would send them a second time. */
  async function expectAway(experienceId: string): Promise<void> {
    const { client, close } = impatient(3_900);
    const calls: readonly Promise<unknown>[] = [
      client.usage.record({ ...call, experienceType: 'Summary' }),
      client.costs.get(experienceId),
      client.costs.estimate(call),
      client.experiences.get(experienceId),
      client.types.create({ name: 'Chat', description: 'A chat' }),
      client.types.incrementVersion('Summary'),
      readAll(client.usage.list(experienceId)),
      readAll(client.experiences.list()),
      readAll(client.types.list()),
      readAll(client.prices.list()),
    ];
    for (const answer of await Promise.allSettled(calls)) {
      expect(answer).toMatchObject({
        status: 'rejected',
        reason: { code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE', retryAfterMs: 1_000 },
      });
    }
    close();
  }
});

describe('while MongoDB hangs', () => {
  test('every call is answered in its time, and recording goes on by itself when it goes on', async () => {
    const callers = new Callers();
    const experienceId = newUuid();
    await callers.record(service.client, { ...call, experienceId });
    mongod.stall();
    const started = Date.now();
    const { client, close } = impatient(1_000);
    const reads = Array.from({ length: 20 }, () => client.costs.get(experienceId));
    const writes = Array.from({ length: 40 }, () => callers.record(client, { ...call, experienceId }));
    const [read] = await Promise.allSettled(reads);
    await Promise.all(writes);
    expect(Date.now() - started).toBeLessThan(3_000);
    expect(read).toMatchObject({ status: 'rejected', reason: { code: 'DEADLINE_EXCEEDED' } });
    expect(new Set(callers.failures.map(({ code }) => code))).toEqual(new Set(['DEADLINE_EXCEEDED']));
    close();
    mongod.goOn();

    await callers.resend(service.client);
    expect(callers.unanswered()).toEqual([]);
    expect((await service.client.costs.get(experienceId)).totals.eventCount).toBe(41n);
    await expectBooks(mongod.client, databaseName, { ...callers, sent: undefined });
  });
});

describe('more writes than may wait', () => {
  test('are refused at once with a hint, and those that wait are recorded when MongoDB goes on', async () => {
    const small = await startTestService({ mongodbUri: mongod.uri, writesWaitingMax: 200 });
    const connection = new RawClient(small.address);
    mongod.stall();
    const refusals: unknown[] = [];
    const answers = Array.from({ length: 300 }, async () => {
      try {
        return await connection.call(RecordUsage, { record: toWireRecord(call) }, { timeoutMs: 25_000 });
      } catch (error) {
        refusals.push(error);
        return undefined;
      }
    });
    // Each of the two lanes commits the first it gets, and 200 wait; while MongoDB hangs none of them is answered.
    await waitUntil('all that are too many are refused', () => (refusals.length >= 98 ? true : undefined));
    mongod.goOn();
    const recorded = (await Promise.all(answers)).filter((answer) => answer !== undefined);
    expect([recorded.length, refusals.length]).toEqual([202, 98]);
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        reason: 'OVERLOADED',
        retryAfterMs: 500,
      });
    }
    connection.close();
    await expectBooks(mongod.client, small.options.databaseName);
    await small.stop();
  });
});

describe('a record whose commit', () => {
  test.each<[what: string, failure: Omit<CommandFailure, 'failCommands'>, times: number]>([
    ['never reached the server', { closeConnection: true }, 1],
    ['never reached the server, three times', { closeConnection: true }, 3],
    [
      'is done, but not yet known to be durable',
      { writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } },
      2,
    ],
    ['took too long on the server', { errorCode: 50 }, 2],
    ['lost its transaction on the server', { errorCode: 251, errorLabels: ['TransientTransactionError'] }, 2],
  ])('%s is in the books once, and a repeat is a duplicate', async (_what, failure, times) => {
    await expectRecordedOnce(service, () =>
      mongod.fail({ failCommands: ['commitTransaction'], ...failure }, times),
    );
    expect(await mongod.failNothing()).toBe(times);
  });

  test.each([1, 2, 4])('is answered %i times into a cut connection is in the books once', async (times) => {
    const cutter = await startReplyCutter(mongod.port);
    const behind = await startTestService({
      mongodbUri: `mongodb://127.0.0.1:${cutter.port}/?directConnection=true`,
      databaseName,
    });
    try {
      await expectRecordedOnce(behind, () => cutter.cut('commitTransaction', times));
      expect(cutter.left()).toBe(0);
    } finally {
      await behind.stop();
      await cutter.stop();
    }
  });

  test('is never certain to be done is answered UNAVAILABLE, and a repeat finds it', async () => {
    const eventId = newUuid();
    const error = { code: 64, errmsg: 'waiting for replication timed out' };
    await mongod.fail({ failCommands: ['commitTransaction'], writeConcernError: error });
    await expect(recordOnce({ ...call, eventId }, 10_000)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'STORE_UNAVAILABLE',
      retryAfterMs: 1_000,
    });
    await mongod.failNothing();
    expect(await service.client.usage.record({ ...call, eventId })).toMatchObject({ duplicate: true });
  });
});

describe('a record in conflict', () => {
  test.each<[what: string, failure: CommandFailure, times: number]>([
    ['with another insert', { failCommands: ['insert'], ...WRITE_CONFLICT }, 7],
    ['with another update', { failCommands: ['update'], ...WRITE_CONFLICT }, 7],
    [
      'with a change of the catalogue of collections',
      { failCommands: ['aggregate'], ...WRITE_CONFLICT, errorCode: 246 },
      7,
    ],
    ['with the failing of its connection', { failCommands: ['insert'], closeConnection: true }, 1],
  ])('%s is run again until it goes through', async (_what, failure, times) => {
    await expectRecordedOnce(service, () => mongod.fail(failure, times));
    expect(await mongod.failNothing()).toBe(times);
  });

  test.each<[what: string, failure: CommandFailure]>([
    ['at its first write', { failCommands: ['insert'], ...WRITE_CONFLICT }],
    ['at its last write', { failCommands: ['update'], ...WRITE_CONFLICT }],
    ['at its commit', { failCommands: ['commitTransaction'], ...WRITE_CONFLICT }],
  ])('that never ends, %s, is over with its time, and nothing of it stays', async (_what, failure) => {
    const [eventId, experienceId] = [newUuid(), await experienceWithOneEvent()];
    await mongod.fail(failure);
    const started = Date.now();
    await expect(recordOnce({ ...call, eventId, experienceId }, 1_000)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    expect(Date.now() - started).toBeLessThan(3_000);
    await expectNoMoreAttempts();
    await mongod.failNothing();
    expect((await service.client.costs.get(experienceId)).totals.eventCount).toBe(1n);
    expect(await service.client.usage.record({ ...call, eventId, experienceId })).toMatchObject({
      duplicate: false,
    });
  });
});

describe('a record whose server is slow', () => {
  test.each<[command: string, namespace: string]>([
    ['aggregate', 'applications'],
    ['insert', 'events'],
    ['update', 'experiences'],
    ['update', 'rollups'],
  ])('in a command `%s` on %s is over with its time, on the server too', async (command, collection) => {
    const [eventId, experienceId] = [newUuid(), await experienceWithOneEvent()];
    const namespace = `${databaseName}.${collection}`;
    await mongod.fail({ failCommands: [command], namespace, blockConnection: true, blockTimeMS: 900 }, 1);
    await expect(recordOnce({ ...call, eventId, experienceId }, 400)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    // Answered late by a server that knows the caller's time, it fails there; else it would be recorded by now.
    await waitUntil('the slow command is over', async () =>
      (await openTransactions()) === 0 ? true : undefined,
    );
    expect(await service.client.usage.record({ ...call, eventId, experienceId })).toMatchObject({
      duplicate: false,
    });
  });

  test('in a commit is recorded though its caller has gone', async () => {
    const eventId = newUuid();
    await mongod.fail({ failCommands: ['commitTransaction'], blockConnection: true, blockTimeMS: 2_000 }, 1);
    await expect(recordOnce({ ...call, eventId }, 1_200)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    expect(await service.client.usage.record({ ...call, eventId })).toMatchObject({ duplicate: true });
  });
});

describe('an error of MongoDB', () => {
  const record = () => recordOnce(call, 10_000);
  const read = () => {
    const { GetExperience } = contract.ExperienceService.service;
    return raw.call(GetExperience, { experienceId: newUuid() }, { timeoutMs: 10_000 });
  };
  const away = { code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE', retryAfterMs: 1_000 };

  test.each<[what: string, send: () => Promise<unknown>, errorCode: number, answer: object]>([
    ['that a host is unreachable', read, 6, away],
    ['that its disk is full', record, 14031, away],
    ['that it took too long', read, 50, { code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE_EXCEEDED' }],
  ])('%s is answered as what it means to a caller', async (_what, send, errorCode, answer) => {
    await mongod.fail({ failCommands: ['find', 'insert'], errorCode });
    await expect(send()).rejects.toMatchObject(answer);
  });

  test('that nobody foresaw is answered INTERNAL with an incident and nothing of the store', async () => {
    const logger = createLogger('test', 'silent'); // What is caused here is no news.
    const silent = await startTestService({ mongodbUri: mongod.uri, databaseName, logger });
    await mongod.fail({ failCommands: ['insert'], errorCode: 8000 });
    await expect(silent.client.usage.record(call)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.stringMatching(/^The service failed; the incident is [0-9a-f-]{36}\.$/),
    });
    await silent.stop();
  });

  test('that it is overloaded is answered RESOURCE_EXHAUSTED with a hint', async () => {
    const errorLabels = ['SystemOverloadedError', 'RetryableError'];
    await mongod.fail({ failCommands: ['insert'], errorCode: 462, errorLabels });
    const overloaded = { code: 'RESOURCE_EXHAUSTED', reason: 'OVERLOADED', retryAfterMs: 1_000 };
    await expect(record()).rejects.toMatchObject(overloaded);
  });
});

test('after all these faults the service holds no connection beyond its pool', async () => {
  await waitUntil('the stopped services are gone', async () =>
    (await serviceConnections()) <= POOL_SIZE + MONITORS ? true : undefined,
  );
});

/** Sends a record once, whatever comes of it. */
async function recordOnce(record: Parameters<typeof toWireRecord>[0], timeoutMs: number): Promise<unknown> {
  return raw.call(RecordUsage, { record: toWireRecord(record) }, { timeoutMs });
}

/** A client that gives up before it would send a call a second time. */
function impatient(timeoutMs: number): { readonly client: ExperiencesClient; close(): void } {
  const client = new ExperiencesClient({ address: service.address, timeoutMs });
  return { client, close: () => client.close() };
}

/** A record into the fault, sent once, is answered OK, is no duplicate of itself, and counts once when sent again. */
async function expectRecordedOnce(of: TestService, fail: () => Promise<void> | void): Promise<void> {
  const record = toWireRecord({ ...call, experienceId: await experienceWithOneEvent() });
  const connection = new RawClient(of.address);
  await fail();
  const first = await connection.call(RecordUsage, { record }, { timeoutMs: 20_000 });
  const second = await connection.call(RecordUsage, { record });
  connection.close();
  expect([first.duplicate, second.duplicate]).toEqual([false, true]);
  expect(second.event).toEqual(first.event);
  const { totals } = await of.client.costs.get(first.event?.experienceId ?? '');
  expect([totals.eventCount, totals.cost.total]).toEqual([2n, '0.0009']);
}

async function experienceWithOneEvent(): Promise<string> {
  const { event } = await service.client.usage.record({ ...call, experienceId: randomUUID() });
  return event.experienceId ?? '';
}

async function serviceConnections(): Promise<number> {
  const pipeline = [
    { $currentOp: { allUsers: true, idleConnections: true } },
    { $match: { appName: 'experiences' } },
  ];
  return (await mongod.client.db('admin').aggregate(pipeline).toArray()).length;
}

async function openTransactions(): Promise<number> {
  const { transactions } = await mongod.client.db('admin').command({ serverStatus: 1 });
  return Number(transactions.currentOpen);
}

/** Once the count of transactions stands still, the service has given up. */
async function expectNoMoreAttempts(): Promise<void> {
  const started = async () => {
    const { transactions } = await mongod.client.db('admin').command({ serverStatus: 1 });
    return Number(transactions.totalStarted);
  };
  let before = await started();
  await waitUntil('no transaction is started any more', async () => {
    await sleep(200); // Longer than the service waits between two attempts.
    const now = await started();
    const same = now === before;
    before = now;
    return same ? true : undefined;
  });
}
