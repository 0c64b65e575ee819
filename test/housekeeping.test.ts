import { randomUUID } from 'node:crypto';
import { Client, Connection, WorkflowFailedError } from '@temporalio/client';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createLogger } from '../services/runtime/logger.js';
import { createHousekeepingActivities } from '../workflows/housekeeping-activities.js';
import {
  createHousekeepingSchedules,
  type HousekeepingName,
  scheduleId,
} from '../workflows/housekeeping-schedules.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';
import { startTestWorker } from './support/worker.js';

let service: TestService;
let provider: TestProvider;
let worker: { stop(): Promise<void> };
let temporal: Client;

beforeAll(async () => {
  [service, provider] = await Promise.all([startTestService(), startTestProvider()]);
  temporal = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }) });
  worker = await startTestWorker(service, provider, { housekeeping: true });
  await service.client.types.create({ name: 'Feature', description: 'Is kept in order' });
});
afterAll(async () => {
  for (const name of NAMES) await handleOf(name).delete();
  await worker.stop();
  await temporal.connection.close();
  await service.stop();
  await provider.stop();
});

test('a worker creates the schedules once: one that was paused stays so', async () => {
  await handleOf('repriceUnpriced').pause('by the test');
  await createHousekeepingSchedules({
    temporalAddress: inject('temporalAddress'),
    temporalNamespace: 'default',
    taskQueue: service.options.defaultTaskQueue,
  });
  for (const name of NAMES) {
    const { policies, state } = await handleOf(name).describe();
    expect(policies.overlap).toBe('SKIP');
    expect(state.paused).toBe(name === 'repriceUnpriced');
  }
});

test('the sweep closes a reservation whose time is over, at its estimate', async () => {
  const { experience } = await service.client.experiences.create({ experienceType: 'Feature' });
  const { experienceId } = experience;
  await service.client.usage.reserve({
    eventId: randomUUID(),
    experienceId,
    provider: 'openai',
    model: 'gpt-4o-mini',
    estimate: { cost: '0.25' },
    ttlMs: 1_000,
  });
  // The schedule itself comes every minute; triggered until the time is over.
  const [event] = await waitUntil('the reservation is closed', async () => {
    await handleOf('sweepReservations').trigger();
    const events = await readAll(service.client.usage.list(experienceId));
    return events.length > 0 ? events : undefined;
  });
  expect(event).toMatchObject({ outcome: 'UNKNOWN', settlement: 'UNSETTLED', cost: { total: '0.25' } });
});

test('repricing gives a cost to an event whose model has a price by now', async () => {
  const { experience } = await service.client.experiences.create({ experienceType: 'Feature' });
  const { experienceId } = experience;
  await service.client.usage.record({
    experienceId,
    provider: 'acme',
    model: 'acme-new',
    units: { text: { input: 1_000n } },
  });
  await service.client.prices.create({
    provider: 'acme',
    model: 'acme-new',
    rates: { text: { input: { base: '0.000002' } } },
    effectiveTime: new Date(0),
  });
  await handleOf('repriceUnpriced').trigger();
  await waitUntil('it has a cost', async () => {
    const { totals } = await service.client.costs.get(experienceId);
    return totals.cost.total === '0.002' ? true : undefined;
  });
});

test('the sample passes when the books balance, and fails when they do not', async () => {
  expect(await triggered('verifySample')).toMatchObject({ eventCount: expect.stringMatching(/^[1-9]/) });
  const mongo = await MongoClient.connect(service.options.mongodbUri);
  await mongo
    .db(service.options.databaseName)
    .collection('experiences')
    .updateMany({ n: { $exists: true } }, { $inc: { n: 1 } });
  await mongo.close();
  const failure = await triggered('verifySample').catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(WorkflowFailedError);
  expect((failure as WorkflowFailedError).cause?.message).toMatch(
    /^The books differ from the events in \d+ figures/,
  );
});

test('an application that fails does not keep the others from their turn', async () => {
  await handleOf('sweepReservations').pause('by the test');
  const { client } = service;
  const { sweepExpired } = createHousekeepingActivities({
    async *applications() {
      yield* [{ applicationId: 'another' }, { applicationId: 'default' }];
    },
    // Whoever has no key may not name an application.
    clientOf: (application) => client.as(application === 'default' ? {} : { application }),
    logger: createLogger('test', 'fatal'),
  });
  const { experience } = await client.experiences.create({ experienceType: 'Feature' });
  const { experienceId } = experience;
  const call = { eventId: randomUUID(), experienceId, provider: 'openai', model: 'gpt-4o-mini' };
  await client.usage.reserve({ ...call, estimate: { cost: '0.25' }, ttlMs: 1_000 });
  await waitUntil('the reservation is closed', async () => {
    await expect(sweepExpired()).rejects.toMatchObject({ reason: 'BOOTSTRAP_KEY_REQUIRED' });
    const events = await readAll(client.usage.list(experienceId));
    return events.length > 0 ? true : undefined;
  });
});

/** Triggers a schedule and answers what the run that it starts returns. */
async function triggered(name: HousekeepingName): Promise<unknown> {
  const handle = handleOf(name);
  const before = (await handle.describe()).info.numActionsTaken;
  await handle.trigger();
  const workflowId = await waitUntil('the schedule has started a run', async () => {
    const { info } = await handle.describe();
    const action = info.recentActions.at(-1)?.action;
    return info.numActionsTaken > before ? action?.workflow.workflowId : undefined;
  });
  return temporal.workflow.getHandle(workflowId).result();
}

function handleOf(name: HousekeepingName) {
  return temporal.schedule.getHandle(scheduleId(service.options.defaultTaskQueue, name));
}

const NAMES: readonly HousekeepingName[] = ['sweepReservations', 'repriceUnpriced', 'verifySample'];
