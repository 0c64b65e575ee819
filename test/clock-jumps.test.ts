import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ExperiencesClient } from '../services/client/index.js';
import { toWireRecord } from '../services/client/to-wire.js';
import { contract } from '../services/contract/contract.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { expectBooks } from './support/books.js';
import { MixedCallers } from './support/mixed-callers.js';
import { expectAsSent, mixedRecords } from './support/mixed-records.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { RawClient } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { type ServiceProcess, startServiceProcess } from './support/service-process.js';
import { expectVerifiedAt } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

const HOUR_MS = 3_600_000;
const databaseName = `test_${newUuid().slice(-12)}`;
/** 1,000 tokens in and 500 out: 0.00045 dollars. */
const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };
const { RecordUsage } = contract.UsageService.service;

let mongod: OwnMongod;
let service: ServiceProcess;
let client: ExperiencesClient;

beforeAll(async () => {
  mongod = await startOwnMongod();
  service = await startServiceProcess({ mongodbUri: mongod.uri, databaseName, clockCanBeSet: true });
  client = new ExperiencesClient({ address: service.address });
  await client.types.create({ name: 'Summary', description: 'A summary' });
});
afterAll(async () => {
  client.close();
  service.kill('SIGKILL');
  await service.exited;
  await mongod.stop();
});
beforeEach(() => service.setClock(0));

test('the clock of a service process is set by these tests', async () => {
  const experienceId = newUuid();
  await service.setClock(-HOUR_MS);
  const { event } = await client.usage.record({ ...call, experienceId });
  expect(Math.abs(event.recordTime.getTime() + HOUR_MS - Date.now())).toBeLessThan(60_000);
});

test('a clock that jumps by an hour under load, to and fro, loses nothing, doubles nothing, and moves no event', async () => {
  const callers = new MixedCallers();
  const over = new AbortController();
  const load = callers.load(service.address, over.signal, mixedRecords());
  for (const aheadMs of [HOUR_MS, 0, -HOUR_MS, 0, HOUR_MS, -HOUR_MS]) {
    const before = callers.told.size;
    await waitUntil('two hundred are acknowledged', () =>
      callers.told.size > before + 200 ? true : undefined,
    );
    await service.setClock(aheadMs);
  }
  over.abort();
  await load;
  await callers.resend(service.address);
  await expectAllRecorded(callers);
}, 60_000);

test.each([
  ['ahead', HOUR_MS],
  ['behind', -HOUR_MS],
])(
  'an id that comes again when the clock is an hour %s is a duplicate, with its first record time',
  async (_where, aheadMs) => {
    const eventTime = new Date(Date.now() - 2 * HOUR_MS);
    const record = { ...call, eventId: newUuid(), experienceId: newUuid(), eventTime };
    const first = await client.usage.record(record);
    await service.setClock(aheadMs);
    const again = await client.usage.record(record);
    expect(again).toEqual({ ...first, duplicate: true });
    expect(again.event.eventTime).toEqual(eventTime);
    const { totals } = await client.costs.get(record.experienceId);
    expect([totals.eventCount, totals.cost.total]).toEqual([1n, '0.00045']);
  },
);

test('ids that the service makes while its clock is set back are fresh', async () => {
  const raw = new RawClient(service.address);
  const ids = new Set<string>();
  for (const aheadMs of [0, -HOUR_MS, 0, -HOUR_MS]) {
    await service.setClock(aheadMs);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        raw.call(RecordUsage, { record: { ...toWireRecord(call), eventId: '' } }),
      ),
    );
    for (const { event, duplicate } of answers) {
      expect(duplicate).toBe(false);
      ids.add(event?.eventId ?? '');
    }
  }
  raw.close();
  expect(ids.size).toBe(200);
});

test('a clock that wavers by less than a second leaves the events of an experience in the order of recording', async () => {
  const experienceId = newUuid();
  const recorded: string[] = [];
  for (const aheadMs of [0, -300, -900, -100, 400, -500, 0]) {
    await service.setClock(aheadMs);
    for (let count = 0; count < 10; count += 1) {
      recorded.push((await client.usage.record({ ...call, experienceId })).event.eventId);
    }
  }
  const listed = await readAll(client.usage.list(experienceId));
  expect(listed.map(({ eventId }) => eventId)).toEqual(recorded);
});

describe('the lanes of a process', () => {
  /** The lane numbers that are leased, by who has them. */
  async function lanes(): Promise<Readonly<Record<string, readonly string[]>>> {
    const rows = await schema()
      .find({ _id: /^lane-/ })
      .toArray();
    const held: Record<string, string[]> = {};
    for (const { _id, owner } of rows) held[owner] = [...(held[owner] ?? []), _id];
    return held;
  }
  function schema() {
    return mongod.client.db(databaseName).collection<{ _id: string; owner: string; until: Date }>('schema');
  }
  async function renewed(owner: string, by: (until: Date) => boolean): Promise<void> {
    await waitUntil('the leases are renewed', async () => {
      const rows = await schema().find({ owner }).toArray();
      return rows.length === 2 && rows.every(({ until }) => by(until)) ? true : undefined;
    });
  }

  test('whose clock is an hour ahead stay its own, and one that is an hour behind loses them and takes others', async () => {
    const [[owner = '', own = []] = []] = Object.entries(await lanes());
    expect(own).toHaveLength(2);
    await service.setClock(HOUR_MS);
    await renewed(owner, (until) => until.getTime() > Date.now() + HOUR_MS / 2);
    expect(await lanes()).toEqual({ [owner]: own });

    await service.setClock(-HOUR_MS);
    await renewed(owner, (until) => until.getTime() < Date.now() - HOUR_MS / 2);
    // To every other clock its lanes are free; that all others are taken makes a second process take these.
    const others = Array.from({ length: 32 }, (_, n) => `lane-${String(n).padStart(2, '0')}`);
    const until = new Date(Date.now() + HOUR_MS);
    const rows = others.filter((_id) => !own.includes(_id)).map((_id) => ({ _id, owner: 'test', until }));
    await schema().insertMany(rows);
    const second = await startServiceProcess({ mongodbUri: mongod.uri, databaseName });
    const { test: _, ...held } = await lanes();
    expect(Object.values(held).map((numbers) => [...numbers].sort())).toEqual([[...own].sort()]);
    expect(Object.keys(held)).not.toEqual([owner]);
    await schema().deleteMany({ owner: 'test' });

    // Both write the same lanes until the first one sees that it has lost them.
    const callers = new MixedCallers();
    const over = new AbortController();
    const next = mixedRecords();
    const load = Promise.all(
      [service, second].map(({ address }) => callers.load(address, over.signal, next)),
    );
    await waitUntil('each has two lanes of its own', async () => {
      const numbers = Object.values(await lanes());
      return numbers.length === 2 && numbers.every(({ length }) => length === 2) ? true : undefined;
    });
    over.abort();
    await load;
    await callers.resend(second.address);
    second.kill('SIGKILL');
    await second.exited;
    await expectAllRecorded(callers);
  }, 90_000);
});

/** Everything that the callers sent is recorded as they sent it, and the books balance. */
async function expectAllRecorded(callers: MixedCallers): Promise<void> {
  expect(callers.unanswered()).toEqual([]);
  const books = await expectBooks(mongod.client, databaseName, { ...callers, sent: undefined });
  const events = books.events.filter(({ id }) => callers.sent.has(id));
  expect(events).toHaveLength(callers.sent.size);
  expectAsSent({ ...books, events }, callers);
  await expectVerifiedAt(service.address);
}
