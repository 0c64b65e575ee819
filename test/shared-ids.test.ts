import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExperiencesClient } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { expectBooks } from './support/books.js';
import { MixedCallers, type Record, type Way } from './support/mixed-callers.js';
import { expectAsSent, mixedRecords } from './support/mixed-records.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { type ServiceProcess, startServiceProcess } from './support/service-process.js';
import { expectVerifiedAt } from './support/verified.js';

const databaseName = `test_${newUuid().slice(-12)}`;

let mongod: OwnMongod;
let services: readonly ServiceProcess[];
beforeAll(async () => {
  mongod = await startOwnMongod();
  const start = () => startServiceProcess({ mongodbUri: mongod.uri, databaseName });
  services = [await start(), await start()];
  const client = new ExperiencesClient({ address: services[0]?.address ?? '' });
  await client.types.create({ name: 'Summary', description: 'A summary' });
  client.close();
});
afterAll(async () => {
  for (const service of services) service.kill('SIGKILL');
  await Promise.all(services.map(({ exited }) => exited));
  await mongod.stop();
});

/** Every record, to both processes at once, by the same way or by two. */
test.each<[Way, Way]>([
  ['single', 'single'],
  ['batch', 'batch'],
  ['stream', 'stream'],
  ['single', 'batch'],
  ['batch', 'stream'],
  ['stream', 'single'],
])(
  'ids that two processes are sent at once, by %s and by %s, are in the books once each',
  async (one, other) => {
    const next = mixedRecords();
    const records: readonly Record[] = Array.from({ length: 300 }, () => ({ ...next(), eventId: newUuid() }));
    const callers = [new MixedCallers(), new MixedCallers()] as const;
    // Slices meet each other: all 300 at once would be one commit of each process.
    for (let start = 0; start < records.length; start += SLICE) {
      const slice = records.slice(start, start + SLICE);
      await Promise.all([
        callers[0].record(services[0]?.address ?? '', one, slice),
        callers[1].record(services[1]?.address ?? '', other, slice),
      ]);
    }
    const [ofOne, ofOther] = callers.map(({ told }) => told);
    expect([ofOne?.size, ofOther?.size]).toEqual([300, 300]);
    for (const { eventId } of records) {
      const pair = [ofOne?.get(eventId ?? ''), ofOther?.get(eventId ?? '')];
      expect(pair[0]).toMatchObject({ cost: pair[1]?.cost, priceId: pair[1]?.priceId });
      expect(pair[0]?.experienceId).toBe(pair[1]?.experienceId);
      if (one === 'single' && other === 'single') expect(pair[0]?.recordTime).toEqual(pair[1]?.recordTime);
      expect(pair.map((told) => told?.duplicate).sort()).toEqual([false, true]);
    }
    for (const of of callers)
      await expectBooks(mongod.client, databaseName, { sent: undefined, told: of.told });
    const books = await expectBooks(mongod.client, databaseName);
    const ids = new Set(records.map(({ eventId }) => eventId));
    const events = books.events.filter(({ id }) => ids.has(id));
    expect(events).toHaveLength(300);
    expectAsSent({ ...books, events }, callers[0]);
    await expectVerifiedAt(services[0]?.address ?? '');
  },
  60_000,
);

const SLICE = 50;
