import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExperiencesOfTypeClient } from '../services/client/experiences-client.js';
import { contract } from '../services/contract/contract.js';
import { RawClient, readPages } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';

const methods = contract.ExperienceService.service;
const CALL = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };

let service: TestService;
let raw: RawClient;
let experiences: ExperiencesOfTypeClient;
beforeAll(async () => {
  service = await startTestService();
  raw = new RawClient(service.address);
  ({ experiences } = service.client);
  await service.client.types.create({ name: 'Summary', description: 'Summarises a document' });
});
afterAll(async () => {
  raw.close();
  await service.stop();
});

async function newExperience(properties: Record<string, string> = {}): Promise<string> {
  return (await experiences.create({ experienceType: 'Summary', properties })).experience.experienceId;
}

function labels(count: number, prefix = 'key'): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`${prefix} ${n}`, String(n)]));
}

describe('an experience', () => {
  test('is read as it was created', async () => {
    const wanted = {
      experienceType: 'Summary',
      experienceVersion: 1,
      experienceId: '018f3c2e-0000-7000-8000-00000000aaaa',
      userId: 'ada@example.com',
      properties: { team: 'research', 'a.b': '$x', __proto: '1', empty: '', text: 'ä 漢 🙂' },
    };
    const { experience, alreadyExisted, idReplaced } = await experiences.create(wanted);
    expect([alreadyExisted, idReplaced]).toEqual([false, false]);
    expect(experience).toMatchObject({ ...wanted, deleteTime: undefined, totals: { eventCount: 0n } });
    expect(Math.abs(Date.now() - experience.createTime.getTime())).toBeLessThan(10_000);
    expect(await experiences.get(wanted.experienceId)).toEqual(experience);
  });

  test('created again with its id is the existing one, whatever else is said', async () => {
    const experienceId = randomUUID();
    const first = await experiences.create({ experienceType: 'Summary', experienceId, userId: 'ada' });
    const again = await experiences.create({
      experienceType: 'Summary',
      experienceId,
      userId: 'grace',
      properties: { other: 'label' },
    });
    expect(again).toEqual({ ...first, alreadyExisted: true });
  });

  test('created again with the limit that it owns is the existing one; with another it is refused', async () => {
    const wanted = { experienceType: 'Summary', experienceId: randomUUID() };
    const limitConfig = { maxCost: '5', type: 'BLOCK' } as const;
    const first = await experiences.create({ ...wanted, limitConfig });
    for (const again of [wanted, { ...wanted, limitConfig }])
      expect(await experiences.create(again)).toEqual({ ...first, alreadyExisted: true });
    for (const other of [{ ...limitConfig, maxCost: '3' }, { maxCost: '5' }]) {
      await expect(experiences.create({ ...wanted, limitConfig: other })).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
        reason: 'EXPERIENCE_ALREADY_EXISTS',
        metadata: { experience_id: wanted.experienceId, limit_id: wanted.experienceId, max_cost: '5' },
      });
    }
  });

  test('without a limit is not taken for one that has it', async () => {
    const untyped = randomUUID();
    await service.client.usage.record({ ...CALL, experienceId: untyped });
    const unlimited = await newExperience();
    const deleted = randomUUID();
    const limitConfig = { maxCost: '5', type: 'BLOCK' } as const;
    await experiences.create({ experienceType: 'Summary', experienceId: deleted, limitConfig });
    await service.client.limits.delete(deleted);
    for (const experienceId of [untyped, unlimited, deleted]) {
      const create = experiences.create({ experienceType: 'Summary', experienceId, limitConfig });
      await expect(create).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        reason: 'EXPERIENCE_HAS_NO_BUDGET',
        metadata: { experience_id: experienceId },
      });
    }
    expect(await experiences.get(untyped)).toMatchObject({ experienceType: undefined });
  });

  test('has the highest of the budgets that it is raised to at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const limitConfig = { maxCost: '1', type: 'BLOCK' } as const;
      const { experience } = await experiences.create({ experienceType: 'Summary', limitConfig });
      const { experienceId } = experience;
      const amounts = ['9', '2', '8', '3', '7', '4', '6', '5'];
      await Promise.all(amounts.map((amount) => service.client.runs.raiseBudget(experienceId, amount)));
      expect((await service.client.limits.get(experienceId)).limit.maxCost).toBe('9');
    }
  });

  test('created by twenty calls at once is one experience', async () => {
    const experienceId = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => experiences.create({ experienceType: 'Summary', experienceId })),
    );
    expect(answers.filter(({ alreadyExisted }) => !alreadyExisted)).toHaveLength(1);
    expect(new Set(answers.map(({ experience }) => experience.createTime.getTime())).size).toBe(1);
  });

  test('is read with its totals, by any spelling of its id', async () => {
    const experienceId = await newExperience();
    await service.client.usage.record({ ...CALL, experienceId });
    const experience = await experiences.get(`{${experienceId.toUpperCase()}}`);
    expect(experience).toMatchObject({
      experienceId,
      totals: { eventCount: 1n, cost: { total: '0.00045' } },
    });
    const cost = await service.client.costs.get(`{${experienceId.toUpperCase()}}`);
    expect(cost).toEqual({
      experienceId,
      experienceType: 'Summary',
      experienceVersion: 1,
      totals: experience.totals,
    });
  });

  test.each<[method: string, call: (id: string) => Promise<unknown>]>([
    ['get', (id) => experiences.get(id)],
    ['get a deleted', (id) => experiences.get(id, { showDeleted: true })],
    ['get the cost of', (id) => service.client.costs.get(id)],
    ['list the usage of', (id) => readAll(service.client.usage.list(id))],
    ['label', (id) => experiences.updateProperties(id, { set: { a: '1' } })],
    ['delete', (id) => experiences.delete(id)],
  ])('that there is not, or whose id is no UUID, is NOT_FOUND to %s', async (_method, call) => {
    for (const id of [randomUUID(), 'order 17', `${'x'.repeat(63)}🙂${'x'.repeat(2_000)}`]) {
      await expect(call(id)).rejects.toMatchObject({
        code: 'NOT_FOUND',
        reason: 'EXPERIENCE_NOT_FOUND',
        metadata: { experience_id: id.length > 64 ? `${'x'.repeat(63)}\ufffd` : id },
      });
    }
  });
});

describe('the properties of an experience', () => {
  test('are set and removed by name; the others stay', async () => {
    const id = await newExperience({ a: '1', b: '2', c: '3' });
    const updated = await experiences.updateProperties(id, {
      set: { b: 'two', d: '4' },
      remove: ['c', 'missing'],
    });
    expect(updated.properties).toEqual({ a: '1', b: 'two', d: '4' });
    expect(await experiences.get(id)).toEqual(updated);
    expect((await experiences.updateProperties(id, { remove: ['a', 'b', 'd'] })).properties).toEqual({});
    expect((await experiences.updateProperties(id, {})).properties).toEqual({});
    expect((await experiences.get(id)).properties).toEqual({});
  });

  test('keep keys that a store or a language might take for something else', async () => {
    const id = await newExperience();
    const set = Object.fromEntries(['__proto__', 'constructor', 'a.b', '$set', '0'].map((key) => [key, key]));
    const updated = await experiences.updateProperties(id, { set });
    expect(Object.entries(updated.properties).sort()).toEqual(Object.entries(set).sort());
    expect((await experiences.updateProperties(id, { remove: Object.keys(set) })).properties).toEqual({});
  });

  test('set by ten calls at once are all there, and a call recorded meanwhile is counted', async () => {
    const id = await newExperience();
    await Promise.all([
      ...Array.from({ length: 10 }, (_, n) =>
        experiences.updateProperties(id, { set: { [`key ${n}`]: String(n) } }),
      ),
      ...Array.from({ length: 5 }, () => service.client.usage.record({ ...CALL, experienceId: id })),
    ]);
    expect(await experiences.get(id)).toMatchObject({ properties: labels(10), totals: { eventCount: 5n } });
  });

  test('are at most 64 after an update, however it comes about', async () => {
    const id = await newExperience(labels(64));
    const tooMany = experiences.updateProperties(id, { set: { more: '1' } });
    await expect(tooMany).rejects.toMatchObject({
      reason: 'INVALID_FIELDS',
      violations: [{ field: 'set', description: 'an experience has at most 64 properties' }],
    });
    const swapped = await experiences.updateProperties(id, { set: { more: '1' }, remove: ['key 0'] });
    expect(Object.keys(swapped.properties)).toHaveLength(64);
  });

  const longKey = `${'k'.repeat(63)}🙂`;
  test.each<
    [what: string, change: Parameters<ExperiencesOfTypeClient['updateProperties']>[1], fields: string[]]
  >([
    ['65 of them', { set: labels(65) }, ['set']],
    ['an empty key', { set: { '': '1' } }, ['set']],
    ['a key too long', { set: { [longKey]: '1' } }, [`set[${'k'.repeat(63)}\ufffd]`]],
    ['a key with a line break', { set: { 'a\nb': '1' } }, ['set[a\nb]']],
    ['a value too long', { set: { a: 'v'.repeat(1_025) } }, ['set[a]']],
    ['a key both set and removed', { set: { a: '1' }, remove: ['a'] }, ['remove']],
    [
      'several of these',
      { set: { '': '1', a: 'v'.repeat(1_025), b: '2' }, remove: ['b'] },
      ['set', 'set[a]', 'remove'],
    ],
  ])('are refused with %s', async (_what, change, fields) => {
    const id = await newExperience({ a: 'stays' });
    await expect(experiences.updateProperties(id, change)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: fields.map((field) => ({ field })),
    });
    expect((await experiences.get(id)).properties).toEqual({ a: 'stays' });
  });
});

describe('a deleted experience', () => {
  test('is hidden, but shown to who asks for it, with its totals', async () => {
    const id = await newExperience({ a: '1' });
    await service.client.usage.record({ ...CALL, experienceId: id });
    const deleted = await experiences.delete(id);
    expect(deleted).toMatchObject({
      experienceId: id,
      deleteTime: expect.any(Date),
      totals: { eventCount: 1n },
    });
    await expect(experiences.get(id)).rejects.toMatchObject({ reason: 'EXPERIENCE_NOT_FOUND' });
    await expect(service.client.costs.get(id)).rejects.toMatchObject({ reason: 'EXPERIENCE_NOT_FOUND' });
    expect(await experiences.get(id, { showDeleted: true })).toEqual(deleted);
    expect((await service.client.costs.get(id, { showDeleted: true })).totals).toEqual(deleted.totals);
    expect(await experiences.delete(id)).toEqual(deleted);
  });

  test.each<[what: string, call: (id: string) => Promise<unknown>]>([
    ['created again', (id) => experiences.create({ experienceType: 'Summary', experienceId: id })],
    ['labelled', (id) => experiences.updateProperties(id, { set: { a: '1' } })],
    ['recorded to', (id) => service.client.usage.record({ ...CALL, experienceId: id })],
    [
      'recorded to by its type',
      (id) => service.client.usage.record({ ...CALL, experienceType: 'Summary', experienceId: id }),
    ],
  ])('cannot be %s', async (_what, call) => {
    const id = await newExperience();
    await experiences.delete(id);
    await expect(call(id)).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'EXPERIENCE_NOT_FOUND' });
  });

  test('cannot be started', async () => {
    await service.client.types.create({
      name: 'Started',
      description: 'Has a workflow',
      workflowType: 'none',
    });
    const { experience } = await experiences.create({ experienceType: 'Started' });
    await experiences.delete(experience.experienceId);
    const started = service.client.runs.start({
      experienceType: 'Started',
      experienceId: experience.experienceId,
      document: { content: 'Text' },
    });
    await expect(started).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'EXPERIENCE_NOT_FOUND' });
  });
});

describe('the list of experiences', () => {
  /** Oldest first: A@1, A@2, B@1, untyped, A@2 deleted, A@2. */
  const ids: string[] = [];
  let own: TestService;
  let rawOwn: RawClient;
  beforeAll(async () => {
    own = await startTestService();
    rawOwn = new RawClient(own.address);
    const { client } = own;
    const created = async (experienceType: string) =>
      (await client.experiences.create({ experienceType })).experience.experienceId;
    for (const name of ['A', 'B']) await client.types.create({ name, description: 'Listed' });
    ids.push(await created('A'));
    await client.types.incrementVersion('A');
    ids.push(await created('A'), await created('B'));
    ids.push((await client.usage.record({ ...CALL, experienceId: randomUUID() })).event.experienceId ?? '');
    ids.push(await created('A'), await created('A'));
    await client.experiences.delete(ids[4] ?? '');
  });
  afterAll(async () => {
    rawOwn.close();
    await own.stop();
  });

  test.each<[filter: Parameters<ExperiencesOfTypeClient['list']>[0], found: number[]]>([
    [{}, [5, 3, 2, 1, 0]],
    [{ showDeleted: true }, [5, 4, 3, 2, 1, 0]],
    [{ experienceType: 'A' }, [5, 1, 0]],
    [{ experienceType: 'A', showDeleted: true }, [5, 4, 1, 0]],
    [{ experienceType: 'A', experienceVersion: 1 }, [0]],
    [{ experienceType: 'A', experienceVersion: 2 }, [5, 1]],
    [{ experienceType: 'A', experienceVersion: 2, showDeleted: true }, [5, 4, 1]],
    [{ experienceType: 'B' }, [2]],
    [{ experienceType: 'B', experienceVersion: 2 }, []],
    [{ experienceType: 'Missing' }, []],
  ])('filtered by %o is, newest first, %o', async (filter, found) => {
    const listed = await readAll(own.client.experiences.list(filter));
    expect(listed.map(({ experienceId }) => ids.indexOf(experienceId))).toEqual(found);
    for (const experience of listed) {
      expect(await own.client.experiences.get(experience.experienceId, { showDeleted: true })).toEqual(
        experience,
      );
    }
  });

  test.each<[pageSize: number, pages: number[][]]>([
    [1, [[5], [3], [2], [1], [0]]],
    [2, [[5, 3], [2, 1], [0]]],
    [5, [[5, 3, 2, 1, 0]]],
    [1_001, [[5, 3, 2, 1, 0]]],
  ])('in pages of %d holds each experience once: %o', async (pageSize, pages) => {
    const read = await readPages(async (pageToken) => {
      const answer = await rawOwn.call(methods.ListExperiences, { pageSize, pageToken });
      const items = answer.experiences.map(({ experienceId }) => ids.indexOf(experienceId));
      return { items, nextPageToken: answer.nextPageToken };
    });
    expect(read).toEqual(pages);
  });

  test('goes on behind its place when new ones are created in between', async () => {
    const many = await Promise.all(
      Array.from({ length: 12 }, () => experiences.create({ experienceType: 'Summary' })),
    );
    const wanted = new Set(many.map(({ experience }) => experience.experienceId));
    const read = await readPages(async (pageToken) => {
      if (pageToken !== '') await newExperience();
      const answer = await raw.call(methods.ListExperiences, { pageSize: 3, pageToken });
      return {
        items: answer.experiences.map(({ experienceId }) => experienceId),
        nextPageToken: answer.nextPageToken,
      };
    });
    const found = read.flat().filter((id) => wanted.has(id));
    expect(found).toHaveLength(12);
    expect(new Set(found)).toEqual(wanted);
  });

  test.each<[what: string, request: object]>([
    ['another type', { experienceType: 'B' }],
    ['a version', { experienceType: 'A', experienceVersion: 1 }],
    ['no type', {}],
    ['deleted ones too', { experienceType: 'A', showDeleted: true }],
  ])('refuses the token of type A for %s', async (_what, request) => {
    const { nextPageToken: pageToken } = await rawOwn.call(methods.ListExperiences, {
      experienceType: 'A',
      pageSize: 1,
    });
    await expect(rawOwn.call(methods.ListExperiences, { ...request, pageToken })).rejects.toMatchObject({
      reason: 'INVALID_FIELDS',
      violations: [{ field: 'page_token' }],
    });
  });

  test('is refused with every bad field named', async () => {
    const bad = { experienceVersion: 1, pageSize: -1, pageToken: 'made up' };
    await expect(rawOwn.call(methods.ListExperiences, bad)).rejects.toMatchObject({
      violations: [
        { field: 'experience_version', description: 'needs experience_type' },
        { field: 'page_size', description: 'must not be negative' },
        { field: 'page_token' },
      ],
    });
  });
});
