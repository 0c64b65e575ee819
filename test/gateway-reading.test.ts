import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { ExperiencesClient } from '../services/client/index.js';
import { startTestGateway } from './support/gateway.js';
import { GatewayHttp } from './support/gateway-http.js';
import { startTestService, type TestService } from './support/service.js';

const EXPERIENCES = Array.from({ length: 10 }, () => randomUUID());
const HOUR = new Date('2026-03-04T05:00:00Z');

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
  await client.types.incrementVersion('Summary');
  await client.prices.create({
    provider: 'acme',
    model: 'one',
    rates: { text: { input: { base: '0.000000000000000001' }, output: { base: '1' } } },
    effectiveTime: new Date(0),
  });
  // Five of version 1 cost 1 to 5, five of version 2 cost 101 to 105; the first has a second, failed call.
  await Promise.all(
    EXPERIENCES.map(async (experienceId, index) =>
      client.usage.record({
        experienceId,
        experienceType: 'Summary',
        experienceVersion: index < 5 ? 1 : 2,
        provider: 'acme',
        model: 'one',
        units: { text: { input: 1, output: (index < 5 ? 1 : 96) + index } },
        eventTime: new Date(HOUR.getTime() + index * 60_000),
      }),
    ),
  );
  await client.usage.record({
    experienceId: EXPERIENCES[0] ?? '',
    provider: 'acme',
    model: 'one',
    units: { text: { input: 0, output: 1 }, vision: { input: 2 } },
    outcome: 'FAILED',
    httpStatusCode: 500,
    eventTime: new Date(HOUR.getTime() + 3_600_000),
    properties: { stage: 'draft' },
  });
});
afterAll(async () => {
  await gateway.stop();
  await service.stop();
});

const [FIRST = ''] = EXPERIENCES;

describe('costs of an experience', () => {
  test('are its totals, exact, as decimal strings', async () => {
    const { body } = await http.call('GET', `/costs/experiences/${FIRST}`);
    expect(body).toEqual({
      experience_id: FIRST,
      experience_type: 'Summary',
      experience_version: 1,
      event_count: 2,
      cost: {
        input: '0.000000000000000001',
        output: '2',
        total: '2.000000000000000001',
        currency_code: 'USD',
      },
      useful_cost: '1.000000000000000001',
      wasted_cost: '1',
      unpriced_event_count: 1,
      units: { text: { input: 1, output: 2 }, vision: { input: 2, output: 0 } },
      held_cost: '0',
      open_reservation_count: 0,
      unsettled_cost: '0',
      unsettled_event_count: 0,
      first_event_time: '2026-03-04T05:00:00.000Z',
      last_event_time: '2026-03-04T06:00:00.000Z',
    });
  });

  test('hold its calls, page by page, as they were recorded', async () => {
    const page = z.object({ items: z.array(z.looseObject({})), cursor: z.string().nullable() });
    const first = page.parse((await http.call('GET', `/costs/experiences/${FIRST}/events?limit=1`)).body);
    expect(first.items).toMatchObject([
      { provider: 'acme', model: 'one', outcome: 'SUCCEEDED', useful: true, settlement: 'NONE' },
    ]);
    const rest = page.parse(
      (await http.call('GET', `/costs/experiences/${FIRST}/events?cursor=${first.cursor}`)).body,
    );
    expect(rest.cursor).toBeNull();
    expect(rest.items).toMatchObject([
      {
        outcome: 'FAILED',
        http_status_code: 500,
        cost: { total: '1' },
        unpriced_units: [{ kind: 'vision', input: 2, output: 0, reason: 'UNIT_KIND_NOT_PRICED' }],
        properties: { stage: 'draft' },
        useful: false,
      },
    ]);
  });

  test('of counts that JSON readers would spoil are strings', async () => {
    const id = randomUUID();
    const units = { text: { input: 1_000_000_000_000, output: 0 } };
    const call = { experienceId: id, provider: 'acme', model: 'free', units };
    await client.prices.create({
      provider: 'acme',
      model: 'free',
      rates: { text: { input: { base: '0' } } },
    });
    const records = Array.from({ length: 1_000 }, () => call);
    for (let batch = 0; batch < 10; batch += 1) await client.usage.recordBatch(records);
    const { body } = await http.call('GET', `/costs/experiences/${id}`);
    expect(body).toMatchObject({
      event_count: 10_000,
      units: { text: { input: '10000000000000000', output: 0 } },
    });
  });

  test('of one that never was are not found', async () => {
    for (const path of [
      `/costs/experiences/${randomUUID()}`,
      '/costs/experiences/none',
      `/costs/experiences/${randomUUID()}/events`,
    ]) {
      const answer = await http.call('GET', path);
      expect([path, answer.status]).toEqual([path, 404]);
      expect(answer.body).toMatchObject({ xproxy_error: { code: 'experience_instance_not_found' } });
    }
  });
});

describe('costs of a type', () => {
  test('spread as its experiences do', async () => {
    const path = '/costs/types/Summary/distribution?version=2&percentiles=50,100&dearest=1&bars=10';
    const { body } = await http.call('GET', path);
    expect(body).toMatchObject({
      experience_type: 'Summary',
      experience_version: 2,
      experience_count: 5,
      sum: '515.000000000000000005',
      mean: '103.000000000000000001',
      minimum: '101.000000000000000001',
      maximum: '105.000000000000000001',
      percentile_error_max: 0.01,
      percentiles: [{ percentile: 50 }, { percentile: 100, cost: '105.000000000000000001' }],
      dearest_experiences: [
        { experience_id: EXPERIENCES[9], total_cost: '105.000000000000000001', event_count: 1 },
      ],
    });
    const bars = z.object({ bars: z.array(z.object({ experience_count: z.number() })) }).parse(body).bars;
    expect(bars.length).toBeLessThanOrEqual(10);
    expect(bars.reduce((sum, bar) => sum + bar.experience_count, 0)).toBe(5);
    // Without a version it is the current one.
    expect((await http.call('GET', '/costs/types/Summary/distribution')).body).toMatchObject({
      experience_version: 2,
    });
  });

  test('differ between versions, beyond chance or not', async () => {
    const { body } = await http.call(
      'GET',
      '/costs/types/Summary/versions/compare?from=1&to=2&percentiles=50',
    );
    expect(body).toMatchObject({
      from: { experience_version: 1, experience_count: 5, minimum: '2.000000000000000001' },
      to: { experience_version: 2, experience_count: 5 },
      comparison: {
        mean: { absolute: '99.8' },
        percentiles: [{ percentile: 50 }],
        rank_test: { name: 'Mann-Whitney U', method: 'EXACT', u: 25, verdict: 'SECOND_DEARER' },
      },
    });
    const same = await http.call('GET', '/costs/types/Summary/versions/compare?from=1&to=1');
    expect(same.status).toBe(400);
  });

  test('of a type or version that never was are refused', async () => {
    expect((await http.call('GET', '/costs/types/Nobody/distribution')).body).toMatchObject({
      statusCode: 404,
      xproxy_error: { code: 'experience_type_not_found' },
    });
    expect((await http.call('GET', '/costs/types/Summary/distribution?version=9')).status).toBe(400);
  });
});

describe('costs over time', () => {
  const RANGE = 'from=2026-03-04T05:00:00Z&to=2026-03-04T07:00:00Z';

  test('are added up by time, type, version, provider and model as asked for', async () => {
    const group = 'group_by=experience_type,experience_version,provider,model';
    const { body } = await http.call('GET', `/costs/series?${RANGE}&bucket=hour&${group}`);
    const of = { experience_type: 'Summary', provider: 'acme', model: 'one' };
    expect(body).toMatchObject({
      rows: [
        {
          ...of,
          bucket_start_time: '2026-03-04T05:00:00.000Z',
          experience_version: 1,
          event_count: 5,
          cost: { total: '15.000000000000000005' },
        },
        { ...of, experience_version: 2, event_count: 5, cost: { total: '515.000000000000000005' } },
        { ...of, bucket_start_time: '2026-03-04T06:00:00.000Z', event_count: 1, wasted_cost: '1' },
      ],
      total: { event_count: 11, cost: { total: '531.00000000000000001' }, unpriced_event_count: 1 },
    });
    const whole = await http.call(
      'GET',
      `/costs/series?${RANGE}&experience_type=Summary&experience_version=1`,
    );
    expect(whole.body).toMatchObject({
      rows: [{ event_count: 6 }],
      total: { cost: { total: '16.000000000000000005' } },
    });
    const none = await http.call('GET', `/costs/series?${RANGE}&provider=nobody`);
    expect(none.body).toMatchObject({ rows: [], total: { event_count: 0, cost: { total: '0' } } });
  });

  test.each<[what: string, query: string, status: number]>([
    ['no start', 'to=2026-03-04T07:00:00Z', 400],
    ['no time', 'from=x&to=2026-03-04T07:00:00Z', 400],
    ['a broken hour', 'from=2026-03-04T05:00:01Z&to=2026-03-04T07:00:00Z', 400],
    ['an unknown bucket', `${RANGE}&bucket=week`, 400],
    ['an unknown group', `${RANGE}&group_by=user`, 400],
    ['a version without a type', `${RANGE}&experience_version=1`, 400],
    ['a version of nothing', `${RANGE}&experience_type=Summary&experience_version=0`, 400],
    ['the same twice', `${RANGE}&provider=a&provider=b`, 400],
    ['an unknown type', `${RANGE}&experience_type=Nobody`, 404],
  ])('with %s are refused', async (_what, query, status) => {
    expect((await http.call('GET', `/costs/series?${query}`)).status).toBe(status);
  });
});
