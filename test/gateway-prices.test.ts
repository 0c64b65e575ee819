import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { ExperiencesClient } from '../services/client/index.js';
import { startTestGateway } from './support/gateway.js';
import { GatewayHttp, type HttpAnswer } from './support/gateway-http.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';

let service: TestService;
let client: ExperiencesClient;
let gateway: Awaited<ReturnType<typeof startTestGateway>>;
let http: GatewayHttp;
beforeAll(async () => {
  service = await startTestService();
  ({ client } = service);
  gateway = await startTestGateway({ serviceAddress: service.address });
  http = await GatewayHttp.open(gateway.url);
});
afterAll(async () => {
  await gateway.stop();
  await service.stop();
});

const RESOURCE = z.looseObject({
  category: z.string(),
  resource: z.string(),
  resource_id: z.string(),
  start_timestamp: z.string(),
  deprecated_timestamp: z.string().optional(),
  proxy_allowed: z.boolean(),
  units: z.record(
    z.string(),
    z.object({ input_price: z.number().optional(), output_price: z.number().optional() }),
  ),
});

/** Python writes small numbers with an exponent: the text is sent as it is. */
async function create(category: string, resource: string, body: string): Promise<HttpAnswer> {
  return http.call('POST', `/categories/${category}/resources/${resource}`, { body });
}

async function created(category: string, resource: string, body: string) {
  const answer = await create(category, resource, body);
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
  return { ...RESOURCE.parse(answer.body), text: answer.text };
}

async function cost(category: string, resource: string, more: object = {}): Promise<string> {
  const units = { text: { input: 11, output: 21 } };
  const answer = await http.call('POST', '/ingest', { body: { category, resource, units, ...more } });
  return /"total":\{"base":([^}]*)\}/.exec(answer.text)?.[1] ?? 'unpriced';
}

function codeOf({ body }: HttpAnswer): unknown {
  return z.object({ xproxy_error: z.object({ code: z.string() }) }).parse(body).xproxy_error.code;
}

function newCategory(): string {
  return `category-${randomUUID().slice(0, 8)}`;
}

const ONE = '{"units":{"text":{"input_price":1,"output_price":1}}}';

describe('a resource of ones own', () => {
  test('prices with every digit of its literals, exponents too', async () => {
    const category = newCategory();
    const { text, ...resource } = await created(
      category,
      'm1',
      '{"units":{"text":{"input_price":2.5e-07,"output_price":1.25E-6},"tiny":{"output_price":1e-18}}}',
    );
    expect(text).toContain(
      '"units":{"text":{"input_price":0.00000025,"output_price":0.00000125},"tiny":{"output_price":0.000000000000000001}}',
    );
    expect(resource).toMatchObject({ category, resource: 'm1', proxy_allowed: false });
    expect(await cost(category, 'm1')).toBe('0.000029');
    expect(await cost(category, 'm1', { units: { tiny: { output: 3 } } })).toBe('0.000000000000000003');
    const exact = '{"units":{"text":{"input_price":"1234567890.123456789012345678"}}}';
    expect((await created(category, 'm2', exact.replaceAll('1234567890.', '1.'))).text).toContain(
      '"input_price":1.123456789012345678',
    );
  });

  test.each<[what: string, body: string, code: string]>([
    ['19 digits after the point', '{"units":{"text":{"input_price":1e-19}}}', 'request_processing_error'],
    ['no number', '{"units":{"text":{"input_price":"free"}}}', 'request_processing_error'],
    ['less than nothing', '{"units":{"text":{"input_price":-1}}}', 'request_processing_error'],
    ['no price at all', '{"units":{"text":{}}}', 'request_processing_error'],
    ['no unit', '{"units":{}}', 'required_field_missing'],
    ['no units', '{}', 'required_field_missing'],
    ['a bad unit', '{"units":{"Text":{"input_price":1}}}', 'request_processing_error'],
    ['no time', `{"units":{"text":{"input_price":1}},"start_timestamp":"soon"}`, 'request_processing_error'],
    ['broken JSON', '{"units":{"text":{"input_price":1', 'invalid_json'],
    ['a member twice', '{"units":{},"units":{"text":{"input_price":1}}}', 'invalid_json'],
  ])('with %s is refused, and is not there', async (_what, body, code) => {
    const category = newCategory();
    const answer = await create(category, 'm', body);
    expect([answer.status, codeOf(answer)]).toEqual([400, code]);
    const missing = await http.call('GET', `/categories/${category}/resources/m`);
    expect([missing.status, codeOf(missing)]).toEqual([404, 'category_not_found']);
  });

  test('has versions by date: each event is priced by the one in force then, and keeps it', async () => {
    const category = newCategory();
    const at = (year: number, price: string) =>
      created(
        category,
        'm',
        `{"units":{"text":{"input_price":${price},"output_price":0}},"start_timestamp":"${year}-01-01T00:00:00"}`,
      );
    const first = await at(2020, '1');
    const third = await at(2030, '3');
    const second = await at(2022, '2');
    expect(first.start_timestamp).toBe('2020-01-01T00:00:00.000Z');
    for (const [time, expected] of [
      ['2019-12-31T23:59:59', 'unpriced'],
      ['2020-01-01T00:00:00', '11'],
      ['2021-12-31T23:59:59.999', '11'],
      ['2022-01-01T00:00:00Z', '22'],
    ])
      expect([time, await cost(category, 'm', { event_timestamp: time })]).toEqual([time, expected]);
    const versions = await http.call('GET', `/categories/${category}/resources/m`);
    expect(versions.body).toMatchObject({
      items: [
        { resource_id: first.resource_id, deprecated_timestamp: '2022-01-01T00:00:00.000Z' },
        { resource_id: second.resource_id, deprecated_timestamp: '2030-01-01T00:00:00.000Z' },
        { resource_id: third.resource_id },
      ],
      cursor: null,
    });
    const current = await http.call('GET', `/categories/${category}/resources`);
    expect(current.body).toMatchObject({ items: [{ resource_id: second.resource_id }] });
    const one = await http.call('GET', `/categories/${category}/resources/m/${third.resource_id}`);
    expect(one.body).toMatchObject({ resource_id: third.resource_id, units: { text: { input_price: 3 } } });
  });

  test('that is deleted is retired: it prices no later event, and what was recorded keeps its cost', async () => {
    const category = newCategory();
    const past = '2020-01-01T00:00:00Z';
    const old = await created(
      category,
      'm',
      `{"units":{"text":{"input_price":1}},"start_timestamp":"${past}"}`,
    );
    const later = await created(
      category,
      'm',
      '{"units":{"text":{"input_price":5}},"start_timestamp":"2040-01-01"}',
    );
    const key = randomUUID();
    const units = { text: { input: 11 } };
    await http.call('POST', '/ingest', {
      body: { category, resource: 'm', units },
      headers: { 'Idempotency-Key': key },
    });
    const answer = await http.call('DELETE', `/categories/${category}/resources/m`);
    expect(answer.body).toMatchObject([
      { resource_id: old.resource_id, deprecated_timestamp: expect.any(String) },
      { resource_id: later.resource_id, deprecated_timestamp: '2040-01-01T00:00:00.000Z' },
    ]);
    expect(await cost(category, 'm', { units })).toBe('unpriced');
    expect((await client.usage.get(key)).event.cost.total).toBe('11');
    // Sent again it finds nothing to retire, and the versions are still told.
    expect((await http.call('DELETE', `/categories/${category}/resources/m`)).body).toEqual([]);
    expect((await http.call('GET', `/categories/${category}/resources`)).body).toMatchObject({ items: [] });
    expect((await http.call('GET', `/categories/${category}/resources/m`)).body).toMatchObject({
      items: [{ resource_id: old.resource_id, deprecated_timestamp: expect.any(String) }, {}],
    });
  });

  test('can be retired version by version, one that is still to come too, and more than once', async () => {
    const category = newCategory();
    const first = await created(
      category,
      'm',
      '{"units":{"text":{"input_price":1}},"start_timestamp":"2020-01-01"}',
    );
    const second = await created(
      category,
      'm',
      '{"units":{"text":{"input_price":2}},"start_timestamp":"2021-01-01"}',
    );
    const third = await created(
      category,
      'm',
      '{"units":{"text":{"input_price":3}},"start_timestamp":"2040-01-01"}',
    );
    const remove = async (id: string) =>
      (await http.call('DELETE', `/categories/${category}/resources/m/${id}`)).body;
    expect(await remove(third.resource_id)).toMatchObject({
      deprecated_timestamp: '2040-01-01T00:00:00.000Z',
    });
    expect(await remove(first.resource_id)).toMatchObject({
      deprecated_timestamp: '2021-01-01T00:00:00.000Z',
    });
    expect(await cost(category, 'm', { units: { text: { input: 1 } } })).toBe('2');
    const gone = await remove(second.resource_id);
    expect(gone).toMatchObject({ resource_id: second.resource_id, deprecated_timestamp: expect.any(String) });
    expect(await remove(second.resource_id)).toEqual(gone);
    expect(await cost(category, 'm', { units: { text: { input: 1 } } })).toBe('unpriced');
  });

  test('may have slashes in its name, which clients do not encode', async () => {
    const category = newCategory();
    // Such a path has more parts than its document says.
    const call = async (method: string, path: string): Promise<unknown> => {
      const body = method === 'POST' ? { body: ONE } : {};
      const headers = { 'content-type': 'application/json' };
      const url = `${gateway.url}/api/v1/categories/${category}/resources/${path}`;
      return (await fetch(url, { method, headers, ...body })).json();
    };
    for (const name of ['meta/llama', 'a/b/c/d', 'with%20space', 'enc%2Foded']) {
      const resource = decodeURIComponent(name);
      const { resource_id: id } = RESOURCE.parse(await call('POST', name));
      expect(await call('GET', `${name}/${id}`)).toMatchObject({ resource, resource_id: id });
      expect(await call('GET', name)).toMatchObject({ items: [{ resource, resource_id: id }] });
      expect(await call('DELETE', name)).toMatchObject([{ resource }]);
    }
  });

  test('that is not there, or of another category, is not found', async () => {
    const category = newCategory();
    const { resource_id: id } = await created(category, 'm', ONE);
    for (const [method, path, code] of [
      ['GET', `/categories/${newCategory()}/resources`, 'category_not_found'],
      ['GET', `/categories/${newCategory()}/resources/m/${id}`, 'category_not_found'],
      ['DELETE', `/categories/${newCategory()}`, 'category_not_found'],
      ['GET', `/categories/${category}/resources/other`, 'category_resource_not_found'],
      ['GET', `/categories/${category}/resources/m/${randomUUID()}`, 'category_resource_not_found'],
      ['DELETE', `/categories/${category}/resources/other/${id}`, 'category_resource_not_found'],
      ['GET', '/categories/system.openai/resources/none', 'category_resource_not_found'],
    ] as const) {
      const answer = await http.call(method, path);
      expect([path, answer.status, codeOf(answer)]).toEqual([path, 404, code]);
    }
  });
});

describe('the built-in categories', () => {
  test('are listed with what they hold, after ones own', async () => {
    const category = newCategory();
    await created(
      category,
      'm',
      '{"units":{"text":{"input_price":1}},"start_timestamp":"2024-05-06T07:08:09"}',
    );
    const items: unknown[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const { body } = await http.call(
        'GET',
        `/categories?limit=7${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      const page = z.object({ items: z.array(z.unknown()), cursor: z.string().nullable() }).parse(body);
      items.push(...page.items);
      cursor = page.cursor;
    }
    const names = z.array(z.looseObject({ category: z.string(), resource_count: z.number() })).parse(items);
    expect(new Set(names.map((each) => each.category)).size).toBe(names.length);
    expect(names.find((each) => each.category === category)).toEqual({
      category,
      resource_count: 1,
      start_timestamp: '2024-05-06T07:08:09.000Z',
    });
    const openai = names.find((each) => each.category === 'system.openai');
    expect(openai?.resource_count).toBeGreaterThan(20);
    for (const known of [
      'system.anthropic',
      'system.aws.bedrock',
      'system.azureopenai',
      'system.google.vertex',
    ])
      expect(names.map((each) => each.category)).toContain(known);
    const array = await http.call('GET', '/categories', {
      headers: { 'x-stainless-package-version': '0.1.0-alpha.55' },
    });
    expect(array.body).toEqual(items);
  });

  test('name the resources that the proxy may call, with the price in force', async () => {
    const answer = await http.call('GET', '/categories/system.openai/resources/gpt-4o-mini');
    const { items } = z.object({ items: z.array(RESOURCE) }).parse(answer.body);
    expect(items.at(-1)).toMatchObject({
      category: 'system.openai',
      resource: 'gpt-4o-mini',
      proxy_allowed: true,
      units: { text: { input_price: 1.5e-7, output_price: 6e-7 } },
    });
    const all = await http.call('GET', '/categories/system.openai/resources?limit=1000');
    const current = z.object({ items: z.array(RESOURCE) }).parse(all.body).items;
    const models = current.map(({ resource }) => resource.toLowerCase());
    expect(models).toEqual([...new Set(models)].sort());
    expect(current).toContainEqual(items.at(-1));
  });

  test('are not to be changed', async () => {
    for (const [method, path] of [
      ['POST', '/categories/system.openai/resources/mine'],
      ['POST', '/categories/SYSTEM.mine/resources/mine'],
      ['DELETE', '/categories/system.openai/resources/gpt-4o-mini'],
      ['DELETE', '/categories/system.openai'],
    ] as const) {
      const answer = await http.call(method, path, method === 'POST' ? { body: ONE } : {});
      expect([path, answer.status, codeOf(answer)]).toEqual([path, 400, 'request_processing_error']);
    }
    expect(await readAll(client.prices.list({ provider: 'openai', source: 'APPLICATION' }))).toEqual([]);
  });
});

test('a category that is deleted has all its resources retired, and stays', async () => {
  const category = newCategory();
  for (const name of ['a', 'b/c', 'd']) await created(category, name, ONE);
  const answer = await http.call('DELETE', `/categories/${category}`);
  expect(
    z
      .array(RESOURCE)
      .parse(answer.body)
      .map(({ resource }) => resource),
  ).toEqual(['a', 'b/c', 'd']);
  expect((await http.call('GET', `/categories/${category}/resources`)).body).toMatchObject({
    items: [],
    cursor: null,
  });
  expect((await http.call('DELETE', `/categories/${category}`)).body).toEqual([]);
  expect(await cost(category, 'a')).toBe('unpriced');
  await created(category, 'a', ONE);
  expect(await cost(category, 'a')).toBe('32');
});

test('versions and resources are read page by page', async () => {
  const category = newCategory();
  for (let year = 2020; year < 2025; year += 1)
    await created(category, 'm', `{"units":{"text":{"input_price":1}},"start_timestamp":"${year}-01-01"}`);
  for (const name of ['a', 'B', 'c']) await created(category, name, ONE);
  const read = async (path: string): Promise<number[]> => {
    const sizes: number[] = [];
    let cursor: string | null = '';
    while (cursor !== null && sizes.length < 10) {
      const { body } = await http.call('GET', `${path}?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
      const page = z.object({ items: z.array(RESOURCE), cursor: z.string().nullable() }).parse(body);
      sizes.push(page.items.length);
      cursor = page.cursor;
    }
    return sizes;
  };
  expect(await read(`/categories/${category}/resources/m`)).toEqual([2, 2, 1]);
  expect(await read(`/categories/${category}/resources`)).toEqual([2, 2]);
  const wrong = await http.call('GET', `/categories/${category}/resources/m?cursor=x`);
  expect([wrong.status, codeOf(wrong)]).toEqual([400, 'request_processing_error']);
});
