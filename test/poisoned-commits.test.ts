import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExperiencesError, RecordResult } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { createLogger } from '../services/runtime/logger.js';
import { expectBooks } from './support/books.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { startTestService, type TestService } from './support/service.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

/** 1,000 tokens in and 500 out: 0.00045 dollars. */
const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };
const INCIDENT = {
  code: 'INTERNAL',
  message: expect.stringMatching(/^The service failed; the incident is [0-9a-f-]{36}\.$/),
  metadata: { incident_id: expect.stringMatching(/^[0-9a-f-]{36}$/) },
};

let mongod: OwnMongod;
let service: TestService;

beforeAll(async () => {
  mongod = await startOwnMongod();
  const logger = createLogger('test', 'silent'); // What is caused here is no news.
  service = await startTestService({ mongodbUri: mongod.uri, logger });
  // The store itself refuses these events, for good: what no check of ours could foresee.
  const db = mongod.client.db(service.options.databaseName);
  await db.command({ collMod: 'events', validator: { '_id.e': { $not: { $regex: '^poison' } } } });
});
afterAll(async () => {
  await expectVerified(service.client);
  await service.stop();
  await mongod.stop();
});

describe('of what is committed together, an entry that the store refuses for good', () => {
  test('fails alone among single calls', async () => {
    const [experienceId, poison] = [newUuid(), poisonId()];
    const ids = Array.from({ length: 64 }, (_, index) => (index === 37 ? poison : newUuid()));
    const commits = await whileCommitting(experienceId, async () => {
      const answers = ids.map((eventId) => service.client.usage.record({ ...call, eventId, experienceId }));
      const ends = await Promise.allSettled(answers);
      const failed = ends.flatMap((end, index) =>
        end.status === 'rejected' ? [{ id: ids[index], error: end.reason as ExperiencesError }] : [],
      );
      expect(failed).toEqual([{ id: poison, error: expect.objectContaining(INCIDENT) }]);
    });
    // One by one they would have been 63; halved six times they are fewer than a dozen.
    expect(commits).toBeLessThan(12);
    await expectStored(experienceId, ids, [poison]);
  });

  test.each([
    [1, [0]],
    [2, [0]],
    [2, [0, 1]],
    [1_000, [999]],
    [1_000, [3, 500, 501]],
  ])('fails alone in a batch of %i, at %j', async (size, places) => {
    const experienceId = newUuid();
    const ids = Array.from({ length: size }, (_, index) => (places.includes(index) ? poisonId() : newUuid()));
    const batch = ids.map((eventId) => ({ ...call, eventId, experienceId }));
    const answer = await service.client.usage.recordBatch(batch, { view: 'ERRORS_ONLY' });
    expect([answer.recordedCount, answer.failedCount]).toEqual([size - places.length, places.length]);
    expectIncidents(answer.results, places);
    await expectStored(
      experienceId,
      ids,
      places.map((place) => ids[place] ?? ''),
    );
  });

  test('fails alone in a batch that both lanes share, of many experiences and of none', async () => {
    const poison = poisonId();
    const ids = Array.from({ length: 200 }, (_, index) => (index === 77 ? poison : newUuid()));
    const batch = ids.map((eventId, index) => ({
      ...{ ...call, eventId },
      ...(index % 3 === 0 ? {} : { experienceId: newUuid() }),
    }));
    const { results, recordedCount } = await service.client.usage.recordBatch(batch, { view: 'ERRORS_ONLY' });
    expect(recordedCount).toBe(199);
    expectIncidents(results, [77]);
    const again = await service.client.usage.recordBatch(batch, { view: 'ERRORS_ONLY' });
    expect([again.duplicateCount, again.failedCount]).toEqual([199, 1]);
  });

  test('fails alone on a stream, which goes on', async () => {
    const [experienceId, poison] = [newUuid(), poisonId()];
    const recorder = service.client.usage.recorder();
    const ids = Array.from({ length: 50 }, (_, index) => (index === 0 ? poison : newUuid()));
    const ends = await Promise.allSettled(
      ids.map((eventId) => recorder.record({ ...call, eventId, experienceId })),
    );
    expect(ends.map(({ status }) => status)).toEqual(['rejected', ...Array(49).fill('fulfilled')]);
    expect(ends[0]).toMatchObject({ reason: INCIDENT });
    expect(await recorder.record({ ...call, experienceId })).toMatchObject({ duplicate: false });
    await recorder.close();
    await expectStored(experienceId, ids, [poison]);
  });

  test('takes nothing with it of the success that it would have superseded', async () => {
    const [experienceId, operationKey] = [newUuid(), newUuid()];
    await service.client.usage.record({ ...call, experienceId, operationKey });
    const poisoned = { ...call, eventId: poisonId(), experienceId, operationKey };
    const { results } = await service.client.usage.recordBatch([poisoned, { ...call, experienceId }]);
    expect(results[0]?.error).toMatchObject(INCIDENT);
    const { totals } = await service.client.costs.get(experienceId);
    expect([totals.eventCount, totals.usefulCost, totals.wastedCost]).toEqual([2n, '0.0009', '0']);
    await expectBooks(mongod.client, service.options.databaseName);
  });
});

/** Holds the experience's lane with a commit that takes a while, so that what is sent meanwhile waits and goes together. */
async function whileCommitting(experienceId: string, send: () => Promise<void>): Promise<number> {
  await mongod.fail({ failCommands: ['commitTransaction'], blockConnection: true, blockTimeMS: 500 }, 1);
  const committed = await commits();
  const first = service.client.usage.record({ ...call, experienceId });
  await waitUntil('its commit is under way', async () => {
    const pipeline = [{ $currentOp: {} }, { $match: { 'command.commitTransaction': 1 } }];
    const found = await mongod.client.db('admin').aggregate(pipeline).toArray();
    return found.length > 0 ? true : undefined;
  });
  await send();
  await first;
  return (await commits()) - committed;
}

async function commits(): Promise<number> {
  const { transactions } = await mongod.client.db('admin').command({ serverStatus: 1 });
  return Number(transactions.totalCommitted);
}

function poisonId(): string {
  return `poison-${newUuid()}`;
}

function expectIncidents(results: readonly RecordResult[], places: readonly number[]): void {
  expect(results.map(({ index }) => index)).toEqual(places);
  const incidents = results.map(({ error }) => {
    expect(error).toMatchObject(INCIDENT);
    return error?.metadata.incident_id;
  });
  expect(new Set(incidents).size).toBe(places.length);
}

async function expectStored(
  experienceId: string,
  sent: readonly string[],
  poisons: readonly string[],
): Promise<void> {
  const { events } = await expectBooks(mongod.client, service.options.databaseName);
  const stored = new Set(events.filter((event) => event.experienceId === experienceId).map(({ id }) => id));
  expect(sent.filter((id) => !stored.has(id))).toEqual(poisons);
}
