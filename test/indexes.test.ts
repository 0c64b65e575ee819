import { type Db, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { BookCheckMessage, ExperiencesClient } from '../services/client/index.js';
import { contract } from '../services/contract/contract.js';
import { wholeMoney } from '../services/domain/money.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { newOwnLimit, toLimitDocument } from '../services/ledger/limit-document.js';
import type { LimitDocument } from '../services/ledger/limit-fields.js';
import { RawClient, readPages } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';

/**
 * What the service asks of MongoDB, as MongoDB saw it: the profiler of the test's database notes how each command was
 * carried out. Every page of a list must cost the same, however many there are before it.
 */

const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };
const DAY_MS = 86_400_000;
const TODAY = {
  startTime: new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS),
  endTime: new Date((Math.floor(Date.now() / DAY_MS) + 1) * DAY_MS),
};
const PAGE = 20;
const EVENT = newUuid();
const TYPES = ['Summary', 'Chat', 'Search'];

let service: TestService;
let client: ExperiencesClient;
let raw: RawClient;
let db: Db;
const mongo = new MongoClient(inject('mongodbUri'));
const experiences: string[] = [];
const limits: string[] = [];
const conversation = newUuid();
let document = '';

beforeAll(async () => {
  service = await startTestService();
  ({ client } = service);
  raw = new RawClient(service.address);
  db = mongo.db(service.options.databaseName);
  for (const name of TYPES) await client.types.create({ name, description: name });
  await client.types.incrementVersion('Summary');
  await inParallel(200, 8, async (index) => {
    const { experience } = await client.experiences.create({
      experienceType: TYPES[index % 3] ?? '',
      ...(index % 6 === 0 ? { experienceVersion: 1 } : {}),
    });
    experiences.push(experience.experienceId);
    if (index % 10 === 9) await client.experiences.delete(experience.experienceId);
  });
  const alive = experiences[0] ?? '';
  await inParallel(200, 1, async (index) => {
    await client.usage.record({
      ...call,
      ...(index === 7 ? { eventId: EVENT } : {}),
      experienceId: alive,
      operationKey: `operation ${index}`,
      providerResponseId: `answer ${index}`,
    });
  });
  await inParallel(60, 1, async () => {
    await client.runState.appendTurn(conversation, { turnId: newUuid(), question: 'q', answer: 'a' });
  });
  await client.runState.putAnswer(conversation, 'key', 'result');
  document = (await client.documents.upload('x'.repeat(1_000_000))).documentId;
  await inParallel(60, 1, async (index) => {
    await client.prices.create({
      provider: `provider ${index % 3}`,
      model: `model ${index % 4}`,
      rates: { text: { input: { base: '1' } } },
      effectiveTime: new Date(1_700_000_000_000 + index * 60_000),
    });
  });
  await inParallel(60, 1, async (index) => {
    const tags = ['all', ...(index % 2 === 0 ? ['even'] : [])];
    const { limit } = await client.limits.create({ name: `limit ${index}`, maxCost: '1', tags });
    limits.push(limit.limitId);
    if (index % 10 === 9) await client.limits.delete(limit.limitId);
    await ownLimit();
  });
  for (let resets = 0; resets < 5; resets += 1) await client.limits.reset(limits[0] ?? '');
}, 60_000);
afterAll(async () => {
  raw.close();
  await service.stop();
  await mongo.close();
});

describe('a list reads a page from an index, at its start and at its end:', () => {
  const { ListExperiences } = contract.ExperienceService.service;
  const { ListExperienceTypes } = contract.ExperienceTypeService.service;
  const { ListLimits } = contract.LimitService.service;
  const { ListPrices } = contract.PriceService.service;
  const { ListUsage } = contract.UsageService.service;
  type List = (
    pageToken: string,
  ) => Promise<{ readonly items: readonly unknown[]; readonly nextPageToken: string }>;

  const listExperiences =
    (filter: object): List =>
    async (pageToken) => {
      const answer = await raw.call(ListExperiences, { ...filter, pageSize: PAGE, pageToken });
      return { items: answer.experiences, nextPageToken: answer.nextPageToken };
    };
  const listPrices =
    (filter: object): List =>
    async (pageToken) => {
      const answer = await raw.call(ListPrices, { ...filter, pageSize: PAGE, pageToken });
      return { items: answer.prices, nextPageToken: answer.nextPageToken };
    };

  const listLimits =
    (filter: object): List =>
    async (pageToken) => {
      const answer = await raw.call(ListLimits, { ...filter, pageSize: PAGE, pageToken });
      return { items: answer.limits, nextPageToken: answer.nextPageToken };
    };

  test.each<[what: string, list: List, pagesMin: number]>([
    ['all experiences', listExperiences({}), 9],
    ['all experiences with the deleted', listExperiences({ showDeleted: true }), 10],
    ['experiences of a type', listExperiences({ experienceType: 'Chat' }), 3],
    [
      'experiences of a type with the deleted',
      listExperiences({ experienceType: 'Chat', showDeleted: true }),
      4,
    ],
    ['experiences of a version', listExperiences({ experienceType: 'Summary', experienceVersion: 1 }), 2],
    [
      'experiences of a version with the deleted',
      listExperiences({ experienceType: 'Summary', experienceVersion: 2, showDeleted: true }),
      2,
    ],
    [
      'events of an experience',
      async (pageToken) => {
        const request = { experienceId: experiences[0] ?? '', pageSize: PAGE, pageToken };
        const answer = await raw.call(ListUsage, request);
        return { items: answer.events, nextPageToken: answer.nextPageToken };
      },
      10,
    ],
    ['limits', listLimits({}), 3],
    ['limits with the deleted', listLimits({ showDeleted: true }), 3],
    ['limits with owned ones', listLimits({ showOwned: true }), 5],
    ['limits with a tag', listLimits({ tags: ['all'] }), 3],
    ['limits with two tags', listLimits({ tags: ['all', 'even'], showDeleted: true }), 2],
    ['limits with a tag, owned ones too', listLimits({ tags: ['all'], showOwned: true }), 5],
    ['limits with a name', listLimits({ name: 'limit 7' }), 1],
    ['all prices', listPrices({}), 50],
    ['own prices', listPrices({ source: 'PRICE_SOURCE_APPLICATION' }), 3],
    ['prices of a provider', listPrices({ provider: 'openai' }), 3],
    ['prices of a model', listPrices({ provider: 'provider 1', model: 'model 1' }), 1],
    [
      'turns of a conversation',
      async (pageToken) => {
        const request = { experienceId: conversation, pageSize: PAGE, pageToken };
        const answer = await raw.call(contract.RunStateService.service.ListTurns, request);
        return { items: answer.turns, nextPageToken: answer.nextPageToken };
      },
      3,
    ],
    [
      'turns of a conversation from its end',
      async (pageToken) => {
        const request = { experienceId: conversation, pageSize: PAGE, pageToken, descending: true };
        const answer = await raw.call(contract.RunStateService.service.ListTurns, request);
        return { items: answer.turns, nextPageToken: answer.nextPageToken };
      },
      3,
    ],
    [
      'experience types',
      async (pageToken) => {
        const answer = await raw.call(ListExperienceTypes, { pageSize: 2, pageToken });
        return { items: answer.experienceTypes, nextPageToken: answer.nextPageToken };
      },
      2,
    ],
  ])('%s', async (_what, list, pagesMin) => {
    const tokens: string[] = [];
    const pages = await readPages(async (pageToken) => {
      tokens.push(pageToken);
      return list(pageToken);
    });
    expect(pages.length).toBeGreaterThanOrEqual(pagesMin);
    for (const pageToken of [tokens[0], tokens[1], tokens.at(-2), tokens.at(-1)]) {
      const done = await profiled(() => list(pageToken ?? ''));
      expectIndexed(done);
      // The page, one more to know that there is a next one, and what deleted ones and those of the same time add.
      for (const { keysExamined } of done) expect(keysExamined ?? 0).toBeLessThanOrEqual(2 * (PAGE + 1));
    }
  });
});

describe('a call touches what its key names:', () => {
  test.each<[what: string, send: () => Promise<unknown>, keysMax: number]>([
    ['the cost of an experience', () => client.costs.get(experiences[0] ?? ''), 1],
    ['an experience', () => client.experiences.get(experiences[0] ?? ''), 1],
    ['a type', () => client.types.get('Summary'), 1],
    ['the first record after new prices', () => client.usage.record({ ...call, experienceType: 'Chat' }), 60],
    [
      'a record of an experience',
      () => client.usage.record({ ...call, experienceId: experiences[0] ?? '' }),
      3, // The application, the catalogue and the experience, in one command.
    ],
    ['a record of a type', () => client.usage.record({ ...call, experienceType: 'Chat' }), 2],
    [
      'a record that supersedes another',
      () => client.usage.record({ ...call, experienceId: experiences[0] ?? '', operationKey: 'operation 7' }),
      4,
    ],
    ['more records than are read in one command', () => client.usage.recordBatch(manyRecords()), 3],
    ['a recorded event', () => client.usage.get(EVENT), 1],
    [
      'an event by the id of its answer',
      () => client.usage.get({ provider: 'openai', providerResponseId: 'answer 7' }),
      1,
    ],
    ['the properties of an event', () => client.usage.updateProperties(EVENT, { set: { key: 'value' } }), 1],
    ['the creation of an experience', () => client.experiences.create({ experienceType: 'Chat' }), 2],
    [
      'the properties of an experience',
      () => client.experiences.updateProperties(experiences[0] ?? '', { set: { key: 'value' } }),
      1,
    ],
    [
      'a type that an untyped experience takes, with its three events',
      async () => {
        const experienceId = newUuid();
        for (let index = 0; index < 3; index += 1) await client.usage.record({ ...call, experienceId });
        return client.usage.record({ ...call, experienceId, experienceType: 'Chat' });
      },
      4,
    ],
    ['a limit with its five past periods', () => client.limits.get(limits[0] ?? ''), 1],
    ['a new limit', () => client.limits.create({ name: 'another', maxCost: '1' }), 1],
    ['a limit that exists', () => client.limits.create({ name: 'another', maxCost: '1' }), 1],
    ['another maximum', () => client.limits.update(limits[1] ?? '', { maxCost: '2' }), 1],
    ['another name of a limit', () => client.limits.update(limits[1] ?? '', { name: 'renamed' }), 1],
    ['the reset of a limit', () => client.limits.reset(limits[1] ?? ''), 1],
    ['the end of a limit', () => client.limits.delete(limits[2] ?? ''), 1],
    ['what is known of a document', () => client.documents.get(document), 1],
    // Its record, and its parts: the key of each, and where the next one would be.
    ['a document', () => client.documents.readText(document, 1, 999_998), 8],
    ['a range of a document', () => client.documents.readText(document, 500_000, 10), 2],
    // The documents of the application are counted: two of them, the new one among them.
    ['a new document', () => client.documents.upload('y'.repeat(1_000_000)), 8],
    ['a deleted document', () => client.documents.delete(document), 5],
    ['the result of a step', () => client.runState.getAnswer(conversation, 'key'), 1],
    ['the result of a step again', () => client.runState.putAnswer(conversation, 'key', 'result'), 1],
    ['a turn', () => client.runState.appendTurn(conversation, turn()), 1],
    ['a turn by its id', () => readAll(client.runState.listTurns(conversation, { turnId: newUuid() })), 1],
    // Sums of the hour or the day: of the three types and of calls by themselves, in the lanes there are.
    ['the costs of a day', () => client.costs.query(TODAY), 40],
    ['the costs of a type', () => client.costs.query({ ...TODAY, experienceType: 'Chat' }), 10],
    [
      'the costs of a model of a type',
      () =>
        client.costs.query({ ...TODAY, experienceType: 'Chat', model: 'gpt-4o-mini', timeBucket: 'HOUR' }),
      10,
    ],
    ['the distribution of a version', () => client.costs.distribution('Chat'), 12],
    ['the comparison of two versions', () => client.costs.compareVersions('Summary', 1, 2), 12],
    // The rest reads as many types or prices as the application has.
    ['a new type', () => client.types.create({ name: 'Another', description: 'Another' }), 10],
    ['the first record after it', () => client.usage.record({ ...call, experienceType: 'Another' }), 70],
    ['the providers that have prices', () => client.prices.providersPage({ pageSize: 5 }), 80],
    ['the end of all prices of a model', () => client.prices.retireModel('provider 0', 'model 0'), 80],
    ['a price and its end', priceAndEnd, 80],
    ['an estimate', () => client.costs.estimate(call), 80],
  ])('%s', async (_what, send, keysMax) => {
    const done = await profiled(send);
    expectIndexed(done);
    for (const { keysExamined, docsExamined } of done) {
      expect(keysExamined ?? 0).toBeLessThanOrEqual(keysMax);
      // Of an aggregation the plan that is told is that of its first collection; a scan of another one shows here.
      expect(docsExamined ?? 0).toBeLessThanOrEqual(keysMax);
    }
  });

  function manyRecords() {
    return Array.from({ length: 65 }, () => ({ ...call, experienceId: experiences[0] ?? '' }));
  }

  function turn() {
    return { turnId: newUuid(), question: 'q', answer: 'a' };
  }

  async function priceAndEnd(): Promise<unknown> {
    const rates = { text: { input: { base: '1' } } };
    const { priceId } = await client.prices.create({ provider: 'another', model: 'another', rates });
    return client.prices.retire(priceId);
  }
});

test('figures that must agree are read at one moment', async () => {
  const done = await profiled(() => client.costs.compareVersions('Summary', 1, 2));
  const reads = done.filter(({ ns }) => /\.(?:histograms|experiences)$/.test(ns));
  const moments = reads.map(({ command }) => command.readConcern);
  expect(moments).toHaveLength(6);
  // The server chooses the moment of the first; the others name it.
  expect(moments[0]).toEqual({ level: 'snapshot' });
  expect(moments[1]).toEqual({ level: 'snapshot', atClusterTime: expect.anything() });
  expect(new Set(moments.slice(1).map((moment) => JSON.stringify(moment))).size).toBe(1);
});

describe('a check of the books reads from indexes only:', () => {
  /** So that there are holds and charges. */
  beforeAll(async () => {
    const charged = { ...call, experienceId: experiences[0] ?? '', limitIds: [limits[0] ?? ''] };
    const { units: _units, ...reserved } = charged;
    await inParallel(10, 1, async (index) => {
      const eventId = newUuid();
      await client.usage.reserve({ ...reserved, eventId, estimate: { cost: '0.001' } });
      if (index % 2 === 0) await client.usage.record({ ...charged, eventId });
    });
  });

  test.each<[what: string, check: () => AsyncIterable<BookCheckMessage>]>([
    ['all', () => client.admin.verify({ deep: true })],
    ['a type', () => client.admin.verify({ deep: true, experienceType: 'Chat' })],
    ['since a time', () => client.admin.verify({ sinceTime: new Date(Date.now() - 60_000) })],
    ['a type since a time', () => client.admin.verify({ experienceType: 'Chat', sinceTime: new Date(0) })],
    ['a repair', () => client.admin.repair({ apply: true })],
  ])('%s', async (_what, check) => {
    const done = await profiled(async () => {
      for await (const message of check()) {
        if ('progress' in message) continue; // Where it takes more than a second.
        expect(message).toMatchObject({ summary: { differenceCount: 0n } });
      }
    });
    expectIndexed(done);
  });
});

/** As the ledger makes it for a new experience. */
async function ownLimit(): Promise<void> {
  const config = {
    type: 'BLOCK',
    maxCost: wholeMoney(1n),
    threshold: wholeMoney(1n),
    tags: ['all'],
  } as const;
  const limit = newOwnLimit(newUuid(), 'Summary', config, new Date());
  await db.collection<LimitDocument>('limits').insertOne(toLimitDocument('default', limit));
}

/** What the profiler notes of a command. */
interface Profiled {
  readonly op: string;
  readonly ns: string;
  readonly command: { readonly readConcern?: object };
  readonly planSummary?: string;
  readonly hasSortStage?: boolean;
  readonly keysExamined?: number;
  readonly docsExamined?: number;
}

/** The reads and writes of the service while it does something. */
async function profiled(work: () => Promise<unknown>): Promise<readonly Profiled[]> {
  await db.command({ profile: 2, filter: { appName: 'experiences' } });
  await work();
  await db.command({ profile: 0 });
  const notes = db.collection<Profiled>('system.profile');
  const done = await notes.find({ planSummary: { $exists: true } }).toArray();
  await notes.drop();
  expect(done.length).toBeGreaterThan(0);
  return done;
}

function expectIndexed(done: readonly Profiled[]): void {
  const bad = done.filter(
    ({ planSummary = '', hasSortStage }) => planSummary.includes('COLLSCAN') || hasSortStage,
  );
  expect(
    bad.map(({ op, ns, command, planSummary, hasSortStage }) => ({
      op,
      ns,
      command,
      planSummary,
      hasSortStage,
    })),
  ).toEqual([]);
}

/** So many callers at a time: few, so that few experiences have the same time; one where all write the same document. */
async function inParallel(
  count: number,
  callers: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const loops = Array.from({ length: callers }, async () => {
    while (next < count) {
      next += 1;
      await work(next - 1);
    }
  });
  await Promise.all(loops);
}
