import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Db, Decimal128, MongoClient, UUID } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { Ledger } from '../services/ledger/ledger.js';
import { SchemaLease } from '../services/ledger/schema-lease.js';
import { Store } from '../services/ledger/store.js';
import { loadCatalogue } from '../services/pricing/catalogue.js';
import type { Price } from '../services/pricing/price.js';
import { freePort } from '../services/stack/free-port.js';
import { type OwnedProcess, spawnOwned } from '../services/stack/owned-process.js';
import { waitForPort } from '../services/stack/wait-for-port.js';
import { expectBooks } from './support/books.js';
import { type OwnMongod, ownMongodExecutable, startOwnMongod } from './support/own-mongod.js';
import { startTestService, type TestService } from './support/service.js';
import { startServiceProcess } from './support/service-process.js';
import { waitUntil } from './support/wait-until.js';

const catalogue = loadCatalogue();
const REPLICA_SET = 'mongod --replSet rs0 --dbpath';
const INITIATE = 'mongosh --eval \'rs.initiate({ _id: "rs0", members: [{ _id: 0, host:';

describe('a store that cannot hold the promises is refused', () => {
  let standalone: OwnMongod;
  let uninitiated: OwnedProcess;
  let uninitiatedPort: number;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'experiences-mongod-'));
    uninitiatedPort = await freePort();
    [standalone, uninitiated] = await Promise.all([
      startOwnMongod({ replicaSet: false }),
      spawnOwned({
        command: await ownMongodExecutable(),
        args: ['--dbpath', folder, '--port', `${uninitiatedPort}`, '--replSet', 'rs0', '--nounixsocket'],
      }),
    ]);
    uninitiated.stdout.resume();
    await waitForPort(uninitiatedPort, 30_000, new AbortController().signal);
  });
  afterAll(async () => {
    uninitiated.kill('SIGKILL');
    await Promise.all([standalone.stop(), uninitiated.exited]);
    await rm(folder, { recursive: true, force: true });
  });

  test.concurrent.each<[what: string, uri: () => string | Promise<string>, says: readonly string[]]>([
    ['a standalone server', () => standalone.uri, ['standalone', REPLICA_SET, INITIATE]],
    [
      'a standalone server behind a direct connection',
      () => `${standalone.uri}?directConnection=true`,
      ['standalone', REPLICA_SET, INITIATE],
    ],
    [
      'a standalone server whose URI names a replica set',
      () => `${standalone.uri}?replicaSet=rs0`,
      ["not of the replica set 'rs0'", REPLICA_SET, INITIATE],
    ],
    [
      'a replica set that was never initiated',
      () => `mongodb://127.0.0.1:${uninitiatedPort}/`,
      ['never initiated', INITIATE],
    ],
    [
      'no server at all',
      async () => `mongodb://127.0.0.1:${await freePort()}/`,
      ['MongoDB cannot be reached at 127.0.0.1:', 'ECONNREFUSED'],
    ],
  ])('%s, within seconds, with the command that mends it', async (_what, uri, says) => {
    const started = Date.now();
    const refused = await openLedger({ uri: await uri() }).then(
      () => 'it opened',
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    for (const part of says) expect(refused).toContain(part);
    expect(Date.now() - started).toBeLessThan(6_000);
  });

  test('the service ends with code 1 and one line that says so, without the password of the URI', async () => {
    const port = await freePort();
    const mongodbUri = `mongodb://name:secret@127.0.0.1:${port}/`;
    const started = Date.now();
    const failed = await startServiceProcess({ mongodbUri, databaseName: 'test' }).then(
      () => 'it started',
      (error: unknown) => String(error),
    );
    expect(failed).toContain('the service ended with code 1');
    const [line, ...more] = failed.split('\n').slice(1);
    expect(more).toEqual([]);
    expect(JSON.parse(line ?? '')).toMatchObject({
      level: 60,
      msg: `cannot start: MongoDB cannot be reached at 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`,
    });
    expect(failed).not.toContain('secret');
    expect(Date.now() - started).toBeLessThan(12_000);
  });
});

describe('a store that can is proved and brought to the schema', () => {
  let mongod: OwnMongod;
  beforeAll(async () => {
    mongod = await startOwnMongod();
  });
  afterAll(() => mongod.stop());

  test('once by one process, and nothing of the proof is left', async () => {
    const { db, databaseName } = freshDatabase(mongod);
    await openAndClose({ uri: mongod.uri, databaseName });
    await expectSchema(db);
    expect(await db.collection('probe').countDocuments()).toBe(0);
  });

  test('once by eight connections that start at once', async () => {
    const { db, databaseName } = freshDatabase(mongod);
    const opened = await Promise.all(
      Array.from({ length: 8 }, () => openLedger({ uri: mongod.uri, databaseName })),
    );
    const keys = new Set(opened.map(({ pageTokenKey }) => Buffer.from(pageTokenKey).toString('hex')));
    await Promise.all(opened.map((ledger) => ledger.close()));
    await expectSchema(db);
    expect(keys.size).toBe(1);
  });

  test('once by two processes that start at once', async () => {
    const { db, databaseName } = freshDatabase(mongod);
    const options = { mongodbUri: mongod.uri, databaseName };
    const services = await Promise.all([startServiceProcess(options), startServiceProcess(options)]);
    await Promise.all(services.map((service) => service.stop()));
    await expectSchema(db);
  });

  test('though its collections appear under the feet of the proof', async () => {
    const { db, databaseName } = freshDatabase(mongod);
    // SnapshotUnavailable: what a transaction gets whose snapshot is older than its collection.
    const labels = { errorCode: 246, errorLabels: ['TransientTransactionError'] };
    await mongod.fail({ failCommands: ['insert'], namespace: `${databaseName}.probe`, ...labels }, 3);
    await openAndClose({ uri: mongod.uri, databaseName });
    expect(await mongod.failNothing()).toBe(3);
    await expectSchema(db);
  });

  test('after a process that died while it migrated, as soon as its lease is over', async () => {
    const { db, databaseName } = freshDatabase(mongod);
    const until = new Date(Date.now() + 1_000);
    await db.collection<SchemaRow>('schema').insertOne({ _id: 'lease', owner: 'a dead process', until });
    await openAndClose({ uri: mongod.uri, databaseName });
    expect(Date.now()).toBeGreaterThanOrEqual(until.getTime());
    await expectSchema(db);
  });

  test('without writing anything but its proof and its lanes where all is there, so that it needs no rights to', async () => {
    const { db, databaseName } = freshDatabase(mongod);
    await openAndClose({ uri: mongod.uri, databaseName });
    await db.command({ profile: 2 });
    await openAndClose({ uri: mongod.uri, databaseName });
    await db.command({ profile: 0 });
    const done = await db
      .collection('system.profile')
      .find({ op: { $in: ['insert', 'update', 'remove', 'command'] }, ns: { $ne: `${databaseName}.probe` } })
      .toArray();
    const others = done.filter(
      ({ command }) => !String(command?.q?._id?.$in ?? command?.q?._id).startsWith('lane-'),
    );
    const commands = new Set(others.map(({ command }) => Object.keys(command ?? {})[0]));
    expect(commands).toEqual(new Set(['aggregate'])); // Counts the applications.
    await expectSchema(db);
  });
});

describe('a database of a newer release', () => {
  test('is refused and keeps its version', async () => {
    const { db, databaseName } = freshDatabase({ client: new MongoClient(inject('mongodbUri')) });
    onTestFinished(() => db.client.close());
    const uri = inject('mongodbUri');
    await openAndClose({ uri, databaseName });
    const schema = db.collection<SchemaRow>('schema');
    await schema.updateOne({ _id: 'version' }, { $set: { v: 999 } });
    const before = await schema.find().sort({ _id: 1 }).toArray();
    for (const prices of [catalogue, catalogue.slice(0, 20)]) {
      await expect(openLedger({ uri, databaseName, catalogue: prices })).rejects.toThrow(
        'The database has schema version 999 of a newer release; this one knows 4.',
      );
    }
    expect(await schema.find().sort({ _id: 1 }).toArray()).toEqual(before);
  });
});

test('a database of version 2 gets what it lacks when it is opened, and keeps what it has', async () => {
  const { db, databaseName } = freshDatabase({ client: new MongoClient(inject('mongodbUri')) });
  const uri = inject('mongodbUri');
  await openAndClose({ uri, databaseName });
  for (const name of ['limits', 'limit_sums', 'reservations']) await db.dropCollection(name);
  await db.collection<SchemaRow>('schema').updateOne({ _id: 'version' }, { $set: { v: 2 } });
  await openAndClose({ uri, databaseName });
  expect(Object.keys(await indexesOf(db))).toEqual(
    expect.arrayContaining(['limits', 'limit_sums', 'reservations']),
  );
  expect((await indexesOf(db)).limits).toContain('by_taken_name');
  expect(await db.collection<SchemaRow>('schema').findOne({ _id: 'version' })).toEqual({
    _id: 'version',
    v: 4,
  });
  expect(await db.collection('prices').countDocuments()).toBe(catalogue.length);
  await db.client.close();
});

test('a database of version 3 learns what its limits were charged for input', async () => {
  const service = await startTestService();
  const mongo = new MongoClient(inject('mongodbUri'));
  onTestFinished(() => mongo.close());
  const { databaseName } = service.options;
  const db = mongo.db(databaseName);
  const { limits, usage } = service.client;
  const ids: string[] = [];
  for (const type of ['ALLOW', 'BLOCK'] as const)
    ids.push((await limits.create({ name: type, maxCost: '1', type })).limit.limitId);
  const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1_000, output: 500 } } };
  await usage.record({ ...call, limitIds: ids });
  for (const limitId of ids) await limits.reset(limitId);
  for (const _time of [1, 2]) await usage.record({ ...call, limitIds: ids });
  await service.stop();
  await db.collection('limit_sums').updateMany({}, { $unset: { si: '', ko: '', ke: '', kv: '', kf: '' } });
  await db.collection<SchemaRow>('schema').updateOne({ _id: 'version' }, { $set: { v: 3 } });

  const again = await startTestService({ databaseName });
  onTestFinished(() => again.stop());
  for (const limitId of ids) {
    const { limit, pastPeriods } = await again.client.limits.get(limitId);
    const current = { spentCost: '0.0009', spentInputCost: '0.0003', spentOutputCost: '0.0006', okCount: 0n };
    expect(limit.period).toMatchObject(current);
    expect(pastPeriods).toMatchObject([{ spentCost: '0.00045', spentInputCost: '0.00015' }]);
  }
  for await (const message of again.client.admin.verify({ deep: true })) {
    if ('summary' in message) expect(message).toMatchObject({ summary: { differenceCount: 0n } });
    else expect(message).not.toHaveProperty('difference');
  }
});

describe('a database of version 1', () => {
  /** Totals and events only; the catalogue's revision in its schema document; an operation was one of the application. */
  async function makeVersion1(service: TestService, db: Db): Promise<void> {
    const { types, usage } = service.client;
    await types.create({ name: 'Summary', description: 'A summary' });
    const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1_000, output: 500 } } };
    const ids = ['018f3c2e-0000-7000-8000-00000000000a', '018f3c2e-0000-7000-8000-00000000000b'] as const;
    for (const experienceId of ids) {
      for (const eventTime of [new Date('2026-01-31T23:30:00Z'), new Date('2026-02-01T00:30:00Z')]) {
        const own = { ...call, experienceId, experienceType: 'Summary', eventTime };
        await usage.record({ ...own, operationKey: 'step' });
        await usage.record({ ...own, outcome: 'FAILED' });
        await usage.record({ ...own, model: 'gpt-unheard-of' });
      }
    }
    await usage.record({ ...call, operationKey: 'step' });
    await usage.record({ ...call, operationKey: 'step' });
    await service.stop();

    for (const name of ['rollups', 'histograms', 'guards', 'repricings', 'repairs'])
      await db.collection(name).drop();
    for (const name of ['by_event_time', 'by_useful_operation', 'unpriced_by_event_time'])
      await db.collection('events').dropIndex(name);
    await db.collection('experiences').dropIndex('by_cost');
    await db.collection('experiences').updateMany({}, { $unset: { ct: '' } });
    await db.collection('events').updateMany({}, { $unset: { uo: '' } });
    // Of one key in all experiences only the last event was useful.
    const [first] = ids;
    const one = { us: true, op: 'step', x: new UUID(first) };
    const event = await db.collection('events').findOneAndUpdate(one, { $unset: { us: '' } });
    const cost = Decimal128.fromString('0.000450000000000000');
    expect(event?.ci.toString()).toBe('0.000150000000000000');
    const moved = { us: Decimal128.fromString('-0.000450000000000000'), ws: cost };
    await db.collection('experiences').updateOne({ '_id.x': new UUID(first) }, { $inc: moved });
    const partialFilterExpression = { op: { $exists: true }, us: true };
    await db
      .collection('events')
      .createIndex({ '_id.a': 1, op: 1 }, { name: 'useful_by_operation', partialFilterExpression });
    await db.collection<SchemaRow>('applications').deleteOne({ _id: '' });
    const schema = db.collection<SchemaRow>('schema');
    await schema.updateOne({ _id: 'catalogue' }, { $set: { v: 7 } });
    await schema.updateOne({ _id: 'version' }, { $set: { v: 1 } });
  }

  test('gets its rollups, histograms and marks when it is opened, and verifies clean', async () => {
    const service = await startTestService();
    const mongo = new MongoClient(inject('mongodbUri'));
    onTestFinished(() => mongo.close());
    const { databaseName } = service.options;
    const db = mongo.db(databaseName);
    await makeVersion1(service, db);

    const again = await startTestService({ databaseName });
    onTestFinished(() => again.stop());
    const books = await expectBooks(mongo, databaseName);
    expect(books.events).toHaveLength(14);
    expect(Object.values(books.kept).map(({ useful }) => useful)).toEqual([
      450_000_000_000_000n,
      450_000_000_000_000n,
    ]);
    for await (const message of again.client.admin.verify({ deep: true })) {
      expect(message).toMatchObject({ summary: { experienceCount: 2n, dayCount: 3n, differenceCount: 0n } });
    }
    expect(await db.collection('repairs').countDocuments()).toBe(0);
    const names = (await indexesOf(db)).events;
    expect(names).toEqual([
      '_id_',
      'by_event_time',
      'by_experience',
      'by_limit',
      'by_provider_response',
      'by_useful_operation',
      'unpriced_by_event_time',
    ]);
    const schema = await db.collection<SchemaRow>('schema').find().sort({ _id: 1 }).toArray();
    const kept = schema.filter(({ _id }) => !_id.startsWith('lane-')); // Of the service that is open.
    expect(kept.map(({ _id, v }) => [_id, v])).toEqual([
      ['catalogue', undefined],
      ['page-token-key', undefined],
      ['version', 4],
    ]);
    expect(await pricesAndRevision(db)).toEqual([catalogue.length, 8]);
  });

  test('is migrated by one process for as long as that takes', async () => {
    const mongod = await startOwnMongod();
    onTestFinished(() => mongod.stop());
    const { db, databaseName } = freshDatabase(mongod);
    await openAndClose({ uri: mongod.uri, databaseName });
    const schema = db.collection<SchemaRow>('schema');
    await schema.updateOne({ _id: 'version' }, { $set: { v: 1 } });
    const lease = await takeLease(mongod.uri, databaseName);
    const until = (await schema.findOne({ _id: 'lease' }))?.until;
    await waitUntil('the lease is renewed', async () => {
      const now = (await schema.findOne({ _id: 'lease' }))?.until;
      return Number(now) > Number(until) ? true : undefined;
    });
    await lease.release();
  }, 40_000);
});

/** As the migration takes it. */
async function takeLease(uri: string, databaseName: string): Promise<{ release(): Promise<void> }> {
  const store = new Store(uri, databaseName);
  const lease = await SchemaLease.take(store, 'lease');
  expect(await SchemaLease.take(store, 'lease')).toBeUndefined();
  return {
    async release() {
      await lease?.release();
      await store.close();
    },
  };
}

describe('the catalogue', () => {
  test('of a newer release adds its prices, raises the revision, and takes none away', async () => {
    const { db, databaseName } = freshDatabase({ client: new MongoClient(inject('mongodbUri')) });
    const uri = inject('mongodbUri');
    const [older, newer] = [catalogue.slice(0, 20), catalogue.slice(10, 40)];
    await openAndClose({ uri, databaseName, catalogue: older });
    expect(await pricesAndRevision(db)).toEqual([20, 1]);
    await openAndClose({ uri, databaseName, catalogue: newer });
    expect(await pricesAndRevision(db)).toEqual([40, 2]);
    await openAndClose({ uri, databaseName, catalogue: newer });
    expect(await pricesAndRevision(db)).toEqual([40, 2]);
    await db.client.close();
  });
});

/** As the migration of version 4 leaves it. */
async function expectSchema(db: Db): Promise<void> {
  expect(await indexesOf(db)).toEqual({
    applications: ['_id_'],
    api_keys: ['_id_', 'by_application'],
    events: [
      '_id_',
      'by_event_time',
      'by_experience',
      'by_limit',
      'by_provider_response',
      'by_useful_operation',
      'unpriced_by_event_time',
    ],
    experience_types: ['_id_'],
    experiences: ['_id_', 'by_cost', 'by_time', 'by_type', 'by_type_version'],
    guards: ['_id_'],
    histograms: ['_id_'],
    limit_sums: ['_id_'],
    limits: ['_id_', 'by_name', 'by_tag', 'by_taken_name', 'by_time', 'shared_by_tag', 'shared_by_time'],
    prices: ['_id_', 'by_model'],
    probe: ['_id_'],
    repairs: ['_id_'],
    repricings: ['_id_'],
    reservations: ['_id_', 'open_by_experience', 'open_by_expiry', 'open_by_limit'],
    rollups: ['_id_', 'by_time', 'by_type'],
    schema: ['_id_'],
    documents: ['_id_', 'by_application', 'expiry'],
    document_parts: ['_id_', 'expiry'],
    answers: ['_id_', 'expiry'],
    turns: ['_id_', 'by_number', 'expiry'],
    run_outputs: ['_id_', 'expiry'],
  });
  expect(await pricesAndRevision(db)).toEqual([catalogue.length, 1]);
  expect(await db.collection<SchemaRow>('applications').find().sort({ _id: 1 }).toArray()).toEqual([
    { _id: '', r: 1 },
    { _id: 'default', r: 1, c: expect.any(Date) },
  ]);
  const rows = await db.collection<SchemaRow>('schema').find().sort({ _id: 1 }).toArray();
  expect(rows.map(({ _id }) => _id)).toEqual(['catalogue', 'page-token-key', 'version']);
  expect(rows.at(-1)).toEqual({ _id: 'version', v: 4 });
}

async function indexesOf(db: Db): Promise<Record<string, readonly string[]>> {
  const collections = await db.listCollections({ name: { $not: /^system\./ } }).toArray();
  const entries = collections.map(async ({ name }) => {
    const indexes = await db.collection(name).indexes();
    return [name, indexes.map((index) => index.name ?? '').sort()] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function pricesAndRevision(db: Db): Promise<readonly [prices: number, revision: number | undefined]> {
  const row = await db.collection<SchemaRow>('applications').findOne({ _id: '' });
  return [await db.collection('prices').countDocuments(), row?.r];
}

interface SchemaRow {
  readonly _id: string;
  readonly v?: number;
  readonly r?: number;
  readonly owner?: string;
  readonly until?: Date;
}

function freshDatabase({ client }: { readonly client: MongoClient }): { db: Db; databaseName: string } {
  const databaseName = `test_${randomUUID().slice(0, 8)}`;
  return { db: client.db(databaseName), databaseName };
}

interface OpenOptions {
  readonly uri: string;
  readonly databaseName?: string;
  readonly catalogue?: readonly Price[];
}

async function openLedger(options: OpenOptions): Promise<Ledger> {
  return Ledger.open({ databaseName: 'test', catalogue, applications: ['default'], ...options });
}

async function openAndClose(options: OpenOptions): Promise<void> {
  await (await openLedger(options)).close();
}
