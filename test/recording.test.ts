import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestService, type TestService } from './support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
  await service.client.types.create({ name: 'Summary', description: 'Summarises a document' });
});
afterAll(() => service.stop());

const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };

describe('a recorded call', () => {
  test('is priced exactly and in the totals as soon as it is acknowledged', async () => {
    const { event } = await service.client.usage.record({ ...call, experienceType: 'Summary' });
    expect(event.cost).toEqual({ input: '0.00015', output: '0.0003', total: '0.00045', currencyCode: 'USD' });
    const { totals } = await service.client.costs.get(event.experienceId ?? '');
    expect(totals.eventCount).toBe(1n);
    expect(totals.cost.total).toBe('0.00045');
    expect(totals.units).toEqual({ text: { input: 1000n, output: 500n } });
  });
});
