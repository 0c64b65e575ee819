import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExperiencesClient } from '../services/client/index.js';
import { recordItems } from '../services/gateway/routes/ingest-batches.js';
import { setProperties } from '../services/gateway/routes/ingest-bulk.js';
import { startTestGateway } from './support/gateway.js';
import { GatewayHttp } from './support/gateway-http.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';
import { startUnluckyRelay, type UnluckyRelay } from './support/unlucky-relay.js';

/** What clients are told of a request that may be carried out already, so that they do not do it twice. */

const METHODS = {
  record: '/experiences.v1.UsageService/RecordUsage',
  batch: '/experiences.v1.UsageService/BatchRecordUsage',
  reset: '/experiences.v1.LimitService/ResetLimit',
  getLimit: '/experiences.v1.LimitService/GetLimit',
  raise: '/experiences.v1.ExperienceTypeService/IncrementExperienceTypeVersion',
  createType: '/experiences.v1.ExperienceTypeService/CreateExperienceType',
  getType: '/experiences.v1.ExperienceTypeService/GetExperienceType',
} as const;

let service: TestService;
let client: ExperiencesClient;
let relay: UnluckyRelay;
let gateway: Awaited<ReturnType<typeof startTestGateway>>;
let http: GatewayHttp;
beforeAll(async () => {
  service = await startTestService();
  ({ client } = service);
  relay = await startUnluckyRelay(service.address, Object.values(METHODS));
  gateway = await startTestGateway({ serviceAddress: relay.address });
  http = await GatewayHttp.open(gateway.url);
  await client.types.create({ name: 'Summary', description: 'Summarises a document' });
});
afterAll(async () => {
  await gateway.stop();
  await relay.stop();
  await service.stop();
});

const EVENT = { category: 'openai', resource: 'gpt-4o-mini', units: { text: { input: 11, output: 21 } } };

describe('an answer that was lost, and then load that is shed,', () => {
  test('leave an event uncertain: it is not to be sent again but by its id, and then counts once', async () => {
    const own = randomUUID();
    relay.next(METHODS.record, 'lose', 'shed');
    const headers = { 'xProxy-Experience-ID': own };
    const answer = await http.call('POST', '/ingest', { body: EVENT, headers });
    expect([answer.status, answer.headers.get('x-should-retry')]).toEqual([503, 'false']);
    // Whoever waits and sends it again as it is would count it twice.
    expect([answer.headers.get('retry-after'), answer.headers.get('retry-after-ms')]).toEqual([null, null]);
    const { body } = answer as { body: { xproxy_result: { request_id: string } } };
    const key = { 'Idempotency-Key': body.xproxy_result.request_id };
    const again = await http.call('POST', '/ingest', { body: EVENT, headers: { ...headers, ...key } });
    expect(again.body).toMatchObject({ duplicate_request: true });
    expect((await client.costs.get(own)).totals.eventCount).toBe(1n);
  });

  test('leave each event of many uncertain', async () => {
    const own = randomUUID();
    relay.next(METHODS.batch, 'lose', 'shed');
    const body = [{ ...EVENT, experience_id: own }];
    const answer = await http.call('POST', '/ingest/bulk', { body });
    expect([answer.status, answer.headers.get('x-should-retry')]).toEqual([400, 'false']);
    expect((await client.costs.get(own)).totals.eventCount).toBe(1n);
  });

  test('leave it uncertain whether a version is raised or a limit reset', async () => {
    const { limit } = await client.limits.create({ name: randomUUID(), maxCost: '1' });
    for (const [path, method] of [
      ['/experiences/types/Summary/increment_version', METHODS.raise],
      [`/limits/${limit.limitId}/reset`, METHODS.reset],
    ] as const) {
      relay.next(method, 'lose', 'shed');
      const answer = await http.call('POST', path);
      expect([path, answer.status, answer.headers.get('x-should-retry')]).toEqual([path, 429, 'false']);
    }
  });
});

test('load that is shed alone is 429 with a time to wait, and nothing is recorded', async () => {
  const own = randomUUID();
  relay.next(METHODS.record, 'shed');
  const headers = { 'xProxy-Experience-ID': own };
  const answer = await http.call('POST', '/ingest', { body: EVENT, headers });
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '60']);
  expect(answer.headers.get('x-should-retry')).toBeNull();
  await expect(client.costs.get(own)).rejects.toMatchObject({ reason: 'EXPERIENCE_NOT_FOUND' });
});

test('the period that a reset has ended is read with the limit, though the answer was lost', async () => {
  const { limit } = await client.limits.create({ name: randomUUID(), maxCost: '1' });
  const headers = { 'xProxy-Limit-IDs': limit.limitId };
  expect((await http.call('POST', '/ingest', { body: EVENT, headers })).status).toBe(200);
  relay.next(METHODS.reset, 'lose', 'shed');
  await http.call('POST', `/limits/${limit.limitId}/reset`);
  const { body } = await http.call('GET', `/limits/${limit.limitId}`);
  expect(body).toMatchObject({
    limit: { totals: { requests: { total: 0 } } },
    limit_history: [{ limit_id: limit.limitId, totals: { requests: { ok: 1, total: 1 } } }],
  });
});

test('a type that is created again is not refused for good while it cannot be read', async () => {
  const body = { name: 'Limited', description: 'Has a limit by now' };
  await client.types.create({ ...body, limitConfig: { maxCost: '1' } });
  relay.next(METHODS.getType, 'shed');
  const answer = await http.call('POST', '/experiences/types', { body });
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '60']);
  expect((await http.call('POST', '/experiences/types', { body })).status).toBe(200);
});

describe('many events for which there is no time left', () => {
  const item = (experienceId: string, note: string) => ({
    record: {
      eventId: randomUUID(),
      experienceId,
      provider: 'openai',
      model: 'gpt-4o-mini',
      units: { text: { input: 1, output: 1 } },
      outcome: 'SUCCEEDED' as const,
      requestTags: [],
      limitIds: [],
      latencyMs: 0,
      timeToFirstTokenMs: 0,
      httpStatusCode: 200,
      providerResponseId: '',
      properties: Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`p${index}`, note])),
    },
    experienceProperties: { plan: 'paid' },
    scopeWarning: undefined,
  });

  test('are not sent: what was before is recorded, and each of the others says that it is not', async () => {
    const own = randomUUID();
    // About 64 kB each: more than one message.
    const items = Array.from({ length: 20 }, () => item(own, 'n'.repeat(1_000)));
    let asked = 0;
    const recorded = await recordItems(
      client,
      items,
      { isCallers: false, eventId: () => randomUUID() },
      () => {
        asked += 1;
        return asked === 1;
      },
    );
    const failed = recorded.filter(({ error }) => error !== undefined);
    expect(failed.length).toBeGreaterThan(0);
    for (const { error } of failed)
      expect(error).toMatchObject({ statusCode: 503, message: expect.stringContaining('not recorded') });
    expect(await readAll(client.usage.list(own))).toHaveLength(items.length - failed.length);
    const warnings = await setProperties(client, recorded, () => false);
    expect(warnings).toEqual([expect.stringContaining(own)]);
    expect((await client.experiences.get(own)).properties).toEqual({});
  });
});
