import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestGateway } from './support/gateway.js';
import { GatewayHttp, type HttpAnswer } from './support/gateway-http.js';
import { startTestService, type TestService } from './support/service.js';

let service: TestService;
let gateway: Awaited<ReturnType<typeof startTestGateway>>;
let http: GatewayHttp;
beforeAll(async () => {
  service = await startTestService();
  gateway = await startTestGateway({ serviceAddress: service.address });
  http = await GatewayHttp.open(gateway.url);
});
afterAll(async () => {
  await gateway.stop();
  await service.stop();
});

/** Both eras: where types and experiences are, and what is called differently. */
const ERAS = [
  {
    era: 'experiences',
    types: '/experiences/types',
    instances: '/experiences/instances',
    nameQuery: 'name',
    idMember: 'experience_id',
    typeNotFound: 'experience_type_not_found',
    instanceNotFound: 'experience_instance_not_found',
    alreadyExists: 'experience_type_already_exists',
  },
  {
    era: 'use cases',
    types: '/use_cases/definitions',
    instances: '/use_cases/instances',
    nameQuery: 'use_case_name',
    idMember: 'use_case_id',
    typeNotFound: 'use_case_not_found',
    instanceNotFound: 'use_case_instance_not_found',
    alreadyExists: 'use_case_already_exists',
  },
] as const;

const ANY_ID = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);

function newName(): string {
  return `Feature_${randomUUID().slice(0, 8)}`;
}

async function newType(more: object = {}): Promise<string> {
  const name = newName();
  const answer = await http.call('POST', '/experiences/types', {
    body: { name, description: 'First words', ...more },
  });
  expect(answer.status).toBe(200);
  return name;
}

function refusal(statusCode: number, code: string): object {
  return { statusCode, message: expect.any(String), xproxy_error: { code, message: expect.any(String) } };
}

describe.each(ERAS)('types of the era of $era', (era) => {
  const { types, nameQuery, typeNotFound, alreadyExists } = era;

  test('are created, read and listed by name as the same object', async () => {
    const name = newName();
    const type = { name, description: 'What it is', logging_enabled: true, type_version: 1 };
    const created = await http.call('POST', types, { body: { name, description: 'What it is' } });
    expect(created.status).toBe(200);
    expect(created.body).toEqual({ request_id: ANY_ID, ...type });
    const read = await http.call('GET', `${types}/${name}`);
    expect(read.body).toEqual({ request_id: ANY_ID, ...type });
    const listed = await http.call('GET', `${types}?${nameQuery}=${name}`);
    expect(listed.body).toEqual({
      request_id: ANY_ID,
      cursor: null,
      items: [{ request_id: ANY_ID, ...type }],
    });
    const none = await http.call('GET', `${types}?${nameQuery}=${name.toLowerCase()}`);
    expect(none.body).toMatchObject({ items: [], cursor: null });
  });

  test('are created with a limit for each experience, all its digits kept', async () => {
    const name = newName();
    const limit_config = { max: '1e-08', limit_type: 'BLOCK', threshold: 0.75, limit_tags: ['a', 'b'] };
    const body = `{"name":"${name}","description":"Limited","limit_config":{"max":1e-08,"limit_type":"BLOCK","threshold":0.75,"limit_tags":["a","b"]},"logging_enabled":false}`;
    const created = await http.call('POST', types, { body });
    expect(created.body).toMatchObject({
      logging_enabled: false,
      limit_config: { max: 1e-8, limit_type: 'block', threshold: 0.75, limit_tags: ['a', 'b'] },
    });
    expect(created.text).toContain('"max":0.00000001,');
    const again = await http.call('POST', types, { body: { name, description: 'Limited', limit_config } });
    expect(again.body).toEqual({ ...(created.body as object), request_id: ANY_ID });
    const { limitConfig } = await service.client.types.get(name);
    expect(limitConfig).toEqual({
      type: 'BLOCK',
      maxCost: '0.00000001',
      threshold: '0.75',
      tags: ['a', 'b'],
    });
  });

  test('are changed by PUT in what is given', async () => {
    const name = await newType();
    const one = await http.call('PUT', `${types}/${name}`, { body: { description: 'Other words' } });
    expect(one.body).toMatchObject({ description: 'Other words', logging_enabled: true, type_version: 1 });
    const two = await http.call('PUT', `${types}/${name}`, {
      body: { description: null, logging_enabled: false },
    });
    expect(two.body).toMatchObject({ description: 'Other words', logging_enabled: false });
    const three = await http.call('PUT', `${types}/${name}`);
    expect(three.body).toMatchObject({ description: 'Other words', logging_enabled: false });
  });

  test('get a limit that setting again overwrites, and lose it as often as one likes', async () => {
    const name = await newType();
    const first = await http.call('POST', `${types}/${name}/limit_config`, { body: { max: 12.5 } });
    expect(first.body).toMatchObject({
      name,
      limit_config: { max: 12.5, limit_type: 'allow', threshold: 1 },
      type_version: 1,
    });
    const second = await http.call('POST', `${types}/${name}/limit_config`, {
      body: { max: 3, limit_type: 'block', threshold: 0.9 },
    });
    expect(second.body).toMatchObject({ limit_config: { max: 3, limit_type: 'block', threshold: 0.9 } });
    for (let time = 0; time < 2; time += 1) {
      const removed = await http.call('DELETE', `${types}/${name}/limit_config`);
      expect(removed.status).toBe(200);
      expect(removed.body).not.toHaveProperty('limit_config');
    }
  });

  test('raise their version by an empty request, once for each key', async () => {
    const name = await newType();
    const raise = async (headers: Readonly<Record<string, string>> = {}) =>
      http.call('POST', `${types}/${name}/increment_version`, { headers });
    expect((await raise()).body).toMatchObject({ name, type_version: 2 });
    const once = { 'idempotency-key': randomUUID() };
    expect((await raise(once)).body).toMatchObject({ type_version: 3 });
    expect((await raise(once)).body).toMatchObject({ type_version: 3 });
    expect((await raise()).body).toMatchObject({ type_version: 4 });
  });

  test('are answered when they are deleted, also again, and their name stays taken', async () => {
    const name = await newType();
    for (let time = 0; time < 2; time += 1) {
      const deleted = await http.call('DELETE', `${types}/${name}`);
      expect(deleted.status).toBe(200);
      expect(deleted.body).toMatchObject({ name, description: 'First words', type_version: 1 });
    }
    const gone = await http.call('GET', `${types}/${name}`);
    expect(gone.body).toEqual(refusal(404, typeNotFound));
    const again = await http.call('POST', types, { body: { name, description: 'First words' } });
    expect(again.body).toEqual(refusal(400, alreadyExists));
  });

  test.each<[method: string, path: string, body?: object]>([
    ['GET', ''],
    ['PUT', '', { description: 'New' }],
    ['DELETE', ''],
    ['POST', '/limit_config', { max: 1 }],
    ['DELETE', '/limit_config'],
    ['POST', '/increment_version'],
  ])('that are not there: %s %s is 404', async (method, path, body) => {
    const answer = await http.call(
      method,
      `${types}/${newName()}${path}`,
      body === undefined ? {} : { body },
    );
    expect([answer.status, answer.body]).toEqual([404, refusal(404, typeNotFound)]);
  });

  test('whose names are no names are refused, percent-encoded or not', async () => {
    const code = era.era === 'experiences' ? 'request_processing_error' : 'invalid_use_case_name';
    for (const part of ['a%20b', '%E2%82%AC', '%2e%2e%2fx', 'a%2Fb', 'x'.repeat(65)]) {
      const answer = await http.call('GET', `${types}/${part}`);
      expect([part, answer.status, answer.body]).toEqual([part, 400, refusal(400, code)]);
    }
    const name = newName();
    await http.call('POST', types, { body: { name: `${name}.v-1`, description: 'Dotted' } });
    const encoded = await http.call('GET', `${types}/${name}%2Ev%2D1`);
    expect(encoded.body).toMatchObject({ name: `${name}.v-1` });
  });
});

describe('creating a type again', () => {
  const stated = { description: 'First words', limit_config: { max: 2, limit_tags: ['x'] } };

  test.each<[what: string, again: object]>([
    ['with the same content', stated],
    ['with more space around its words', { ...stated, description: ' First words\n' }],
    ['without the limit that it has', { description: 'First words' }],
    ['saying what it is by default', { ...stated, logging_enabled: true }],
    ['with nulls', { description: 'First words', limit_config: null, logging_enabled: null }],
    ['with a member that nobody knows', { ...stated, colour: 'red' }],
    ['with other spellings of numbers', { ...stated, limit_config: { max: '2.0', limit_tags: ['x'] } }],
  ])('%s answers it', async (_what, again) => {
    const name = await newType(stated);
    const answer = await http.call('POST', '/experiences/types', { body: { name, ...again } });
    expect([answer.status, answer.body]).toMatchObject([200, { name, limit_config: { max: 2 } }]);
  });

  test.each<[what: string, again: object]>([
    ['with another description', { ...stated, description: 'Second words' }],
    ['with another limit', { ...stated, limit_config: { max: 3, limit_tags: ['x'] } }],
    [
      'with another type of limit',
      { ...stated, limit_config: { ...stated.limit_config, limit_type: 'block' } },
    ],
    ['with another threshold', { ...stated, limit_config: { ...stated.limit_config, threshold: 0.8 } }],
    ['with other tags', { ...stated, limit_config: { max: 2, limit_tags: ['y'] } }],
    ['with logging off', { ...stated, logging_enabled: false }],
  ])('%s is 400 and changes nothing', async (_what, again) => {
    const name = await newType(stated);
    const before = await service.client.types.get(name);
    const answer = await http.call('POST', '/experiences/types', { body: { name, ...again } });
    expect(answer.body).toEqual(refusal(400, 'experience_type_already_exists'));
    expect(await service.client.types.get(name)).toEqual(before);
  });

  test('without saying which workflow runs it answers it', async () => {
    const name = newName();
    await service.client.types.create({ name, description: 'Run', workflowType: 'documentChatbot' });
    const answer = await http.call('POST', '/experiences/types', { body: { name, description: 'Run' } });
    expect([answer.status, answer.body]).toMatchObject([200, { name }]);
  });

  test('by twenty clients at once is one type', async () => {
    const body = { name: newName(), description: 'Together' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => http.call('POST', '/experiences/types', { body })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
  });
});

test('clients up to alpha.59 change a type by PATCH', async () => {
  const name = await newType();
  const answer = await http.call('PATCH', `/experiences/types/${name}`, { body: { description: 'Patched' } });
  expect(answer.body).toMatchObject({ name, description: 'Patched' });
});

describe.each(ERAS)('experiences of the era of $era', (era) => {
  const { instances, idMember, instanceNotFound, typeNotFound } = era;
  const idOf = ({ body }: HttpAnswer): string => String((body as Record<string, unknown>)[idMember]);

  test('are created by the name of a type without a body, read and deleted', async () => {
    const name = await newType();
    const created = await http.call('POST', `${instances}/${name}`);
    const names = era.era === 'experiences' ? {} : { experience_id: ANY_ID, use_case_name: name };
    const instance = { [idMember]: ANY_ID, ...names, request_id: ANY_ID, type_version: 1, properties: {} };
    expect([created.status, created.body]).toEqual([200, instance]);
    const id = idOf(created);
    for (const spelled of [id, id.toUpperCase(), `%7B${id}%7D`]) {
      expect(idOf(await http.call('GET', `${instances}/${spelled}`))).toBe(id);
    }
    const deleted = await http.call('DELETE', `${instances}/${id}`);
    expect([deleted.status, idOf(deleted)]).toEqual([200, id]);
    expect(await http.call('DELETE', `${instances}/${id}`)).toMatchObject({ status: 404 });
    const gone = await http.call('GET', `${instances}/${id}`);
    expect([gone.status, gone.body]).toEqual([404, refusal(404, instanceNotFound)]);
  });

  test('get the current version, or the one that a header names', async () => {
    const name = await newType();
    await service.client.types.incrementVersion(name);
    expect((await http.call('POST', `${instances}/${name}`)).body).toMatchObject({ type_version: 2 });
    for (const header of ['xProxy-UseCase-Version', 'XPROXY-EXPERIENCE-VERSION']) {
      const answer = await http.call('POST', `${instances}/${name}`, { headers: { [header]: '1' } });
      expect(answer.body).toMatchObject({ type_version: 1 });
    }
    for (const version of ['3', '0', 'v1', '99999999999']) {
      const answer = await http.call('POST', `${instances}/${name}`, {
        headers: { 'xproxy-usecase-version': version },
      });
      expect([version, answer.status]).toEqual([version, 400]);
    }
  });

  test('tell the id of their own limit', async () => {
    const name = await newType({ limit_config: { max: 5, limit_type: 'block' } });
    const created = await http.call('POST', `${instances}/${name}`);
    const { limit_id } = created.body as { limit_id?: string };
    expect(limit_id).toBe(idOf(created));
    expect(await service.client.limits.get(String(limit_id))).toMatchObject({
      limit: { maxCost: '5', type: 'BLOCK' },
    });
  });

  test('keep properties: those named are set or, with null, taken away', async () => {
    const id = idOf(await http.call('POST', `${instances}/${await newType()}`));
    const set = async (properties: object) =>
      http.call('POST', `${instances}/${id}/properties`, { body: { properties } });
    const first = await set({ customer: 'c-7', 'system.failure': 'none', empty: '' });
    expect(first.body).toMatchObject({
      [idMember]: id,
      properties: { customer: 'c-7', 'system.failure': 'none', empty: '' },
    });
    const second = await set({ customer: null, plan: 'pro', absent: null });
    expect(second.body).toMatchObject({ properties: { 'system.failure': 'none', plan: 'pro' } });
    expect((second.body as { properties: object }).properties).not.toHaveProperty('customer');
    const read = await http.call('GET', `${instances}/${id}`);
    expect(read.body).toMatchObject({ properties: { 'system.failure': 'none', empty: '', plan: 'pro' } });
  });

  test('of an unknown or deleted type are not made', async () => {
    const name = await newType();
    await service.client.types.delete(name);
    for (const each of [name, newName()]) {
      const answer = await http.call('POST', `${instances}/${each}`);
      expect([answer.status, answer.body]).toEqual([404, refusal(404, typeNotFound)]);
    }
  });

  test.each<[method: string, path: string, body?: object]>([
    ['GET', ''],
    ['DELETE', ''],
    ['POST', '/properties', { properties: { a: 'b' } }],
  ])('that are not there: %s %s is 404', async (method, path, body) => {
    for (const id of [randomUUID(), 'no-uuid', '1']) {
      const answer = await http.call(method, `${instances}/${id}${path}`, body === undefined ? {} : { body });
      expect([answer.status, answer.body]).toEqual([404, refusal(404, instanceNotFound)]);
    }
  });
});

test('use cases take properties by PUT too', async () => {
  const created = await http.call('POST', `/use_cases/instances/${await newType()}`);
  const { use_case_id } = created.body as { use_case_id: string };
  const answer = await http.call('PUT', `/use_cases/instances/${use_case_id}/properties`, {
    body: { properties: { a: 'b' } },
  });
  expect(answer.body).toMatchObject({ use_case_id, properties: { a: 'b' } });
});

test.each<[method: string, path: string]>([
  ['POST', '/use_cases/definitions/any/kpis'],
  ['GET', '/use_cases/definitions/any/kpis/one'],
  ['PUT', '/use_cases/instances/any/kpis/one'],
  ['GET', '/use_cases/instances/any/value'],
  ['POST', '/experiences/instances/any/csat'],
  ['POST', '/experiences/types/any/versions'],
  ['PUT', '/experiences/types'],
  ['HEAD', '/experiences/types'],
])('%s %s, which is not offered, is the documented 404', async (method, path) => {
  const response = await fetch(`${gateway.url}/api/v1${path}`, { method });
  expect(response.status).toBe(404);
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  if (method !== 'HEAD')
    expect(await response.json()).toEqual({ statusCode: 404, message: expect.any(String) });
});

describe('a list', () => {
  let own: TestService;
  let ownGateway: Awaited<ReturnType<typeof startTestGateway>>;
  let list: (query: string, headers?: Record<string, string>) => Promise<HttpAnswer>;
  beforeAll(async () => {
    own = await startTestService();
    ownGateway = await startTestGateway({ serviceAddress: own.address });
    const ownHttp = await GatewayHttp.open(ownGateway.url);
    list = async (query, headers = {}) => ownHttp.call('GET', `/experiences/types${query}`, { headers });
    for (const name of ['a', 'b', 'c', 'd', 'e'])
      await own.client.types.create({ name, description: 'Listed' });
  });
  afterAll(async () => {
    await ownGateway.stop();
    await own.stop();
  });

  const namesOf = (body: unknown): string[] =>
    (Array.isArray(body) ? body : (body as { items: unknown[] }).items).map((item) =>
      String((item as { name: unknown }).name),
    );

  test.each<[what: string, headers: Record<string, string>, isArray: boolean]>([
    ['alpha.35', { 'x-stainless-package-version': '0.1.0-alpha.35' }, true],
    ['alpha.55', { 'X-Stainless-Package-Version': '0.1.0-alpha.55' }, true],
    ['alpha.59', { 'x-stainless-package-version': '0.1.0-alpha.59' }, true],
    ['alpha.60', { 'x-stainless-package-version': '0.1.0-alpha.60' }, false],
    ['alpha.94', { 'x-stainless-package-version': '0.1.0-alpha.94' }, false],
    ['alpha.55 by its agent', { 'user-agent': 'Payi/Python 0.1.0-alpha.55' }, true],
    ['alpha.55 without waiting, by its agent', { 'user-agent': 'AsyncPayi/Python 0.1.0-alpha.55' }, true],
    ['alpha.94 by its agent', { 'user-agent': 'Payi/Python 0.1.0-alpha.94' }, false],
    ['a client of another package', { 'x-stainless-package-version': '6.49.0' }, false],
    ['a browser', { 'user-agent': 'Mozilla/5.0' }, false],
    ['nobody', {}, false],
  ])('for %s has the shape that it reads', async (_who, headers, isArray) => {
    const { body } = await list('', headers);
    expect(Array.isArray(body)).toBe(isArray);
    expect(namesOf(body)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test.each<[query: string, names: string[][]]>([
    ['limit=2', [['a', 'b'], ['c', 'd'], ['e']]],
    ['limit=5', [['a', 'b', 'c', 'd', 'e']]],
    ['limit=999999&sort_ascending=true', [['a', 'b', 'c', 'd', 'e']]],
    [
      'limit=3&sort_ascending=false',
      [
        ['e', 'd', 'c'],
        ['b', 'a'],
      ],
    ],
    ['limit=&cursor=&name=', [['a', 'b', 'c', 'd', 'e']]],
  ])('with %s goes on by its cursor until that is null', async (query, names) => {
    const pages: string[][] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const { body } = await list(`?${query}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`);
      pages.push(namesOf(body));
      cursor = (body as { cursor: string | null }).cursor;
    }
    expect(pages).toEqual(names);
  });

  test('in one array ignores how long pages are', async () => {
    const { body } = await list('?limit=2&sort_ascending=false', {
      'x-stainless-package-version': '0.1.0-alpha.55',
    });
    expect(namesOf(body)).toEqual(['e', 'd', 'c', 'b', 'a']);
  });

  test.each([
    'limit=0',
    'limit=-1',
    'limit=1.5',
    'limit=many',
    'sort_ascending=up',
    'cursor=made-up',
    'limit=1&limit=2',
    'name=a&name=b',
    'name=a%20b',
  ])('with ?%s is refused', async (query) => {
    const answer = await list(`?${query}`);
    expect([answer.status, answer.body]).toEqual([400, refusal(400, 'request_processing_error')]);
  });
});
