import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExperiencesClient, type UsageAck } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { expectBooks } from './support/books.js';
import { mixedRecords } from './support/mixed-records.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { startTestService, type TestService } from './support/service.js';
import { expectVerifiedAt } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

let mongod: OwnMongod;
beforeAll(async () => {
  mongod = await startOwnMongod();
});
afterAll(() => mongod.stop());

describe('a mongod that is killed under load', () => {
  const KILLS = 3;
  let service: TestService;
  beforeAll(async () => {
    service = await startTestService({ mongodbUri: mongod.uri });
    await service.client.types.create({ name: 'Summary', description: 'A summary' });
  });
  afterAll(() => service.stop());

  test('three times has every event that was acknowledged, each once, and callers notice nothing', async () => {
    const { databaseName } = service.options;
    const client = new ExperiencesClient({ address: service.address, timeoutMs: 60_000 });
    const usage = client.usage.recorder({ timeoutMs: 60_000 });
    const next = mixedRecords();
    const sent = new Set<string>();
    const told = new Map<string, Pick<UsageAck, 'experienceId' | 'cost'>>();
    const over = new AbortController();
    const withId = () => {
      const record = { ...next(), eventId: newUuid() };
      sent.add(record.eventId);
      return record;
    };
    const repeat = async (count: number, work: () => Promise<void>) => {
      const loops = Array.from({ length: count }, async () => {
        while (!over.signal.aborted) await work();
      });
      await Promise.all(loops);
    };
    const load = Promise.all([
      repeat(8, async () => {
        const { event } = await client.usage.record(withId());
        told.set(event.eventId, event);
      }),
      repeat(40, async () => {
        const ack = await usage.record(withId());
        told.set(ack.eventId, ack);
      }),
      repeat(2, async () => {
        let records = Array.from({ length: 20 }, withId);
        while (records.length > 0) {
          // A batch that was settled in part is answered; what the store did not carry out is sent again.
          const { results } = await client.usage.recordBatch(records);
          for (const { ack, error } of results) {
            if (ack !== undefined) told.set(ack.eventId, ack);
            else expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE' });
          }
          records = records.filter(({ eventId }) => !told.has(eventId));
          if (records.length > 0) await sleep(BATCH_RETRY_MS);
        }
      }),
    ]);
    load.catch(() => undefined); // It is waited for below.
    const acknowledged = (count: number) => {
      const before = told.size;
      return waitUntil(`${count} more are acknowledged`, () =>
        told.size >= before + count ? true : undefined,
      );
    };
    for (let kill = 1; kill <= KILLS; kill += 1) {
      await acknowledged(1_000);
      await mongod.kill();
      const atTheKill = new Map(told);
      await mongod.restart();
      await expectBooks(mongod.client, databaseName, { sent, told: atTheKill });
    }
    await acknowledged(300);
    over.abort();
    await load;
    await usage.close();
    client.close();
    expect(told.size).toBe(sent.size);
    const { events } = await expectBooks(mongod.client, databaseName, { sent, told });
    expect(events).toHaveLength(sent.size);
    await expectVerifiedAt(service.address);
  }, 90_000);

  /** Else the test above could not see a loss, whatever the service did. */
  test('loses what was acknowledged to a writer that does not ask for the journal', async () => {
    const writer = new MongoClient(mongod.uri, {
      writeConcern: { w: 1, journal: false },
      retryWrites: false,
      serverSelectionTimeoutMS: 1_000,
    });
    const collection = writer.db(`test_${newUuid().slice(-12)}`).collection<{ _id: string }>('careless');
    await collection.insertOne({ _id: 'first' });
    let lost = 0;
    for (let kill = 1; kill <= CARELESS_KILLS_MAX && lost === 0; kill += 1) {
      const acknowledged: string[] = [];
      let isKilled = false;
      const loops = Array.from({ length: 16 }, async () => {
        while (!isKilled) {
          const _id = newUuid();
          await collection.insertOne({ _id }).then(
            () => acknowledged.push(_id),
            () => undefined,
          );
        }
      });
      await waitUntil('a thousand are acknowledged', () => (acknowledged.length > 1_000 ? true : undefined));
      await mongod.kill();
      isKilled = true;
      await Promise.all(loops);
      await mongod.restart();
      const stored = await mongod.client
        .db(collection.dbName)
        .collection<{ _id: string }>(collection.collectionName)
        .find()
        .toArray();
      const ids = new Set(stored.map(({ _id }) => _id));
      lost = acknowledged.filter((id) => !ids.has(id)).length;
    }
    await writer.close();
    expect(lost).toBeGreaterThan(0);
  }, 90_000);
});

const BATCH_RETRY_MS = 200;
/** Each of them loses what was acknowledged in the last tenth of a second, if all goes as ever. */
const CARELESS_KILLS_MAX = 6;
