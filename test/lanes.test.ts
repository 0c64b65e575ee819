import { randomUUID } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { newUuid } from '../services/domain/new-uuid.js';
import { Ledger } from '../services/ledger/ledger.js';
import { loadCatalogue } from '../services/pricing/catalogue.js';
import { expectBooks } from './support/books.js';
import { eventEntry } from './support/entries.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { startTestService, type TestService } from './support/service.js';
import { expectVerified } from './support/verified.js';

const mongo = new MongoClient(inject('mongodbUri'));
let service: TestService;
beforeAll(async () => {
  service = await startTestService();
  await service.client.types.create({ name: 'Summary', description: 'Summaries' });
});
afterAll(async () => {
  await expectBooks(mongo, service.options.databaseName);
  await expectVerified(service.client);
  await service.stop();
  await mongo.close();
});

const hour = (offset: number) => new Date((Math.floor(Date.now() / 3_600_000) + offset) * 3_600_000);
const range = { startTime: hour(-1), endTime: hour(2) };

async function openLedger(databaseName: string, uri = inject('mongodbUri')): Promise<Ledger> {
  const options = { uri, databaseName, catalogue: loadCatalogue(), applications: ['default'] };
  const ledger = await Ledger.open(options);
  onTestFinished(() => ledger.close());
  return ledger;
}

describe('sums that a lane begins', () => {
  test('with a call that used nothing can be read', async () => {
    const provider = `acme-${randomUUID()}`;
    await service.client.usage.record({ provider, model: 'm', units: {}, outcome: 'FAILED' });
    const { total } = await service.client.costs.query({ ...range, provider });
    expect([total.eventCount, total.cost.total, total.units]).toEqual([1n, '0', {}]);
  });

  test('with an experience that grows within its bucket can be read', async () => {
    const experienceId = randomUUID();
    const call = { experienceId, experienceType: 'Summary', provider: 'openai', model: 'gpt-4o-mini' };
    await service.client.usage.record({ ...call, units: { text: { input: 100_000 } } });
    // Another process has other lanes; by one unit more the experience stays where it is.
    const other = await openLedger(service.options.databaseName);
    const [outcome] = await other.write(
      [eventEntry({ experienceId, units: { text: [1, 0] } })],
      Date.now() + 9_000,
    );
    expect(outcome).toMatchObject({ kind: 'event', duplicate: false });
    const { distribution } = await service.client.costs.distribution('Summary');
    expect([distribution.experienceCount, distribution.sum]).toEqual([1n, '0.01500015']);
  });
});

describe('the lanes of processes', () => {
  test('are the lowest that are free, and free again when a process ends', async () => {
    const databaseName = `test_${randomUUID().slice(0, 8)}`;
    const lanes = async () => {
      const rows = await mongo.db(databaseName).collection<{ _id: string }>('schema').find().toArray();
      return rows.flatMap(({ _id }) => (_id.startsWith('lane-') ? [_id] : [])).sort();
    };
    const first = await openLedger(databaseName);
    await openLedger(databaseName);
    expect(await lanes()).toEqual(['lane-00', 'lane-01', 'lane-02', 'lane-03']);
    await first.close();
    await openLedger(databaseName);
    expect(await lanes()).toEqual(['lane-00', 'lane-01', 'lane-02', 'lane-03']);
  });
});

describe('unit kinds', () => {
  test('of a refused event do not count against those of the next one', async () => {
    const ledger = await openLedger(service.options.databaseName);
    const experienceId = newUuid();
    const kinds = (from: number, count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${from + n}`, [1, 0] as const]));
    for (let from = 0; from < 252; from += 63)
      await ledger.write([eventEntry({ experienceId, units: kinds(from, 63) })], Date.now() + 9_000);
    const outcomes = await ledger.writer.write(
      [
        eventEntry({ experienceId, units: kinds(252, 5) }),
        eventEntry({ experienceId, units: kinds(260, 2) }),
      ],
      Date.now() + 9_000,
    );
    expect(outcomes.map(({ kind }) => kind)).toEqual(['refused', 'event']);
  });

  test('are at most 1,024 in an application', async () => {
    const own = await startTestService();
    onTestFinished(() => own.stop());
    const call = async (from: number) => {
      const names = Array.from({ length: 64 }, (_, n) => [`kind${from + n}`, { input: 1 }] as const);
      const record = { provider: 'acme', model: 'm', units: Object.fromEntries(names) };
      return own.client.usage.record(record);
    };
    for (let from = 0; from < 1_024; from += 64) await call(from);
    await expect(call(1_024)).rejects.toMatchObject({
      reason: 'INVALID_FIELDS',
      violations: [
        {
          field: 'record.units',
          description: 'names kinds that the application has not used; it may use 1024',
        },
      ],
    });
    await call(0);
    await expectVerified(own.client);
  });
});

test('a unit kind of one direction that repair brings back can be read, and recorded to', async () => {
  const own = await startTestService();
  onTestFinished(() => own.stop());
  const experienceId = randomUUID();
  const call = {
    experienceId,
    provider: 'openai',
    model: 'gpt-4o-mini',
    units: { text_cache_read: { input: 7 } },
  };
  await own.client.usage.record(call);
  const db = mongo.db(own.options.databaseName);
  for (const collection of ['experiences', 'rollups'])
    await db.collection(collection).updateMany({}, { $unset: { 'un.text_cache_read': '' } });
  for await (const message of own.client.admin.repair({ apply: true }))
    if ('summary' in message) expect(message.summary.notRepairableCount).toBe(0n);
  await own.client.usage.record(call);
  const { totals } = await own.client.costs.get(experienceId);
  expect(totals.units).toEqual({ text_cache_read: { input: 14n, output: 0n } });
  await expectVerified(own.client);
});

describe('a store that hangs', () => {
  let mongod: OwnMongod;
  beforeAll(async () => {
    mongod = await startOwnMongod();
  });
  afterAll(() => mongod.stop());

  test('keeps no caller longer than its time', async () => {
    const ledger = await openLedger(`test_${randomUUID().slice(0, 8)}`, mongod.uri);
    await ledger.write([eventEntry()], Date.now() + 9_000);
    mongod.stall();
    const since = performance.now();
    const outcomes = await ledger.write([eventEntry(), eventEntry()], Date.now() + 1_000);
    const waitedMs = performance.now() - since;
    mongod.goOn();
    expect(outcomes).toMatchObject([
      { kind: 'refused', fault: { reason: 'DEADLINE_EXCEEDED' } },
      { kind: 'refused', fault: { reason: 'DEADLINE_EXCEEDED' } },
    ]);
    expect(waitedMs).toBeLessThan(1_300);
  });
});
