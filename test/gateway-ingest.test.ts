import { randomUUID } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
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
  await client.types.create({ name: 'Summary', description: 'Summarises a document' });
  await client.types.create({ name: 'Chat', description: 'Answers questions' });
  await client.prices.create({
    provider: 'haiku',
    model: 'claude-3-haiku',
    rates: { text: { input: { base: '0.00000025' }, output: { base: '0.00000125' } } },
    effectiveTime: new Date(0),
  });
});
afterAll(async () => {
  await gateway.stop();
  await service.stop();
});

/** Units of 11/21 at the price above: what was seen of the original. */
const HAIKU = {
  category: 'haiku',
  resource: 'claude-3-haiku',
  units: { text: { input: 11, output: 21 } },
  http_status_code: 200,
};
const ANY_UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function ingest(
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
  query = '',
): Promise<HttpAnswer> {
  return http.call('POST', `/ingest${query}`, { body, headers });
}

const INGESTED = z.looseObject({
  request_id: z.string(),
  event_timestamp: z.string(),
  ingest_timestamp: z.string(),
  xproxy_result: z.looseObject({ request_id: z.string(), experience_id: z.string().optional() }),
});

async function ingested(body: unknown, headers: Readonly<Record<string, string>> = {}, query = '') {
  const answer = await ingest(body, headers, query);
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
  return INGESTED.parse(answer.body);
}

function codeOf({ body }: HttpAnswer): unknown {
  return z.object({ xproxy_error: z.object({ code: z.string() }) }).parse(body).xproxy_error.code;
}

describe('an event that is ingested', () => {
  test('costs to the last digit what units and prices say, as number literals', async () => {
    const answer = await ingest(HAIKU);
    expect(answer.text).toContain(
      '"cost":{"currency":"usd","input":{"base":0.00000275},"output":{"base":0.00002625},"total":{"base":0.000029}}',
    );
    const more = await ingest({ ...HAIKU, units: { text: { input: 50, output: 100 } } });
    expect(more.text).toContain(
      '"input":{"base":0.0000125},"output":{"base":0.000125},"total":{"base":0.0001375}',
    );
    expect(answer.body).not.toHaveProperty('xproxy_result.warnings');
    expect(answer.body).not.toHaveProperty('xproxy_result.limits');
    expect(answer.body).not.toHaveProperty('xproxy_result.experience_id');
  });

  test('is in the ledger with everything that was said of it, and with no body of the call', async () => {
    const secret = `prompt ${randomUUID()}`;
    const { request_id: id } = await ingested(
      {
        ...HAIKU,
        event_timestamp: '2026-01-02T03:04:05.678901',
        end_to_end_latency_ms: 1234,
        time_to_first_token_ms: 56,
        time_to_first_completion_token_ms: 57,
        provider_response_id: 'msg_1',
        provider_uri: 'https://api.example.com',
        provider_request_json: secret,
        provider_response_json: [secret],
        provider_request_headers: [{ name: 'authorization', value: secret }],
        provider_response_function_calls: [{ name: 'f', arguments: secret }],
        properties: { stage: 'draft', gone: null },
        a_member_of_tomorrow: { deep: [1, null] },
      },
      {
        'xProxy-Experience-Name': 'Summary',
        'xProxy-User-ID': 'user-1',
        'xProxy-Request-Tags': 'a, b',
        'xProxy-UseCase-Step': 'outline',
      },
    );
    const { event } = await client.usage.get(id);
    expect(event).toMatchObject({
      provider: 'haiku',
      model: 'claude-3-haiku',
      requestedModel: undefined,
      units: { text: { input: 11n, output: 21n } },
      outcome: 'SUCCEEDED',
      cost: { total: '0.000029' },
      eventTime: new Date('2026-01-02T03:04:05.678Z'),
      latencyMs: 1234,
      timeToFirstTokenMs: 56,
      httpStatusCode: 200,
      providerResponseId: 'msg_1',
      properties: { stage: 'draft' },
      userId: 'user-1',
      requestTags: ['a', 'b'],
      step: 'outline',
      experienceType: 'Summary',
      experienceVersion: 1,
      settlement: 'NONE',
    });
    const mongo = new MongoClient(inject('mongodbUri'));
    try {
      const db = mongo.db(service.options.databaseName);
      for (const { name } of await db.listCollections().toArray()) {
        const documents = await db.collection(name).find().toArray();
        expect([name, JSON.stringify(documents).includes(secret)]).toEqual([name, false]);
      }
    } finally {
      await mongo.close();
    }
  });

  test.each<[text: string, time: string]>([
    ['2026-01-02T03:04:05', '2026-01-02T03:04:05.000Z'],
    ['2026-01-02 03:04:05.123456', '2026-01-02T03:04:05.123Z'],
    ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.000Z'],
    ['2026-01-02T03:04:05+05:30', '2026-01-01T21:34:05.000Z'],
    ['2026-01-02T03:04:05-0800', '2026-01-02T11:04:05.000Z'],
    ['2026-01-02', '2026-01-02T00:00:00.000Z'],
  ])('at %s has happened at %s', async (text, time) => {
    const { event_timestamp, ingest_timestamp } = await ingested({ ...HAIKU, event_timestamp: text });
    expect(event_timestamp).toBe(time);
    expect(Math.abs(Date.now() - Date.parse(ingest_timestamp))).toBeLessThan(30_000);
  });

  test.each<[status: number | undefined, outcome: string]>([
    [undefined, 'SUCCEEDED'],
    [200, 'SUCCEEDED'],
    [204, 'SUCCEEDED'],
    [299, 'FAILED'],
    [400, 'FAILED'],
    [503, 'FAILED'],
  ])('with the status %s has %s', async (status, outcome) => {
    const units = outcome === 'FAILED' ? {} : HAIKU.units;
    const answer = await ingested({ ...HAIKU, units, http_status_code: status });
    expect((await client.usage.get(answer.request_id)).event.outcome).toBe(outcome);
    if (outcome === 'FAILED') expect(answer.xproxy_result).not.toHaveProperty('cost');
  });

  test('without a price has no cost, and says which units and why', async () => {
    const units = { text: { input: 5 }, vision: { output: 0, input: 7 } };
    const unknown = await ingested({ category: 'nobody', resource: null, units });
    expect(unknown.xproxy_result).toMatchObject({
      unknown_units: { text: { input: 5, output: 0 }, vision: { input: 7, output: 0 } },
      warnings: [expect.stringContaining('text: no price names the category')],
    });
    expect(unknown.xproxy_result).not.toHaveProperty('cost');
    expect((await client.usage.get(unknown.request_id)).event.model).toBe('system.unknown_model');
    const half = await ingest({ ...HAIKU, units: { ...HAIKU.units, vision: { input: 3 } } });
    expect(half.text).toContain('"total":{"base":0.000029}');
    expect(half.body).toMatchObject({
      xproxy_result: {
        unknown_units: { vision: { input: 3, output: 0 } },
        resource_id: expect.stringMatching(ANY_UUID),
      },
    });
  });

  test('is priced as the resource that a header names', async () => {
    const headers = { 'xProxy-PriceAs-Category': 'haiku', 'xProxy-PriceAs-Resource': 'claude-3-haiku' };
    const answer = await ingested({ ...HAIKU, category: 'elsewhere', resource: 'alias' }, headers);
    expect((await client.usage.get(answer.request_id)).event).toMatchObject({
      properties: { 'system.requested_model': 'alias' },
      model: 'claude-3-haiku',
      cost: { total: '0.000029' },
    });
  });

  test('sets properties of its experience, beside those that are there', async () => {
    const id = randomUUID();
    const headers = { 'xProxy-Experience-Name': 'Summary', 'xProxy-Experience-ID': id };
    await ingested({ ...HAIKU, experience_properties: { customer: 'c1', plan: 'free' } }, headers);
    await ingested({ ...HAIKU, use_case_properties: { plan: 'paid' } }, headers);
    expect((await client.experiences.get(id)).properties).toEqual({ customer: 'c1', plan: 'paid' });
    const unattributed = await ingested({ ...HAIKU, experience_properties: { a: 'b' } });
    expect(unattributed.xproxy_result).toMatchObject({ warnings: [expect.stringContaining('dropped')] });
  });
});

describe('the id of an experience', () => {
  const name = (type: string) => ({ 'xProxy-Experience-Name': type });
  const id = (value: string) => ({ 'xProxy-Experience-ID': value });

  test('is made for a name alone, another one each time', async () => {
    const [first, second] = [await ingested(HAIKU, name('Summary')), await ingested(HAIKU, name('Summary'))];
    expect(first.xproxy_result.experience_id).toMatch(ANY_UUID);
    expect(first.xproxy_result.experience_id).not.toBe(second.xproxy_result.experience_id);
    expect(first.xproxy_result).toMatchObject({ use_case_id: first.xproxy_result.experience_id });
  });

  test('is taken as it is, in any spelling, with or without a name', async () => {
    const own = randomUUID();
    const spelled = `{${own.toUpperCase()}}`;
    for (const headers of [
      { ...name('Summary'), ...id(own) },
      id(spelled),
      { 'xProxy-UseCase-Id': own, 'xProxy-UseCase-Name': 'Summary' },
    ])
      expect((await ingested(HAIKU, headers)).xproxy_result.experience_id).toBe(own);
    expect((await client.costs.get(own)).totals).toMatchObject({
      eventCount: 3n,
      cost: { total: '0.000087' },
    });
    const untyped = randomUUID();
    await ingested(HAIKU, id(untyped));
    expect((await client.experiences.get(untyped)).experienceType).toBeUndefined();
  });

  test('of another type keeps its type, with a warning', async () => {
    const own = randomUUID();
    await ingested(HAIKU, { ...name('Summary'), ...id(own) });
    const other = await ingested(HAIKU, { ...name('Chat'), ...id(own) });
    expect(other.xproxy_result).toMatchObject({
      experience_id: own,
      warnings: [expect.stringContaining("'Summary' version 1")],
    });
    expect((await client.experiences.get(own)).experienceType).toBe('Summary');
  });

  test('that is no UUID is replaced, with a warning', async () => {
    const { xproxy_result } = await ingested(HAIKU, { ...name('Summary'), ...id('run 7') });
    expect(xproxy_result.experience_id).toMatch(ANY_UUID);
    expect(xproxy_result).toMatchObject({ warnings: [expect.stringContaining('not a UUID')] });
  });

  test('of a deleted experience, an unknown name and an unknown version are refused, and nothing is recorded', async () => {
    const own = randomUUID();
    await ingested(HAIKU, { ...name('Summary'), ...id(own) });
    await client.experiences.delete(own);
    const deleted = await ingest(HAIKU, id(own));
    expect([deleted.status, codeOf(deleted)]).toEqual([400, 'experience_instance_not_found']);
    const fresh = randomUUID();
    const unknown = await ingest(HAIKU, { ...name('Nobody'), ...id(fresh) });
    expect([unknown.status, codeOf(unknown)]).toEqual([400, 'experience_type_not_found']);
    const version = { ...name('Summary'), 'xProxy-Experience-Version': '9', ...id(fresh) };
    expect((await ingest(HAIKU, version)).status).toBe(400);
    await expect(client.experiences.get(fresh)).rejects.toMatchObject({ reason: 'EXPERIENCE_NOT_FOUND' });
  });
});

describe('limits that an event names', () => {
  const charged = (...ids: readonly string[]) => ({ 'xProxy-Limit-IDs': ids.join(',') });

  test('are charged and say how they stand: within one call beyond the maximum it is overrun', async () => {
    const { limit: tiny } = await client.limits.create({ name: randomUUID(), maxCost: '0.00000001' });
    const { limit: even } = await client.limits.create({
      name: randomUUID(),
      maxCost: '0.000029',
      threshold: '0.8',
    });
    const { limit: wide } = await client.limits.create({ name: randomUUID(), maxCost: '1' });
    const { xproxy_result } = await ingested(HAIKU, charged(tiny.limitId, even.limitId, wide.limitId));
    expect(xproxy_result).toMatchObject({
      limits: {
        [tiny.limitId]: { state: 'overrun' },
        [even.limitId]: { state: 'exceeded' },
        [wide.limitId]: { state: 'ok' },
      },
    });
    expect((await client.limits.get(wide.limitId)).limit.period).toMatchObject({
      spentCost: '0.000029',
      eventCount: 1n,
    });
    const failed = await ingested({ ...HAIKU, units: {}, http_status_code: 500 }, charged(wide.limitId));
    expect(failed.xproxy_result).toMatchObject({ limits: { [wide.limitId]: { state: 'failed' } } });
  });

  test('may not block: the money is spent, and a block limit named here is a mistake', async () => {
    const { limit } = await client.limits.create({ name: randomUUID(), maxCost: '1', type: 'BLOCK' });
    const answer = await ingest(HAIKU, charged(limit.limitId));
    expect([answer.status, codeOf(answer)]).toEqual([400, 'blocking_limit_not_allowed']);
    expect((await client.limits.get(limit.limitId)).limit.period.eventCount).toBe(0n);
  });

  test('of the experience itself are charged, blocking or not', async () => {
    const type = `Limited_${randomUUID().slice(0, 8)}`;
    await client.types.create({
      name: type,
      description: 'd',
      limitConfig: { maxCost: '0.00001', type: 'BLOCK' },
    });
    const { xproxy_result } = await ingested(HAIKU, { 'xProxy-Experience-Name': type });
    const id = xproxy_result.experience_id ?? '';
    expect(xproxy_result).toMatchObject({ limits: { [id]: { state: 'overrun' } } });
  });

  test('must be there, and once', async () => {
    const { limit } = await client.limits.create({ name: randomUUID(), maxCost: '1' });
    expect(codeOf(await ingest(HAIKU, charged(randomUUID())))).toBe('invalid_limit_ids');
    expect(codeOf(await ingest(HAIKU, charged('none')))).toBe('invalid_limit_ids');
    expect(codeOf(await ingest(HAIKU, charged(limit.limitId, limit.limitId)))).toBe('duplicate_limit_id');
  });
});

describe('the same event again', () => {
  test.each<[how: string, send: (key: string, body: unknown) => Promise<HttpAnswer>]>([
    ['by Idempotency-Key', (key, body) => ingest(body, { 'Idempotency-Key': key })],
    ['by the query parameter id', (key, body) => ingest(body, {}, `?id=${encodeURIComponent(key)}`)],
  ])('%s counts once and answers the first result', async (_how, send) => {
    const key = `chatcmpl ${randomUUID()}`;
    const first = INGESTED.parse((await send(key, HAIKU)).body);
    const again = INGESTED.parse((await send(key, HAIKU)).body);
    expect(again).toEqual({
      ...first,
      duplicate_request: true,
      xproxy_result: { ...first.xproxy_result, duplicate_request: true },
    });
    expect(first.request_id).toBe(key);
    const other = await send(key, { ...HAIKU, units: { text: { input: 12 } } });
    expect([other.status, codeOf(other)]).toEqual([400, 'request_processing_error']);
    expect((await client.usage.get(key)).event.units).toEqual({ text: { input: 11n, output: 21n } });
  });

  test('needs a key that an event may have', async () => {
    expect((await ingest(HAIKU, { 'Idempotency-Key': 'k'.repeat(124) })).status).toBe(400);
    expect((await ingest(HAIKU, { 'Idempotency-Key': 'k'.repeat(123) })).status).toBe(200);
    expect((await ingest(HAIKU, {}, '?id=%C3%A4')).status).toBe(400);
  });
});

describe('an event that cannot be meant is refused and not recorded:', () => {
  test.each<[what: string, body: unknown, headers: Readonly<Record<string, string>>, code: string]>([
    ['no body', undefined, {}, 'required_field_missing'],
    ['no JSON', '{"category":', {}, 'invalid_json'],
    ['no category', { ...HAIKU, category: undefined }, {}, 'required_field_missing'],
    ['an empty category', { ...HAIKU, category: '' }, {}, 'request_processing_error'],
    ['no resource', { ...HAIKU, resource: undefined }, {}, 'required_field_missing'],
    ['no units', { ...HAIKU, units: undefined }, {}, 'required_field_missing'],
    ['no unit kind though it succeeded', { ...HAIKU, units: {} }, {}, 'request_processing_error'],
    ['a unit kind with a dollar', { ...HAIKU, units: { $x: { input: 1 } } }, {}, 'request_processing_error'],
    ['units below nothing', { ...HAIKU, units: { text: { input: -1 } } }, {}, 'request_processing_error'],
    ['half a unit', { ...HAIKU, units: { text: { input: 0.5 } } }, {}, 'request_processing_error'],
    ['2^31 units', { ...HAIKU, units: { text: { input: 2147483648 } } }, {}, 'request_processing_error'],
    ['units as text', { ...HAIKU, units: { text: { input: '1' } } }, {}, 'request_processing_error'],
    ['a status of 99', { ...HAIKU, http_status_code: 99 }, {}, 'request_processing_error'],
    ['a latency below nothing', { ...HAIKU, end_to_end_latency_ms: -1 }, {}, 'request_processing_error'],
    [
      'a time six minutes ahead',
      { ...HAIKU, event_timestamp: new Date(Date.now() + 360_000).toISOString() },
      {},
      'invalid_ingest_event_timestamp',
    ],
    ['yesterday', { ...HAIKU, event_timestamp: 'yesterday' }, {}, 'invalid_ingest_event_timestamp'],
    [
      'the 30th of February',
      { ...HAIKU, event_timestamp: '2026-02-30T00:00:00Z' },
      {},
      'invalid_ingest_event_timestamp',
    ],
    ['a user id with a space', HAIKU, { 'xProxy-User-ID': 'a b' }, 'invalid_user_id'],
    ['a tag with a dot', HAIKU, { 'xProxy-Request-Tags': 'a.b' }, 'invalid_tags'],
    ['properties that are no texts', { ...HAIKU, properties: { a: 1 } }, {}, 'request_processing_error'],
    [
      '65 properties of the experience',
      {
        ...HAIKU,
        experience_properties: Object.fromEntries(
          Array.from({ length: 65 }, (_, index) => [`p${index}`, 'v']),
        ),
      },
      {},
      'request_processing_error',
    ],
  ])('%s', async (_what, body, headers, code) => {
    const id = randomUUID();
    const answer = await ingest(body, { 'xProxy-Experience-ID': id, ...headers });
    expect([answer.status, codeOf(answer)]).toEqual([400, code]);
    await expect(client.experiences.get(id)).rejects.toMatchObject({ reason: 'EXPERIENCE_NOT_FOUND' });
  });

  test('the most units that there may be are taken', async () => {
    const { request_id: id } = await ingested({
      ...HAIKU,
      units: { text: { input: 2147483647, output: 0 } },
    });
    expect((await client.usage.get(id)).event.cost.input).toBe('536.87091175');
  });
});

const BULK = z.looseObject({
  ingest_count: z.number(),
  error_count: z.number(),
  item_error_count: z.number(),
  total_count: z.number(),
  errors: z
    .array(
      z.object({
        item_index: z.number(),
        xproxy_result: z.object({
          statusCode: z.number(),
          message: z.string(),
          xproxy_error: z.object({ code: z.string(), message: z.string() }),
        }),
      }),
    )
    .optional(),
  warnings: z.array(z.string()).optional(),
});

async function bulk(body: unknown, headers: Readonly<Record<string, string>> = {}) {
  const answer = await http.call('POST', '/ingest/bulk', { body, headers });
  return { status: answer.status, ...BULK.parse(answer.body) };
}

describe('many events', () => {
  test('stand each for itself: the good are recorded, the bad are told by their place', async () => {
    const [own, other] = [randomUUID(), randomUUID()];
    const { limit: block } = await client.limits.create({ name: randomUUID(), maxCost: '1', type: 'BLOCK' });
    const { limit } = await client.limits.create({ name: randomUUID(), maxCost: '1' });
    const answer = await bulk([
      { ...HAIKU, experience_id: own, experience_name: 'Summary', limit_ids: [limit.limitId] },
      { ...HAIKU, experience_name: 'Nobody' },
      { ...HAIKU, units: { text: { input: -1 } } },
      { ...HAIKU, limit_ids: [block.limitId] },
      'no event',
      {
        ...HAIKU,
        experience_id: own,
        experience_properties: { plan: 'paid' },
        request_tags: ['x'],
        user_id: 'u1',
      },
      { ...HAIKU, use_case_id: other, use_case_name: 'Summary', experience_version: 1, use_case_step: 's' },
      { ...HAIKU, event_timestamp: 'never' },
    ]);
    expect(answer).toMatchObject({
      status: 200,
      ingest_count: 3,
      error_count: 5,
      item_error_count: 5,
      total_count: 8,
    });
    expect(
      answer.errors?.map(({ item_index, xproxy_result }) => [
        item_index,
        xproxy_result.statusCode,
        xproxy_result.xproxy_error.code,
      ]),
    ).toEqual([
      [1, 400, 'experience_type_not_found'],
      [2, 400, 'request_processing_error'],
      [3, 400, 'blocking_limit_not_allowed'],
      [4, 400, 'required_field_missing'],
      [7, 400, 'invalid_ingest_event_timestamp'],
    ]);
    const events = await readAll(client.usage.list(own));
    expect(events.map(({ userId, requestTags, limitIds }) => [userId, requestTags, limitIds])).toEqual([
      [undefined, [], [limit.limitId]],
      ['u1', ['x'], []],
    ]);
    expect((await client.experiences.get(own)).properties).toEqual({ plan: 'paid' });
    expect((await readAll(client.usage.list(other)))[0]).toMatchObject({
      step: 's',
      experienceType: 'Summary',
    });
  });

  test('of which none is good are a 400 of the same shape', async () => {
    const answer = await bulk([{ ...HAIKU, resource: undefined }]);
    expect(answer).toMatchObject({ status: 400, ingest_count: 0, error_count: 1, total_count: 1 });
  });

  test('with a key of their own count once', async () => {
    const id = randomUUID();
    const key = { 'Idempotency-Key': randomUUID() };
    const items = [HAIKU, HAIKU, HAIKU].map((item) => ({ ...item, experience_id: id }));
    for (const _time of [1, 2])
      expect(await bulk(items, key)).toMatchObject({ status: 200, ingest_count: 3 });
    expect((await client.costs.get(id)).totals.eventCount).toBe(3n);
  });

  test('are a thousand at most, and may be long', async () => {
    const id = randomUUID();
    const items = Array.from({ length: 1_000 }, () => ({
      ...HAIKU,
      experience_id: id,
      properties: { note: 'n'.repeat(1_000), more: 'm'.repeat(1_000) },
    }));
    expect(await bulk(items)).toMatchObject({ status: 200, ingest_count: 1_000, error_count: 0 });
    expect((await client.costs.get(id)).totals).toMatchObject({
      eventCount: 1_000n,
      cost: { total: '0.029' },
    });
    const more = await http.call('POST', '/ingest/bulk', { body: [...items, HAIKU] });
    expect([more.status, codeOf(more)]).toEqual([400, 'request_processing_error']);
  });

  test('are an array with something in it', async () => {
    for (const [body, code] of [
      [{ events: [HAIKU] }, 'invalid_json'],
      [[], 'required_field_missing'],
      [undefined, 'invalid_json'],
    ] as const) {
      const answer = await http.call('POST', '/ingest/bulk', { body });
      expect([answer.status, codeOf(answer)]).toEqual([400, code]);
    }
  });
});

describe('a recorded request', () => {
  test('is answered again with what is known of it now', async () => {
    const { limit } = await client.limits.create({ name: randomUUID(), maxCost: '1' });
    const response = `msg_${randomUUID()}`;
    const { request_id: id, xproxy_result: first } = await ingested(
      { ...HAIKU, provider_response_id: response },
      { 'xProxy-Experience-Name': 'Summary', 'xProxy-Limit-IDs': limit.limitId, 'xProxy-User-ID': 'u' },
    );
    for (const path of [
      `/requests/result/haiku/${id}`,
      `/requests/${id}/result`,
      `/requests/provider/haiku/${response}/result`,
    ]) {
      const answer = await http.call('GET', path);
      expect([path, answer.status, answer.body]).toEqual([path, 200, { xproxy_result: first }]);
      expect(answer.text).toContain('"total":{"base":0.000029}');
    }
  });

  test('takes properties one by one, and null removes one', async () => {
    const response = `msg_${randomUUID()}`;
    const { request_id: id } = await ingested({
      ...HAIKU,
      provider_response_id: response,
      properties: { a: '1', b: '2' },
    });
    const set = await http.call('POST', `/requests/${id}/properties`, {
      body: { properties: { b: null, c: '3' } },
    });
    expect([set.status, set.body]).toEqual([200, { request_id: id }]);
    const path = `/requests/provider/haiku/${response}/properties`;
    const put = await http.call('PUT', path, { body: { properties: { 'system.failure': 'timeout' } } });
    expect([put.status, put.body]).toEqual([200, { request_id: id }]);
    expect((await client.usage.get(id)).event.properties).toEqual({
      a: '1',
      c: '3',
      'system.failure': 'timeout',
    });
  });

  test('that never was is not found, whichever way it is named', async () => {
    for (const [method, path] of [
      ['GET', `/requests/result/haiku/${randomUUID()}`],
      ['GET', '/requests/nothing/result'],
      ['GET', '/requests/provider/haiku/nothing/result'],
      ['POST', `/requests/${randomUUID()}/properties`],
      ['POST', '/requests/provider/haiku/nothing/properties'],
    ] as const) {
      const body = method === 'POST' ? { body: { properties: { a: 'b' } } } : {};
      expect([path, (await http.call(method, path, body)).status]).toEqual([path, 404]);
    }
    const bad = await http.call('POST', `/requests/${randomUUID()}/properties`, {
      body: { properties: { a: 1 } },
    });
    expect(bad.status).toBe(400);
  });
});

describe('while the service is away', () => {
  test('a client is told not to repeat what may be recorded, and by which key it may', async () => {
    const own = await startTestService();
    const before = await startTestGateway({ serviceAddress: own.address });
    try {
      const caller = await GatewayHttp.open(before.url);
      await own.stopServer();
      const [lost, keyed] = await Promise.all([
        caller.call('POST', '/ingest', { body: HAIKU }),
        caller.call('POST', '/ingest', { body: HAIKU, headers: { 'Idempotency-Key': 'mine' } }),
      ]);
      expect([lost.status, lost.headers.get('x-should-retry')]).toEqual([503, 'false']);
      expect(lost.body).toMatchObject({ xproxy_result: { request_id: expect.stringMatching(ANY_UUID) } });
      expect([keyed.status, keyed.headers.get('x-should-retry')]).toEqual([503, null]);
      expect(keyed.headers.get('retry-after')).not.toBeNull();
    } finally {
      await before.stop();
      await own.stop();
    }
  }, 30_000);
});
