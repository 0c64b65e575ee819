import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { startTestGateway } from './support/gateway.js';
import { GatewayHttp } from './support/gateway-http.js';
import { startTestService, type TestService } from './support/service.js';

/**
 * What the models of the Python client of that API demand when it validates answers strictly: alpha.55 from before there
 * were pages, alpha.87 and alpha.94. Members that a later one made optional are demanded of the answers to the earlier.
 */

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

const BOTH_PRICES = z.strictObject({ input_price: z.number(), output_price: z.number() });
const TIME = z.iso.datetime();
const RESOURCE = z.object({
  category: z.string(),
  proxy_allowed: z.boolean(),
  resource: z.string(),
  resource_id: z.string(),
  start_timestamp: TIME,
});
const RESOURCE_OF_55 = RESOURCE.extend({ units: z.record(z.string(), BOTH_PRICES) });
const RESOURCE_OF_87 = RESOURCE.extend({ units: z.record(z.string(), BOTH_PRICES.partial()) });
const CATEGORY_OF_55 = z.object({ category: z.string(), resource_count: z.int(), start_timestamp: TIME });
const COUNT = z.int().min(0);
const BASE = z.object({ base: z.number() });
const TOTALS = z.object({
  cost: z.object({ input: BASE, output: BASE, total: BASE }),
  requests: z.object({
    blocked: COUNT,
    blocked_external: COUNT,
    exceeded: COUNT,
    failed: COUNT,
    ok: COUNT,
    overrun: COUNT,
    total: COUNT,
  }),
});
const LIMIT = z.object({
  limit_creation_timestamp: TIME,
  limit_id: z.string(),
  limit_name: z.string(),
  limit_type: z.enum(['block', 'allow']),
  limit_update_timestamp: TIME,
  max: z.number(),
  totals: TOTALS,
});
const OF_LIMIT = z.object({ request_id: z.string(), limit: LIMIT });
const HISTORY = z.object({ request_id: z.string(), limit_history: z.object({ totals: TOTALS }) });

const ZERO_TOTALS = {
  cost: { input: { base: 0 }, output: { base: 0 }, total: { base: 0 } },
  requests: { blocked: 0, blocked_external: 0, exceeded: 0, failed: 0, ok: 0, overrun: 0, total: 0 },
};

async function read(alpha: number, method: string, path: string, body?: object): Promise<unknown> {
  const headers = { 'X-Stainless-Package-Version': `0.1.0-alpha.${alpha}` };
  const answer = await http.call(method, path, { headers, ...(body === undefined ? {} : { body }) });
  expect([path, answer.status]).toEqual([path, 200]);
  return answer.body;
}

test.each([55, 87, 94])('a limit has all its totals from the first on for alpha.%i', async (alpha) => {
  const created = OF_LIMIT.parse(
    await read(alpha, 'POST', '/limits', { limit_name: `limit ${randomUUID()}`, max: 5 }),
  );
  expect(created.limit.totals).toEqual(ZERO_TOTALS);
  const { limit_id: id } = created.limit;
  expect(OF_LIMIT.parse(await read(alpha, 'GET', `/limits/${id}`))).toMatchObject({ limit: created.limit });
  const { items } = z.object({ items: z.array(LIMIT).min(1) }).parse(await read(alpha, 'GET', '/limits'));
  expect(items).toContainEqual(created.limit);
  const reset = HISTORY.parse(await read(alpha, 'POST', `/limits/${id}/reset`));
  expect(reset.limit_history.totals).toEqual(ZERO_TOTALS);
});

test('a price that there is not is 0 to a client that demands both, and absent to later ones', async () => {
  const path = `/categories/half-${randomUUID().slice(0, 8)}/resources/m`;
  const units = { text: { input_price: 0.25 }, image: { output_price: 0.5 } };
  const forOld = {
    image: { input_price: 0, output_price: 0.5 },
    text: { input_price: 0.25, output_price: 0 },
  };

  const created = RESOURCE_OF_55.parse(await read(55, 'POST', path, { units }));
  expect(created.units).toEqual(forOld);
  const one = `${path}/${created.resource_id}`;
  expect(RESOURCE_OF_55.parse(await read(55, 'GET', one)).units).toEqual(forOld);
  const list = path.replace('/m', '');
  for (const each of [path, list])
    expect(z.array(RESOURCE_OF_55).parse(await read(55, 'GET', each))).toMatchObject([{ units: forOld }]);

  for (const alpha of [87, 94]) {
    expect(RESOURCE_OF_87.parse(await read(alpha, 'GET', one)).units).toEqual(units);
    for (const each of [path, list])
      expect(
        z.object({ items: z.array(RESOURCE_OF_87) }).parse(await read(alpha, 'GET', each)),
      ).toMatchObject({ items: [{ units }] });
  }

  // What is not priced stays so: the 0 is only written.
  const category = path.split('/')[2];
  const event = { category, resource: 'm', units: { text: { input: 4, output: 4 } } };
  expect(await read(55, 'POST', '/ingest', event)).toMatchObject({
    xproxy_result: { cost: { total: { base: 1 } }, unknown_units: { text: { input: 0, output: 4 } } },
  });

  const deleted = await read(55, 'DELETE', path);
  expect(z.array(RESOURCE_OF_55).parse(deleted)).toMatchObject([{ units: forOld }]);
  await read(55, 'POST', path, { units });
  const cleared = await read(55, 'DELETE', list.replace('/resources', ''));
  expect(z.array(RESOURCE_OF_55).parse(cleared)).toMatchObject([{ units: forOld }]);
});

test('every category and every built-in resource has what alpha.55 demands', async () => {
  const categories = z.array(CATEGORY_OF_55).parse(await read(55, 'GET', '/categories'));
  expect(categories.map(({ category }) => category)).toContain('system.openai');
  const resources = z
    .array(RESOURCE_OF_55)
    .parse(await read(55, 'GET', '/categories/system.openai/resources'));
  // Of some the catalogue has one price only.
  expect(resources.some(({ units }) => units.text?.output_price === 0)).toBe(true);
});
