import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { ExperiencesClient } from '../services/client/index.js';
import { startTestGateway } from './support/gateway.js';
import { GatewayHttp, type HttpAnswer } from './support/gateway-http.js';
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
  await client.prices.create({
    provider: 'haiku',
    model: 'claude-3-haiku',
    rates: { text: { input: { base: '0.00000025' }, output: { base: '0.00000125' } } },
  });
});
afterAll(async () => {
  await gateway.stop();
  await service.stop();
});

const LIMIT = z.looseObject({ limit_id: z.string(), limit_name: z.string() });

async function create(body: string | object): Promise<HttpAnswer> {
  return http.call('POST', '/limits', { body });
}

async function created(more: object = {}): Promise<z.infer<typeof LIMIT>> {
  const answer = await create({ limit_name: `limit ${randomUUID()}`, max: 5, ...more });
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
  return z.object({ limit: LIMIT }).parse(answer.body).limit;
}

async function spend(limitId: string, status = 200): Promise<void> {
  const body = {
    category: 'haiku',
    resource: 'claude-3-haiku',
    units: status === 200 ? { text: { input: 11, output: 21 } } : {},
    http_status_code: status,
  };
  const answer = await http.call('POST', '/ingest', { body, headers: { 'xProxy-Limit-IDs': limitId } });
  expect(answer.status).toBe(200);
}

function codeOf({ body }: HttpAnswer): unknown {
  return z.object({ xproxy_error: z.object({ code: z.string() }) }).parse(body).xproxy_error.code;
}

describe('a limit', () => {
  test('is created with the digits of its literals and read as it was created', async () => {
    const name = `limit ${randomUUID()}`;
    const text = `{"limit_name":"${name}","max":1e-08,"limit_type":"Block","threshold":0.8,"limit_tags":["b","a"]}`;
    const answer = await create(text);
    expect(answer.text).toContain('"max":0.00000001');
    const { limit } = z.object({ limit: LIMIT }).parse(answer.body);
    expect(limit).toMatchObject({
      limit_name: name,
      limit_type: 'block',
      threshold: 0.8,
      limit_tags: ['b', 'a'],
      limit_update_timestamp: limit.limit_creation_timestamp,
      totals: {
        cost: { input: { base: 0 }, output: { base: 0 }, total: { base: 0 } },
        requests: { ok: 0, exceeded: 0, overrun: 0, failed: 0, blocked: 0, blocked_external: 0, total: 0 },
      },
    });
    const read = await http.call('GET', `/limits/${limit.limit_id}`);
    expect(z.object({ limit: LIMIT }).parse(read.body).limit).toEqual(limit);
    expect((await client.limits.get(limit.limit_id)).limit).toMatchObject({
      maxCost: '0.00000001',
      type: 'BLOCK',
    });
  });

  test('of a name and a maximum alone allows, and is exceeded at its maximum', async () => {
    expect(await created({ max: '1234.5' })).toMatchObject({
      limit_type: 'allow',
      threshold: 1,
      max: 1234.5,
    });
  });

  test('created again with the same content is the same limit, with other content it is refused', async () => {
    const limit = await created({ limit_tags: ['a', 'b'] });
    const again = await create({
      limit_name: limit.limit_name,
      max: 5.0,
      limit_tags: ['b', 'a'],
      limit_id: null,
    });
    expect(z.object({ limit: LIMIT }).parse(again.body).limit).toEqual(limit);
    const other = await create({ limit_name: limit.limit_name, max: 6 });
    expect([other.status, codeOf(other)]).toEqual([400, 'limit_name_already_exist']);
  });

  test.each<[what: string, body: string | object, code: string]>([
    ['no name', { max: 1 }, 'required_field_missing'],
    ['an empty name', { limit_name: '', max: 1 }, 'required_field_missing'],
    ['a name too long', { limit_name: 'n'.repeat(129), max: 1 }, 'create_limit_validation_failed'],
    ['no maximum', { limit_name: 'n' }, 'required_field_missing'],
    ['a maximum of nothing', { limit_name: 'n', max: 0 }, 'invalid_max_limit'],
    ['a maximum below nothing', { limit_name: 'n', max: -1 }, 'invalid_max_limit'],
    ['a maximum of 19 digits', '{"limit_name":"n","max":1e-19}', 'invalid_max_limit'],
    ['a maximum beyond all', '{"limit_name":"n","max":1e13}', 'invalid_max_limit'],
    ['a maximum that is no number', { limit_name: 'n', max: 'much' }, 'create_limit_validation_failed'],
    ['a type of its own', { limit_name: 'n', max: 1, limit_type: 'warn' }, 'create_limit_validation_failed'],
    ['a threshold above 1', { limit_name: 'n', max: 1, threshold: 1.1 }, 'create_limit_validation_failed'],
    ['a bad tag', { limit_name: 'n', max: 1, limit_tags: ['a b'] }, 'create_limit_validation_failed'],
    [
      'an id of its own',
      { limit_name: 'n', max: 1, limit_id: randomUUID() },
      'create_limit_validation_failed',
    ],
  ])('with %s is refused', async (_what, body, code) => {
    const answer = await create(body);
    expect([answer.status, codeOf(answer)]).toEqual([400, code]);
  });

  test('adds up what is charged to it, and a reset begins again and answers what was', async () => {
    const { limit_id: id, limit_name: name } = await created({ max: 0.00004, limit_tags: ['team'] });
    await spend(id);
    const read = async () => (await http.call('GET', `/limits/${id}`)).text;
    expect(await read()).toContain(
      '"totals":{"cost":{"input":{"base":0.00000275},"output":{"base":0.00002625},"total":{"base":0.000029}},' +
        '"requests":{"ok":1,"exceeded":0,"overrun":0,"failed":0,"blocked":0,"blocked_external":0,"total":1}}',
    );
    await spend(id);
    expect(await read()).toContain('"total":{"base":0.000058,"overrun_base":0.000018}');
    const headers = { 'Idempotency-Key': randomUUID() };
    await spend(id, 500);
    const reset = await http.call('POST', `/limits/${id}/reset`, { headers });
    expect(reset.text).toContain('"total":{"base":0.000058,"overrun_base":0.000018}');
    const requests = { ok: 1, exceeded: 0, overrun: 1, failed: 1, total: 3 };
    const history = {
      limit_id: id,
      limit_name: name,
      limit_type: 'allow',
      max: 0.00004,
      limit_tags: ['team'],
    };
    expect(reset.body).toMatchObject({ limit_history: { ...history, totals: { requests } } });
    expect(await read()).toContain('"total":{"base":0}');
    // The same reset again is the same, another one ends an empty period.
    const again = await http.call('POST', `/limits/${id}/reset`, { headers, body: { resetDate: null } });
    expect(again.body).toMatchObject({ limit_history: { totals: { requests } } });
    const next = await http.call('POST', `/limits/${id}/reset`, {
      body: { resetDate: '2026-01-01T00:00:00Z' },
    });
    expect(next.body).toMatchObject({ limit_history: { totals: { requests: { total: 0 } } } });
  });

  test('that refuses counts its refusals, and those of the others', async () => {
    const { limit_id: block } = await created({ max: 0.00001, limit_type: 'block' });
    const { limit_id: other } = await created({ max: 1 });
    await client.usage.record({
      provider: 'haiku',
      model: 'claude-3-haiku',
      units: { text: { input: 11, output: 21 } },
      limitIds: [block],
    });
    const reservation = { provider: 'haiku', model: 'claude-3-haiku', limitIds: [block, other] };
    for (const eventId of [randomUUID(), randomUUID()])
      await expect(client.usage.reserve({ eventId, ...reservation })).rejects.toMatchObject({
        reason: 'LIMIT_REACHED',
      });
    expect((await http.call('GET', `/limits/${block}`)).body).toMatchObject({
      limit: { totals: { requests: { blocked: 2, blocked_external: 0, total: 3 } } },
    });
    expect((await http.call('GET', `/limits/${other}`)).body).toMatchObject({
      limit: { totals: { requests: { blocked: 0, blocked_external: 2, total: 2 } } },
    });
  });

  test('takes a new name and a new maximum, but none below what is spent', async () => {
    const { limit_id: id } = await created({ max: 1 });
    await spend(id);
    const name = `renamed ${randomUUID()}`;
    const put = async (body: string | object) => http.call('PUT', `/limits/${id}`, { body });
    expect((await put({ limit_name: name })).body).toMatchObject({ limit: { limit_name: name, max: 1 } });
    expect((await put('{"max":2.9e-05}')).text).toContain('"max":0.000029,');
    const below = await put('{"max":2.8e-05}');
    expect([below.status, codeOf(below)]).toEqual([400, 'invalid_max_limit_update']);
    expect(codeOf(await put({ max: 0 }))).toBe('invalid_max_limit');
    expect(codeOf(await put({ max: 'x' }))).toBe('update_limit_validation_failed');
    expect(codeOf(await put({ limit_name: 'n'.repeat(129) }))).toBe('update_limit_validation_failed');
    expect((await put({})).body).toMatchObject({ limit: { limit_name: name } });
    const taken = await created();
    expect(codeOf(await put({ limit_name: taken.limit_name }))).toBe('limit_name_already_exist');
  });

  test('that is deleted, or never was, is not found', async () => {
    const { limit_id: id, limit_name: name } = await created();
    const gone = await http.call('DELETE', `/limits/${id}`);
    expect(gone.body).toMatchObject({ request_id: expect.any(String) });
    for (const [method, path] of [
      ['GET', ''],
      ['PUT', ''],
      ['POST', '/reset'],
      ['GET', '/tags'],
      ['PUT', '/tags'],
    ] as const) {
      for (const missing of [id, randomUUID(), 'none']) {
        const body = method === 'PUT' ? { body: { max: 7, limit_tags: ['a'] } } : {};
        const answer = await http.call(method, `/limits/${missing}${path}`, body);
        expect([path, answer.status, codeOf(answer)]).toEqual([path, 404, 'limit_not_found']);
      }
    }
    expect((await created({ limit_name: name })).limit_id).not.toBe(id);
  });
});

describe('tags of a limit', () => {
  const TAGS = z.array(z.object({ tag_id: z.int().min(0), tag_name: z.string(), created_on: z.string() }));
  test('are added, replaced, removed one by one and all together, each with a number that stays', async () => {
    const { limit_id: id } = await created({ limit_tags: ['a'] });
    const call = async (method: string, tags?: readonly string[], path = '') => {
      const body = tags === undefined ? {} : { body: { limit_tags: tags } };
      const answer = await http.call(method, `/limits/${id}/tags${path}`, body);
      expect([method, answer.status]).toEqual([method, 200]);
      return TAGS.parse(answer.body);
    };
    const names = (tags: z.infer<typeof TAGS>) => tags.map(({ tag_name }) => tag_name);
    const [first] = await call('GET');
    expect(names(await call('POST', ['b', 'a', 'c']))).toEqual(['a', 'b', 'c']);
    expect((await call('GET'))[0]).toEqual(first);
    expect(names(await call('PATCH', ['b', 'none'], '/remove'))).toEqual(['a', 'c']);
    expect(names(await call('PUT', ['x', 'y']))).toEqual(['x', 'y']);
    expect((await client.limits.get(id)).limit.tags).toEqual(['x', 'y']);
    expect(await call('DELETE')).toEqual([]);
    expect((await client.limits.get(id)).limit.tags).toEqual([]);
  });

  test('that many add at once are all there', async () => {
    const { limit_id: id } = await created();
    const tags = Array.from({ length: 6 }, (_, index) => `tag${index}`);
    const answers = await Promise.all(
      tags.map((tag) => http.call('POST', `/limits/${id}/tags`, { body: { limit_tags: [tag] } })),
    );
    expect(answers.map(({ status }) => status)).toEqual(tags.map(() => 200));
    expect([...(await client.limits.get(id)).limit.tags].sort()).toEqual(tags);
  });

  test('must be tags', async () => {
    const { limit_id: id } = await created();
    for (const [body, code] of [
      [{ limit_tags: ['a b'] }, 'update_limit_validation_failed'],
      [{ limit_tags: 'a' }, 'update_limit_validation_failed'],
      [{}, 'required_field_missing'],
    ] as const) {
      const answer = await http.call('POST', `/limits/${id}/tags`, { body });
      expect([answer.status, codeOf(answer)]).toEqual([400, code]);
    }
  });
});

describe('the list of limits', () => {
  const team = `team-${randomUUID().slice(0, 8)}`;
  const names: string[] = [];
  beforeAll(async () => {
    for (let index = 0; index < 5; index += 1) {
      const tags = index % 2 === 0 ? [team, 'even'] : [team];
      names.push((await created({ limit_tags: tags })).limit_name);
    }
  });
  const PAGE = z.looseObject({ items: z.array(LIMIT), cursor: z.string().nullable() });
  const NUMBERED = z.looseObject({ items: z.array(LIMIT) });
  const OLD = { 'X-Stainless-Package-Version': '0.1.0-alpha.55' };

  test('is one of pages with cursors, newest first or oldest first', async () => {
    for (const [query, expected] of [
      ['', [...names].reverse()],
      ['&sort_ascending=true', names],
      ['&sort_ascending=false', [...names].reverse()],
    ] as const) {
      const read: string[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const from = cursor === '' ? '' : `&cursor=${cursor}`;
        const { body } = await http.call('GET', `/limits?tags=${team}&limit=2${query}${from}`);
        const page = PAGE.parse(body);
        expect(page.items.length).toBeLessThanOrEqual(2);
        read.push(...page.items.map(({ limit_name }) => limit_name));
        cursor = page.cursor;
      }
      expect(read).toEqual(expected);
    }
  });

  test('is one of numbered pages for clients from before cursors', async () => {
    const read = async (query: string) => {
      const { body } = await http.call('GET', `/limits?tags=${team}${query}`, { headers: OLD });
      const { items, request_id: _id, ...page } = NUMBERED.parse(body);
      return { ...page, names: items.map(({ limit_name }) => limit_name) };
    };
    const counts = { totalPages: 3, totalCount: 5, pageSize: 2 };
    expect(await read('&page_size=2&sort_ascending=true')).toEqual({
      ...counts,
      currentPage: 1,
      hasNextPage: true,
      hasPreviousPage: false,
      names: names.slice(0, 2),
    });
    expect(await read('&page_size=2&page_number=3')).toEqual({
      ...counts,
      currentPage: 3,
      hasNextPage: false,
      hasPreviousPage: true,
      names: names.slice(0, 1),
    });
    expect(await read('&page_size=2&page_number=9')).toMatchObject({ hasNextPage: false, names: [] });
    expect(await read(',even')).toMatchObject({ totalCount: 3, totalPages: 1, pageSize: 50 });
    const wrong = await http.call('GET', '/limits?page_number=0', { headers: OLD });
    expect(wrong.status).toBe(400);
    const far = await http.call('GET', '/limits?page_number=1000000', { headers: OLD });
    expect(far.status).toBe(400);
  });

  test('holds the limit of a name alone, and no own limits of experiences', async () => {
    const [name = ''] = names;
    const { body } = await http.call('GET', `/limits?limit_name=${encodeURIComponent(name)}`);
    expect(PAGE.parse(body).items.map(({ limit_name }) => limit_name)).toEqual([name]);
    const type = `Limited_${randomUUID().slice(0, 8)}`;
    await client.types.create({ name: type, description: 'd', limitConfig: { maxCost: '1', tags: [team] } });
    const { experience } = await client.experiences.create({ experienceType: type });
    expect((await http.call('GET', `/limits/${experience.experienceId}`)).status).toBe(200);
    expect(PAGE.parse((await http.call('GET', `/limits?tags=${team}`)).body).items).toHaveLength(5);
  });
});
