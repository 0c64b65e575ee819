import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { type Db, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { ExperiencesClient, ExperiencesError, type UsageRecorder } from '../services/client/index.js';
import { contract } from '../services/contract/contract.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { insertLimit, limitSum } from './support/limits.js';
import { startReplyCutter } from './support/reply-cutter.js';
import { startTestService, type TestService } from './support/service.js';
import { type ServiceProcess, startServiceProcess } from './support/service-process.js';
import { expectVerified, expectVerifiedAt } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

/** What the client's recorder does with reservations and releases; with records: usage-recorder.test.ts. */

const MODEL = { provider: 'openai', model: 'gpt-4o-mini' } as const;
/** 1,000 tokens in and 500 out: 0.00045 dollars by the catalogue. */
const CALL = { ...MODEL, units: { text: { input: 1000, output: 500 } } };
const DIME = { ...MODEL, estimate: { cost: '0.1' } } as const;

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

function recorder(
  client = service.client,
  options: Parameters<typeof client.usage.recorder>[0] = {},
): UsageRecorder {
  const opened = client.usage.recorder(options);
  onTestFinished(() => opened.close());
  return opened;
}

function clientOf(address: string): ExperiencesClient {
  const client = new ExperiencesClient({ address });
  onTestFinished(() => client.close());
  return client;
}

function times<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

describe('a recorder', () => {
  test('reserves, records and releases as the calls of their own do', async () => {
    const usage = recorder();
    const [experienceId, kept, dropped] = [newUuid(), newUuid(), newUuid()];
    const limitId = await insertLimit(db, { maxCost: '1' });
    const call = { ...DIME, experienceId, experienceType: 'Summary', limitIds: [limitId] };
    const [reserved] = await Promise.all([
      usage.reserve({ ...call, eventId: kept }),
      usage.reserve({ ...call, eventId: dropped }),
    ]);
    expect(reserved).toMatchObject({
      reservation: {
        eventId: kept,
        experienceId,
        experienceType: 'Summary',
        experienceVersion: 1,
        state: 'OPEN',
        estimatedCost: { input: '0', output: '0.1', total: '0.1' },
      },
      duplicate: false,
      experienceCreated: true,
      limits: [{ limitId, state: 'OK', maxCost: '1', spentCost: '0' }],
    });
    const [ack, released, unknown] = await Promise.all([
      usage.record({ ...CALL, eventId: kept }),
      usage.release(dropped),
      usage.release(newUuid()),
    ]);
    expect(ack).toMatchObject({ experienceId, settlement: 'SETTLED', duplicate: false });
    expect(released).toEqual({ state: 'RELEASED', existed: true });
    expect(unknown).toEqual({ state: 'RELEASED', existed: false });
    expect(await usage.release(kept)).toEqual({ state: 'SETTLED', existed: true });
    expect(await limitSum(db, limitId)).toMatchObject({ spent: '0.00045', held: '0', events: 1 });
  });

  test('rejects what is refused with the error of a single call, and nothing beside it', async () => {
    const usage = recorder();
    const limitId = await insertLimit(db, { maxCost: '0.15' });
    const call = { ...DIME, limitIds: [limitId] };
    await usage.reserve({ ...call, eventId: newUuid() });
    const [blocked, bad, nonsense, empty, recorded] = await Promise.allSettled([
      usage.reserve({ ...call, eventId: newUuid() }),
      usage.reserve({ ...call, eventId: newUuid(), model: '' }),
      usage.reserve({ ...call, eventId: newUuid(), ttlMs: 0.5 }),
      usage.release(''),
      usage.record(CALL),
    ]);
    expect(blocked).toMatchObject({
      reason: {
        code: 'FAILED_PRECONDITION',
        reason: 'LIMIT_REACHED',
        metadata: { blocked_limit_ids: limitId, max_cost: '0.15', held_cost: '0.1', estimated_cost: '0.1' },
      },
    });
    expect(blocked.status === 'rejected' && blocked.reason).toBeInstanceOf(ExperiencesError);
    expect(bad).toMatchObject({ reason: { violations: [{ field: 'reservations[1].model' }] } });
    expect(nonsense).toMatchObject({ reason: { name: 'RangeError' } });
    expect(empty).toMatchObject({ reason: { violations: [{ field: 'releases[0].event_id' }] } });
    expect(recorded.status).toBe('fulfilled');
  });

  test('sends what comes together in one message of at most 500 items, of whatever kinds', async () => {
    const sizes: (readonly number[])[] = [];
    const address = await startSilentService((message) => {
      sizes.push([message.records.length, message.reservations.length, message.releases.length]);
    });
    const usage = clientOf(address).usage.recorder({ timeoutMs: 500 });
    const ends = times(300, (n) => [
      usage.reserve({ ...DIME, eventId: `event ${n}` }),
      usage.record({ ...CALL, eventId: `event ${n + 1_000}` }),
      usage.release(`event ${n + 2_000}`),
    ]).flat();
    // Nothing is answered: what was sent is rejected as late, whatever it is.
    const codes = (await Promise.allSettled<unknown>(ends)).map(
      (end) => end.status === 'rejected' && end.reason.code,
    );
    expect(new Set(codes)).toEqual(new Set(['DEADLINE_EXCEEDED']));
    expect(sizes[0]).toEqual([167, 167, 166]);
    await usage.close();
  });

  test('counts reservations and releases in what may wait', async () => {
    const usage = recorder(service.client, { recordsMax: 2 });
    const first = usage.reserve({ ...DIME, eventId: newUuid() });
    const second = usage.release(newUuid());
    await expect(usage.reserve({ ...DIME, eventId: newUuid() })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
    await expect(usage.release(newUuid())).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await Promise.all([first, second]);
    await usage.close();
    await expect(usage.reserve({ ...DIME, eventId: newUuid() })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
  });
});

describe('a stream that breaks', () => {
  test('before the answer is opened again: what was reserved is held once, what was released once free', async () => {
    const cutter = await startReplyCutter(Number(service.address.split(':')[1]));
    onTestFinished(() => cutter.stop());
    const usage = recorder(clientOf(`127.0.0.1:${cutter.port}`));
    const limitId = await insertLimit(db, { maxCost: '1' });
    const call = { ...DIME, limitIds: [limitId] };
    const [early, late] = [newUuid(), newUuid()];
    await usage.reserve({ ...call, eventId: early });
    cutter.cut(late, 1);
    const [reserved, released] = await Promise.all([
      usage.reserve({ ...call, eventId: late }),
      usage.release(early),
    ]);
    expect(cutter.left()).toBe(0);
    expect(reserved).toMatchObject({ duplicate: true, reservation: { eventId: late, state: 'OPEN' } });
    expect(released).toEqual({ state: 'RELEASED', existed: true });
    expect(await limitSum(db, limitId)).toMatchObject({ held: '0.1', spent: '0', blocked: 0 });
  });

  test('with a service that is killed and started again: what was held is spent or free, and nothing is lost', async () => {
    const databaseName = `test_${newUuid().slice(-12)}`;
    const mongodbUri = inject('mongodbUri');
    const running: ServiceProcess[] = [];
    const start = async (listen?: string) => {
      const options = listen === undefined ? {} : { listen };
      const started = await startServiceProcess({ mongodbUri, databaseName, ...options });
      running.push(started);
      return started;
    };
    onTestFinished(async () => {
      for (const each of running) each.kill('SIGKILL');
      await Promise.all(running.map(({ exited }) => exited));
    });
    let process = await start();
    const ownDb = mongo.db(databaseName);
    const limitId = await insertLimit(ownDb, { maxCost: '1000000' });
    const usage = recorder(clientOf(process.address));
    let [recorded, released, isOver] = [0, 0, false];
    const producers = times(20, async (producer) => {
      for (let n = producer; !isOver; n += 1) {
        const eventId = newUuid();
        await usage.reserve({ ...DIME, eventId, limitIds: [limitId] });
        if (n % 3 === 0) {
          // Before the kill and after it alike, a call that was reserved is known.
          expect(await usage.release(eventId)).toEqual({ state: 'RELEASED', existed: true });
          released += 1;
        } else {
          expect(await usage.record({ ...CALL, eventId })).toMatchObject({ settlement: 'SETTLED' });
          recorded += 1;
        }
      }
    });
    const ended = Promise.allSettled(producers);
    for (let round = 0; round < 2; round += 1) {
      const before = recorded;
      await waitUntil('sixty more are recorded', () => (recorded > before + 60 ? true : undefined));
      process.kill('SIGKILL');
      await process.exited;
      process = await start(process.address);
    }
    const before = recorded;
    await waitUntil('the last service records', () => (recorded > before + 30 ? true : undefined));
    isOver = true;
    expect((await ended).filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(released).toBeGreaterThan(0);
    expect(await limitSum(ownDb, limitId)).toMatchObject({ held: '0', events: recorded, blocked: 0 });
    await expectVerifiedAt(process.address);
  }, 90_000);
});

test('of 1,000 reservations of $0.10 through four streams on a limit of $5 exactly 50 are held', async () => {
  const limitId = await insertLimit(db, { maxCost: '5' });
  const recorders = times(4, () => recorder(clientOf(service.address)));
  const ends = await Promise.all(
    times(1_000, (n) =>
      (recorders[n % 4] ?? recorder())
        .reserve({ ...DIME, eventId: newUuid(), experienceType: 'Summary', limitIds: [limitId] })
        .then(
          ({ reservation }) => reservation.state,
          (error: ExperiencesError) => error.reason,
        ),
    ),
  );
  expect(ends.filter((end) => end === 'OPEN')).toHaveLength(50);
  expect(ends.filter((end) => end === 'LIMIT_REACHED')).toHaveLength(950);
  expect(await limitSum(db, limitId)).toEqual({
    spent: '0',
    held: '5',
    unsettled: '0',
    events: 0,
    blocked: 950,
    blockedExternal: 0,
  });
}, 60_000);

/** A service that reads messages and answers none. */
async function startSilentService(
  read: (message: Record<'records' | 'reservations' | 'releases', readonly unknown[]>) => void,
): Promise<string> {
  const server = new Server();
  server.addService(contract.UsageService.service, {
    StreamUsage: (stream: ServerDuplexStream<unknown, unknown>) => {
      stream.on('error', () => undefined);
      stream.on('data', read);
      stream.on('end', () => stream.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  onTestFinished(() => server.forceShutdown());
  return `127.0.0.1:${port}`;
}
