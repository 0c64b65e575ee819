import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { ExperiencesClient } from '../services/client/index.js';
import { startTestGateway } from './support/gateway.js';
import { GatewayHttp, type HttpAnswer } from './support/gateway-http.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';

/** What single fields of ingested events do, and how bad ones are told. */

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

/** Costs 0.000029. */
const HAIKU = { category: 'haiku', resource: 'claude-3-haiku', units: { text: { input: 11, output: 21 } } };

async function ingest(body: object, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
  return http.call('POST', '/ingest', { body, headers });
}

function idOf({ body }: HttpAnswer): string {
  return z.object({ request_id: z.string() }).parse(body).request_id;
}

describe('a call that goes beyond the maximum of a limit', () => {
  test('says by how much, and one that does not says nothing of it', async () => {
    const { limit: tiny } = await client.limits.create({ name: randomUUID(), maxCost: '0.00003' });
    const { limit: wide } = await client.limits.create({ name: randomUUID(), maxCost: '1' });
    const headers = { 'xProxy-Limit-IDs': `${wide.limitId},${tiny.limitId}` };
    const texts: string[] = [];
    for (const _time of [1, 2, 3]) texts.push((await ingest(HAIKU, headers)).text);
    expect(texts[0]).toContain('"total":{"base":0.000029}');
    expect(texts[1]).toContain('"total":{"base":0.000029,"overrun_base":0.000028}');
    // All of it, and never more.
    expect(texts[2]).toContain('"total":{"base":0.000029,"overrun_base":0.000029}');
  });
});

describe('the scope of a resource', () => {
  test('is kept as a property, with a warning where it may have another price', async () => {
    const zone = await ingest(HAIKU, { 'xProxy-Resource-Scope': 'datazone.eu' });
    expect(zone.body).toMatchObject({
      xproxy_result: { warnings: [expect.stringContaining('datazone.eu')] },
    });
    expect((await client.usage.get(idOf(zone))).event.properties).toEqual({
      'system.resource_scope': 'datazone.eu',
    });
    const global = await ingest(HAIKU, { 'xProxy-Resource-Scope': 'global' });
    expect(global.body).not.toHaveProperty('xproxy_result.warnings');
  });

  test('is said once of many events', async () => {
    const item = { ...HAIKU, scope: 'region.west' };
    const { body } = await http.call('POST', '/ingest/bulk', { body: [item, item, HAIKU] });
    expect(body).toMatchObject({ ingest_count: 3, warnings: [expect.stringContaining('region.west')] });
  });
});

test.each([1, '1'])(
  'the version %j of an event of many is taken, as a number or as a text',
  async (version) => {
    const id = randomUUID();
    const item = { ...HAIKU, experience_id: id, experience_name: 'Summary', use_case_version: version };
    const { body } = await http.call('POST', '/ingest/bulk', { body: [item] });
    expect(body).toMatchObject({ ingest_count: 1, error_count: 0 });
    expect((await client.experiences.get(id)).experienceVersion).toBe(1);
  },
);

describe('an id with slashes', () => {
  /** The document knows these paths with one part for the id. */
  const call = async (path: string, init: RequestInit = {}) => fetch(`${gateway.url}/api/v1${path}`, init);

  test('is read and labelled as clients write it, which encode none', async () => {
    const id = `run/${randomUUID()}/7`;
    const response = `msg/${randomUUID()}`;
    const event = { ...HAIKU, provider_response_id: response };
    expect(idOf(await ingest(event, { 'Idempotency-Key': id }))).toBe(id);
    for (const [path, value] of [
      [`/requests/${id}/properties`, 'a'],
      [`/requests/provider/haiku/${response}/properties`, 'b'],
    ] as const) {
      const set = await call(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ properties: { [value]: value } }),
      });
      expect([path, set.status, await set.json()]).toEqual([path, 200, { request_id: id }]);
    }
    expect((await client.usage.get(id)).event.properties).toEqual({ a: 'a', b: 'b' });
    for (const path of [
      `/requests/result/haiku/${id}`,
      `/requests/${id}/result`,
      `/requests/provider/haiku/${response}/result`,
    ]) {
      const read = await call(path);
      expect([path, read.status]).toEqual([path, 200]);
      expect(await read.json()).toMatchObject({ xproxy_result: { request_id: id } });
    }
    expect((await call(`/requests/${id}/nothing`)).status).toBe(404);
  });

  test('is made for no event of many', async () => {
    const key = randomUUID();
    await http.call('POST', '/ingest/bulk', { body: [HAIKU, HAIKU], headers: { 'Idempotency-Key': key } });
    for (const id of [`${key}~0`, `${key}~1`])
      expect((await http.call('GET', `/requests/result/haiku/${id}`)).status).toBe(200);
  });
});

test('events of one request are listed as they were sent', async () => {
  const id = randomUUID();
  const items = Array.from({ length: 200 }, (_, index) => ({
    ...HAIKU,
    experience_id: id,
    user_id: `u${index}`,
  }));
  await http.call('POST', '/ingest/bulk', { body: items });
  const events = await readAll(client.usage.list(id));
  expect(events.map(({ userId }) => userId)).toEqual(items.map(({ user_id }) => user_id));
});

describe('a value of another type', () => {
  test.each<[field: string, value: unknown, code: string, text: string]>([
    ['event_timestamp', 5, 'invalid_ingest_event_timestamp', 'must be a text'],
    ['user_id', 5, 'invalid_user_id', 'must be a text'],
    ['request_tags', 'a', 'invalid_tags', 'must be an array'],
    ['limit_ids', [5], 'invalid_limit_ids', 'must be a text'],
    ['units', 5, 'request_processing_error', 'must be an object'],
    ['category', '', 'request_processing_error', 'it is too short'],
  ])('of %s: %j is told by its code, in words of this API', async (field, value, code, text) => {
    const { body } = await http.call('POST', '/ingest/bulk', { body: [{ ...HAIKU, [field]: value }] });
    expect(body).toMatchObject({
      errors: [{ xproxy_result: { xproxy_error: { code, message: expect.stringContaining(text) } } }],
    });
  });

  test('is told so of a single event', async () => {
    const { body } = await ingest({ ...HAIKU, event_timestamp: 5 });
    expect(body).toMatchObject({ xproxy_error: { code: 'invalid_ingest_event_timestamp' } });
  });
});
