import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Price, UnitsInput } from '../services/client/index.js';
import type { PricesClient } from '../services/client/prices-client.js';
import { contract } from '../services/contract/contract.js';
import { RawClient, readPages } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';

const methods = contract.PriceService.service;
const DAY_MS = 86_400_000;
const UNITS = { text: { input: 1000, output: 500 } };

let service: TestService;
let raw: RawClient;
let prices: PricesClient;
beforeAll(async () => {
  service = await startTestService();
  raw = new RawClient(service.address);
  ({ prices } = service.client);
});
afterAll(async () => {
  raw.close();
  await service.stop();
});

/** Per input unit of text, and twice as much per output unit. */
function rates(input: string, output: string): Price['rates'] {
  return { text: { input: { base: input }, output: { base: output } } };
}

async function create(
  model: string,
  input: string,
  more: Partial<Parameters<PricesClient['create']>[0]> = {},
) {
  return prices.create({ provider: 'acme', model, rates: { text: { input: { base: input } } }, ...more });
}

/** What one input unit of text costs: recorded and estimated alike, or why neither has a price. */
async function unitCost(model: string, eventTime?: Date, provider = 'acme'): Promise<string> {
  const call = {
    provider,
    model,
    units: { text: { input: 1 } },
    ...(eventTime === undefined ? {} : { eventTime }),
  };
  const { event } = await service.client.usage.record(call);
  const estimate = await service.client.costs.estimate(call);
  expect([estimate.cost, estimate.priceId, estimate.unpricedUnits]).toEqual([
    event.cost,
    event.priceId,
    event.unpricedUnits,
  ]);
  return event.unpricedUnits[0]?.reason ?? event.cost.total;
}

const day = (text: string) => new Date(`2026-${text}T00:00:00Z`);

describe('a price', () => {
  test('is read as it was created', async () => {
    const effectiveTime = new Date('2026-03-01T12:00:00.500Z');
    const price = await prices.create({
      provider: 'acme',
      model: 'Full-Model_1',
      priceId: '018f3c2e-0000-7000-8000-00000000aaaa',
      effectiveTime,
      rates: {
        text: {
          input: { base: '0.000000000000000001', tiers: [{ inputUnitsAbove: 200_000n, price: '0.5' }] },
          output: { base: '10000', tiers: [] },
        },
        image: { output: { base: '0', tiers: [] } },
      },
    });
    expect(price).toEqual({
      priceId: '018f3c2e-0000-7000-8000-00000000aaaa',
      source: 'APPLICATION',
      provider: 'acme',
      model: 'Full-Model_1',
      effectiveTime,
      retired: false,
      createTime: expect.any(Date),
      sourceNote: undefined,
      currencyCode: 'USD',
      rates: {
        text: {
          input: { base: '0.000000000000000001', tiers: [{ inputUnitsAbove: 200_000n, price: '0.5' }] },
          output: { base: '10000', tiers: [] },
        },
        image: { output: { base: '0', tiers: [] } },
      },
    });
    expect(await prices.get(price.priceId)).toEqual(price);
    expect(await prices.get(`{${price.priceId.toUpperCase()}}`)).toEqual(price);
  });

  test('is answered in canonical spelling', async () => {
    const price = await create('spelled', '007.5000');
    expect(price.rates).toMatchObject({ text: { input: { base: '7.5' } } });
  });

  test('of the same id and content is created once', async () => {
    const wanted = { priceId: randomUUID(), effectiveTime: day('01-01') };
    const first = await create('once', '1', wanted);
    expect(await create('once', '1.0', wanted)).toEqual(first);
    expect(await create('once', '1', { priceId: wanted.priceId })).toEqual(first);
    expect(await readAll(prices.list({ provider: 'acme', model: 'once' }))).toEqual([first]);
  });

  test('created by ten calls at once is one price', async () => {
    const priceId = randomUUID();
    const answers = await Promise.all(Array.from({ length: 10 }, () => create('at-once', '1', { priceId })));
    expect(new Set(answers.map(({ createTime }) => createTime.getTime())).size).toBe(1);
  });

  test.each<[what: string, other: Partial<Parameters<PricesClient['create']>[0]>]>([
    ['rate', { rates: { text: { input: { base: '2' } } } }],
    ['direction', { rates: { text: { output: { base: '1' } } } }],
    ['tier', { rates: { text: { input: { base: '1', tiers: [{ inputUnitsAbove: 1n, price: '1' }] } } } }],
    ['model', { model: 'conflict-2' }],
    ['provider', { provider: 'acme-2' }],
    ['date', { effectiveTime: day('01-02') }],
  ])('of the same id and another %s is refused', async (_what, other) => {
    const wanted = { priceId: randomUUID(), effectiveTime: day('01-01') };
    await create('conflict', '1', wanted);
    await expect(create('conflict', '1', { ...wanted, ...other })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: [{ field: 'price_id', description: 'is the id of another price' }],
    });
  });

  test("cannot take the id of a catalogue's price", async () => {
    const { event } = await service.client.usage.record({
      provider: 'openai',
      model: 'gpt-4o',
      units: UNITS,
    });
    await expect(create('thief', '1', { priceId: event.priceId ?? '' })).rejects.toMatchObject({
      violations: [{ field: 'price_id' }],
    });
  });

  test.each<[method: string, call: (priceId: string) => Promise<unknown>]>([
    ['get', (priceId) => prices.get(priceId)],
    ['retire', (priceId) => prices.retire(priceId)],
  ])('that there is not is NOT_FOUND to %s', async (_method, call) => {
    for (const priceId of [randomUUID(), 'no UUID']) {
      await expect(call(priceId)).rejects.toMatchObject({
        code: 'NOT_FOUND',
        reason: 'PRICE_NOT_FOUND',
        metadata: { price_id: priceId },
      });
    }
  });
});

describe('an own price', () => {
  test("comes before the catalogue's, and another provider's or model's does not", async () => {
    expect(await unitCost('gpt-4.1-mini', undefined, 'openai')).toBe('0.0000004');
    await prices.create({ provider: 'openai', model: 'gpt-4.1-mini', rates: rates('7', '14') });
    expect(await unitCost('gpt-4.1-mini', undefined, 'openai')).toBe('7');
    expect(await unitCost('gpt-4.1-mini', undefined, 'azure')).not.toBe('7');
    expect(await unitCost('gpt-4o-mini', undefined, 'openai')).toBe('0.00000015');
  });

  test('replaces the whole of the price, not single kinds of it', async () => {
    await prices.create({ provider: 'openai', model: 'gpt-4.1', rates: { text: { input: { base: '1' } } } });
    const { event } = await service.client.usage.record({
      provider: 'openai',
      model: 'gpt-4.1',
      units: UNITS,
    });
    expect(event.cost.total).toBe('1000');
    expect(event.unpricedUnits).toEqual([
      { kind: 'text', input: 0n, output: 500n, reason: 'UNIT_KIND_NOT_PRICED' },
    ]);
  });

  test('is found by any known name of the provider and in any case of the model', async () => {
    const price = await prices.create({
      provider: 'Azure_OpenAI',
      model: ' My-Deployment ',
      rates: rates('3', '6'),
    });
    expect([price.provider, price.model]).toEqual(['azure', 'My-Deployment']);
    for (const [provider, model] of [
      ['azure', 'my-deployment'],
      ['AZURE.AI.OPENAI', 'MY-DEPLOYMENT'],
    ] as const) {
      expect(await unitCost(model, undefined, provider)).toBe('3');
    }
  });

  test('applies from now on when no date is given', async () => {
    const before = new Date(Date.now() - 1_000);
    await prices.create({ provider: 'openai', model: 'gpt-4o', rates: rates('9', '9') });
    expect(await unitCost('gpt-4o', before, 'openai')).toBe('0.0000025');
    expect(await unitCost('gpt-4o', undefined, 'openai')).toBe('9');
  });

  describe('of three dates', () => {
    beforeAll(async () => {
      await create('dated', '2', { effectiveTime: day('02-01') });
      await create('dated', '1', { effectiveTime: day('01-01') });
      await create('dated', '3', { effectiveTime: new Date(Date.now() + DAY_MS) });
    });

    test.each<[time: string, cost: string]>([
      ['2025-12-31T23:59:59.999Z', 'NO_PRICE_AT_TIME'],
      ['2026-01-01T00:00:00.000Z', '1'],
      ['2026-01-31T23:59:59.999Z', '1'],
      ['2026-02-01T00:00:00.000Z', '2'],
      ['2026-11-01T00:00:00.000Z', '2'],
    ])('applies the one in force at %s: %s', async (time, cost) => {
      expect(await unitCost('dated', new Date(time))).toBe(cost);
    });

    test('does not apply the one to come', async () => {
      expect(await unitCost('dated')).toBe('2');
    });
  });

  test('appended later wins over one of the same date', async () => {
    await create('corrected', '1', { effectiveTime: day('01-01') });
    await create('corrected', '2', { effectiveTime: day('01-01') });
    expect(await unitCost('corrected', day('06-01'))).toBe('2');
  });

  test.each<[units: UnitsInput, total: string]>([
    [{ text: { input: 1000, output: 10 } }, '110'],
    [{ text: { input: 1001, output: 10 } }, '220.2'],
    [{ text: { input: 600 }, text_cache_read: { input: 400 } }, '64'],
    [{ text: { input: 601 }, text_cache_read: { input: 400 } }, '124.2'],
    [{ text: { input: 2001, output: 10 } }, '630.3'],
  ])('with tiers rates the whole request by its input: %o costs %s', async (units, total) => {
    const steps = (first: string, second: string) => [
      { inputUnitsAbove: 1000n, price: first },
      { inputUnitsAbove: 2000n, price: second },
    ];
    await prices.create({
      provider: 'acme',
      model: 'tiered',
      priceId: '018f3c2e-0000-7000-8000-00000000bbbb',
      rates: {
        text: {
          input: { base: '0.1', tiers: steps('0.2', '0.3') },
          output: { base: '1', tiers: steps('2', '3') },
        },
        text_cache_read: { input: { base: '0.01' } },
      },
    });
    const { cost } = await service.client.costs.estimate({ provider: 'acme', model: 'tiered', units });
    expect(cost.total).toBe(total);
  });

  test('does not move history: what was recorded keeps its price and cost', async () => {
    await create('moving', '1', { effectiveTime: day('01-01') });
    const usage = {
      provider: 'acme',
      model: 'moving',
      units: { text: { input: 3 } },
      eventTime: day('06-01'),
    };
    const experienceId = randomUUID();
    const eventId = randomUUID();
    const recorded = await service.client.usage.record({ ...usage, experienceId, eventId });
    await create('moving', '5', { effectiveTime: day('02-01') });
    expect(await service.client.usage.record({ ...usage, experienceId, eventId })).toEqual({
      ...recorded,
      duplicate: true,
    });
    expect(await readAll(service.client.usage.list(experienceId))).toEqual([recorded.event]);
    expect((await service.client.costs.get(experienceId)).totals.cost.total).toBe('3');
    expect((await service.client.costs.estimate(usage)).cost.total).toBe('15');
    expect((await service.client.usage.record({ ...usage, experienceId })).event.cost.total).toBe('15');
    expect((await service.client.costs.get(experienceId)).totals.cost.total).toBe('18');
  });
});

describe('a retired price', () => {
  test('gives way to the catalogue from its end on, not before', async () => {
    const { priceId } = await prices.create({
      provider: 'openai',
      model: 'gpt-4.1-nano',
      rates: rates('4', '8'),
      effectiveTime: day('01-01'),
    });
    const end = await prices.retire(priceId, { retireTime: day('02-01') });
    expect(end).toMatchObject({
      retired: true,
      rates: {},
      effectiveTime: day('02-01'),
      model: 'gpt-4.1-nano',
    });
    expect(end.priceId).not.toBe(priceId);
    expect(await unitCost('gpt-4.1-nano', day('01-31'), 'openai')).toBe('4');
    expect(await unitCost('gpt-4.1-nano', day('02-01'), 'openai')).toBe('0.0000001');
    expect(await unitCost('gpt-4.1-nano', undefined, 'openai')).toBe('0.0000001');
    expect(await prices.get(priceId)).toMatchObject({ retired: false });
  });

  test('of a model that only the application knows leaves its use unpriced', async () => {
    const { priceId } = await create('own-only', '1');
    expect(await unitCost('own-only')).toBe('1');
    const end = await prices.retire(priceId);
    expect(Math.abs(Date.now() - (end.effectiveTime?.getTime() ?? 0))).toBeLessThan(10_000);
    expect(await unitCost('own-only')).toBe('NO_PRICE_AT_TIME');
  });

  test('retired from its first moment on was never in force', async () => {
    const { priceId } = await create('never', '1', { effectiveTime: day('01-01') });
    await prices.retire(priceId, { retireTime: day('01-01') });
    expect(await unitCost('never', day('01-01'))).toBe('NO_PRICE_AT_TIME');
  });

  test.each<[what: string, options: { retireTime?: Date }]>([
    ['now', {}],
    ['at a time', { retireTime: day('06-01') }],
  ])('retired again %s answers the first end', async (_what, options) => {
    const { priceId } = await create(`again-${_what}`, '1', { effectiveTime: day('01-01') });
    const end = await prices.retire(priceId, options);
    expect(await prices.retire(priceId, options)).toEqual(end);
  });

  test('can be retired earlier still', async () => {
    const { priceId } = await create('earlier', '1', { effectiveTime: day('01-01') });
    await prices.retire(priceId, { retireTime: day('06-01') });
    await prices.retire(priceId, { retireTime: day('03-01') });
    expect(await unitCost('earlier', day('02-28'))).toBe('1');
    expect(await unitCost('earlier', day('03-01'))).toBe('NO_PRICE_AT_TIME');
  });

  test('ends now though an end to come was appended before', async () => {
    const { priceId } = await create('to-come', '1', { effectiveTime: day('01-01') });
    await prices.retire(priceId, { retireTime: new Date(Date.now() + DAY_MS) });
    expect(await unitCost('to-come')).toBe('1');
    await prices.retire(priceId);
    expect(await unitCost('to-come')).toBe('NO_PRICE_AT_TIME');
  });

  test('can be followed by a new one, which a late repeat of the retirement leaves alone', async () => {
    const { priceId } = await create('revived', '1', { effectiveTime: day('01-01') });
    const end = await prices.retire(priceId, { retireTime: day('02-01') });
    await create('revived', '2', { effectiveTime: day('03-01') });
    expect(await unitCost('revived', day('02-15'))).toBe('NO_PRICE_AT_TIME');
    expect(await unitCost('revived')).toBe('2');
    expect(await prices.retire(priceId)).toEqual(end);
    expect(await prices.retire(priceId, { retireTime: day('02-01') })).toEqual(end);
    expect(await unitCost('revived')).toBe('2');
  });

  test('is not the next one of its model, which has an end of its own', async () => {
    const first = await create('two', '1', { effectiveTime: day('01-01') });
    const second = await create('two', '2', { effectiveTime: day('03-01') });
    await prices.retire(first.priceId, { retireTime: day('02-01') });
    expect(await unitCost('two')).toBe('2');
    await prices.retire(second.priceId);
    expect(await unitCost('two')).toBe('NO_PRICE_AT_TIME');
  });

  test.each<[when: string, options: { retireTime?: Date }]>([
    ['now', {}],
    ['at the time of the other', { retireTime: day('03-01') }],
  ])('retired %s does not switch off the own price that has replaced it', async (when, options) => {
    const model = `replaced-${when}`;
    const first = await create(model, '1', { effectiveTime: day('01-01') });
    const second = await create(model, '2', { effectiveTime: day('03-01') });
    await expect(prices.retire(first.priceId, options)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: [
        {
          field: 'price_id',
          description: `is already ended by the price ${second.priceId} from 2026-03-01T00:00:00.000Z on; retire that one`,
        },
      ],
    });
    expect(await unitCost(model)).toBe('2');
    expect(await unitCost(model, day('02-15'))).toBe('1');
  });

  test('cannot end before it began', async () => {
    const { priceId } = await create('backwards', '1', { effectiveTime: day('02-01') });
    await expect(prices.retire(priceId, { retireTime: day('01-31') })).rejects.toMatchObject({
      reason: 'INVALID_FIELDS',
      violations: [{ field: 'retire_time', description: "is before the price's own effective_time" }],
    });
    expect(await unitCost('backwards')).toBe('1');
  });

  test('cannot be the catalogue’s, nor an end itself', async () => {
    const [catalogued] = await readAll(prices.list({ provider: 'openai', model: 'gpt-4o-mini' }));
    const { priceId } = await create('ended', '1');
    const end = await prices.retire(priceId);
    for (const id of [catalogued?.priceId ?? '', end.priceId]) {
      await expect(prices.retire(id)).rejects.toMatchObject({ reason: 'PRICE_NOT_FOUND' });
    }
    expect(await unitCost('gpt-4o-mini', undefined, 'openai')).toBe('0.00000015');
  });
});

describe('a price of the catalogue', () => {
  test('that an event names can be read', async () => {
    const { event } = await service.client.usage.record({
      provider: 'openai',
      model: 'gpt-4o-mini',
      units: UNITS,
    });
    expect(await prices.get(event.priceId ?? '')).toMatchObject({
      priceId: event.priceId,
      source: 'CATALOGUE',
      provider: 'openai',
      model: 'gpt-4o-mini',
      retired: false,
      sourceNote: expect.stringMatching(/^@pydantic\/genai-prices \d+\.\d+\.\d+$/),
      currencyCode: 'USD',
      rates: {
        text: { input: { base: '0.00000015' }, output: { base: '0.0000006' } },
        text_cache_read: { input: { base: '0.000000075' } },
        vision: { input: { base: '0.00000015', inheritedFrom: 'text' } },
      },
    });
  });
});

describe('the list of prices', () => {
  /** Own prices of a provider that the catalogue has too: 3 of `aa`, 1 of `zz`, and the end of one. */
  beforeAll(async () => {
    const own = async (model: string, effectiveTime: Date) =>
      prices.create({ provider: 'cerebras', model, rates: rates('1', '2'), effectiveTime });
    await own('zz', day('01-01'));
    const { priceId } = await own('aa', day('02-01'));
    await own('AA', day('01-01'));
    await prices.retire(priceId, { retireTime: day('03-01') });
    await own('aa', day('03-01'));
  });

  const shown = (price: Price) =>
    `${price.source} ${price.model} ${price.retired ? 'ends' : 'from'} ${price.effectiveTime?.toISOString().slice(0, 10)}`;

  test('holds the own ones first, each by provider, model and date', async () => {
    const found = await readAll(prices.list({ provider: 'cerebras' }));
    expect(found.slice(0, 5).map(shown)).toEqual([
      'APPLICATION AA from 2026-01-01',
      'APPLICATION aa from 2026-02-01',
      'APPLICATION aa ends 2026-03-01',
      'APPLICATION aa from 2026-03-01',
      'APPLICATION zz from 2026-01-01',
    ]);
    const catalogued = found.slice(5);
    expect(catalogued.length).toBeGreaterThan(3);
    expect(new Set(catalogued.map(({ source, provider }) => `${source} ${provider}`))).toEqual(
      new Set(['CATALOGUE cerebras']),
    );
    const models = catalogued.map(({ model }) => model.toLowerCase());
    expect(models).toEqual(models.toSorted());
  });

  test.each<[filter: Parameters<PricesClient['list']>[0], found: string[]]>([
    [{ provider: 'cerebras', model: 'zz' }, ['APPLICATION zz from 2026-01-01']],
    [{ provider: 'CEREBRAS', model: 'ZZ' }, ['APPLICATION zz from 2026-01-01']],
    [{ provider: 'cerebras', model: 'aa', source: 'CATALOGUE' }, []],
    [
      { provider: 'openai', model: 'gpt-4o-mini', source: 'CATALOGUE' },
      ['CATALOGUE gpt-4o-mini from undefined'],
    ],
    [{ provider: 'openai', model: 'gpt-4o-mini', source: 'APPLICATION' }, []],
    [{ provider: 'nobody' }, []],
  ])('filtered by %o holds %o', async (filter, found) => {
    expect((await readAll(prices.list(filter))).map(shown)).toEqual(found);
  });

  test.each([
    ['own ones alone, by ones', { provider: 'cerebras', source: 'PRICE_SOURCE_APPLICATION' }, 1],
    ['own ones and the catalogue’s, by twos', { provider: 'cerebras' }, 2],
    ['own ones and the catalogue’s, by fives', { provider: 'cerebras' }, 5],
    ['everything, by hundreds', {}, 100],
    ['several dates of a model, by ones', { provider: 'mistral', model: 'mistral-ocr-latest' }, 1],
  ] as const)('holds each price once on its pages: %s', async (_what, filter, pageSize) => {
    const ids = (size: number) =>
      readPages(async (pageToken) => {
        const answer = await raw.call(methods.ListPrices, { ...filter, pageSize: size, pageToken });
        return { items: answer.prices.map(({ priceId }) => priceId), nextPageToken: answer.nextPageToken };
      });
    const all = (await ids(1_000)).flat();
    const pages = await ids(pageSize);
    expect(pages.flat()).toEqual(all);
    expect(new Set(all).size).toBe(all.length);
    expect(all.length).toBeGreaterThan(2);
    expect(pages.slice(0, -1).every(({ length }) => length === pageSize)).toBe(true);
  });

  test('refuses a token of another filter', async () => {
    const { nextPageToken: pageToken } = await raw.call(methods.ListPrices, {
      provider: 'openai',
      pageSize: 1,
    });
    await expect(raw.call(methods.ListPrices, { provider: 'azure', pageToken })).rejects.toMatchObject({
      violations: [{ field: 'page_token' }],
    });
  });
});

describe('a bad price is refused', () => {
  test.each([
    ['19 digits after the point', '0.0000000000000000001'],
    ['17 digits before the point', '10000000000000000'],
    ['a negative amount', '-0.000000000000000001'],
    ['more than one unit may cost', '10000.000000000000000001'],
    ['an exponent', '1e-6'],
    ['a plus', '+1'],
    ['a comma', '0,5'],
    ['no digit before the point', '.5'],
    ['no digit after the point', '5.'],
    ['a space', ' 1'],
    ['nothing', ''],
    ['no number', 'free'],
    ['NaN', 'NaN'],
    ['digits of another script', '٣'],
    ['more text than any amount', `0.${'0'.repeat(100)}`],
  ])('for a rate of %s: %s', async (_what, base) => {
    const bad = create('bad', base);
    await expect(bad).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: [{ field: 'rates[text].input.base' }],
    });
  });

  const tier = (inputUnitsAbove: string, price = '1') => ({ inputUnitsAbove, price });
  const tiers = (...steps: object[]) => ({ rates: { text: { input: { base: '1', tiers: steps } } } });
  test.each<[what: string, request: object, fields: string[]]>([
    ['nothing at all', { provider: '', model: '' }, ['provider', 'model', 'rates']],
    ['names of spaces', { provider: ' ', model: ' ', ...tiers() }, ['provider', 'model']],
    [
      'names too long',
      { provider: 'p'.repeat(129), model: 'm'.repeat(257), ...tiers() },
      ['provider', 'model'],
    ],
    ['a kind without a rate', { rates: { text: {} } }, ['rates[text]']],
    [
      'kinds that are none',
      {
        rates: Object.fromEntries(['a.b', '$x', 'Text', ''].map((kind) => [kind, { input: { base: '1' } }])),
      },
      ['rates[a.b]', 'rates[$x]', 'rates[Text]', 'rates[]'],
    ],
    [
      'too many kinds',
      {
        rates: Object.fromEntries(
          Array.from({ length: 65 }, (_, n) => [`kind_${n}`, { input: { base: '1' } }]),
        ),
      },
      ['rates'],
    ],
    [
      'a rate that is inherited',
      { rates: { vision: { input: { base: '1', inheritedFrom: 'text' } } } },
      ['rates[vision].input.inherited_from'],
    ],
    ['a tier from the start', tiers(tier('0')), ['rates[text].input.tiers[0].input_units_above']],
    ['tiers out of order', tiers(tier('2'), tier('1')), ['rates[text].input.tiers[1].input_units_above']],
    ['a tier twice', tiers(tier('2'), tier('2')), ['rates[text].input.tiers[1].input_units_above']],
    [
      'a tier beyond all units',
      tiers(tier('1000000000001')),
      ['rates[text].input.tiers[0].input_units_above'],
    ],
    ['a tier of a bad price', tiers(tier('1', '-1')), ['rates[text].input.tiers[0].price']],
    [
      'too many tiers',
      tiers(...Array.from({ length: 9 }, (_, n) => tier(String(n + 1)))),
      ['rates[text].input.tiers'],
    ],
    ['an id that is no UUID', { ...tiers(), priceId: 'price 1' }, ['price_id']],
    ['a date before 1970', { ...tiers(), effectiveTime: { seconds: '-1', nanos: 0 } }, ['effective_time']],
    [
      'a date that is none',
      { ...tiers(), effectiveTime: { seconds: '0', nanos: 1_000_000_000 } },
      ['effective_time'],
    ],
  ])('for %s, every bad field named', async (_what, request, fields) => {
    const bad = raw.call(methods.CreatePrice, { provider: 'acme', model: 'bad', ...request });
    await expect(bad).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: fields.map((field) => ({ field })),
    });
  });

  test('and nothing of it is appended', async () => {
    expect(await readAll(prices.list({ provider: 'acme', model: 'bad' }))).toEqual([]);
  });

  test('when it is looked for without a provider or in a source that is none', async () => {
    await expect(
      raw.call(methods.ListPrices, { model: 'x', source: 7 as never, pageSize: -1 }),
    ).rejects.toMatchObject({
      violations: [
        { field: 'model', description: 'needs provider' },
        { field: 'source' },
        { field: 'page_size' },
      ],
    });
  });
});
