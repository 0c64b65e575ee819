import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TypesClient } from '../services/client/types-client.js';
import { contract } from '../services/contract/contract.js';
import { RawClient, readPages } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';

const methods = contract.ExperienceTypeService.service;
const CALL = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };

let service: TestService;
let raw: RawClient;
let types: TypesClient;
beforeAll(async () => {
  service = await startTestService();
  raw = new RawClient(service.address);
  ({ types } = service.client);
});
afterAll(async () => {
  raw.close();
  await service.stop();
});

let made = 0;
/** Each call another type, with everything given. */
async function newType(): Promise<string> {
  made += 1;
  const name = `Type.${made}`;
  await types.create({ name, description: 'First words', workflowType: 'first', taskQueue: 'queue-1' });
  return name;
}

describe('a type', () => {
  test('is created at version 1 and read as it was created', async () => {
    const content = {
      name: 'Document_Summarization-v1.0',
      description: 'Summarises a document\nfor people',
      workflowType: 'documentSummarization',
      taskQueue: 'experiences',
    };
    const { type, alreadyExisted } = await types.create(content);
    expect(alreadyExisted).toBe(false);
    expect(type).toMatchObject({ ...content, currentVersion: 1, deleteTime: undefined });
    expect(type.etag).toMatch(/^".+"$/);
    expect(type.updateTime).toEqual(type.createTime);
    expect(Math.abs(Date.now() - type.createTime.getTime())).toBeLessThan(10_000);
    expect(await types.get(content.name)).toEqual(type);
  });

  test('may have nothing but a name and a description', async () => {
    const { type } = await types.create({ name: 'Bare', description: 'x' });
    expect(type).toMatchObject({ workflowType: undefined, taskQueue: undefined });
    expect(await types.get('Bare')).toEqual(type);
  });

  test.each(['a', 'A.b-C_9', '.', '_', '0', '-x-', 'constructor', '__proto__', 'n'.repeat(64)])(
    'may be named %s',
    async (name) => {
      const { type } = await types.create({ name, description: 'A good name' });
      expect(type.name).toBe(name);
      expect((await types.get(name)).name).toBe(name);
      const { event } = await service.client.usage.record({ ...CALL, experienceType: name });
      expect(event.experienceType).toBe(name);
    },
  );

  test('is another one in another case', async () => {
    await types.create({ name: 'Case', description: 'Upper' });
    await types.create({ name: 'case', description: 'Lower' });
    expect((await types.get('Case')).description).toBe('Upper');
    expect((await types.get('case')).description).toBe('Lower');
  });

  test('created again with the same content is the existing one', async () => {
    const name = await newType();
    await types.incrementVersion(name);
    const type = await types.get(name);
    const again = { name, description: 'First words', workflowType: 'first', taskQueue: 'queue-1' };
    expect(await types.create(again)).toEqual({ type, alreadyExisted: true });
    expect(await types.create({ ...again, description: ' First words\n' })).toEqual({
      type,
      alreadyExisted: true,
    });
  });

  test.each<[what: string, other: object]>([
    ['description', { description: 'Second words' }],
    ['workflow', { workflowType: 'second' }],
    ['task queue', { taskQueue: 'queue-2' }],
    ['workflow, being none', { workflowType: '' }],
  ])('created again with another %s is refused and stays as it is', async (_what, other) => {
    const name = await newType();
    const type = await types.get(name);
    const again = { name, description: 'First words', workflowType: 'first', taskQueue: 'queue-1', ...other };
    await expect(types.create(again)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      reason: 'EXPERIENCE_TYPE_ALREADY_EXISTS',
      metadata: { experience_type: name },
    });
    expect(await types.get(name)).toEqual(type);
  });

  test('created by twenty calls at once is one type', async () => {
    const content = { name: 'AtOnce', description: 'Made by many' };
    const answers = await Promise.all(Array.from({ length: 20 }, () => types.create(content)));
    expect(answers.filter(({ alreadyExisted }) => !alreadyExisted)).toHaveLength(1);
    expect(new Set(answers.map(({ type }) => type.createTime.getTime())).size).toBe(1);
  });

  test.each<[method: string, call: () => Promise<unknown>]>([
    ['get', () => types.get('Missing')],
    ['get a deleted', () => types.get('Missing', { showDeleted: true })],
    ['update', () => types.update('Missing', { description: 'x' })],
    ['delete', () => types.delete('Missing')],
    ['undelete', () => types.undelete('Missing')],
    ['increment the version of', () => types.incrementVersion('Missing')],
    ['list the versions of', () => readAll(types.versions('Missing'))],
  ])('that there is not is NOT_FOUND to %s', async (_method, call) => {
    await expect(call()).rejects.toMatchObject({
      code: 'NOT_FOUND',
      reason: 'EXPERIENCE_TYPE_NOT_FOUND',
      metadata: { experience_type: 'Missing' },
    });
  });
});

describe('an update', () => {
  test.each<[what: string, paths: string[] | undefined, given: object, becomes: [string, string, string]]>([
    [
      'one path',
      ['description'],
      { description: 'New', workflowType: 'ignored' },
      ['New', 'first', 'queue-1'],
    ],
    [
      'two paths',
      ['workflow_type', 'task_queue'],
      { workflowType: 'second', taskQueue: 'queue-2' },
      ['First words', 'second', 'queue-2'],
    ],
    ['a path to an empty field', ['workflow_type'], {}, ['First words', '', 'queue-1']],
    ['*', ['*'], { description: 'New' }, ['New', '', '']],
    [
      '* beside a path',
      ['description', '*'],
      { description: 'New', taskQueue: 'queue-2' },
      ['New', '', 'queue-2'],
    ],
    ['no mask', undefined, { description: 'New', taskQueue: 'queue-2' }, ['New', 'first', 'queue-2']],
    ['an empty mask', [], { workflowType: 'second' }, ['First words', 'second', 'queue-1']],
  ])('with %s changes what it names and nothing else', async (_what, paths, given, becomes) => {
    const name = await newType();
    const before = await types.get(name);
    const answer = await raw.call(methods.UpdateExperienceType, {
      name,
      ...given,
      ...(paths === undefined ? {} : { updateMask: { paths } }),
    });
    const { description, workflowType, taskQueue } = answer.experienceType ?? {};
    expect([description, workflowType, taskQueue]).toEqual(becomes);
    const after = await types.get(name);
    expect(after).toMatchObject({
      description: becomes[0],
      workflowType: becomes[1] || undefined,
      taskQueue: becomes[2] || undefined,
      currentVersion: 1,
      createTime: before.createTime,
    });
    expect(after.etag).toBe(answer.experienceType?.etag);
    expect(after.etag).not.toBe(before.etag);
    expect(after.updateTime.getTime()).toBeGreaterThanOrEqual(before.updateTime.getTime());
  });

  test.each<[what: string, request: object, fields: string[]]>([
    ['a path that is not there', { updateMask: { paths: ['colour'] } }, ['update_mask']],
    [
      'a path that never changes',
      { updateMask: { paths: ['name', 'description'] }, description: 'New' },
      ['update_mask'],
    ],
    ['nothing to change', {}, ['update_mask']],
    ['an empty description', { updateMask: { paths: ['description'] } }, ['description']],
    ['* and no description', { updateMask: { paths: ['*'] }, workflowType: 'second' }, ['description']],
    ['a description of spaces', { description: '  \n' }, ['description']],
    [
      'several bad fields',
      { description: 'x'.repeat(1_025), workflowType: 'a\u0000b', taskQueue: 'q'.repeat(201) },
      ['description', 'workflow_type', 'task_queue'],
    ],
  ])('with %s is refused and changes nothing', async (_what, request, fields) => {
    const name = await newType();
    const before = await types.get(name);
    await expect(raw.call(methods.UpdateExperienceType, { name, ...request })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: fields.map((field) => ({ field })),
    });
    expect(await types.get(name)).toEqual(before);
  });

  test('keeps what is said about logging, which creating again must say too', async () => {
    const stated = { name: 'quiet', description: 'Says nothing', loggingDisabled: true };
    expect((await types.create(stated)).type.loggingDisabled).toBe(true);
    expect((await types.create(stated)).alreadyExisted).toBe(true);
    await expect(types.create({ ...stated, loggingDisabled: false })).rejects.toMatchObject({
      reason: 'EXPERIENCE_TYPE_ALREADY_EXISTS',
    });
    await types.update('quiet', { description: 'Still quiet' });
    expect((await types.get('quiet')).loggingDisabled).toBe(true);
    await types.update('quiet', { loggingDisabled: false });
    expect(await types.get('quiet')).toMatchObject({ description: 'Still quiet', loggingDisabled: false });
  });
});

describe('an etag', () => {
  test.each<[method: string, call: (name: string, etag: string) => Promise<unknown>]>([
    ['update', (name, etag) => types.update(name, { description: 'New', etag })],
    ['delete', (name, etag) => types.delete(name, { etag })],
    ['increment the version', (name, etag) => types.incrementVersion(name, { etag })],
  ])(
    'lets %s only what was seen, and a stale one is answered with the current one',
    async (_method, call) => {
      const name = await newType();
      const { etag: stale } = await types.get(name);
      const current = await types.update(name, { description: 'Meanwhile' });
      await expect(call(name, stale)).rejects.toMatchObject({
        code: 'ABORTED',
        reason: 'ETAG_MISMATCH',
        metadata: { experience_type: name, current_etag: current.etag },
      });
      expect(await types.get(name)).toEqual(current);
      await call(name, current.etag);
      expect((await types.get(name, { showDeleted: true })).etag).not.toBe(current.etag);
    },
  );

  test('lets one of ten updates at once through', async () => {
    const name = await newType();
    const { etag } = await types.get(name);
    const answers = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) => types.update(name, { description: `Words ${n}`, etag })),
    );
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
});

describe('a deleted type', () => {
  test('is hidden, but shown to who asks for it', async () => {
    const name = await newType();
    const before = await types.get(name);
    const deleted = await types.delete(name);
    expect(deleted).toMatchObject({ name, deleteTime: expect.any(Date) });
    await expect(types.get(name)).rejects.toMatchObject({ reason: 'EXPERIENCE_TYPE_NOT_FOUND' });
    expect(await types.get(name, { showDeleted: true })).toEqual(deleted);
    expect((await readAll(types.list())).map((type) => type.name)).not.toContain(name);
    expect(await readAll(types.list({ showDeleted: true }))).toContainEqual(deleted);
    expect(deleted.etag).not.toBe(before.etag);
  });

  test('deleted again stays as it is', async () => {
    const name = await newType();
    const deleted = await types.delete(name);
    expect(await types.delete(name)).toEqual(deleted);
  });

  test.each<[method: string, reason: string, call: (name: string) => Promise<unknown>]>([
    [
      'recorded to',
      'EXPERIENCE_TYPE_NOT_FOUND',
      (name) => service.client.usage.record({ ...CALL, experienceType: name }),
    ],
    [
      'started',
      'EXPERIENCE_TYPE_NOT_FOUND',
      (name) => service.client.runs.start({ experienceType: name, document: { content: 'Text' } }),
    ],
    [
      'used for an experience',
      'EXPERIENCE_TYPE_NOT_FOUND',
      (name) => service.client.experiences.create({ experienceType: name }),
    ],
    ['updated', 'EXPERIENCE_TYPE_NOT_FOUND', (name) => types.update(name, { description: 'New' })],
    ['raised', 'EXPERIENCE_TYPE_NOT_FOUND', (name) => types.incrementVersion(name)],
    [
      'created anew with other content',
      'EXPERIENCE_TYPE_ALREADY_EXISTS',
      (name) => types.create({ name, description: 'Other' }),
    ],
    [
      'created anew with the same content',
      'EXPERIENCE_TYPE_ALREADY_EXISTS',
      (name) =>
        types.create({ name, description: 'First words', workflowType: 'first', taskQueue: 'queue-1' }),
    ],
  ])('cannot be %s: %s', async (_method, reason, call) => {
    const name = await newType();
    await types.delete(name);
    await expect(call(name)).rejects.toMatchObject({ reason });
  });

  test('keeps its costs readable, and its versions', async () => {
    const name = await newType();
    await types.incrementVersion(name);
    const { event } = await service.client.usage.record({ ...CALL, experienceType: name });
    await types.delete(name);
    const cost = await service.client.costs.get(event.experienceId ?? '', { showDeleted: true });
    expect(cost).toMatchObject({ experienceType: name, totals: { cost: { total: '0.00045' } } });
    const found = await readAll(service.client.experiences.list({ experienceType: name }));
    expect(found.map(({ experienceId }) => experienceId)).toEqual([event.experienceId]);
    expect((await readAll(types.versions(name))).map(({ version }) => version)).toEqual([2, 1]);
  });

  test('is back after Undelete with everything it had', async () => {
    const name = await newType();
    await types.incrementVersion(name);
    const before = await types.get(name);
    await types.delete(name);
    const back = await types.undelete(name);
    expect(back).toEqual({ ...before, etag: back.etag, updateTime: back.updateTime });
    expect(await types.get(name)).toEqual(back);
    expect(await types.undelete(name)).toEqual(back);
    const { event } = await service.client.usage.record({ ...CALL, experienceType: name });
    expect(event.experienceVersion).toBe(2);
  });
});

describe('a version', () => {
  test('is raised by each request and given to new experiences at once', async () => {
    const name = await newType();
    for (const version of [2, 3]) {
      const raised = await types.incrementVersion(name);
      expect(raised).toMatchObject({ version, type: { currentVersion: version } });
      const { event } = await service.client.usage.record({ ...CALL, experienceType: name });
      expect(event.experienceVersion).toBe(version);
    }
  });

  test('is raised once by a request id, and a repeat answers the version that it made', async () => {
    const name = await newType();
    const { etag } = await types.get(name);
    const request = { name, requestId: 'release 1', etag };
    const first = await raw.call(methods.IncrementExperienceTypeVersion, request);
    expect(first).toMatchObject({ version: 2, duplicate: false, experienceType: { currentVersion: 2 } });
    await types.incrementVersion(name, { requestId: 'release 2' });
    const repeat = await raw.call(methods.IncrementExperienceTypeVersion, request);
    expect(repeat).toMatchObject({ version: 2, duplicate: true, experienceType: { currentVersion: 3 } });
  });

  test('is raised by every call without a request id', async () => {
    const name = await newType();
    for (const version of [2, 3]) {
      expect(await raw.call(methods.IncrementExperienceTypeVersion, { name })).toMatchObject({
        version,
        duplicate: false,
      });
    }
  });

  test('is raised once by a request id that twenty calls send at once', async () => {
    const name = await newType();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => types.incrementVersion(name, { requestId: 'release 1' })),
    );
    expect(new Set(answers.map(({ version }) => version))).toEqual(new Set([2]));
    expect((await types.get(name)).currentVersion).toBe(2);
  });

  test('is listed, the newest first, on as many pages as wanted', async () => {
    const name = await newType();
    for (let n = 0; n < 4; n += 1) await types.incrementVersion(name);
    const versions = await readAll(types.versions(name));
    expect(versions.map(({ version }) => version)).toEqual([5, 4, 3, 2, 1]);
    expect(versions.at(-1)?.createTime).toEqual((await types.get(name)).createTime);
    const pages = await readPages(async (pageToken) => {
      const request = { name, pageSize: 2, pageToken };
      const answer = await raw.call(methods.ListExperienceTypeVersions, request);
      return { items: answer.versions.map(({ version }) => version), nextPageToken: answer.nextPageToken };
    });
    expect(pages).toEqual([[5, 4], [3, 2], [1]]);
  });
});

describe('the list of types', () => {
  let own: TestService;
  let rawOwn: RawClient;
  /** In the order of their bytes. */
  const NAMES = ['-', '.', '9', 'A', 'B', 'Z', '_', 'a', 'aa', 'b'];
  beforeAll(async () => {
    own = await startTestService();
    rawOwn = new RawClient(own.address);
    for (const name of NAMES.toReversed()) await own.client.types.create({ name, description: 'Listed' });
    await own.client.types.delete('B');
  });
  afterAll(async () => {
    rawOwn.close();
    await own.stop();
  });

  async function names(pageSize: number, showDeleted = false): Promise<readonly (readonly string[])[]> {
    return readPages(async (pageToken) => {
      const answer = await rawOwn.call(methods.ListExperienceTypes, { pageSize, pageToken, showDeleted });
      return { items: answer.experienceTypes.map(({ name }) => name), nextPageToken: answer.nextPageToken };
    });
  }

  test('is in the order of names and leaves deleted ones out', async () => {
    expect((await readAll(own.client.types.list())).map(({ name }) => name)).toEqual([
      '-',
      '.',
      '9',
      'A',
      'Z',
      '_',
      'a',
      'aa',
      'b',
    ]);
    expect((await readAll(own.client.types.list({ showDeleted: true }))).map(({ name }) => name)).toEqual(
      NAMES,
    );
  });

  test.each<[pageSize: number, showDeleted: boolean, pages: string[][]]>([
    [4, false, [['-', '.', '9', 'A'], ['Z', '_', 'a', 'aa'], ['b']]],
    [
      3,
      false,
      [
        ['-', '.', '9'],
        ['A', 'Z', '_'],
        ['a', 'aa', 'b'],
      ],
    ],
    [
      5,
      true,
      [
        ['-', '.', '9', 'A', 'B'],
        ['Z', '_', 'a', 'aa', 'b'],
      ],
    ],
    [0, true, [['-', '.', '9', 'A', 'B', 'Z', '_', 'a', 'aa', 'b']]],
    [2_147_483_647, true, [['-', '.', '9', 'A', 'B', 'Z', '_', 'a', 'aa', 'b']]],
  ])('in pages of %d, deleted ones shown: %s, holds each type once', async (pageSize, showDeleted, pages) => {
    expect(await names(pageSize, showDeleted)).toEqual(pages);
  });

  test('from the last name to the first holds each type once', async () => {
    const read = async (pageToken: string) =>
      rawOwn.call(methods.ListExperienceTypes, { pageSize: 4, pageToken, descending: true });
    const pages = await readPages(async (pageToken) => {
      const { experienceTypes, nextPageToken } = await read(pageToken);
      return { items: experienceTypes.map(({ name }) => name), nextPageToken };
    });
    expect(pages).toEqual([['b', 'aa', 'a', '_'], ['Z', 'A', '9', '.'], ['-']]);
    // A token of the one order is none of the other.
    const { nextPageToken } = await read('');
    await expect(
      rawOwn.call(methods.ListExperienceTypes, { pageSize: 4, pageToken: nextPageToken }),
    ).rejects.toMatchObject({ reason: 'INVALID_FIELDS' });
  });

  test('goes on behind its place when types come and go in between', async () => {
    const first = await rawOwn.call(methods.ListExperienceTypes, { pageSize: 2 });
    await own.client.types.create({ name: '-0', description: 'Before the place' });
    await own.client.types.create({ name: '0', description: 'Behind the place' });
    const second = await rawOwn.call(methods.ListExperienceTypes, {
      pageSize: 2,
      pageToken: first.nextPageToken,
    });
    expect(second.experienceTypes.map(({ name }) => name)).toEqual(['0', '9']);
  });

  test.each<[what: string, token: () => Promise<string>]>([
    [
      'of another filter',
      async () =>
        (await rawOwn.call(methods.ListExperienceTypes, { pageSize: 1, showDeleted: true })).nextPageToken,
    ],
    [
      'of another list',
      async () => {
        await own.client.types.incrementVersion('A');
        return (await rawOwn.call(methods.ListExperienceTypeVersions, { name: 'A', pageSize: 1 }))
          .nextPageToken;
      },
    ],
    [
      'of another database',
      async () => {
        for (const name of ['x1', 'x2']) await types.create({ name, description: 'Elsewhere' });
        return (await raw.call(methods.ListExperienceTypes, { pageSize: 1 })).nextPageToken;
      },
    ],
    // The place of a token of the first type is its name in quotes, at the token's end.
    [
      'whose place was edited',
      async () => edited(await ownToken(), (bytes) => [...bytes.slice(0, -3), ...Buffer.from('"Z"')]),
    ],
    [
      'whose signature was edited',
      async () =>
        edited(await ownToken(), ([version = 0, first = 0, ...rest]) => [version, first ^ 1, ...rest]),
    ],
    ['of another version', async () => edited(await ownToken(), ([_version, ...rest]) => [2, ...rest])],
    ['that was cut', async () => (await ownToken()).slice(0, 8)],
    ['with something behind it', async () => `${await ownToken()}!`],
    ['made up', async () => 'page 2'],
    ['of absurd length', async () => 'A'.repeat(5_000)],
  ])('refuses a token %s', async (_what, token) => {
    const pageToken = await token();
    expect(pageToken).not.toBe('');
    await expect(rawOwn.call(methods.ListExperienceTypes, { pageToken })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: [{ field: 'page_token', description: 'is not a token of this list with this filter' }],
    });
  });

  async function ownToken(): Promise<string> {
    return (await rawOwn.call(methods.ListExperienceTypes, { pageSize: 1 })).nextPageToken;
  }

  function edited(token: string, edit: (bytes: readonly number[]) => number[]): string {
    return Buffer.from(edit([...Buffer.from(token, 'base64url')])).toString('base64url');
  }
});
