import { randomUUID } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { UsageRecord } from '../services/client/types.js';
import { expectBooks } from './support/books.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';

const mongo = new MongoClient(inject('mongodbUri'));
let service: TestService;

beforeAll(async () => {
  service = await startTestService();
  await service.client.types.create({ name: 'Summary', description: 'Summaries' });
});
afterAll(async () => {
  await expectBooks(mongo, service.options.databaseName);
  await service.stop();
  await mongo.close();
});

/** A provider of its own for each test, so that none sees another's events. */
function acme(): string {
  return `acme-${randomUUID().slice(0, 8)}`;
}

async function record(provider: string, more: Partial<UsageRecord> = {}) {
  const call = { provider, model: 'large', units: { text: { input: 1_000, output: 100 } }, ...more };
  return (await service.client.usage.record(call)).event;
}

/** 0.000002 an input unit and 0.00001 an output unit, since ever: the usual call costs 0.003. */
async function createPrice(
  provider: string,
  rates: Record<string, readonly [string, string?]> = { text: ['0.000002', '0.00001'] },
) {
  return service.client.prices.create({
    provider,
    model: 'large',
    effectiveTime: new Date(0),
    rates: Object.fromEntries(
      Object.entries(rates).map(([kind, [input, output]]) => [
        kind,
        { input: { base: input }, ...(output === undefined ? {} : { output: { base: output } }) },
      ]),
    ),
  });
}

async function totalsOf(experienceId: string) {
  return (await service.client.costs.get(experienceId)).totals;
}

describe('repricing', () => {
  test('prices an event that had no price, and moves every sum with it', async () => {
    const [provider, experienceId] = [acme(), randomUUID()];
    const before = await record(provider, { experienceId, experienceType: 'Summary' });
    expect([before.cost.total, before.priceId]).toEqual(['0', undefined]);
    const price = await createPrice(provider);
    const result = await service.client.prices.repriceUnpriced({ provider });
    expect(result).toMatchObject({ repricedEventCount: 1n, unpricedEventCount: 0n });
    expect(result.addedCost).toMatchObject({ input: '0.002', output: '0.001', total: '0.003' });
    expect(await totalsOf(experienceId)).toMatchObject({
      cost: { total: '0.003' },
      usefulCost: '0.003',
      unpricedEventCount: 0n,
    });
    const [event] = await readAll(service.client.usage.list(experienceId));
    expect(event).toMatchObject({
      cost: { total: '0.003' },
      priceId: price.priceId,
      unpricedUnits: [],
      repricings: [
        { repricingId: result.repricingId, priceId: price.priceId, addedCost: { total: '0.003' } },
      ],
    });
  });

  test('reaches unattributed, untyped and wasted events too', async () => {
    const [provider, experienceId, operationKey] = [acme(), randomUUID(), randomUUID()];
    await record(provider);
    await record(provider, { experienceId, operationKey });
    await record(provider, { experienceId, operationKey });
    await record(provider, { experienceId, outcome: 'FAILED' });
    await createPrice(provider);
    const result = await service.client.prices.repriceUnpriced({ provider });
    expect([result.repricedEventCount, result.addedCost.total]).toEqual([4n, '0.012']);
    expect(await totalsOf(experienceId)).toMatchObject({ usefulCost: '0.003', wastedCost: '0.006' });
  });

  test('never changes what has a price', async () => {
    const [provider, experienceId] = [acme(), randomUUID()];
    const first = await createPrice(provider);
    await record(provider, { experienceId });
    await createPrice(provider, { text: ['0.5', '0.5'] });
    expect((await service.client.prices.repriceUnpriced({ provider })).repricedEventCount).toBe(0n);
    const [event] = await readAll(service.client.usage.list(experienceId));
    expect(event).toMatchObject({ cost: { total: '0.003' }, priceId: first.priceId, repricings: [] });
  });

  test('prices the kinds that were left out, and keeps what the others were priced at', async () => {
    const [provider, experienceId] = [acme(), randomUUID()];
    const first = await createPrice(provider);
    const units = { text: { input: 1_000, output: 100 }, audio: { input: 10 } };
    await record(provider, { experienceId, units });
    const second = await createPrice(provider, { text: ['0.5', '0.5'], audio: ['0.0001'] });
    const result = await service.client.prices.repriceUnpriced({ provider });
    expect([result.repricedEventCount, result.addedCost.total]).toEqual([1n, '0.001']);
    const [event] = await readAll(service.client.usage.list(experienceId));
    expect(event).toMatchObject({
      cost: { input: '0.003', output: '0.001', total: '0.004' },
      priceId: first.priceId,
      repricings: [{ priceId: second.priceId, addedCost: { total: '0.001' } }],
    });
  });

  test('leaves what is still without a price, and says how many those are', async () => {
    const provider = acme();
    await record(provider, { model: 'unheard-of' });
    await record(provider, { units: { text: { input: 1_000 }, video: { input: 5 } } });
    await createPrice(provider);
    expect(await service.client.prices.repriceUnpriced({ provider })).toMatchObject({
      repricedEventCount: 1n,
      unpricedEventCount: 2n,
    });
  });

  test('prices at the time of the event, not of the repricing', async () => {
    const [provider, experienceId] = [acme(), randomUUID()];
    await record(provider, { experienceId, eventTime: new Date('2026-03-01T00:00:00Z') });
    await service.client.prices.create({
      provider,
      model: 'large',
      effectiveTime: new Date('2026-04-01T00:00:00Z'),
      rates: { text: { input: { base: '1' }, output: { base: '1' } } },
    });
    expect((await service.client.prices.repriceUnpriced({ provider })).repricedEventCount).toBe(0n);
    await service.client.prices.create({
      provider,
      model: 'large',
      effectiveTime: new Date('2026-02-01T00:00:00Z'),
      rates: { text: { input: { base: '0.1' }, output: { base: '0.1' } } },
    });
    expect((await service.client.prices.repriceUnpriced({ provider })).addedCost.total).toBe('110');
  });

  test.each<[what: string, filter: object, priced: bigint]>([
    ['from a time on', { startTime: new Date('2026-05-02T00:00:00Z') }, 2n],
    ['before a time', { endTime: new Date('2026-05-02T00:00:00Z') }, 1n],
    [
      'in a half-open range',
      { startTime: new Date('2026-05-01T00:00:00Z'), endTime: new Date('2026-05-03T00:00:00Z') },
      2n,
    ],
    ['of a model, in any case', { model: 'LARGE' }, 3n],
    ['of another model', { model: 'small' }, 0n],
  ])('takes only events %s', async (_what, filter, priced) => {
    const provider = acme();
    for (const day of ['01', '02', '03'])
      await record(provider, { eventTime: new Date(`2026-05-${day}T00:00:00Z`) });
    await createPrice(provider);
    const result = await service.client.prices.repriceUnpriced({ provider, ...filter });
    expect(result.repricedEventCount).toBe(priced);
  });

  test('counts once however often and from however many sides it is called', async () => {
    const [provider, experienceId] = [acme(), randomUUID()];
    for (let call = 0; call < 20; call += 1) await record(provider, { experienceId });
    await createPrice(provider);
    const [repricingId, other] = [randomUUID(), randomUUID()];
    const results = await Promise.all([
      service.client.prices.repriceUnpriced({ provider, repricingId }),
      service.client.prices.repriceUnpriced({ provider, repricingId }),
      service.client.prices.repriceUnpriced({ provider, repricingId: other }),
      ...Array.from({ length: 10 }, () => record(provider, { experienceId })),
    ]);
    expect(results).toHaveLength(13);
    const again = await service.client.prices.repriceUnpriced({ provider, repricingId });
    const others = await service.client.prices.repriceUnpriced({ provider, repricingId: other });
    expect(again.repricedEventCount + others.repricedEventCount).toBe(20n);
    expect(await totalsOf(experienceId)).toMatchObject({
      eventCount: 30n,
      cost: { total: '0.09' },
      unpricedEventCount: 0n,
    });
  });

  test('goes through more events than one commit takes', async () => {
    const [provider, experienceId] = [acme(), randomUUID()];
    for (let call = 0; call < 1_203; call += 100) {
      const size = Math.min(100, 1_203 - call);
      await Promise.all(Array.from({ length: size }, () => record(provider, { experienceId })));
    }
    await createPrice(provider);
    const result = await service.client.prices.repriceUnpriced({ provider });
    expect([result.repricedEventCount, result.addedCost.total]).toEqual([1_203n, '3.609']);
    expect((await totalsOf(experienceId)).cost.total).toBe('3.609');
  });

  test('is answered a repeat of a call as the event stands now', async () => {
    const [provider, eventId] = [acme(), randomUUID()];
    await record(provider, { eventId });
    await createPrice(provider);
    await service.client.prices.repriceUnpriced({ provider });
    expect((await record(provider, { eventId })).cost.total).toBe('0.003');
  });

  test('refuses an id that asks for something else', async () => {
    const repricingId = randomUUID();
    await service.client.prices.repriceUnpriced({ provider: acme(), repricingId });
    const other = service.client.prices.repriceUnpriced({ provider: acme(), repricingId });
    await expect(other).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      reason: 'REPRICING_ALREADY_EXISTS',
    });
  });

  test.each<[what: string, request: object, field: string]>([
    ['an id that is no UUID', { repricingId: 'x' }, 'repricing_id'],
    ['a model without a provider', { model: 'large' }, 'model'],
    [
      'a range that ends before it begins',
      { startTime: new Date('2026-05-02T00:00:00Z'), endTime: new Date('2026-05-01T00:00:00Z') },
      'end_time',
    ],
  ])('refuses %s', async (_what, request, field) => {
    await expect(service.client.prices.repriceUnpriced(request)).rejects.toMatchObject({
      reason: 'INVALID_FIELDS',
      violations: [{ field }],
    });
  });
});
