import { Readable } from 'node:stream';
import { type Db, Decimal128, Double, MongoClient, UUID } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFinished, test } from 'vitest';
import { bookProgressText } from '../services/cli/book-text.js';
import { runCommandLine } from '../services/cli/command-line.js';
import { newUuid } from '../services/domain/new-uuid.js';
import type { Uuid } from '../services/domain/uuid.js';
import { BookCheck } from '../services/ledger/book-check.js';
import { BookMender } from '../services/ledger/book-mender.js';
import { checkExperiencesAgain } from '../services/ledger/check-experiences.js';
import { Ledger } from '../services/ledger/ledger.js';
import { inLongSnapshot } from '../services/ledger/long-snapshot.js';
import { SchemaLease } from '../services/ledger/schema-lease.js';
import { Store } from '../services/ledger/store.js';
import { loadCatalogue } from '../services/pricing/catalogue.js';
import { type CheckResult, resultOf } from './support/book-check.js';
import { expectBooks } from './support/books.js';
import { startTestService, type TestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';

/**
 * Verify and repair against books that somebody has spoiled by hand, with the driver alone. Every call costs 0.00045:
 * 1,000 units in at 0.00000015 and 500 out at 0.0000006.
 */
const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1_000, output: 500 } } };
const HOUR = new Date('2026-03-04T05:00:00Z');
const DAY = new Date('2026-03-04T00:00:00Z');
const AT = { eventTime: new Date('2026-03-04T05:10:00Z') };

let service: TestService;
let db: Db;
/** An experience with three events: of one operation a wasted and a useful one, and a failed one. */
let experienceId: string;
let wastedId: string;
let usefulId: string;
let failedId: string;
let freeId: string;
let firstFreeId: string;
const mongo = new MongoClient(inject('mongodbUri'));

beforeAll(async () => {
  service = await startTestService();
  db = mongo.db(service.options.databaseName, { useBigInt64: true });
  await service.client.types.create({ name: 'Summary', description: 'A summary' });
  await service.client.types.create({ name: 'Chat', description: 'A chat' });
});
afterAll(async () => {
  await service.stop();
  await mongo.close();
});

/** Each test spoils books of its own, which hold the same. */
beforeEach(async () => {
  for (const name of ['events', 'experiences', 'rollups', 'histograms', 'repairs'])
    await db.collection(name).deleteMany({});
  experienceId = newUuid();
  [wastedId, usefulId, failedId, freeId, firstFreeId] = [
    newUuid(),
    newUuid(),
    newUuid(),
    newUuid(),
    newUuid(),
  ];
  const { usage } = service.client;
  const own = { ...call, ...AT, experienceId, experienceType: 'Summary' };
  await usage.record({ ...own, eventId: wastedId, operationKey: 'step 1' });
  await usage.record({ ...own, eventId: usefulId, operationKey: 'step 1' });
  await usage.record({
    ...own,
    eventId: failedId,
    outcome: 'FAILED',
    eventTime: new Date('2026-03-04T05:20:00Z'),
  });
  await usage.record({ ...call, ...AT, experienceType: 'Summary' });
  await usage.record({ ...call, ...AT, experienceType: 'Chat' });
  await usage.record({ ...call, ...AT, eventId: firstFreeId, operationKey: 'alone' });
  await usage.record({
    ...call,
    eventId: freeId,
    operationKey: 'alone',
    eventTime: new Date('2026-03-04T06:10:00Z'),
  });
});

const verify = (options: Parameters<TestService['client']['admin']['verify']>[0] = {}) =>
  resultOf(service.client.admin.verify(options));
const repair = () => resultOf(service.client.admin.repair({ apply: true }));

/** `figure: expected, found, difference`, after what it is of. */
function named({ differences }: CheckResult): string[] {
  return differences.map((each) => {
    const { subject, figure, expected, found, difference, state } = each;
    const of =
      each.eventId ?? each.experienceId ?? `${each.experienceType} ${each.startTime?.toISOString() ?? ''}`;
    return `${subject} ${of.trim()} ${figure}: ${expected || '-'}, ${found || '-'}, ${difference || '-'} ${state}`;
  });
}

const money = (text: string) => Decimal128.fromString(text);
const experience = () => ({ _id: { a: 'default', x: new UUID(experienceId) } }) as object;
const event = (id: string) => ({ _id: { a: 'default', e: new UUID(id) } }) as object;
const ofHour = { '_id.g': 'h', '_id.t': 'Summary', '_id.h': HOUR };
const ofDay = { '_id.g': 'd', '_id.t': 'Summary', '_id.h': DAY };
const ofSummary = { '_id.t': 'Summary' };

async function spoil(collection: string, filter: object, update: object): Promise<void> {
  expect((await db.collection(collection).updateOne(filter, update)).modifiedCount).toBe(1);
}

describe('verify', () => {
  test.each([
    {},
    { deep: true },
    { experienceType: 'Summary' },
    { sinceTime: new Date('2026-03-04T23:00:00Z') },
  ])('finds nothing in books that nobody spoiled (%o)', async (options) => {
    const { differences, summary } = await verify(options);
    expect(differences).toEqual([]);
    expect(summary.differenceCount).toBe(0n);
  });

  test('says what it has checked', async () => {
    expect((await verify()).summary).toEqual({
      experienceCount: 3n,
      eventCount: 12n, // Five of experiences, seven of hours.
      hourCount: 2n,
      dayCount: 1n,
      histogramCount: 2n,
      differenceCount: 0n,
      repairedCount: 0n,
      notRepairableCount: 0n,
      limitCount: 0n,
      reservationCount: 0n,
    });
  });

  test('names exactly one total and one rollup that were spoiled, by how much; repair mends them', async () => {
    await spoil('experiences', experience(), { $inc: { ci: money('0.000001') } });
    await spoil('rollups', ofHour, { $inc: { co: money('-0.0003') } });
    const expected = [
      `EXPERIENCE ${experienceId} cost.input: 0.00045, 0.000451, 0.000001 REPAIRABLE`,
      'HOUR_ROLLUP Summary 2026-03-04T05:00:00.000Z cost.output: 0.0012, 0.0009, -0.0003 REPAIRABLE',
    ];
    expect(named(await verify())).toEqual(expected);
    expect(named(await verify({ deep: true }))).toEqual(expected);
    expect(named(await repair())).toEqual(expected.map((text) => text.replace('REPAIRABLE', 'REPAIRED')));
    expect(named(await verify({ deep: true }))).toEqual([]);
    await expectBooks(mongo, service.options.databaseName);
  });
});

/** What is done by hand, and exactly what is named for it. `x` is the experience. */
const SPOILED: readonly (readonly [
  what: string,
  spoil: () => Promise<void>,
  names: () => readonly string[],
])[] = [
  [
    'a count of events',
    () => spoil('experiences', experience(), { $inc: { n: 2n } }),
    () => [`EXPERIENCE ${experienceId} event_count: 3, 5, 2`],
  ],
  [
    'a useful sum that became wasted',
    () => spoil('experiences', experience(), { $inc: { us: money('-0.0001'), ws: money('0.0001') } }),
    () => [
      `EXPERIENCE ${experienceId} useful_cost: 0.00045, 0.00035, -0.0001`,
      `EXPERIENCE ${experienceId} wasted_cost: 0.0009, 0.001, 0.0001`,
    ],
  ],
  [
    'a total for the order of the dearest, which its histogram is not blamed for',
    () => spoil('experiences', experience(), { $inc: { ct: money('7') } }),
    () => [`EXPERIENCE ${experienceId} cost.total: 0.00135, 7.00135, 7`],
  ],
  [
    'that total, gone',
    () => spoil('experiences', experience(), { $unset: { ct: '' } }),
    () => [`EXPERIENCE ${experienceId} cost.total: 0.00135, -, -`],
  ],
  [
    'first and last event time',
    () =>
      spoil('experiences', experience(), {
        $set: { f: new Date('2026-03-04T05:09:59Z') },
        $unset: { l: '' },
      }),
    () => [
      `EXPERIENCE ${experienceId} first_event_time: 2026-03-04T05:10:00.000Z, 2026-03-04T05:09:59.000Z, -1000`,
      `EXPERIENCE ${experienceId} last_event_time: 2026-03-04T05:20:00.000Z, -, -`,
    ],
  ],
  [
    'units of a kind, and a kind that nobody used',
    () =>
      spoil('experiences', experience(), { $inc: { 'un.text.o': 1n, 'un.audio.i': 3n, 'un.audio.o': 0n } }),
    () => [
      `EXPERIENCE ${experienceId} units[audio].input: 0, 3, 3`,
      `EXPERIENCE ${experienceId} units[text].output: 1500, 1501, 1`,
    ],
  ],
  [
    'unpriced events',
    () => spoil('experiences', experience(), { $inc: { up: 1n } }),
    () => [`EXPERIENCE ${experienceId} unpriced_event_count: 0, 1, 1`],
  ],
  [
    'amounts that are none',
    () => spoil('experiences', experience(), { $set: { ci: money('NaN'), ws: new Double(0.5), un: 7 } }),
    () => [
      `EXPERIENCE ${experienceId} cost.input: 0.00045, NaN (unreadable), -`,
      `EXPERIENCE ${experienceId} wasted_cost: 0.0009, 0.5 (unreadable), -`,
      `EXPERIENCE ${experienceId} units: -, 7 (unreadable), -`,
      `EXPERIENCE ${experienceId} units[text].input: 3000, 0, -3000`,
      `EXPERIENCE ${experienceId} units[text].output: 1500, 0, -1500`,
    ],
  ],
  [
    'an hour that is gone',
    async () => {
      await db.collection('rollups').deleteMany({ '_id.g': 'h', '_id.t': 'Chat' });
    },
    () => [
      'HOUR_ROLLUP Chat 2026-03-04T05:00:00.000Z event_count: 1, 0, -1',
      'HOUR_ROLLUP Chat 2026-03-04T05:00:00.000Z cost.input: 0.00015, 0, -0.00015',
      'HOUR_ROLLUP Chat 2026-03-04T05:00:00.000Z cost.output: 0.0003, 0, -0.0003',
      'HOUR_ROLLUP Chat 2026-03-04T05:00:00.000Z useful_cost: 0.00045, 0, -0.00045',
      'HOUR_ROLLUP Chat 2026-03-04T05:00:00.000Z units[text].input: 1000, 0, -1000',
      'HOUR_ROLLUP Chat 2026-03-04T05:00:00.000Z units[text].output: 500, 0, -500',
    ],
  ],
  [
    'a day',
    () => spoil('rollups', ofDay, { $inc: { us: money('0.5') } }),
    () => ['DAY_ROLLUP Summary 2026-03-04T00:00:00.000Z useful_cost: 0.0009, 0.5009, 0.5'],
  ],
  [
    'rollups of an hour and a day without any event',
    async () => {
      const zero = money('0E-18');
      const fields = { ci: zero, co: zero, us: zero, ws: zero, up: 0n };
      for (const [g, h] of [
        ['h', new Date('2026-01-02T03:00:00Z')],
        ['d', new Date('2026-01-05T00:00:00Z')],
      ]) {
        const _id = { a: 'default', g, t: 'Chat', v: 1, h, p: 'openai', m: 'gpt', l: 3 } as never;
        await db.collection('rollups').insertOne({ _id, n: 4n, ...fields });
      }
    },
    () => [
      'HOUR_ROLLUP Chat 2026-01-02T03:00:00.000Z event_count: 0, 4, 4',
      'DAY_ROLLUP Chat 2026-01-05T00:00:00.000Z event_count: 0, 4, 4',
    ],
  ],
  [
    'a rollup that is no number',
    () => spoil('rollups', ofHour, { $set: { ci: money('Infinity') } }),
    () => ['HOUR_ROLLUP Summary 2026-03-04T05:00:00.000Z cost.input: 0.0006, Infinity (unreadable), -'],
  ],
  [
    'a histogram: its experiences and its sum',
    () => spoil('histograms', ofSummary, { $inc: { n: 1n, s: money('1') } }),
    () => ['HISTOGRAM Summary experience_count: 2, 3, 1', 'HISTOGRAM Summary sum: 0.0018, 1.0018, 1'],
  ],
  [
    'a bucket of a histogram',
    () => spoil('histograms', ofSummary, { $inc: { 'b.0': -1n } }),
    () => ['HISTOGRAM Summary buckets[0]: 0, -1, -1'],
  ],
  [
    'a histogram that is no number',
    () => spoil('histograms', ofSummary, { $set: { s: 'much' } }),
    () => ['HISTOGRAM Summary sum: 0.0018, much (unreadable), -'],
  ],
];

describe('spoiled by hand is named exactly, mended, and noted:', () => {
  test.each(SPOILED)('%s', async (_what, spoilIt, names) => {
    await spoilIt();
    expect(named(await verify())).toEqual(names().map((name) => `${name} REPAIRABLE`));
    const tried = await resultOf(service.client.admin.repair());
    expect(named(tried)).toEqual(names().map((name) => `${name} REPAIRABLE`));
    expect(await db.collection('repairs').countDocuments()).toBe(0);
    expect(named(await repair())).toEqual(names().map((name) => `${name} REPAIRED`));
    expect(named(await verify({ deep: true }))).toEqual([]);
    await expectBooks(mongo, service.options.databaseName);
    const notes = await db.collection('repairs').find().toArray();
    const figures = notes.flatMap(({ g }) => g as readonly object[]);
    expect(figures).toHaveLength(names().length);
    expect(notes.every(({ _id }) => (_id as unknown as { a: string }).a === 'default')).toBe(true);
  });
});

/** What only a look at each event finds. `rest`: what else is off because of it. */
const MARKS: readonly (readonly [
  what: string,
  spoil: () => Promise<void>,
  names: () => readonly string[],
])[] = [
  [
    'no useful event in an operation',
    () => spoil('events', event(usefulId), { $unset: { us: '', uo: '' } }),
    () => [`EVENT ${usefulId} useful: true, false, -`],
  ],
  [
    'two useful events in an operation',
    async () => {
      const useful = await db.collection('events').findOne(event(usefulId));
      await spoil('events', event(wastedId), { $set: { us: true, uo: useful?.uo } });
    },
    () => [`EVENT ${wastedId} useful: false, true, -`],
  ],
  [
    'a useful event that the index of operations does not know',
    () => spoil('events', event(usefulId), { $unset: { uo: '' } }),
    () => [`EVENT ${usefulId} operation_index: present, absent or another, -`],
  ],
  [
    'a wasted event that the index of operations knows',
    async () => {
      const useful = await db.collection('events').findOne(event(usefulId));
      await spoil('events', event(wastedId), { $set: { uo: useful?.uo } });
    },
    () => [`EVENT ${wastedId} operation_index: absent, present, -`],
  ],
  [
    'a failed event that is useful',
    () => spoil('events', event(failedId), { $set: { us: true } }),
    () => [`EVENT ${failedId} useful: false, true, -`],
  ],
  [
    'no useful event in an unattributed operation',
    () => spoil('events', event(freeId), { $unset: { us: '', uo: '' } }),
    () => [`EVENT ${freeId} useful: true, false, -`],
  ],
  [
    'two useful events in an unattributed operation',
    async () => {
      const useful = await db.collection('events').findOne(event(freeId));
      await spoil('events', event(firstFreeId), { $set: { us: true, uo: useful?.uo } });
    },
    () => [`EVENT ${firstFreeId} useful: false, true, -`],
  ],
  [
    'a useful unattributed event that the index of operations does not know',
    () => spoil('events', event(freeId), { $unset: { uo: '' } }),
    () => [`EVENT ${freeId} operation_index: present, absent or another, -`],
  ],
];

describe('a deep look names exactly, and repair mends:', () => {
  test.each(MARKS)('%s', async (_what, spoilIt, names) => {
    await spoilIt();
    expect(named(await verify({ deep: true }))).toEqual(names().map((name) => `${name} REPAIRABLE`));
    expect(named(await repair())).toEqual(names().map((name) => `${name} REPAIRED`));
    expect(named(await verify({ deep: true }))).toEqual([]);
    await expectBooks(mongo, service.options.databaseName);
    await service.client.usage.record({ ...call, ...AT, experienceId, operationKey: 'step 1' });
    expect(named(await verify({ deep: true }))).toEqual([]);
  });
});

/** What the events do not tell; `rest`: what else is off, as the events are the truth, and what repair makes of it. */
const NOT_TOLD: readonly (readonly [
  what: string,
  spoil: () => Promise<unknown>,
  names: () => readonly string[],
  deep: boolean,
])[] = [
  [
    'an amount that is none, and nothing else: what it was is not known',
    () => spoil('events', event(usefulId), { $set: { co: money('NaN') } }),
    () => [`EVENT ${usefulId} cost.output: -, NaN (unreadable), -`],
    false,
  ],
  [
    'an unattributed amount finer than 10^-18',
    () => spoil('events', event(freeId), { $set: { ci: money('1E-19') } }),
    () => [`EVENT ${freeId} cost.input: -, 1E-19 (unreadable), -`],
    false,
  ],
  [
    'an amount that is a double',
    () => spoil('events', event(usefulId), { $set: { ci: new Double(0.00015) } }),
    () => [`EVENT ${usefulId} cost.input: -, 0.00015 (unreadable), -`],
    false,
  ],
  [
    'units that are none',
    () => spoil('events', event(usefulId), { $set: { un: [{ k: '$where', i: 1n, o: 1n }] } }),
    () => [`EVENT ${usefulId} units: -, no figure (unreadable), -`],
    false,
  ],
  [
    'units without the price that they had',
    () =>
      spoil('events', event(usefulId), { $set: { pr: new UUID('018f3c2e-0000-7000-8000-00000000aaaa') } }),
    () => [
      `EVENT ${usefulId} price_id: -, 018f3c2e000070008000 00000000aaaa, -`.replace(
        ' 00000000aaaa',
        '00000000aaaa',
      ),
    ],
    true,
  ],
  [
    'units that are said to be unpriced',
    async () => {
      await spoil('events', event(usefulId), {
        $set: { up: [{ k: 'text', i: 5n, o: 0n, w: 'MODEL_UNKNOWN' }] },
      });
      await spoil('experiences', experience(), { $inc: { up: 1n } });
      await spoil('rollups', ofHour, { $inc: { up: 1n } });
      await spoil('rollups', ofDay, { $inc: { up: 1n } });
    },
    () => [`EVENT ${usefulId} unpriced_units: -, text 5/0, -`],
    true,
  ],
];

describe('what the events do not tell is named, and stays as it is:', () => {
  test.each(NOT_TOLD)('%s', async (_what, spoilIt, names, deep) => {
    await spoilIt();
    const expected = names().map((name) => `${name} NOT_REPAIRABLE`);
    expect(named(await verify({ deep: true }))).toEqual(expected);
    expect(named(await verify())).toEqual(deep ? [] : expected);
    const repaired = await repair();
    expect(named(repaired)).toEqual(expected);
    expect(repaired.summary).toMatchObject({ repairedCount: 0n, notRepairableCount: 1n });
    expect(await db.collection('repairs').countDocuments()).toBe(0);
    expect(named(await verify({ deep: true }))).toEqual(expected);
  });

  test('another cost than that of the units; the sums follow it, for events are the truth', async () => {
    await spoil('events', event(usefulId), { $inc: { ci: money('0.001') } });
    const own = `EVENT ${usefulId} cost.input: 0.00015, 0.00115, - NOT_REPAIRABLE`;
    expect(named(await verify({ deep: true }))).toContain(own);
    const { summary } = await repair();
    // Of its experience input, wasted or useful, and total; of hour and day input and useful; of the histogram its sum and buckets.
    expect(summary).toMatchObject({ differenceCount: 11n, repairedCount: 10n });
    expect(named(await verify({ deep: true }))).toEqual([own]);
    await expectBooks(mongo, service.options.databaseName);
  });

  test('an event of another type than its experience', async () => {
    await spoil('events', event(usefulId), { $set: { t: 'Chat', v: 2 } });
    const own = [
      `EVENT ${usefulId} experience_type: Summary, Chat, - NOT_REPAIRABLE`,
      `EVENT ${usefulId} experience_version: 1, 2, - NOT_REPAIRABLE`,
    ];
    expect(named(await verify())).toEqual(expect.arrayContaining(own));
    await repair();
    expect(named(await verify({ deep: true }))).toEqual(own);
  });

  test('events of an experience that is gone', async () => {
    await db.collection('experiences').deleteOne(experience());
    const own = [wastedId, usefulId, failedId].map(
      (id) => `EVENT ${id} experience_id: -, ${experienceId}, - NOT_REPAIRABLE`,
    );
    const found = named(await verify({ deep: true }));
    expect(found).toEqual(expect.arrayContaining(own));
    expect(
      found.filter((name) => !name.startsWith('EVENT')).every((name) => name.startsWith('HISTOGRAM')),
    ).toBe(true);
    await repair();
    expect(named(await verify({ deep: true })).sort()).toEqual(own.sort());
  });
});

describe('a part of the books', () => {
  test('of a type is checked alone', async () => {
    await spoil('experiences', experience(), { $inc: { n: 1n } });
    await spoil('rollups', ofHour, { $inc: { n: 1n } });
    await spoil('histograms', ofSummary, { $inc: { n: 1n } });
    expect(named(await verify({ experienceType: 'Chat', deep: true }))).toEqual([]);
    expect(await verify({ experienceType: 'Chat' })).toMatchObject({
      summary: { experienceCount: 1n, histogramCount: 1n },
    });
    expect(named(await verify({ experienceType: 'Summary' }))).toEqual([
      `EXPERIENCE ${experienceId} event_count: 3, 4, 1 REPAIRABLE`,
      'HOUR_ROLLUP Summary 2026-03-04T05:00:00.000Z event_count: 4, 5, 1 REPAIRABLE',
      'HISTOGRAM Summary experience_count: 2, 3, 1 REPAIRABLE',
    ]);
  });

  test('since a time is checked alone', async () => {
    await spoil('experiences', experience(), {
      $inc: { n: 1n },
      $set: { c: new Date('2026-03-03T00:00:00Z') },
    });
    await spoil('rollups', ofHour, { $inc: { n: 1n } });
    expect(named(await verify({ sinceTime: new Date('2026-03-05T00:00:00Z') }))).toEqual([]);
    const sinceThatDay = named(await verify({ sinceTime: new Date('2026-03-04T23:59:59Z') }));
    expect(sinceThatDay).toEqual([
      'HOUR_ROLLUP Summary 2026-03-04T05:00:00.000Z event_count: 4, 5, 1 REPAIRABLE',
    ]);
    expect(named(await verify({ sinceTime: new Date('2026-03-03T00:00:00Z') }))).toHaveLength(2);
  });
});

describe('repair', () => {
  /** Everything that is made of events, away or zero. */
  async function forget(): Promise<void> {
    await db.collection('rollups').deleteMany({});
    await db.collection('histograms').deleteMany({});
    await db.collection('events').updateMany({}, { $unset: { uo: '' } });
    const zero = money('0E-18');
    await db.collection('experiences').updateMany(
      {},
      {
        $unset: { ct: '', f: '', l: '' },
        $set: { n: 0n, ci: zero, co: zero, us: zero, ws: zero, up: 0n, un: {} },
      },
    );
  }

  test('makes all books of the events alone', async () => {
    const experiences = () => db.collection('experiences').find().sort({ _id: 1 }).toArray();
    const before = await experiences();
    await forget();
    const { summary } = await repair();
    expect(summary.repairedCount).toBe(summary.differenceCount);
    expect(await experiences()).toEqual(before);
    expect(named(await verify({ deep: true }))).toEqual([]);
    await expectBooks(mongo, service.options.databaseName);
  });

  test('marks the events of an experience with more operations than go into one transaction', async () => {
    const useful = await db.collection('events').findOne(event(usefulId));
    const { _id, ...rest } = useful ?? {};
    const rows = Array.from({ length: 2_300 }, (_, index) => ({
      ...{ ...rest, op: `operation ${index}`, uo: undefined, us: undefined },
      _id: { a: 'default', e: `event ${index}` } as never,
    }));
    await db.collection('events').insertMany(rows, { ignoreUndefined: true });
    const { differences, summary } = await repair();
    expect(differences.filter(({ figure }) => figure === 'useful')).toHaveLength(2_300);
    expect(summary.repairedCount).toBe(summary.differenceCount);
    expect(named(await verify({ deep: true }))).toEqual([]);
    await expectBooks(mongo, service.options.databaseName);
  });

  test('makes them while calls are recorded, experiences take types and are deleted', async () => {
    const load = startLoad(service);
    await load.count(30);
    await forget();
    await load.count(10); // On top of nothing: histograms are left that no experience was in.
    await repair();
    expect(named(await verify({ deep: true }))).toEqual([]);
    await load.count(10);
    expect(named(await verify({ deep: true }))).toEqual([]);
    await load.end();
    expect(named(await verify({ deep: true }))).toEqual([]);
    await expectBooks(mongo, service.options.databaseName);
  }, 90_000);

  test('sets nothing that has moved since it was read, but looks again', async () => {
    const store = new Store(service.options.mongodbUri, service.options.databaseName);
    onTestFinished(() => store.close());
    const lease = await SchemaLease.take(store, 'repair');
    if (lease === undefined) throw new Error('nobody else repairs');
    const mender = new BookMender(store, 'default', lease, { audited: true });
    const first = () => db.collection('experiences').findOne(experience(), { projection: { _id: 0, f: 1 } });
    const tooEarly = new Date('2026-03-04T04:00:00Z');
    await spoil('experiences', experience(), { $set: { f: tooEarly } });
    const scope = { application: 'default', type: undefined, since: undefined, deep: false };
    const key = { a: 'default', x: new UUID(experienceId) };
    const { wrong } = await inLongSnapshot(store, new AbortController().signal, (snapshot) =>
      checkExperiencesAgain(store, scope, [key], snapshot),
    );
    const earlier = new Date('2026-03-04T04:30:00Z');
    await service.client.usage.record({ ...call, experienceId, eventTime: earlier });
    expect(await mender.experiences(wrong)).toBe(false);
    expect(await first()).toEqual({ f: tooEarly });
    expect(await db.collection('repairs').countDocuments()).toBe(0);
    await lease.release();
    await repair();
    expect(await first()).toEqual({ f: earlier });
    expect(named(await verify())).toEqual([]);
  });

  test('writes nothing more once another one has taken over its lease', async () => {
    const store = new Store(service.options.mongodbUri, service.options.databaseName);
    onTestFinished(() => store.close());
    const lease = await SchemaLease.take(store, 'repair');
    if (lease === undefined) throw new Error('nobody else repairs');
    onTestFinished(async () => void (await db.collection('schema').deleteOne({ _id: 'repair' as never })));
    await spoil('rollups', ofHour, { $inc: { n: 1n } });
    await spoil('schema', { _id: 'repair' }, { $set: { owner: 'another' } });
    const scope = { application: 'default', type: undefined, since: undefined, deep: false };
    const mender = new BookMender(store, 'default', lease, { audited: true });
    const check = new BookCheck(store, scope, { mender, signal: new AbortController().signal });
    const all = async () => {
      for await (const _difference of check.differences());
    };
    await expect(all()).rejects.toMatchObject({ reason: 'REPAIR_RUNNING' });
    await lease.release();
    expect(named(await verify())).toHaveLength(1);
  });

  test('is refused while another one holds its lease, and possible when that one has died', async () => {
    const schema = db.collection<{ _id: string; owner: string; until: Date }>('schema');
    await schema.insertOne({ _id: 'repair', owner: 'another', until: new Date(Date.now() + 60_000) });
    onTestFinished(async () => void (await schema.deleteOne({ _id: 'repair' })));
    await expect(repair()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'REPAIR_RUNNING' });
    expect((await resultOf(service.client.admin.repair())).summary.differenceCount).toBe(0n);
    await schema.updateOne({ _id: 'repair' }, { $set: { until: new Date(Date.now() - 1) } });
    expect((await repair()).summary.differenceCount).toBe(0n);
    expect(await schema.countDocuments({ _id: 'repair' })).toBe(0);
  });
});

describe('while calls are recorded', () => {
  test('by two processes, experiences take types and are deleted: nothing is named that is not so', async () => {
    const other = await startTestService({ databaseName: service.options.databaseName });
    const loads = [startLoad(service), startLoad(other)];
    for (let round = 0; round < 4; round += 1) {
      await Promise.all(loads.map((load) => load.count(15)));
      expect(named(await verify({ deep: round % 2 === 0 }))).toEqual([]);
    }
    // And what is so is named, alone.
    await spoil('rollups', ofHour, { $inc: { n: 7n } });
    const [name, ...more] = named(await verify());
    expect(name).toMatch(
      /^HOUR_ROLLUP Summary 2026-03-04T05:00:00.000Z event_count: \d+, \d+, 7 REPAIRABLE$/,
    );
    expect(more).toEqual([]);
    await repair();
    expect(named(await verify({ deep: true }))).toEqual([]);
    await Promise.all(loads.map((load) => load.end()));
    await other.stop();
    await expectBooks(mongo, service.options.databaseName);
  }, 90_000);
});

describe('a check of many differences', () => {
  beforeEach(async () => {
    const zero = money('0E-18');
    const fields = { n: 1n, ci: zero, co: zero, us: zero, ws: zero, up: 0n };
    const rows = Array.from({ length: 10_050 }, (_, index) => {
      const _id = { a: 'default', g: 'h', t: 'Chat', v: 1, h: HOUR, p: 'nobody', m: `model ${index}`, l: 0 };
      return { _id, ...fields } as never;
    });
    await db.collection('rollups').insertMany(rows);
  });

  test('sends the first 10,000, and counts all', async () => {
    const { differences, summary } = await verify();
    expect(differences).toHaveLength(10_000);
    // Each of them also makes up a difference of its day, but that is of the hours only.
    expect(summary.differenceCount).toBe(10_050n);
  });

  test('waits for a caller that takes nothing, takes no other meanwhile, and ends when that caller goes', async () => {
    const slow = service.client.admin.verify();
    await slow.next();
    const busy = { code: 'RESOURCE_EXHAUSTED', reason: 'BOOK_CHECK_RUNNING', retryAfterMs: 10_000 };
    await expect(verify()).rejects.toMatchObject(busy);
    await expect(repair()).rejects.toMatchObject(busy);
    await slow.return();
    const after = await waitUntil('the process is free again', () => verify().catch(() => undefined));
    expect(after.summary.differenceCount).toBe(10_050n);
  });

  test('tells how far it is, about every second', async () => {
    const startedAt = performance.now();
    const told: object[] = [];
    for await (const message of service.client.admin.verify()) {
      // A caller that takes its time, so that the check takes more than a second.
      await waitUntil('a second has passed', () => performance.now() - startedAt > 1_200 || undefined);
      if ('progress' in message) told.push(message.progress);
    }
    expect(told.length).toBeGreaterThan(0);
    expect(told[0]).toMatchObject({ phase: 'ROLLUPS', experienceCount: 3n, hourCount: 0n });
  });
});

test('a repriced event costs what its price and its repricing say, each its part', async () => {
  const of = { provider: 'acme', model: 'large', effectiveTime: DAY };
  const units = { text: { input: 1_000 }, gold: { input: 10 } };
  const first = await service.client.prices.create({ ...of, rates: { text: { input: { base: '0.5' } } } });
  const [partly, later] = [newUuid(), newUuid()];
  const own = { ...AT, experienceId, provider: of.provider, units };
  await service.client.usage.record({ ...own, eventId: partly, model: of.model });
  await service.client.usage.record({ ...own, eventId: later, model: 'other' });
  // The whole request decides the tier: 1,000 of text, which are priced already.
  const gold = { input: { base: '1', tiers: [{ inputUnitsAbove: 500n, price: '2' }] } };
  const rates = { text: { input: { base: '0.7' } }, gold };
  const prices = [
    first,
    await service.client.prices.create({ ...of, rates }),
    await service.client.prices.create({ ...of, model: 'other', rates }),
  ];
  await reprice(partly);
  await reprice(later);
  // 500 and 20; 700 and 20; and what it cost before.
  expect((await service.client.costs.get(experienceId)).totals.cost.total).toBe('1240.00135');
  expect(named(await verify({ deep: true }))).toEqual([]);
  await spoil('events', event(partly), { $set: { 'hp.0.ci': money('19') } });
  expect(named(await verify({ deep: true }))).toEqual([
    `EVENT ${partly} repricings[0].cost.input: 20, 19, - NOT_REPAIRABLE`,
  ]);
  for (const { priceId } of prices.slice(1)) await service.client.prices.retire(priceId);
});

/** As the service will, when it has a call for it. */
async function reprice(eventId: string): Promise<void> {
  const { mongodbUri: uri, databaseName } = service.options;
  const applications = ['default'];
  const ledger = await Ledger.open({ uri, databaseName, catalogue: loadCatalogue(), applications });
  const repricingId = newUuid();
  const zero = money('0E-18');
  const _id = { a: 'default', i: new UUID(repricingId) } as never;
  await db.collection('repricings').insertOne({ _id, h: '', c: new Date(), n: 0n, ci: zero, co: zero });
  const entry = { application: 'default', eventId, experienceId: experienceId as Uuid };
  await ledger.writer.write(
    [{ kind: 'repricing', ...entry, repricingId, time: new Date() }],
    Date.now() + 10_000,
  );
  await ledger.close();
}

describe('on the command line', () => {
  async function experiences(...line: readonly string[]) {
    const written = { stdout: '', stderr: '' };
    const writer = (name: 'stdout' | 'stderr') => ({
      write: (text: string) => {
        written[name] += text;
      },
    });
    const code = await runCommandLine([...line, '--address', service.address], {
      environment: {},
      stdin: Readable.from([]),
      stdout: writer('stdout'),
      stderr: writer('stderr'),
      onInterrupt: () => () => undefined,
    });
    return { code, ...written };
  }

  const BALANCED =
    'Checked 3 experiences, 2 hours, 1 day, 2 histograms; 12 events read.\nThe books balance.\n';

  test('verify says that the books balance, and ends with 0', async () => {
    for (const options of [[], ['--deep'], ['--since', '2026-03-04']]) {
      expect(await experiences('verify', ...options)).toEqual({ code: 0, stdout: BALANCED, stderr: '' });
    }
    const { stdout } = await experiences('verify', '--type', 'Chat');
    expect(stdout).toBe(
      'Checked 1 experience, 2 hours, 1 day, 1 histogram; 2 events read.\nThe books balance.\n',
    );
  });

  test('verify shows what differs and ends with 1; repair shows what it would do, does it, and notes it', async () => {
    await spoil('experiences', experience(), { $inc: { ci: money('0.000001') } });
    await spoil('rollups', ofHour, { $inc: { n: 2n } });
    const table = (repair: string, hour: string) => {
      const what = `hour 2026-03-04 05:00:00 UTC, Summary v1, openai gpt-4o-mini`;
      return [
        new RegExp(`^experience ${experienceId} +cost.input +0.00045 +0.000451 +0.000001 +${repair}$`, 'm'),
        new RegExp(`^${what} +event_count +4 +6 +2 +${hour}$`, 'm'),
      ];
    };
    const verified = await experiences('verify');
    for (const line of table('can be mended', 'can be mended')) expect(verified.stdout).toMatch(line);
    expect(verified.stdout).toContain('2 differences, 0 repaired, 0 not repairable.\n');
    expect(verified).toMatchObject({
      code: 1,
      stderr:
        'error: The books differ in 2 figures.\n  `experiences repair --dry-run` shows what can be mended.\n',
    });
    const tried = await experiences('repair', '--dry-run');
    for (const line of table('can be mended', 'can be mended')) expect(tried.stdout).toMatch(line);
    expect(tried).toMatchObject({
      code: 1,
      stderr:
        'error: The books differ in 2 figures.\n  `experiences repair --apply` mends what can be mended.\n',
    });
    const repaired = await experiences('repair', '--apply');
    for (const line of table('mended', 'mended')) expect(repaired.stdout).toMatch(line);
    expect(repaired).toMatchObject({ code: 0, stderr: '' });
    expect(await experiences('verify')).toEqual({ code: 0, stdout: BALANCED, stderr: '' });
    const notes = await db
      .collection('repairs')
      .find({}, { projection: { _id: 0, c: 0 } })
      .sort({ w: 1 })
      .toArray();
    expect(notes).toEqual([
      {
        w: 'experience',
        k: { a: 'default', x: new UUID(experienceId) },
        g: [{ f: 'ci', e: '0.00045', w: '0.000451' }],
      },
      {
        w: 'rollup',
        k: { a: 'default', g: 'h', t: 'Summary', v: 1, h: HOUR, p: 'openai', m: 'gpt-4o-mini' },
        g: [{ f: 'n', e: '4', w: '6' }],
      },
    ]);
  });

  test('progress says in one line what is checked, how far that is, and what was found', () => {
    const progress = {
      phase: 'ROLLUPS',
      experienceCount: 40_000n,
      experienceCountEstimate: 40_001n,
    } as const;
    const counts = { eventCount: 250_000n, eventCountEstimate: 400_000n, hourCount: 1n };
    expect(bookProgressText({ ...progress, ...counts, differenceCount: 0n })).toBe(
      'checking rollups, 40,000 of about 40,001 experiences, 250,000 of about 400,000 events to read, 1 hour',
    );
    expect(bookProgressText({ ...progress, ...counts, differenceCount: 2n })).toMatch(
      /, 1 hour, 2 differences$/,
    );
  });

  test('prints one JSON document for programs', async () => {
    await spoil('experiences', experience(), { $inc: { ci: money('0.000001') } });
    const { code, stdout } = await experiences('verify', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      differences: [
        {
          subject: 'EXPERIENCE',
          experienceId,
          figure: 'cost.input',
          expected: '0.00045',
          found: '0.000451',
          difference: '0.000001',
          state: 'REPAIRABLE',
        },
      ],
      summary: {
        ...{ experienceCount: 3, eventCount: 12, hourCount: 2, dayCount: 1, histogramCount: 2 },
        ...{ differenceCount: 1, repairedCount: 0, notRepairableCount: 0 },
        ...{ limitCount: 0, reservationCount: 0 },
      },
    });
  });

  test.each<[line: readonly string[], says: string]>([
    [['repair'], 'A repair needs --dry-run or --apply.'],
    [['repair', '--apply', '--dry-run'], "option '--dry-run' cannot be used with option '--apply'"],
    [['verify', '--since', 'yesterday'], 'It must be a time such as 2026-01-31T12:00:00Z'],
  ])('%j is bad usage', async (line, says) => {
    const { code, stderr } = await experiences(...line);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
  });

  test('a type that is no name is refused', async () => {
    const { code, stderr } = await experiences('verify', '--type', 'not a name');
    expect([code, stderr]).toEqual([1, expect.stringContaining('experience_type: must be')]);
  });
});

/** Callers that record to few experiences, into few hours, until they are told to end. */
function startLoad({ client }: TestService) {
  let isOver = false;
  let done = 0;
  const shared = Array.from({ length: 4 }, () => newUuid());
  const loops = Array.from({ length: 8 }, async (_, caller) => {
    for (let step = 0; !isOver; step += 1) {
      const experienceId = step % 5 === 0 ? newUuid() : (shared[(caller + step) % shared.length] ?? '');
      const eventTime = new Date(HOUR.getTime() + ((step * 7) % 180) * 60_000);
      const record = { ...call, experienceId, eventTime, operationKey: `${step % 3}` };
      const { experienceType, ...untyped } = { ...record, experienceType: 'Summary' };
      if (step % 7 === 0) await client.usage.record({ ...call, eventTime, operationKey: `${step % 3}` });
      await client.usage.record(step % 5 === 0 ? untyped : { ...untyped, experienceType });
      if (step % 10 === 0) await client.usage.record({ ...untyped, experienceType: 'Chat' });
      if (step % 15 === 0) await client.experiences.delete(experienceId);
      done += 1;
    }
  });
  return {
    /** Waits for so many more steps. */
    async count(steps: number): Promise<void> {
      const until = done + steps;
      await waitUntil(`${steps} more steps`, () => (done >= until ? true : undefined));
    },
    async end(): Promise<void> {
      isOver = true;
      await Promise.all(loops);
    },
  };
}
