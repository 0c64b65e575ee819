import { type Db, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { ExperiencesClient, ExperiencesError } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { insertLimit, limitSum } from './support/limits.js';
import { startTestService, type TestService } from './support/service.js';
import { type ServiceProcess, startServiceProcess } from './support/service-process.js';
import { expectVerified } from './support/verified.js';

/** A limit that blocks, asked by many at once: what passes is exact, from one process as from several. */

const CALLERS = 1_000;
const DIME = { provider: 'openai', model: 'gpt-4o-mini', estimate: { cost: '0.1' } } as const;

let service: TestService;
let db: Db;
let other: ServiceProcess;
let otherClient: ExperiencesClient;
const mongo = new MongoClient(inject('mongodbUri'));

beforeAll(async () => {
  service = await startTestService();
  const { mongodbUri, databaseName } = service.options;
  db = mongo.db(databaseName);
  await service.client.types.create({ name: 'Summary', description: 'Summary' });
  other = await startServiceProcess({ mongodbUri, databaseName });
  otherClient = new ExperiencesClient({ address: other.address, timeoutMs: 60_000 });
}, 60_000);
afterAll(async () => {
  await expectVerified(service.client);
  otherClient.close();
  await other.stop();
  await mongo.close();
  await service.stop();
}, 60_000);

/** The ids that passed; every other call was refused by the limit. */
async function reserveTogether(
  limitId: string,
  options: { readonly processes: 1 | 2; readonly ttlMs?: number },
): Promise<readonly string[]> {
  const patient = new ExperiencesClient({ address: service.address, timeoutMs: 60_000 });
  const clients = options.processes === 1 ? [patient] : [patient, otherClient];
  const answers = await Promise.all(
    Array.from({ length: CALLERS }, async (_, caller) => {
      const client = clients[caller % clients.length] ?? patient;
      const eventId = newUuid();
      const { ttlMs = 60_000 } = options;
      const call = { ...DIME, eventId, experienceType: 'Summary', limitIds: [limitId], ttlMs };
      return client.usage.reserve(call).then(
        () => eventId,
        (error: unknown) => {
          if (error instanceof ExperiencesError && error.reason === 'LIMIT_REACHED') return undefined;
          throw error;
        },
      );
    }),
  );
  patient.close();
  return answers.filter((id) => id !== undefined);
}

async function experienceCount(): Promise<number> {
  return db.collection('experiences').countDocuments({});
}

describe.each<[string, 1 | 2]>([
  ['one process', 1],
  ['two processes', 2],
])('of 1,000 concurrent reservations of $0.10 on a limit of $5, by %s,', (_, processes) => {
  test('exactly 50 pass; once all are released the limit is whole', async () => {
    const limitId = await insertLimit(db, { maxCost: '5' });
    const before = await experienceCount();
    const passed = await reserveTogether(limitId, { processes });
    expect(passed).toHaveLength(50);
    expect(await experienceCount()).toBe(before + 50);
    expect(await limitSum(db, limitId)).toEqual({
      spent: '0',
      held: '5',
      unsettled: '0',
      events: 0,
      blocked: 950,
      blockedExternal: 0,
    });
    await Promise.all(passed.map((id) => service.client.usage.release(id)));
    expect(await limitSum(db, limitId)).toMatchObject({ spent: '0', held: '0', events: 0 });
  }, 120_000);
});

test('after their time and a sweep the limit has spent $5, all of it unsettled', async () => {
  const limitId = await insertLimit(db, { maxCost: '5' });
  const passed = await reserveTogether(limitId, { processes: 1 });
  expect(passed).toHaveLength(50);
  await db.collection('reservations').updateMany({ s: 'o' }, { $set: { u: new Date(Date.now() - 1) } });
  const sweeps = await Promise.all([
    service.client.admin.sweepReservations(),
    otherClient.admin.sweepReservations(),
  ]);
  expect(sweeps.reduce((sum, { unsettledCount }) => sum + unsettledCount, 0)).toBe(50);
  expect(await limitSum(db, limitId)).toEqual({
    spent: '5',
    held: '0',
    unsettled: '5',
    events: 50,
    blocked: 950,
    blockedExternal: 0,
  });
}, 120_000);
