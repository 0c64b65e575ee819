import { randomUUID } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { formatMoney } from '../services/domain/money.js';
import { newUuid } from '../services/domain/new-uuid.js';
import type { Entry, Outcome } from '../services/ledger/entry.js';
import { Ledger } from '../services/ledger/ledger.js';
import { loadCatalogue } from '../services/pricing/catalogue.js';
import { expectBooks } from './support/books.js';
import { eventEntry, experienceEntry } from './support/entries.js';

const databaseName = `test_${randomUUID().slice(0, 8)}`;
const client = new MongoClient(inject('mongodbUri'));
let ledger: Ledger;

beforeAll(async () => {
  ledger = await Ledger.open({
    uri: inject('mongodbUri'),
    databaseName,
    catalogue: loadCatalogue(),
    applications: ['default', 'other'],
  });
  await createType('Summary');
  await createType('Chat');
  await createType('Gone');
  await createType('Elsewhere', 'other');
  await ledger.types.delete('default', 'Gone', undefined, soon());
});
afterAll(async () => {
  await expectBooks(client, databaseName);
  await ledger.close();
  await client.close();
});

describe('the outcomes of a batch', () => {
  test('come in the order of its entries, whatever became of them', async () => {
    const [experienceId, eventId] = [newUuid(), newUuid()];
    const batch = [
      eventEntry({ experienceType: 'Nowhere' }),
      experienceEntry({ type: 'Summary', experienceId }),
      eventEntry({ eventId, experienceId }),
      eventEntry({ experienceType: 'Chat', experienceVersion: 9 }),
      eventEntry({ eventId, experienceId }),
      eventEntry(),
      experienceEntry({ type: 'Chat', experienceId }),
      eventEntry({ eventId, experienceId, model: 'gpt-4o' }),
      experienceEntry({ type: 'Summary', experienceId }),
    ];
    expect(brief(await write(batch))).toEqual([
      'EXPERIENCE_TYPE_NOT_FOUND',
      'created',
      'recorded useful 0.00045',
      'EXPERIENCE_TYPE_VERSION_NOT_FOUND',
      'duplicate useful 0.00045',
      'recorded useful 0.00045',
      'EXPERIENCE_ALREADY_EXISTS',
      'EVENT_ID_CONFLICT',
      'existed',
    ]);
    expect(await totalsOf(experienceId)).toEqual(['1 event', '0.00045 useful', '0 wasted']);
  });

  test('are none for an empty batch', async () => {
    expect(await write([])).toEqual([]);
  });

  test('are the first ones when the same batch is sent again', async () => {
    const experienceId = newUuid();
    const batch = [
      experienceEntry({ type: 'Summary', experienceId }),
      eventEntry({ experienceId }),
      eventEntry({ experienceType: 'Summary' }),
      eventEntry({ experienceId: 'no UUID', experienceType: 'Summary' }),
      eventEntry({ experienceId: newUuid() }),
    ];
    const first = await write(batch);
    const second = await write(batch);
    expect(brief(second)).toEqual(['existed', ...Array(4).fill('duplicate useful 0.00045')]);
    expect(eventsOf(second)).toEqual(eventsOf(first));
  });
});

describe('one bad entry sinks only itself:', () => {
  test.each<[what: string, bad: () => Promise<Entry> | Entry, reason: string]>([
    ['an unknown type', () => eventEntry({ experienceType: 'Nowhere' }), 'EXPERIENCE_TYPE_NOT_FOUND'],
    ['a deleted type', () => eventEntry({ experienceType: 'Gone' }), 'EXPERIENCE_TYPE_NOT_FOUND'],
    [
      'the type of another application',
      () => eventEntry({ experienceType: 'Elsewhere' }),
      'EXPERIENCE_TYPE_NOT_FOUND',
    ],
    [
      'a version that is not yet',
      () => eventEntry({ experienceType: 'Summary', experienceVersion: 2 }),
      'EXPERIENCE_TYPE_VERSION_NOT_FOUND',
    ],
    [
      'an event of more than a million',
      () =>
        eventEntry({
          experienceType: 'Summary',
          units: { text: [1e12, 1e12], audio: [1e12, 1e12] },
          model: 'o1-pro',
        }),
      'INVALID_FIELDS',
    ],
    [
      'a deleted experience',
      async () => eventEntry({ experienceId: await deletedExperience() }),
      'EXPERIENCE_NOT_FOUND',
    ],
    [
      'the creation of a deleted experience',
      async () => experienceEntry({ type: 'Summary', experienceId: await deletedExperience() }),
      'EXPERIENCE_NOT_FOUND',
    ],
  ])('%s', async (_what, bad, reason) => {
    const experienceId = newUuid();
    const outcomes = await write([
      eventEntry({ experienceId, experienceType: 'Summary' }),
      await bad(),
      eventEntry({ experienceId }),
    ]);
    expect(brief(outcomes)).toEqual(['recorded useful 0.00045', reason, 'recorded useful 0.00045']);
    expect(await totalsOf(experienceId)).toEqual(['2 events', '0.0009 useful', '0 wasted']);
  });

  test('the type of an untyped experience does not change by an event that is refused', async () => {
    const experienceId = newUuid();
    await write([eventEntry({ experienceId })]);
    const tooDear = { units: { text: [1e12, 1e12] }, model: 'o1-pro' } as const;
    const outcomes = await write([eventEntry({ experienceId, experienceType: 'Summary', ...tooDear })]);
    expect(brief(outcomes)).toEqual(['INVALID_FIELDS']);
    expect(await ledger.experiences.get('default', experienceId, false, soon())).toMatchObject({
      type: '',
      version: 0,
    });
  });
});

describe('the entries before an entry count as done:', () => {
  test('an experience and its events come in one batch', async () => {
    const experienceId = newUuid();
    const outcomes = await write([
      experienceEntry({ type: 'Summary', experienceId }),
      eventEntry({ experienceId }),
      eventEntry({ experienceId, experienceType: 'Summary', experienceVersion: 1 }),
    ]);
    expect(brief(outcomes)).toEqual(['created', 'recorded useful 0.00045', 'recorded useful 0.00045']);
    expect(eventsOf(outcomes).map(({ experienceCreated }) => experienceCreated)).toEqual([false, false]);
    expect(await totalsOf(experienceId)).toEqual(['2 events', '0.0009 useful', '0 wasted']);
  });

  test('of two events with the same unseen experience the first creates it', async () => {
    const experienceId = newUuid();
    const outcomes = await write([
      eventEntry({ experienceId, experienceType: 'Summary' }),
      eventEntry({ experienceId, experienceType: 'Chat' }),
    ]);
    expect(eventsOf(outcomes)).toMatchObject([
      { experienceCreated: true, experienceType: 'Summary', warnings: [] },
      { experienceCreated: false, experienceType: 'Summary', warnings: ['OTHER_EXPERIENCE_TYPE'] },
    ]);
  });

  test('of the successes of one operation the last is useful, also against an earlier batch', async () => {
    const [experienceId, operationKey] = [newUuid(), randomUUID()];
    const attempt = (outcome: 'SUCCEEDED' | 'FAILED') => eventEntry({ experienceId, operationKey, outcome });
    const earlier = attempt('SUCCEEDED');
    await write([earlier]);
    const [second, third, failed] = [attempt('SUCCEEDED'), attempt('SUCCEEDED'), attempt('FAILED')];
    const outcomes = await write([second, third, failed, earlier]);
    expect(brief(outcomes)).toEqual([
      'recorded useful 0.00045',
      'recorded useful 0.00045',
      'recorded wasted 0.00045',
      'duplicate wasted 0.00045',
    ]);
    expect(brief(await write([earlier, second, third, failed]))).toEqual([
      'duplicate wasted 0.00045',
      'duplicate wasted 0.00045',
      'duplicate useful 0.00045',
      'duplicate wasted 0.00045',
    ]);
    expect(await totalsOf(experienceId)).toEqual(['4 events', '0.00045 useful', '0.00135 wasted']);
  });

  test('an operation is one of its experience: the same key in another, or in none, is another one', async () => {
    const [first, second, operationKey] = [newUuid(), newUuid(), randomUUID()];
    await write([eventEntry({ experienceId: first, operationKey })]);
    await write([eventEntry({ experienceId: second, operationKey }), eventEntry({ operationKey })]);
    expect(await totalsOf(first)).toEqual(['1 event', '0.00045 useful', '0 wasted']);
    expect(await totalsOf(second)).toEqual(['1 event', '0.00045 useful', '0 wasted']);
  });

  test('of unattributed successes of one operation the last is useful', async () => {
    const operationKey = randomUUID();
    const [first, second] = [eventEntry({ operationKey }), eventEntry({ operationKey })];
    await write([first]);
    await write([second]);
    expect(brief(await write([first, second]))).toEqual([
      'duplicate wasted 0.00045',
      'duplicate useful 0.00045',
    ]);
  });

  test('an experience that the batch makes without a type takes the one named next, with its events', async () => {
    const experienceId = newUuid();
    const outcomes = await write([
      eventEntry({ experienceId }),
      eventEntry({ experienceId, experienceType: 'Chat' }),
      eventEntry({ experienceId, experienceType: 'Summary' }),
    ]);
    expect(eventsOf(outcomes)).toMatchObject([
      { experienceType: '', experienceVersion: 0, experienceCreated: true },
      { experienceType: 'Chat', experienceVersion: 1, warnings: [] },
      { experienceType: 'Chat', experienceVersion: 1, warnings: ['OTHER_EXPERIENCE_TYPE'] },
    ]);
    const stored = await ledger.events.list('default', experienceId, { after: undefined, limit: 9 }, soon());
    expect(stored.map(({ experienceType }) => experienceType)).toEqual(['Chat', 'Chat', 'Chat']);
  });

  test('an untyped experience of before takes the type named first, with its events, and the rest goes on', async () => {
    const experienceId = newUuid();
    await write([eventEntry({ experienceId })]);
    const outcomes = await write([
      eventEntry(),
      eventEntry({ experienceId }),
      experienceEntry({ type: 'Chat', experienceId }),
      eventEntry({ experienceId, experienceType: 'Summary' }),
    ]);
    expect(brief(outcomes)).toEqual([
      'recorded useful 0.00045',
      'recorded useful 0.00045',
      'existed',
      'recorded useful 0.00045',
    ]);
    expect(outcomes[2]).toMatchObject({ experience: { type: 'Chat', version: 1 } });
    const stored = await ledger.events.list('default', experienceId, { after: undefined, limit: 9 }, soon());
    expect(stored.map(({ experienceType }) => experienceType)).toEqual(['Chat', 'Chat', 'Chat']);
  });
});

describe('a batch of two applications', () => {
  test('keeps their ids, types, operations and sums apart', async () => {
    const [experienceId, eventId, operationKey] = [newUuid(), newUuid(), randomUUID()];
    const same = { experienceId, eventId, operationKey };
    const outcomes = await write([
      eventEntry({ ...same, experienceType: 'Summary' }),
      eventEntry({ ...same, experienceType: 'Elsewhere', application: 'other' }),
      eventEntry({ experienceId, experienceType: 'Elsewhere' }),
      eventEntry({ experienceId, experienceType: 'Summary', application: 'other' }),
      eventEntry({ experienceId, application: 'other' }),
    ]);
    expect(brief(outcomes)).toEqual([
      'recorded useful 0.00045',
      'recorded useful 0.00045',
      'EXPERIENCE_TYPE_NOT_FOUND',
      'EXPERIENCE_TYPE_NOT_FOUND',
      'recorded useful 0.00045',
    ]);
    expect(await totalsOf(experienceId)).toEqual(['1 event', '0.00045 useful', '0 wasted']);
    expect(await totalsOf(experienceId, 'other')).toEqual(['2 events', '0.0009 useful', '0 wasted']);
  });
});

describe('a batch of a thousand events', () => {
  test('is priced and added up to the last digit', async () => {
    const experiences = Array.from({ length: 100 }, () => newUuid());
    const batch = Array.from({ length: 1_000 }, (_, index) =>
      eventEntry({
        experienceId: experiences[index % 100] ?? '',
        experienceType: 'Summary',
        // 0.00000015 and 0.0000006 dollars a token; a cached one half of that.
        units: { text: [index, 1], text_cache_read: [1, 0] },
      }),
    );
    const outcomes = await write(batch);
    expect(outcomes.filter(({ kind }) => kind === 'event')).toHaveLength(1_000);
    // 7, 107, …, 907 tokens in: 4,570; ten out, ten cached.
    expect(await totalsOf(experiences[7] ?? '')).toEqual(['10 events', '0.00069225 useful', '0 wasted']);
  });

  test('whose ids five others send too, at the same time, is recorded once', async () => {
    const experienceId = newUuid();
    const batch = Array.from({ length: 50 }, () => eventEntry({ experienceId, experienceType: 'Summary' }));
    const [first, ...others] = await Promise.all([
      write(batch),
      write(batch.toReversed()),
      write(batch.slice(25)),
      write(batch.slice(0, 25)),
      write([...batch, ...batch]),
    ]);
    const counts = [first, ...others].map(
      (outcomes = []) => brief(outcomes).filter((what) => what.startsWith('recorded')).length,
    );
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(50);
    expect(await totalsOf(experienceId)).toEqual(['50 events', '0.0225 useful', '0 wasted']);
  });
});

async function write(entries: readonly Entry[]): Promise<readonly Outcome[]> {
  return ledger.writer.write(entries, soon());
}

function soon(): number {
  return Date.now() + 20_000;
}

async function createType(name: string, application = 'default'): Promise<void> {
  const content = {
    description: name,
    workflowType: undefined,
    taskQueue: undefined,
    limitConfig: undefined,
    loggingDisabled: false,
  };
  await ledger.types.create(application, name, content, soon());
}

async function deletedExperience(): Promise<string> {
  const experienceId = newUuid();
  await write([experienceEntry({ type: 'Summary', experienceId })]);
  await ledger.experiences.delete('default', experienceId, soon());
  return experienceId;
}

/** Each outcome in a few words. */
function brief(outcomes: readonly Outcome[]): readonly string[] {
  return outcomes.map((outcome) => {
    if (outcome.kind === 'refused') return outcome.fault.reason;
    if (outcome.kind === 'repricing') return 'repriced';
    if (outcome.kind === 'experience') return outcome.alreadyExisted ? 'existed' : 'created';
    if (outcome.kind !== 'event') return outcome.kind;
    const { event, duplicate } = outcome;
    const worth = event.useful ? 'useful' : 'wasted';
    return `${duplicate ? 'duplicate' : 'recorded'} ${worth} ${formatMoney(event.cost.total)}`;
  });
}

function eventsOf(outcomes: readonly Outcome[]) {
  return outcomes.flatMap((outcome) => (outcome.kind === 'event' ? [outcome.event] : []));
}

async function totalsOf(experienceId: string, application = 'default'): Promise<readonly string[]> {
  const id = experienceId as ReturnType<typeof newUuid>; // Made by newUuid in these tests.
  const { totals } = await ledger.experiences.get(application, id, true, soon());
  const events = `${totals.eventCount} event${totals.eventCount === 1n ? '' : 's'}`;
  return [events, `${formatMoney(totals.useful)} useful`, `${formatMoney(totals.wasted)} wasted`];
}
