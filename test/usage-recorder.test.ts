import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  attributionMetadata,
  ExperiencesClient,
  ExperiencesError,
  type UsageAck,
  type UsageRecorder,
} from '../services/client/index.js';
import { contract } from '../services/contract/contract.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';
import { expectBooks } from './support/books.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { startTestService, type TestService } from './support/service.js';
import { type ServiceProcess, startServiceProcess } from './support/service-process.js';
import { waitUntil } from './support/wait-until.js';

/** 1,000 tokens in and 500 out: 0.00045 dollars by the catalogue. */
const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };

let mongod: OwnMongod;
let service: TestService;
beforeAll(async () => {
  mongod = await startOwnMongod();
  service = await startTestService({ mongodbUri: mongod.uri });
  await service.client.types.create({ name: 'Summary', description: 'A summary' });
});
afterAll(async () => {
  await expectBooks(mongod.client, service.options.databaseName);
  await service.stop();
  await mongod.stop();
});

function recorder(options: Parameters<ExperiencesClient['usage']['recorder']>[0] = {}): UsageRecorder {
  const opened = service.client.usage.recorder(options);
  onTestFinished(() => opened.close());
  return opened;
}

function times<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

async function storedIds(databaseName = service.options.databaseName): Promise<ReadonlySet<string>> {
  const { events } = await expectBooks(mongod.client, databaseName);
  return new Set(events.map(({ id }) => id));
}

/** A service of one method, to see what our client sends and to answer what ours never would. */
async function startOddService(
  handle: (
    sequence: string,
    eventIds: readonly string[],
    stream: number,
  ) => object | undefined | Promise<object>,
): Promise<string> {
  const server = new Server();
  let streams = 0;
  server.addService(contract.UsageService.service, {
    StreamUsage: (odd: ServerDuplexStream<unknown, unknown>) => {
      streams += 1;
      const stream = streams;
      odd.on('error', () => undefined);
      odd.on('data', async (message: { sequence: string; records: { eventId: string }[] }) => {
        const ids = message.records.map(({ eventId }) => eventId);
        const answer = await handle(message.sequence, ids, stream);
        if (answer !== undefined) odd.write(answer);
      });
      odd.on('end', () => odd.end());
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

function acks(eventIds: readonly string[]): object {
  const cost = { input: '0', output: '0', total: '0', currencyCode: 'USD' };
  return { results: eventIds.map((eventId, index) => ({ index, ack: { eventId, cost } })) };
}

describe('a recorder', () => {
  test('resolves each record with its ack when it is in the sum', async () => {
    const [experienceId, eventId] = [newUuid(), newUuid()];
    const ack = await recorder().record({ ...call, eventId, experienceId, experienceType: 'Summary' });
    expect(ack).toEqual({
      eventId,
      experienceId,
      duplicate: false,
      experienceCreated: true,
      experienceIdReplaced: false,
      cost: { input: '0.00015', output: '0.0003', total: '0.00045', currencyCode: 'USD' },
      priceId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      unpricedUnits: [],
      warnings: [],
      settlement: 'NONE',
      limits: [],
    } satisfies UsageAck);
    expect((await service.client.costs.get(experienceId)).totals.cost.total).toBe('0.00045');
  });

  test('makes up an id for each record that has none', async () => {
    const usage = recorder();
    const made = await Promise.all(times(50, () => usage.record(call)));
    const ids = new Set(made.map(({ eventId }) => eventId));
    expect(ids.size).toBe(50);
    expect([...ids].filter((id) => !/^[0-9a-f-]{36}$/.test(id))).toEqual([]);
  });

  test('rejects a bad record with the error of a single call, and records its neighbours', async () => {
    const usage = recorder();
    const bad = { ...call, provider: '', units: { Text: { input: 1 } } };
    const eventId = newUuid();
    await usage.record({ ...call, eventId });
    const [good, refused, conflict, nonsense, other] = await Promise.allSettled([
      usage.record(call),
      usage.record(bad),
      usage.record({ ...call, eventId, model: 'gpt-4o' }),
      usage.record({ ...call, units: { text: { input: 0.5 } } }),
      usage.record(call),
    ]);
    expect([good.status, other.status]).toEqual(['fulfilled', 'fulfilled']);
    expect(refused).toMatchObject({
      reason: {
        code: 'INVALID_ARGUMENT',
        reason: 'INVALID_FIELDS',
        violations: [{ field: 'records[1].units[Text]' }, { field: 'records[1].provider' }],
      },
    });
    expect(refused.status === 'rejected' && refused.reason).toBeInstanceOf(ExperiencesError);
    expect(conflict).toMatchObject({ reason: { code: 'ALREADY_EXISTS', reason: 'EVENT_ID_CONFLICT' } });
    expect(nonsense).toMatchObject({ reason: { name: 'RangeError' } });
  });

  test('is not harmed by a record that holds more than the service decodes', async () => {
    const usage = recorder();
    const huge = { ...call, properties: Object.fromEntries(times(500, (n) => [`key ${n}`, 'x'])) };
    const tooLarge = { ...call, properties: { text: 'x'.repeat(600_000) } };
    const [good, overfull, large] = await Promise.allSettled([
      usage.record(call),
      usage.record(huge),
      usage.record(tooLarge),
    ]);
    expect(good.status).toBe('fulfilled');
    expect(overfull).toMatchObject({ reason: { code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS' } });
    expect(large).toMatchObject({ reason: { code: 'INVALID_ARGUMENT', reason: undefined } });
  });

  test('sends the metadata of its client', async () => {
    const experienceId = newUuid();
    const metadata = attributionMetadata({ experienceId });
    const client = new ExperiencesClient({ address: service.address, metadata });
    const usage = client.usage.recorder();
    expect((await usage.record(call)).experienceId).toBe(experienceId);
    await usage.close();
    client.close();
  });

  test('sends in one message what is recorded in one turn or while another is under way', async () => {
    const sizes: number[] = [];
    const address = await startOddService((sequence, ids) => {
      sizes.push(ids.length);
      return { ackedSequence: sequence, ...acks(ids) };
    });
    const client = new ExperiencesClient({ address });
    const usage = client.usage.recorder();
    await Promise.all(times(1_300, () => usage.record(call)));
    expect(sizes).toEqual([500, 500, 300]);
    const large = { ...call, properties: { text: 'x'.repeat(100_000) } };
    await Promise.all(times(12, () => usage.record(large)));
    expect(sizes.slice(3)).toEqual([5, 5, 2]);
    await usage.close();
    client.close();
  });

  test.each([
    [0, [16, 16, 16]],
    [2_000, [16, 32]],
  ])(
    'waits at most %d ms for those who were answered just now to come back',
    async (gatherMaxMs, expected) => {
      const sizes: number[] = [];
      const address = await startOddService(async (sequence, ids) => {
        sizes.push(ids.length);
        await sleep(400);
        return { ackedSequence: sequence, ...acks(ids) };
      });
      const client = new ExperiencesClient({ address });
      const usage = client.usage.recorder({ gatherMaxMs });
      const first = times(16, async () => {
        await usage.record(call);
        await sleep(5);
        await usage.record(call);
      });
      await waitUntil('the first are under way', () => (sizes.length === 1 ? true : undefined));
      await Promise.all([...first, ...times(16, () => usage.record(call))]);
      expect(sizes).toEqual(expected);
      await usage.close();
      client.close();
    },
  );

  test('has at most 8 messages under way', async () => {
    const seen: string[] = [];
    const address = await startOddService((sequence) => {
      seen.push(sequence);
      return undefined;
    });
    const client = new ExperiencesClient({ address });
    const usage = client.usage.recorder({ timeoutMs: 1_000 });
    const ends = await Promise.allSettled(times(10_000, () => usage.record(call)));
    expect(seen).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
    expect(ends.filter(({ status }) => status === 'fulfilled')).toEqual([]);
    client.close();
  });
});

describe('the bounds of a recorder', () => {
  test.each([
    ['records', { recordsMax: 10 }, call, 10],
    ['bytes', { bytesMax: 10_000 }, { ...call, properties: { text: 'x'.repeat(1_000) } }, 9],
  ])('in %s make it refuse at once, and tell when there is room', async (_what, limits, record, fitting) => {
    const usage = recorder(limits);
    mongod.stall();
    const accepted: Promise<UsageAck>[] = [];
    let refused: unknown;
    try {
      while (refused === undefined && accepted.length < 100) {
        const outcome = usage.record(record);
        // What is refused is refused in this turn; what is accepted waits for the store.
        refused = await Promise.race([
          outcome.then(
            () => undefined,
            (error: unknown) => error,
          ),
          new Promise((resolve) => setImmediate(() => resolve(undefined))),
        ]);
        if (refused === undefined) accepted.push(outcome);
      }
      expect(accepted).toHaveLength(fitting);
      expect(refused).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    } finally {
      mongod.goOn();
    }
    await usage.room();
    accepted.push(usage.record(record));
    expect(await Promise.all(accepted)).toHaveLength(fitting + 1);
  });

  test('let as many through as wait for room, however little there is', async () => {
    const usage = recorder({ recordsMax: 3 });
    let most = 0;
    let now = 0;
    const producers = times(20, async () => {
      for (let sent = 0; sent < 10; ) {
        await usage.room();
        now += 1;
        most = Math.max(most, now);
        const outcome = await usage.record(call).catch((error: ExperiencesError) => error.code);
        now -= 1;
        if (outcome !== 'RESOURCE_EXHAUSTED') sent += 1;
      }
    });
    await Promise.all(producers);
    expect(most).toBeGreaterThan(1);
  });

  test('leave room as soon as one record is acknowledged, though others still wait', async () => {
    const address = await startOddService((sequence, ids) =>
      sequence === '1' ? { ackedSequence: sequence, ...acks(ids) } : undefined,
    );
    const client = new ExperiencesClient({ address });
    const usage = client.usage.recorder({ recordsMax: 2, timeoutMs: 5_000 });
    const first = usage.record(call);
    await new Promise((resolve) => setImmediate(resolve));
    const second = usage.record(call);
    const ended = second.catch((error: ExperiencesError) => error.code);
    const woken = await Promise.race([usage.room().then(() => 'room'), ended]);
    expect(woken).toBe('room');
    await first;
    const start = Date.now();
    expect(await ended).toBe('DEADLINE_EXCEEDED');
    expect(Date.now() - start).toBeGreaterThan(1_000); // The second still waited.
    await usage.close();
    client.close();
  });

  test('in time make it reject what is not acknowledged by then', async () => {
    const address = await startOddService(() => undefined);
    const client = new ExperiencesClient({ address });
    const usage = client.usage.recorder({ timeoutMs: 300 });
    const start = Date.now();
    await expect(usage.record(call)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(Date.now() - start).toBeLessThan(2_000);
    await usage.close();
    client.close();
  });
});

describe('close', () => {
  test('resolves when all is acknowledged, and refuses what comes later', async () => {
    const usage = recorder();
    const settled: string[] = [];
    const records = times(700, async () => settled.push((await usage.record(call)).eventId));
    const closed = usage.close();
    await expect(usage.record(call)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await closed;
    expect(settled).toHaveLength(700);
    await Promise.all(records);
    const ids = await storedIds();
    expect(settled.filter((id) => !ids.has(id))).toEqual([]);
    await expect(usage.room()).resolves.toBeUndefined();
    await usage.close();
  });

  test('leaves nothing open: a process that records and closes ends by itself', async () => {
    const script = `
      const { ExperiencesClient } = await import('./services/client/index.ts');
      const client = new ExperiencesClient({ address: '${service.address}' });
      const usage = client.usage.recorder();
      const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1 } } };
      await Promise.all(Array.from({ length: 10 }, () => usage.record(call)));
      await usage.close();
      client.close();
      console.log('closed');`;
    const options = { cwd: PACKAGE_ROOT, timeout: 15_000 };
    const node = promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', script],
      options,
    );
    expect((await node).stdout).toBe('closed\n');
  });

  test('of one that was never used resolves', async () => {
    await service.client.usage.recorder().close();
  });

  test('of its client rejects what is recorded then', async () => {
    const client = new ExperiencesClient({ address: service.address });
    const usage = client.usage.recorder();
    client.close();
    await expect(usage.record(call)).rejects.toThrow(/closed|shut down/);
    await usage.close();
  });
});

describe('a stream that breaks', () => {
  test('is opened again, and what had no answer is sent again under the same ids, in order', async () => {
    const seen: (readonly [stream: number, ids: readonly string[]])[] = [];
    const address = await startOddService((sequence, ids, stream) => {
      seen.push([stream, ids]);
      if (stream === 1 && sequence !== '1') return undefined;
      return { ackedSequence: sequence, ...acks(ids) };
    });
    const client = new ExperiencesClient({ address });
    const usage = client.usage.recorder({ timeoutMs: 60_000 });
    const first = times(1_000, (n) => usage.record({ ...call, eventId: `event ${n}` }));
    // The second message is not answered: the recorder leaves the stream when nothing comes for 15 seconds.
    const told = await Promise.all(first);
    expect(told.map(({ eventId }) => eventId)).toEqual(times(1_000, (n) => `event ${n}`));
    expect(seen.map(([stream, ids]) => [stream, ids[0], ids.length])).toEqual([
      [1, 'event 0', 500],
      [1, 'event 500', 500],
      [2, 'event 500', 500],
    ]);
    await usage.close();
    client.close();
  }, 40_000);

  test('for a reason that sending again does not mend rejects what was under way', async () => {
    const client = new ExperiencesClient({
      address: service.address,
      metadata: { 'xproxy-experience-version': 'x' },
    });
    const usage = client.usage.recorder();
    await expect(usage.record(call)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'xproxy-experience-version' }],
    });
    await usage.close();
    client.close();
  });

  test('because the store stalled is opened again when it goes on, and nothing is lost', async () => {
    const usage = recorder({ timeoutMs: 60_000 });
    await usage.record(call);
    mongod.stall();
    const records = times(200, () => usage.record(call));
    await new Promise((resolve) => setTimeout(resolve, 12_000)); // Past the service's time for a message.
    mongod.goOn();
    const told = await Promise.all(records);
    const ids = await storedIds();
    expect(told.filter(({ eventId }) => !ids.has(eventId))).toEqual([]);
  }, 60_000);

  test('with a service that is killed and started again: every ack is true, none is lost, none counts twice', async () => {
    const databaseName = `test_${newUuid().slice(-12)}`;
    const running: ServiceProcess[] = [];
    const start = async (listen?: string) => {
      const started = await startServiceProcess({
        mongodbUri: mongod.uri,
        databaseName,
        ...(listen === undefined ? {} : { listen }),
      });
      running.push(started);
      return started;
    };
    onTestFinished(async () => {
      for (const each of running) each.kill('SIGKILL');
      await Promise.all(running.map(({ exited }) => exited));
    });
    let process = await start();
    const client = new ExperiencesClient({ address: process.address });
    const usage = client.usage.recorder({ timeoutMs: 60_000 });
    const experiences = times(40, () => newUuid());
    const sent = new Set<string>();
    const told = new Map<string, UsageAck>();
    const failures: unknown[] = [];
    let isOver = false;
    const producers = times(30, async (producer) => {
      while (!isOver) {
        const eventId = newUuid();
        sent.add(eventId);
        const experienceId = experiences[(producer * 7 + sent.size) % 40] ?? '';
        await usage.record({ ...call, eventId, experienceId }).then(
          (ack) => told.set(eventId, ack),
          (error: unknown) => failures.push(error),
        );
      }
    });
    for (let round = 0; round < 3; round += 1) {
      const before = told.size;
      await waitUntil('two hundred more are acknowledged', () =>
        told.size > before + 200 ? true : undefined,
      );
      process.kill('SIGKILL');
      await process.exited;
      process = await start(process.address);
    }
    const before = told.size;
    await waitUntil('the last service acknowledges', () => (told.size > before + 50 ? true : undefined));
    isOver = true;
    await Promise.all(producers);
    await usage.close();
    client.close();
    expect(failures).toEqual([]);
    expect(told.size).toBe(sent.size);
    const { events } = await expectBooks(mongod.client, databaseName, { sent, told });
    expect(events).toHaveLength(sent.size);
  }, 90_000);

  test('with a service that stops in order loses nothing', async () => {
    const databaseName = `test_${newUuid().slice(-12)}`;
    const first = await startServiceProcess({ mongodbUri: mongod.uri, databaseName });
    const client = new ExperiencesClient({ address: first.address });
    const usage = client.usage.recorder();
    const records = times(400, () => usage.record(call));
    await records[0];
    first.kill('SIGTERM');
    expect(await first.exited).toEqual({ code: 0, signal: undefined });
    const second = await startServiceProcess({ mongodbUri: mongod.uri, databaseName, listen: first.address });
    const told = await Promise.all(records);
    await usage.close();
    client.close();
    await second.stop();
    expect((await storedIds(databaseName)).size).toBe(400);
    expect(new Set(told.map(({ eventId }) => eventId)).size).toBe(400);
  }, 60_000);
});
