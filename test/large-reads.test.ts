import { randomUUID } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startTestService, type TestService } from './support/service.js';
import { expectVerified } from './support/verified.js';

const mongo = new MongoClient(inject('mongodbUri'));
let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(async () => {
  await expectVerified(service.client);
  await service.stop();
  await mongo.close();
});

/** The largest that a call may have: 64 of 1,024 characters, of three bytes each. */
const PROPERTIES = Object.fromEntries(
  Array.from({ length: 64 }, (_, index) => [`key-${index}`, '€'.repeat(1_024)]),
);
const CALL = { provider: 'openai', model: 'gpt-4o-mini', properties: PROPERTIES };

test('a small commit whose reads are more than one document of the server can hold still takes place', async () => {
  const eventIds = Array.from({ length: 48 }, () => randomUUID());
  const recorder = service.client.usage.recorder();
  try {
    const estimate = { maxInputTokens: 1_000, maxOutputTokens: 500 };
    await Promise.all(eventIds.map((eventId) => recorder.reserve({ ...CALL, eventId, estimate })));
    const units = { text: { input: 1_000, output: 500 } };
    await Promise.all(eventIds.map((eventId) => recorder.record({ ...CALL, eventId, units })));
    // One message, and so one commit, of 48 short items; a reservation and an event of each are 0.4 MB.
    const before = await failedAggregations();
    const released = await Promise.all(eventIds.map((eventId) => recorder.release(eventId)));
    expect(released.map(({ state }) => state)).toEqual(eventIds.map(() => 'SETTLED'));
    expect(await failedAggregations()).toBeGreaterThan(before);
  } finally {
    await recorder.close();
  }
});

async function failedAggregations(): Promise<number> {
  const { metrics } = await mongo.db('admin').command({ serverStatus: 1 });
  return Number(metrics.commands.aggregate.failed);
}
