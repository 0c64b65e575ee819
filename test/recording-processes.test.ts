import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExperiencesClient } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { expectBooks } from './support/books.js';
import { Callers } from './support/callers.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { startTestService, type TestService } from './support/service.js';
import { type ServiceProcess, startServiceProcess } from './support/service-process.js';
import { waitUntil } from './support/wait-until.js';

/** 1,000 tokens in and 500 out: 0.00045 dollars by the catalogue. */
const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };

let mongod: OwnMongod;
beforeAll(async () => {
  mongod = await startOwnMongod();
});
afterAll(() => mongod.stop());

describe('two services on one database', () => {
  let a: TestService;
  let b: TestService;
  beforeAll(async () => {
    a = await startTestService({ mongodbUri: mongod.uri });
    b = await startTestService({ mongodbUri: mongod.uri, databaseName: a.options.databaseName });
    await a.client.types.create({ name: 'Summary', description: 'A summary' });
    await a.client.types.create({ name: 'Chat', description: 'A chat' });
  });
  afterAll(async () => {
    await expectBooks(mongod.client, a.options.databaseName);
    await Promise.all([a.stop(), b.stop()]);
  });

  test('record ids that both are sent once, and answer both callers the same', async () => {
    const experienceId = newUuid();
    const records = Array.from({ length: 30 }, (_, index) => ({
      ...call,
      eventId: newUuid(),
      experienceId,
      experienceType: 'Summary',
      units: { text: { input: index + 1 } },
    }));
    const pairs = await Promise.all(
      records.map((record) => Promise.all([a.client.usage.record(record), b.client.usage.record(record)])),
    );
    for (const [ofA, ofB] of pairs) {
      expect(ofA.event).toEqual(ofB.event);
      expect([ofA.duplicate, ofB.duplicate].sort()).toEqual([false, true]);
    }
    expect(pairs.filter(([ofA, ofB]) => ofA.experienceCreated || ofB.experienceCreated)).toHaveLength(1);
    // 1 + 2 + … + 30 = 465 tokens at 0.00000015.
    const { totals } = await b.client.costs.get(experienceId);
    expect([totals.eventCount, totals.cost.total]).toEqual([30n, '0.00006975']);
    expect(totals.units).toEqual({ text: { input: 465n, output: 0n } });
  });

  test('that make the same experience at once with another type each make one, and one caller is warned', async () => {
    const experienceId = newUuid();
    const [ofA, ofB] = await Promise.all([
      a.client.usage.record({ ...call, experienceId, experienceType: 'Summary' }),
      b.client.usage.record({ ...call, experienceId, experienceType: 'Chat' }),
    ]);
    expect(ofA.event.experienceType).toBe(ofB.event.experienceType);
    expect([ofA, ofB].flatMap(({ warnings }) => warnings.map(({ code }) => code))).toEqual([
      'OTHER_EXPERIENCE_TYPE',
    ]);
  });

  test('that record one operation of an experience at once leave it one useful success', async () => {
    const [experienceId, operationKey] = [newUuid(), newUuid()];
    const attempts = Array.from({ length: 8 }, (_, index) =>
      (index % 2 === 0 ? a : b).client.usage.record({ ...call, experienceId, operationKey }),
    );
    await Promise.all(attempts);
    const { totals } = await a.client.costs.get(experienceId);
    expect([totals.usefulCost, totals.wastedCost]).toEqual(['0.00045', '0.00315']);
  });

  test('price by what either knows from the very next record on, twenty times', async () => {
    const own = { provider: 'own', model: 'model' };
    const costs: unknown[] = [];
    for (let price = 1; price <= 20; price += 1) {
      const [writer, recorder] = price % 2 === 0 ? [a, b] : [b, a];
      await writer.client.prices.create({ ...own, rates: { text: { input: { base: `0.${price + 10}` } } } });
      const { event } = await recorder.client.usage.record({ ...own, units: { text: { input: 1 } } });
      costs.push(event.cost.total);
    }
    expect(costs).toEqual([
      ...['0.11', '0.12', '0.13', '0.14', '0.15', '0.16', '0.17', '0.18', '0.19', '0.2'],
      ...['0.21', '0.22', '0.23', '0.24', '0.25', '0.26', '0.27', '0.28', '0.29', '0.3'],
    ]);
  });

  test.each<[what: string, change: () => Promise<unknown>, then: object]>([
    [
      'a retired price',
      async () => {
        const { priceId } = await b.client.prices.create({
          ...call,
          rates: { text: { input: { base: '1' }, output: { base: '1' } } },
        });
        expect((await a.client.usage.record(call)).event.cost.total).toBe('1500');
        await b.client.prices.retire(priceId);
      },
      { event: { cost: { total: '0.00045' } } },
    ],
    ['a new version', () => b.client.types.incrementVersion('Summary'), { event: { experienceVersion: 2 } }],
    [
      'a deleted type',
      () => b.client.types.delete('Summary'),
      { code: 'NOT_FOUND', reason: 'EXPERIENCE_TYPE_NOT_FOUND' },
    ],
    ['an undeleted type', () => b.client.types.undelete('Summary'), { event: { experienceVersion: 2 } }],
  ])('act on %s of the other from the very next record on', async (_what, change, then) => {
    await a.client.usage.record({ ...call, experienceType: 'Chat' });
    await change();
    const answer = await a.client.usage
      .record({ ...call, experienceType: 'Summary' })
      .catch((error: unknown) => error);
    expect(answer).toMatchObject(then);
  });

  test('refuse an experience that the other has deleted, but answer what was recorded before', async () => {
    const record = { ...call, eventId: newUuid(), experienceId: newUuid() };
    const { event } = await a.client.usage.record(record);
    await b.client.experiences.delete(record.experienceId);
    expect(await a.client.usage.record(record)).toMatchObject({ duplicate: true, event });
    const another = a.client.usage.record({ ...record, eventId: newUuid() });
    await expect(another).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'EXPERIENCE_NOT_FOUND' });
  });
});

describe('a service process', () => {
  const running: ServiceProcess[] = [];
  afterAll(async () => {
    for (const process of running) process.kill('SIGKILL');
    await Promise.all(running.map(({ exited }) => exited));
  });

  async function start(databaseName: string): Promise<ServiceProcess> {
    const process = await startServiceProcess({ mongodbUri: mongod.uri, databaseName });
    running.push(process);
    return process;
  }

  test('killed under load, twice, has in its books what callers were told, and what they send again once', async () => {
    const databaseName = `test_${newUuid().slice(-12)}`;
    const callers = new Callers();
    const experiences = Array.from({ length: 5 }, () => newUuid());
    for (let round = 1; round <= 2; round += 1) {
      const process = await start(databaseName);
      const client = new ExperiencesClient({ address: process.address, timeoutMs: 20_000 });
      await callers.resend(client);
      expect(callers.unanswered()).toEqual([]);

      const hasty = new ExperiencesClient({ address: process.address, timeoutMs: 1_000 });
      const over = new AbortController();
      const load = callers.load(hasty, 24, over.signal, () => ({
        ...call,
        experienceId: experiences[callers.sent.size % 5] ?? '',
        operationKey: `operation ${callers.sent.size % 50}`,
        outcome: callers.sent.size % 7 === 0 ? 'FAILED' : 'SUCCEEDED',
      }));
      const before = callers.told.size;
      await waitUntil('a hundred calls are acknowledged', () =>
        callers.told.size > before + 100 ? true : undefined,
      );
      process.kill('SIGKILL');
      await process.exited;
      over.abort();
      await load;
      client.close();
      hasty.close();
      await expectBooks(mongod.client, databaseName, callers);
    }
    expect(callers.unanswered().length).toBeGreaterThan(0);

    const process = await start(databaseName);
    const client = new ExperiencesClient({ address: process.address, timeoutMs: 20_000 });
    await callers.resend(client);
    client.close();
    expect(callers.unanswered()).toEqual([]);
    const books = await expectBooks(mongod.client, databaseName, callers);
    expect(books.events).toHaveLength(callers.sent.size);
  }, 90_000);

  test('asked to stop answers the calls in flight, loses none of them, and ends with code 0', async () => {
    const databaseName = `test_${newUuid().slice(-12)}`;
    const process = await start(databaseName);
    const client = new ExperiencesClient({ address: process.address, timeoutMs: 20_000 });
    const callers = new Callers();
    const experiences = Array.from({ length: 20 }, () => newUuid());
    // What comes while a commit is under way goes into the next one, so there is a next one.
    await mongod.fail({ failCommands: ['commitTransaction'], blockConnection: true, blockTimeMS: 400 });
    const inFlight = Array.from({ length: 200 }, (_, index) =>
      callers.record(client, { ...call, experienceId: experiences[index % 20] ?? '' }),
    );
    // All two hundred left together; once the service answers the first ones it holds the others.
    await waitUntil('the first calls are answered', () => (callers.told.size > 0 ? true : undefined));
    expect(callers.told.size).toBeLessThan(200);
    process.kill('SIGTERM');
    await Promise.all(inFlight);
    await mongod.failNothing();
    expect(callers.failures).toEqual([]);
    expect(callers.told.size).toBe(200);
    expect(await process.exited).toEqual({ code: 0, signal: undefined });
    await expectBooks(mongod.client, databaseName, callers);
    client.close();
  });
});
