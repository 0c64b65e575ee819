import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExperiencesClient, type UsageAck } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { expectBooks } from './support/books.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { type ReplyCutter, startReplyCutter } from './support/reply-cutter.js';
import { startTestService, type TestService } from './support/service.js';
import { expectVerifiedAt } from './support/verified.js';

/** 1,000 tokens in and 500 out: 0.00045 dollars. */
const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };
/** The commit and two more tries, and each of them by the driver a second time; then the caller is told. */
const TRIES_OF_A_COMMIT = 6;

type Told = Pick<UsageAck, 'eventId' | 'experienceId' | 'cost' | 'duplicate'>;
type Record = typeof call & { readonly eventId: string; readonly experienceId: string };

let mongod: OwnMongod;
let cutter: ReplyCutter;
let service: TestService;
let client: ExperiencesClient;

beforeAll(async () => {
  mongod = await startOwnMongod();
  cutter = await startReplyCutter(mongod.port);
  service = await startTestService({
    mongodbUri: `mongodb://127.0.0.1:${cutter.port}/?directConnection=true`,
  });
  client = new ExperiencesClient({ address: service.address, timeoutMs: 40_000 });
});
afterAll(async () => {
  client.close();
  await service.stop();
  await cutter.stop();
  await mongod.stop();
});

async function single(records: readonly Record[]): Promise<readonly Told[]> {
  const answers: Told[] = [];
  for (const record of records) {
    const { event, duplicate } = await client.usage.record(record);
    answers.push({ ...event, duplicate });
  }
  return answers;
}

async function batch(records: readonly Record[]): Promise<readonly Told[]> {
  const { results } = await client.usage.recordBatch(records);
  return results.map(({ ack, error }) => {
    if (ack === undefined) throw error;
    return ack;
  });
}

async function stream(records: readonly Record[]): Promise<readonly Told[]> {
  const usage = client.usage.recorder();
  try {
    return await Promise.all(records.map((record) => usage.record(record)));
  } finally {
    await usage.close();
  }
}

describe('events that are committed while every answer of the store is lost', () => {
  test.each<[way: string, count: number, send: (records: readonly Record[]) => Promise<readonly Told[]>]>([
    ['a single call', 1, single],
    ['a batch', 30, batch],
    ['a stream', 30, stream],
  ])(
    'by %s are found when the client sends them again, and count once',
    async (_way, count, send) => {
      const { databaseName } = service.options;
      const experienceId = newUuid();
      const records = Array.from({ length: count }, () => ({ ...call, eventId: newUuid(), experienceId }));
      cutter.cut('commitTransaction', TRIES_OF_A_COMMIT);
      const told = await send(records);
      expect(cutter.left()).toBe(0);
      // The client has sent them twice, and of the first time it was told that nobody knows.
      expect(told.filter(({ duplicate }) => !duplicate)).toEqual([]);
      expect(told.map(({ eventId }) => eventId)).toEqual(records.map(({ eventId }) => eventId));
      const again = await send(records);
      expect(again).toMatchObject(told.map(({ eventId, cost }) => ({ eventId, cost, duplicate: true })));

      const { totals } = await client.costs.get(experienceId);
      expect(totals.eventCount).toBe(BigInt(count));
      expect(totals.cost.total).toBe(count === 1 ? '0.00045' : '0.0135');
      const answers = new Map(told.map((ack) => [ack.eventId, ack]));
      await expectBooks(mongod.client, databaseName, { sent: undefined, told: answers });
      await expectVerifiedAt(service.address);
    },
    60_000,
  );
});
