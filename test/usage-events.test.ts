import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExperiencesClient } from '../services/client/index.js';
import { startTestService, type TestService } from './support/service.js';

let service: TestService;
let client: ExperiencesClient;
beforeAll(async () => {
  service = await startTestService();
  ({ client } = service);
  await client.types.create({ name: 'Summary', description: 'Summarises a document' });
});
afterAll(() => service.stop());

const CALL = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };

describe('a recorded event', () => {
  test('is read as it was answered, with how its limits stand now', async () => {
    const { limit } = await client.limits.create({ name: randomUUID(), maxCost: '0.001' });
    const call = { ...CALL, experienceType: 'Summary', experienceId: 'no id', limitIds: [limit.limitId] };
    const { duplicate: _duplicate, ...recorded } = await client.usage.record(call);
    expect(await client.usage.get(recorded.event.eventId)).toEqual(recorded);
    expect(recorded).toMatchObject({ experienceCreated: true, experienceIdReplaced: true });
    expect(recorded.warnings).toHaveLength(1);
    await client.usage.record({ ...CALL, limitIds: [limit.limitId] });
    await client.usage.record({ ...CALL, limitIds: [limit.limitId] });
    expect((await client.usage.get(recorded.event.eventId)).limits).toMatchObject([
      { limitId: limit.limitId, state: 'OVERRUN', spentCost: '0.00135' },
    ]);
  });

  test('says what became of its reservation, and an open reservation is no event', async () => {
    const eventId = randomUUID();
    await client.usage.reserve({ eventId, provider: CALL.provider, model: CALL.model });
    await expect(client.usage.get(eventId)).rejects.toMatchObject({ reason: 'USAGE_NOT_FOUND' });
    await client.usage.record({ ...CALL, eventId });
    expect((await client.usage.get(eventId)).event.settlement).toBe('SETTLED');
  });

  test('is found by the id of its answer: of several that of the same provider recorded last', async () => {
    const providerResponseId = `chatcmpl-${randomUUID()}`;
    const record = async (more: object) =>
      (await client.usage.record({ ...CALL, providerResponseId, ...more })).event.eventId;
    await record({});
    const last = await record({});
    const others = await record({ provider: 'azure' });
    const found = async (provider: string) =>
      (await client.usage.get({ provider, providerResponseId })).event.eventId;
    expect([await found('openai'), await found('azure')]).toEqual([last, others]);
    await expect(client.usage.get({ provider: 'anthropic', providerResponseId })).rejects.toMatchObject({
      reason: 'USAGE_NOT_FOUND',
    });
  });

  test('takes and loses labels; a repeat of the record is still the same', async () => {
    const record = { ...CALL, eventId: randomUUID(), properties: { a: '1', b: '2' } };
    const { event } = await client.usage.record(record);
    const change = { set: { b: '3', c: '4' }, remove: ['a', 'none'] };
    for (const _time of [1, 2])
      expect(await client.usage.updateProperties(record.eventId, change)).toEqual({
        ...event,
        properties: { b: '3', c: '4' },
      });
    const again = await client.usage.record(record);
    expect([again.duplicate, again.event.properties]).toEqual([true, { b: '3', c: '4' }]);
    await client.usage.updateProperties(record.eventId, { remove: ['b', 'c'] });
    expect((await client.usage.get(record.eventId)).event).toEqual({ ...event, properties: {} });
  });

  test('has at most 64 labels, old and new together', async () => {
    const labels = (from: number, to: number) =>
      Object.fromEntries(Array.from({ length: to - from }, (_, index) => [`label${from + index}`, 'x']));
    const { event } = await client.usage.record({ ...CALL, properties: labels(0, 60) });
    await client.usage.updateProperties(event.eventId, { set: labels(60, 64) });
    await expect(client.usage.updateProperties(event.eventId, { set: { more: 'x' } })).rejects.toMatchObject({
      violations: [{ field: 'set' }],
    });
    await client.usage.updateProperties(event.eventId, { set: { more: 'x' }, remove: ['label0'] });
  });

  test('changed by many at once keeps every label', async () => {
    const { event } = await client.usage.record(CALL);
    const keys = Array.from({ length: 10 }, (_, index) => `key${index}`);
    await Promise.all(
      keys.map((key) => client.usage.updateProperties(event.eventId, { set: { [key]: 'x' } })),
    );
    expect(Object.keys((await client.usage.get(event.eventId)).event.properties).sort()).toEqual(keys);
  });
});

describe('a record that names a blocking limit', () => {
  test('is refused where its caller wants that, in a batch alone, unless it was reserved', async () => {
    const { limit } = await client.limits.create({ name: randomUUID(), maxCost: '1', type: 'BLOCK' });
    const named = { ...CALL, limitIds: [limit.limitId] };
    const rules = { refuseBlockingLimits: true };
    await expect(client.usage.record(named, rules)).rejects.toMatchObject({
      reason: 'BLOCKING_LIMIT_NOT_ALLOWED',
      metadata: { limit_id: limit.limitId },
    });
    const { results } = await client.usage.recordBatch([CALL, named, CALL], rules);
    expect(results.map(({ error }) => error?.reason)).toEqual([
      undefined,
      'BLOCKING_LIMIT_NOT_ALLOWED',
      undefined,
    ]);
    expect((await client.limits.get(limit.limitId)).limit.period.eventCount).toBe(0n);
    const eventId = randomUUID();
    await client.usage.reserve({ ...named, eventId });
    await client.usage.record({ ...named, eventId }, rules);
    // What is in the ledger is answered again, and without the wish it is recorded.
    expect((await client.usage.record({ ...named, eventId }, rules)).duplicate).toBe(true);
    await client.usage.record(named);
    expect((await client.limits.get(limit.limitId)).limit.period.eventCount).toBe(2n);
  });
});
