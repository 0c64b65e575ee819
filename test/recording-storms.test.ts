import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ExperiencesClient, ExperiencesError, type UsageRecord } from '../services/client/index.js';
import { toWireRecord } from '../services/client/to-wire.js';
import { contract } from '../services/contract/contract.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { expectBooks } from './support/books.js';
import { type CommandFailure, type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { RawClient } from './support/raw-client.js';
import { residentMemoryKb } from './support/resident-memory.js';
import { startTestService } from './support/service.js';
import { type ServiceProcess, startServiceProcess } from './support/service-process.js';
import { StormCallers, torn } from './support/storm-callers.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

const { RecordUsage } = contract.UsageService.service;
const CALL = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };
const TRANSIENT = ['TransientTransactionError'];
/** The server makes no error of this code without saying which index it is about. */
const DUPLICATE_KEY = { errorCode: 11000, errorExtraInfo: { keyPattern: { _id: 1 }, keyValue: {} } };
const CALL_TIME_MS = 1_000;
/** A caller hears this much after its time at the latest; most of it is for a busy machine. */
const LATE_MAX_MS = 300;
const STORM_MS = 2_000;

let mongod: OwnMongod;
let service: ServiceProcess;
let databaseName: string;
/** For what must succeed in the end. */
let patient: ExperiencesClient;

beforeAll(async () => {
  mongod = await startOwnMongod();
  databaseName = `test_${randomUUID().slice(0, 8)}`;
  service = await startServiceProcess({ mongodbUri: mongod.uri, databaseName });
  patient = new ExperiencesClient({ address: service.address, timeoutMs: 20_000 });
  await patient.types.create({ name: 'Summary', description: 'A summary' });
});
afterAll(async () => {
  patient.close();
  await service.stop();
  await mongod.stop();
});
afterEach(async () => {
  await mongod.failNothing();
});

describe('under mixed load, seconds', () => {
  test.each<[what: string, failure: CommandFailure, probability: number]>([
    [
      'in which no insert goes through',
      { failCommands: ['insert'], errorCode: 112, errorLabels: TRANSIENT },
      1,
    ],
    [
      'in which half of all updates are in conflict',
      { failCommands: ['update'], errorCode: 112, errorLabels: TRANSIENT },
      0.5,
    ],
    [
      'in which half of all commits are in conflict',
      { failCommands: ['commitTransaction'], errorCode: 112, errorLabels: TRANSIENT },
      0.5,
    ],
    [
      'in which half of all commits are done, but not known to be durable',
      {
        failCommands: ['commitTransaction'],
        writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' },
      },
      0.5,
    ],
    ['in which every id is another writer’s too', { failCommands: ['insert'], ...DUPLICATE_KEY }, 1],
    ['in which half of all inserts find a duplicate', { failCommands: ['insert'], ...DUPLICATE_KEY }, 0.5],
  ])('%s cost no caller more than its time, tear no batch, and are over by themselves', async (...row) => {
    const [, failure, probability] = row;
    const load = startLoad();
    await load.more(100);
    await mongod.failSome(failure, probability);
    await sleep(STORM_MS);
    expect(await mongod.failNothing()).toBeGreaterThan(10);
    await load.more(100);
    const { callers } = load;
    await load.stop();
    expect(Math.max(...callers.timesMs)).toBeLessThan(CALL_TIME_MS + LATE_MAX_MS);
    expect([...callers.refused]).toEqual([]);
    expect(callers.failures.filter(({ code }) => !PASSING.has(code))).toEqual([]);
    await expectSettled(callers);
  });
});

describe('a MongoDB that hangs for five seconds under load', () => {
  test('costs no caller more than its time, the service no memory, and nobody a restart', async () => {
    const load = startLoad();
    await load.more(300);
    const before = await residentMemoryKb(service.pid, 'VmRSS');
    mongod.stall();
    await sleep(5_000);
    mongod.goOn();
    await load.more(300);
    await load.stop();
    const { callers } = load;
    expect(callers.failures.length).toBeGreaterThan(10);
    expect(Math.max(...callers.timesMs)).toBeLessThan(CALL_TIME_MS + LATE_MAX_MS);
    expect((await residentMemoryKb(service.pid, 'VmRSS')) - before).toBeLessThan(MEMORY_GROWTH_MAX_KB);
    await expectSettled(callers);
  });
});

describe('reads and writes that take all connections to MongoDB', () => {
  test('cost no caller more than its time, and recording goes on by itself', async () => {
    const load = startLoad();
    await load.more(100);
    const before = await residentMemoryKb(service.pid, 'VmRSS');
    const failCommands = ['find', 'insert', 'update', 'aggregate', 'commitTransaction'];
    await mongod.fail({ failCommands, blockConnection: true, blockTimeMS: 1_500 });
    const impatient = new ExperiencesClient({ address: service.address, timeoutMs: CALL_TIME_MS });
    const started = performance.now();
    let readsMs = 0;
    // Three times as many as there are connections.
    const reads = Array.from({ length: 72 }, async () => {
      await expect(impatient.costs.get(newUuid())).rejects.toMatchObject({
        code: expect.stringMatching(/^(DEADLINE_EXCEEDED|UNAVAILABLE)$/),
      });
      readsMs = Math.max(readsMs, performance.now() - started);
    });
    await Promise.all(reads);
    await sleep(2_500);
    impatient.close();
    await mongod.failNothing();
    await load.more(100);
    await load.stop();
    expect(readsMs).toBeLessThan(CALL_TIME_MS + LATE_MAX_MS);
    expect(Math.max(...load.callers.timesMs)).toBeLessThan(CALL_TIME_MS + LATE_MAX_MS);
    expect((await residentMemoryKb(service.pid, 'VmRSS')) - before).toBeLessThan(MEMORY_GROWTH_MAX_KB);
    await expectSettled(load.callers);
  });
});

describe('a queue full of callers whose time is over', () => {
  test('has room for as many new ones', async () => {
    const small = await startTestService({ mongodbUri: mongod.uri, writesWaitingMax: 200 });
    const connection = new RawClient(small.address);
    const send = (timeoutMs: number) =>
      connection.call(RecordUsage, { record: toWireRecord(CALL) }, { timeoutMs }).then(
        () => 'recorded',
        (error: unknown) => (error instanceof ExperiencesError ? error.code : 'no answer'),
      );
    await mongod.fail({ failCommands: ['commitTransaction'], blockConnection: true, blockTimeMS: 8_000 });
    // One is under way in each of the two lanes, and the rest wait.
    const early = await Promise.all(times(300, () => send(800)));
    expect(new Set(early)).toEqual(new Set(['DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED']));
    // A full queue is looked through ten times a second at most.
    await sleep(200);
    let refused = 0;
    const late = times(210, async () => {
      const outcome = await send(25_000);
      if (outcome === 'RESOURCE_EXHAUSTED') refused += 1;
      return outcome;
    });
    // Two hundred wait, and one may be under way in each lane.
    await waitUntil('what is too much is refused', () => (refused >= 8 ? true : undefined));
    await mongod.failNothing();
    const recorded = (await Promise.all(late)).filter((outcome) => outcome === 'recorded').length;
    expect(recorded).toBe(210 - refused);
    expect(recorded).toBeGreaterThanOrEqual(200);
    connection.close();
    await small.stop();
    // The two that were under way may have been recorded after their callers had gone, and no other.
    const { events } = await expectBooks(mongod.client, small.options.databaseName);
    expect(events.length).toBeGreaterThanOrEqual(recorded);
    expect(events.length).toBeLessThanOrEqual(recorded + 2);
  });
});

/** Everything not answered is sent again and answered; then what callers know is what is stored. */
async function expectSettled(callers: StormCallers): Promise<void> {
  const whole = await expectBooks(mongod.client, databaseName, callersOf(callers));
  expect(torn(callers, whole)).toEqual([]);
  await callers.resend(patient);
  expect(callers.unanswered()).toEqual([]);
  expect(await callers.recordedAnew(patient)).toEqual([]);
  const { events } = await expectBooks(mongod.client, databaseName, callersOf(callers));
  await expectVerified(patient);
  const stored = new Set(events.map(({ id }) => id));
  expect([...callers.sent].filter((id) => !stored.has(id))).toEqual([]);
}

/** Other tests have recorded in this database too. */
function callersOf({ told }: StormCallers) {
  return { sent: undefined, told };
}

/** Single calls and batches, each with a second of time, and a recorder, until told to stop. */
function startLoad() {
  const callers = new StormCallers();
  const client = new ExperiencesClient({ address: service.address, timeoutMs: CALL_TIME_MS });
  const recorder = patient.usage.recorder();
  const experiences = Array.from({ length: 12 }, () => newUuid());
  const over = new AbortController();
  let made = 0;
  const next = (experience = made): UsageRecord => {
    made += 1;
    const experienceId = experiences[experience % experiences.length] ?? '';
    return {
      ...{ provider: 'openai', model: 'gpt-4o-mini', experienceId },
      units: { text: { input: made % 700, output: 50 } },
      // Now and then one that gives an untyped experience its type, or that supersedes an earlier success.
      ...(made % 9 === 0 ? { experienceType: 'Summary' } : {}),
      ...(made % 4 === 0 ? { operationKey: `operation-${experience % 5}` } : {}),
      ...(made % 7 === 0 ? { outcome: 'FAILED' } : {}),
    };
  };
  const loop = async (send: () => Promise<void>) => {
    while (!over.signal.aborted) await send();
  };
  const loops = [
    ...Array.from({ length: 8 }, () => loop(() => callers.record(client, next()))),
    ...Array.from({ length: 3 }, () =>
      loop(async () => {
        const experience = made; // All of one experience, so all of one commit.
        await callers.batch(
          client,
          times(20, () => next(experience)),
        );
      }),
    ),
    ...Array.from({ length: 2 }, () =>
      loop(() =>
        callers.stream(
          recorder,
          times(25, () => next()),
        ),
      ),
    ),
  ];
  return {
    callers,
    /** Resolves when so many more are acknowledged. */
    async more(count: number): Promise<void> {
      const before = callers.told.size;
      await waitUntil(`${count} more are acknowledged`, () =>
        callers.told.size >= before + count ? true : undefined,
      );
    },
    async stop(): Promise<void> {
      over.abort();
      await Promise.all(loops);
      await recorder.close();
      client.close();
    },
  };
}

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}

const PASSING = new Set(['DEADLINE_EXCEEDED', 'UNAVAILABLE']);
const MEMORY_GROWTH_MAX_KB = 60_000;
