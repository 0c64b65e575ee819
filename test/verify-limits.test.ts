import { type Db, Decimal128, MongoClient, UUID } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFinished, test } from 'vitest';
import { differencesTable, summaryText } from '../services/cli/book-text.js';
import { ExperiencesError } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { BookMender } from '../services/ledger/book-mender.js';
import { checkReservations } from '../services/ledger/check-reservations.js';
import { inLongSnapshot } from '../services/ledger/long-snapshot.js';
import { SchemaLease } from '../services/ledger/schema-lease.js';
import { Store } from '../services/ledger/store.js';
import { type CheckResult, resultOf } from './support/book-check.js';
import { expectBooks } from './support/books.js';
import { startTestService, type TestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';

/**
 * Verify and repair of what reservations hold and limits are charged, against books that somebody has spoiled by hand, with
 * the driver alone. A call costs 0.00045, an estimate in units 0.0045.
 */
const MODEL = { provider: 'openai', model: 'gpt-4o-mini' };
const call = { ...MODEL, units: { text: { input: 1_000, output: 500 } } };
const estimate = { maxInputTokens: 10_000, maxOutputTokens: 5_000 };

let service: TestService;
let db: Db;
/** Of a type whose experiences own a blocking limit. */
let x: string;
/** A shared limit that allows, in its second period. */
let watch: string;
/** A shared limit that blocks, of at most 1. */
let cap: string;
let [open, settled, swept, given, released, freeOpen, free, later] = ['', '', '', '', '', '', '', ''];
const mongo = new MongoClient(inject('mongodbUri'));

beforeAll(async () => {
  service = await startTestService();
  db = mongo.db(service.options.databaseName, { useBigInt64: true });
  const limitConfig = { type: 'BLOCK', maxCost: '1000' } as const;
  await service.client.types.create({ name: 'Capped', description: 'Capped', limitConfig });
});
afterAll(async () => {
  await service.stop();
  await mongo.close();
});

/** Each test spoils books of its own, which hold the same. */
beforeEach(async () => {
  const books = [
    'events',
    'experiences',
    'rollups',
    'histograms',
    'repairs',
    'reservations',
    'limits',
    'limit_sums',
  ];
  for (const name of books) await db.collection(name).deleteMany({});
  const { usage, limits, admin } = service.client;
  x = newUuid();
  [open, settled, swept, given] = [newUuid(), newUuid(), newUuid(), newUuid()];
  [released, freeOpen, free, later] = [newUuid(), newUuid(), newUuid(), newUuid()];
  const of = { ...MODEL, experienceId: x, experienceType: 'Capped' };
  watch = (await limits.create({ name: 'watch', maxCost: '100', type: 'ALLOW' })).limit.limitId;
  cap = (await limits.create({ name: 'cap', maxCost: '1', type: 'BLOCK' })).limit.limitId;
  await usage.reserve({ ...of, eventId: settled, limitIds: [watch], estimate });
  await usage.record({ ...call, eventId: settled });
  await usage.reserve({ ...of, eventId: swept, limitIds: [watch], estimate });
  await usage.reserve({ ...of, eventId: given, limitIds: [cap], estimate: { cost: '0.125' } });
  await expire(swept, given);
  expect(await admin.sweepReservations()).toMatchObject({ unsettledCount: 2 });
  await usage.reserve({ ...of, eventId: released, limitIds: [watch], estimate });
  await usage.release(released);
  await usage.release(newUuid());
  await usage.reserve({ ...of, eventId: open, limitIds: [watch], estimate: { cost: '0.5' } });
  await usage.reserve({ ...MODEL, eventId: freeOpen, limitIds: [cap], estimate: { cost: '0.25' } });
  await usage.record({ ...call, eventId: free, limitIds: [cap] });
  await limits.reset(watch);
  await usage.record({ ...call, eventId: later, experienceId: x, limitIds: [watch] });
});

const verify = (options: Parameters<TestService['client']['admin']['verify']>[0] = {}) =>
  resultOf(service.client.admin.verify(options));
const repair = () => resultOf(service.client.admin.repair({ apply: true }));

/** `figure: expected, found, difference`, after what it is of. */
function named({ differences }: CheckResult): string[] {
  return differences.map((each) => {
    const { subject, figure, expected, found, difference, state } = each;
    const of =
      subject === 'LIMIT' ? `${each.limitId} ${each.limitPeriod}` : (each.eventId ?? each.experienceId ?? '');
    return `${subject} ${of} ${figure}: ${expected || '-'}, ${found || '-'}, ${difference || '-'} ${state}`;
  });
}

const money = (text: string) => Decimal128.fromString(text);
const byId = (id: string) => ({ _id: { a: 'default', e: new UUID(id) } }) as object;
const ofX = () => ({ _id: { a: 'default', x: new UUID(x) } }) as object;
const sum = (limit: string, p: number, l?: number) =>
  ({ '_id.i': new UUID(limit), '_id.p': p, ...(l === undefined ? {} : { '_id.l': l }) }) as object;
const sumKey = (limit: string, p: number, l: number) => ({ a: 'default', i: new UUID(limit), p, l }) as never;

async function spoil(collection: string, filter: object, update: object): Promise<void> {
  expect((await db.collection(collection).updateOne(filter, update)).modifiedCount).toBe(1);
}

/** As if their time were over, so that no test waits for it. */
async function expire(...ids: readonly string[]): Promise<void> {
  const past = { $set: { u: new Date(Date.now() - 1) } };
  for (const id of ids) await spoil('reservations', byId(id), past);
}

describe('verify', () => {
  test.each([{}, { deep: true }, { experienceType: 'Capped' }, { sinceTime: new Date(0), deep: true }])(
    'finds nothing in books that nobody spoiled (%o)',
    async (options) => {
      const { differences, summary } = await verify(options);
      expect(differences).toEqual([]);
      expect(summary.differenceCount).toBe(0n);
      await expectBooks(mongo, service.options.databaseName);
    },
  );

  test('says what it has checked', async () => {
    // Four events of the experience, five of the hour, and of the limits' page all five.
    expect((await verify({ deep: true })).summary).toMatchObject({
      ...{ experienceCount: 1n, eventCount: 14n, limitCount: 3n },
      ...{ reservationCount: 7n, differenceCount: 0n },
    });
    // Of a part no limits and no reservations.
    expect((await verify({ deep: true, experienceType: 'Capped' })).summary).toMatchObject({
      ...{ limitCount: 0n, reservationCount: 0n },
    });
  });
});

type Spoiled = [
  what: string,
  spoil: () => Promise<unknown>,
  names: () => readonly string[],
  deep?: 'deep' | undefined,
];

/** What is done by hand, and exactly what is named for it; `deep`: only by looking at reservations one by one. */
const SPOILED: readonly Spoiled[] = [
  [
    'what an experience holds',
    () => spoil('experiences', ofX(), { $inc: { ho: money('1.5'), hn: -1n } }),
    () => [`EXPERIENCE ${x} held_cost: 0.5, 2, 1.5`, `EXPERIENCE ${x} open_reservation_count: 1, 0, -1`],
  ],
  [
    'what an experience holds, gone',
    () => spoil('experiences', ofX(), { $unset: { ho: '', hn: '' } }),
    () => [`EXPERIENCE ${x} held_cost: 0.5, 0, -0.5`, `EXPERIENCE ${x} open_reservation_count: 1, 0, -1`],
  ],
  [
    'what an experience holds, no figure',
    () => spoil('experiences', ofX(), { $set: { ho: money('NaN'), hn: 'one' } }),
    () => [
      `EXPERIENCE ${x} held_cost: 0.5, NaN (unreadable), -`,
      `EXPERIENCE ${x} open_reservation_count: 1, one (unreadable), -`,
    ],
  ],
  [
    'what of an experience is an estimate',
    () => spoil('experiences', ofX(), { $inc: { uc: money('-0.1'), uq: 2n } }),
    () => [
      `EXPERIENCE ${x} unsettled_cost: 0.1295, 0.0295, -0.1`,
      `EXPERIENCE ${x} unsettled_event_count: 2, 4, 2`,
    ],
  ],
  [
    'what a blocking limit is charged',
    () => spoil('limit_sums', sum(cap, 1, 0), { $inc: { sp: money('-0.1'), un: money('0.2'), n: 3n } }),
    () => [
      `LIMIT ${cap} 1 event_count: 2, 5, 3`,
      `LIMIT ${cap} 1 spent_cost: 0.12545, 0.02545, -0.1`,
      `LIMIT ${cap} 1 unsettled_cost: 0.125, 0.325, 0.2`,
    ],
  ],
  [
    'what is held of an own limit',
    () => spoil('limit_sums', sum(x, 1, 0), { $inc: { ho: money('7') } }),
    () => [`LIMIT ${x} 1 held_cost: 0.5, 7.5, 7`],
  ],
  [
    'a period of an allowing limit, gone',
    () => db.collection('limit_sums').deleteMany(sum(watch, 1)),
    () => [
      `LIMIT ${watch} 1 event_count: 2, 0, -2`,
      `LIMIT ${watch} 1 spent_cost: 0.00495, 0, -0.00495`,
      `LIMIT ${watch} 1 spent_input_cost: 0.00165, 0, -0.00165`,
      `LIMIT ${watch} 1 held_cost: 0.5, 0, -0.5`,
      `LIMIT ${watch} 1 unsettled_cost: 0.0045, 0, -0.0045`,
    ],
  ],
  [
    'charges that went to the wrong period',
    async () => {
      await db.collection('limit_sums').updateOne(sum(watch, 1), { $inc: { sp: money('-0.00045'), n: -1n } });
      await db.collection('limit_sums').updateOne(sum(watch, 2), { $inc: { sp: money('0.00045'), n: 1n } });
    },
    () => [
      `LIMIT ${watch} 1 event_count: 2, 1, -1`,
      `LIMIT ${watch} 1 spent_cost: 0.00495, 0.0045, -0.00045`,
      `LIMIT ${watch} 2 event_count: 1, 2, 1`,
      `LIMIT ${watch} 2 spent_cost: 0.00045, 0.0009, 0.00045`,
    ],
  ],
  [
    'a period that nothing was charged in',
    () => db.collection('limit_sums').insertOne({ _id: sumKey(watch, 7, 3), n: 4n, sp: money('0.1') }),
    () => [`LIMIT ${watch} 7 event_count: 0, 4, 4`, `LIMIT ${watch} 7 spent_cost: 0, 0.1, 0.1`],
  ],
  [
    'a sum of an allowing limit that is no figure, beside a count of refusals',
    () => db.collection('limit_sums').updateOne(sum(watch, 2), { $set: { sp: 'much', nx: 5n } }),
    () => [`LIMIT ${watch} 2 spent_cost: 0.00045, much (unreadable), -`],
  ],
  [
    'a sum of a blocking limit that is no figure',
    () => spoil('limit_sums', sum(cap, 1, 0), { $set: { ho: money('NaN') } }),
    () => [`LIMIT ${cap} 1 held_cost: 0.25, NaN (unreadable), -`],
  ],
  [
    'charges of a blocking limit where no decision looks',
    async () => {
      await spoil('limit_sums', sum(cap, 1, 0), { $inc: { sp: money('-0.1') } });
      await db.collection('limit_sums').insertOne({ _id: sumKey(cap, 1, 3), sp: money('0.1'), nb: 2n });
    },
    () => [
      `LIMIT ${cap} 1 spent_cost: 0.12545, 0.02545, -0.1`,
      `LIMIT ${cap} 1 elsewhere.spent_cost: 0, 0.1, 0.1`,
    ],
  ],
  [
    'charges of an allowing limit where lists do not look',
    () => db.collection('limit_sums').insertOne({ _id: sumKey(watch, 2, 0), ho: money('0.1') }),
    () => [`LIMIT ${watch} 2 elsewhere.held_cost: 0, 0.1, 0.1`],
  ],
  [
    'a reservation that is open though its call is recorded',
    () => spoil('reservations', byId(settled), { $set: { s: 'o' } }),
    () => [`RESERVATION ${settled} state: SETTLED, OPEN, -`],
    'deep',
  ],
  [
    'reservations that are not in the state of their events',
    async () => {
      await spoil('reservations', byId(swept), { $set: { s: 's' } });
      await spoil('reservations', byId(settled), { $set: { s: 'r' } });
    },
    () => [
      `RESERVATION ${swept} state: UNSETTLED, SETTLED, -`,
      `RESERVATION ${settled} state: SETTLED, RELEASED, -`,
    ],
    'deep',
  ],
];

describe('spoiled by hand is named exactly, mended, and noted:', () => {
  test.each<Spoiled>([...SPOILED])('%s', async (_what, spoilIt, names, deep) => {
    await spoilIt();
    const expected = [...names()].sort();
    const repairable = expected.map((name) => `${name} REPAIRABLE`);
    expect(named(await verify({ deep: true })).sort()).toEqual(repairable);
    if (deep === undefined) expect(named(await verify()).sort()).toEqual(repairable);
    expect(named(await resultOf(service.client.admin.repair())).sort()).toEqual(repairable);
    expect(await db.collection('repairs').countDocuments()).toBe(0);
    expect(named(await repair()).sort()).toEqual(expected.map((name) => `${name} REPAIRED`));
    expect(named(await verify({ deep: true }))).toEqual([]);
    await expectBooks(mongo, service.options.databaseName);
    const subjects = new Set(
      expected.map((name) =>
        name
          .split(' ')
          .slice(0, name.startsWith('LIMIT') ? 3 : 2)
          .join(' '),
      ),
    );
    expect(await db.collection('repairs').countDocuments()).toBe(subjects.size);
    // Counts of refusals stay.
    const counts = await db.collection('limit_sums').findOne({ $or: [{ nb: 2n }, { nx: 5n }] } as object);
    expect(counts !== null).toBe(/refusals|no decision looks/.test(_what));
  });

  test('what is charged to limits of two pages counts once at each', async () => {
    // A page has 500: one of the three is in the first.
    const ids = Array.from(
      { length: 499 },
      (_, index) => `00000000-0000-7000-8000-${`${index}`.padStart(12, '0')}`,
    );
    const rows = ids.map((id) => ({ _id: { a: 'default', i: new UUID(id) }, ty: 'a' }));
    await db.collection<{ _id: object; ty: string }>('limits').insertMany(rows);
    await spoil('limit_sums', sum(x, 1, 0), { $inc: { n: 1n } });
    await spoil('limit_sums', sum(cap, 1, 0), { $inc: { n: 1n } });
    const { summary, differences } = await verify();
    expect([summary.limitCount, differences.map(({ limitId }) => limitId).sort()]).toEqual([
      502n,
      [x, cap].sort(),
    ]);
    await repair();
    expect(named(await verify({ deep: true }))).toEqual([]);
  });

  test('a reservation of a type alone is checked with its experience', async () => {
    await spoil('experiences', ofX(), { $inc: { hn: 1n } });
    expect(named(await verify({ experienceType: 'Capped' }))).toEqual([
      `EXPERIENCE ${x} open_reservation_count: 1, 2, 1 REPAIRABLE`,
    ]);
  });

  test('a blocking limit decides by what was mended', async () => {
    // 0.12545 spent and 0.25 held of 1: 0.7 would exceed it.
    const wanted = () => ({ ...MODEL, eventId: newUuid(), limitIds: [cap], estimate: { cost: '0.7' } });
    await expect(service.client.usage.reserve(wanted())).rejects.toMatchObject({ reason: 'LIMIT_REACHED' });
    await spoil('limit_sums', sum(cap, 1, 0), { $inc: { sp: money('-0.1') } });
    const { reservation } = await service.client.usage.reserve(wanted());
    await service.client.usage.release(reservation.eventId);
    await repair();
    await expect(service.client.usage.reserve(wanted())).rejects.toMatchObject({ reason: 'LIMIT_REACHED' });
    const { pastPeriods, limit } = await service.client.limits.get(cap);
    expect([limit.period.spentCost, pastPeriods]).toEqual(['0.12545', []]);
  });

  test('it is said to people', async () => {
    await spoil('limit_sums', sum(cap, 1, 0), { $inc: { n: 3n } });
    await spoil('reservations', byId(swept), { $set: { s: 's' } });
    const { differences, summary } = await verify({ deep: true });
    const table = differencesTable(differences);
    expect(table).toMatch(
      new RegExp(`^reservation ${swept} +state +UNSETTLED +SETTLED +can be mended$`, 'm'),
    );
    expect(table).toMatch(new RegExp(`^limit ${cap}, period 1 +event_count +2 +5 +3 +can be mended$`, 'm'));
    expect(summaryText(summary, 2)[0]).toMatch(/1 histogram, 3 limits, 7 reservations; 14 events read\.$/);
  });
});

/** What is done by hand, what is named that no repair mends, and is named still after all else was mended. */
const NOT_TOLD: readonly (readonly [
  what: string,
  spoil: () => Promise<unknown>,
  names: () => readonly string[],
])[] = [
  [
    'a reservation, gone',
    () => db.collection('reservations').deleteOne(byId(settled)),
    () => [`EVENT ${settled} reservation: present, absent, -`],
  ],
  [
    'the event of a settled reservation, gone',
    () => db.collection('events').deleteOne(byId(settled)),
    () => [`RESERVATION ${settled} event: present, absent, -`],
  ],
  [
    'an event that is charged in another period than its reservation',
    () => spoil('events', byId(settled), { $set: { 'li.1.p': 2 } }),
    () => [`EVENT ${settled} charges: ${charges([x, 1], [watch, 1])}, ${charges([x, 1], [watch, 2])}, -`],
  ],
  [
    'an estimate that was given as a cost, and became another',
    () => spoil('events', byId(given), { $set: { co: money('0.126') } }),
    () => [`EVENT ${given} cost.output: 0.125, 0.126, -`],
  ],
  [
    'charges that are none',
    () => spoil('events', byId(later), { $set: { li: 'all' } }),
    () => [`EVENT ${later} charges: -, all (unreadable), -`],
  ],
  [
    'a settlement that is none',
    () => spoil('events', byId(free), { $set: { se: 'x' } }),
    () => [`EVENT ${free} settlement: -, x (unreadable), -`],
  ],
  [
    'an estimate that cannot be read',
    () => spoil('reservations', byId(freeOpen), { $set: { eo: 1.5 } }),
    () => [`RESERVATION ${freeOpen} estimated_cost: -, 1.5 (unreadable), -`],
  ],
  [
    'a limit, gone',
    () => db.collection('limits').deleteOne({ '_id.i': new UUID(cap) } as object),
    () => [
      `EVENT ${given} charges: -, ${cap}, -`,
      `EVENT ${free} charges: -, ${cap}, -`,
      `RESERVATION ${freeOpen} charges: -, ${cap}, -`,
    ],
  ],
];

describe('what the events do not tell is named, and stays as it is:', () => {
  test.each(NOT_TOLD)('%s', async (_what, spoilIt, names) => {
    await spoilIt();
    const expected = names()
      .map((name) => `${name} NOT_REPAIRABLE`)
      .sort();
    const isLasting = (name: string) => name.endsWith('NOT_REPAIRABLE');
    expect(
      named(await verify({ deep: true }))
        .filter(isLasting)
        .sort(),
    ).toEqual(expected);
    const repaired = await repair();
    expect(named(repaired).filter(isLasting).sort()).toEqual(expected);
    expect(repaired.summary.repairedCount).toBe(repaired.summary.differenceCount - BigInt(expected.length));
    expect(named(await verify({ deep: true })).sort()).toEqual(expected);
  });

  test('reservations of an experience that is gone', async () => {
    await db.collection('experiences').deleteOne(ofX());
    expect(named(await verify({ deep: true }))).toContain(
      `RESERVATION ${open} experience_id: -, ${x}, - NOT_REPAIRABLE`,
    );
  });
});

describe('repair', () => {
  async function mender() {
    const store = new Store(service.options.mongodbUri, service.options.databaseName);
    onTestFinished(() => store.close());
    const lease = await SchemaLease.take(store, 'repair');
    if (lease === undefined) throw new Error('nobody else repairs');
    onTestFinished(() => lease.release());
    return { store, mender: new BookMender(store, 'default', lease, { audited: true }) };
  }

  test('leaves a reservation whose event has moved since it was read', async () => {
    await spoil('reservations', byId(swept), { $set: { s: 's' } });
    const { store, mender: by } = await mender();
    const { wrong } = await inLongSnapshot(store, new AbortController().signal, (snapshot) =>
      checkReservations(store, 'default', undefined, snapshot),
    );
    expect(wrong).toHaveLength(1);
    await service.client.usage.record({ ...call, eventId: swept });
    expect(await by.reservations(wrong)).toBe(false);
    expect(await db.collection('reservations').findOne(byId(swept))).toMatchObject({ s: 's' });
    expect(named(await verify({ deep: true }))).toEqual([]);
  });
});

describe('while two processes reserve, settle, release, sweep and reset', () => {
  test('nothing is named that is not so, and what is so is mended meanwhile', async () => {
    const other = await startTestService({ databaseName: service.options.databaseName });
    const loads = [startLoad(service), startLoad(other)];
    for (let round = 0; round < 4; round += 1) {
      await Promise.all(loads.map((load) => load.count(10)));
      expect(named(await verify({ deep: round % 2 === 0 }))).toEqual([]);
    }
    await spoil('limit_sums', sum(cap, 1, 0), { $inc: { ho: money('0.7'), n: 7n } });
    await db.collection('limit_sums').insertOne({ _id: sumKey(watch, 1, 30), sp: money('0.7') });
    await spoil('experiences', ofX(), { $inc: { ho: money('-0.7'), hn: 7n } });
    await spoil('experiences', ofX(), { $inc: { uc: money('-0.7') } });
    const found = named(await repair());
    expect(found.filter((name) => name.endsWith(' REPAIRED'))).toEqual(found);
    expect(found.map((name) => name.replace(/: .*/, '')).sort()).toEqual(
      [
        ...[
          `EXPERIENCE ${x} held_cost`,
          `EXPERIENCE ${x} open_reservation_count`,
          `EXPERIENCE ${x} unsettled_cost`,
        ],
        ...[`LIMIT ${cap} 1 event_count`, `LIMIT ${cap} 1 held_cost`, `LIMIT ${watch} 1 spent_cost`],
      ].sort(),
    );
    await Promise.all(loads.map((load) => load.count(5)));
    expect(named(await verify({ deep: true }))).toEqual([]);
    await Promise.all(loads.map((load) => load.end()));
    await other.stop();
    await expectBooks(mongo, service.options.databaseName);
  }, 90_000);
});

/** `id period` of each, in the order of their texts. */
function charges(...of: readonly (readonly [limit: string, period: number])[]): string {
  return of
    .map(([limit, period]) => `${limit} ${period}`)
    .sort()
    .join(', ');
}

/** Callers that reserve at the same limits and experience, until they are told to end. */
function startLoad({ client }: TestService) {
  let isOver = false;
  let done = 0;
  const loops = Array.from({ length: 6 }, async (_, caller) => {
    for (let step = caller; !isOver; step += 1) {
      const eventId = newUuid();
      const limitIds = step % 2 === 0 ? [watch] : [watch, cap];
      const of = { ...MODEL, eventId, limitIds, ...(step % 3 === 0 ? {} : { experienceId: x }) };
      await client.usage.reserve({ ...of, estimate: { cost: '0.0001' } }).catch(ignoreReached);
      if (step % 4 === 0) await client.usage.release(eventId);
      if (step % 4 === 1)
        await client.usage.record({ ...call, ...of, units: { text: { input: 3, output: 1 } } });
      if (step % 4 === 2) {
        await db.collection('reservations').updateOne(byId(eventId), { $set: { u: new Date(0) } });
        await client.admin.sweepReservations();
        if (step % 8 === 2)
          await client.usage.record({ ...call, eventId, units: { text: { input: 3, output: 1 } } });
      }
      if (step % 16 === 5) await client.limits.reset(watch);
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

function ignoreReached(error: unknown): void {
  if (!(error instanceof ExperiencesError) || error.reason !== 'LIMIT_REACHED') throw error;
}
