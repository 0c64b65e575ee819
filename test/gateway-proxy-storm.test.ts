import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newUuid } from '../services/domain/new-uuid.js';
import { startTestGateway } from './support/gateway.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

/** Many callers at once, a tenth of whom leave in mid-stream: the provider's own count is the witness. */

let service: TestService;
let provider: TestProvider;
let gateway: Awaited<ReturnType<typeof startTestGateway>>;

beforeAll(async () => {
  [service, provider] = await Promise.all([
    startTestService(),
    startTestProvider({ promptCache: false, tokenDelayMs: 2 }),
  ]);
  gateway = await startTestGateway({
    serviceAddress: service.address,
    providers: { openai: provider.url, anthropic: provider.url },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await provider?.stop();
  await service?.stop();
});

const CALLS = 120;
const AT_ONCE = 16;

test('every call is in the ledger once, with the units that the provider counted', {
  timeout: 90_000,
}, async () => {
  const openai = new OpenAI({
    apiKey: 'sk-test',
    baseURL: `${gateway.url}/api/v1/proxy/openai/v1`,
    maxRetries: 0,
  });
  const experienceId = newUuid();
  const options = { headers: { 'xProxy-Experience-ID': experienceId } };
  const completed = new Map<string, string>();
  let left = 0;

  const call = async (index: number): Promise<void> => {
    const messages = [
      { role: 'user' as const, content: `What is the use of number ${index}? Tell me at length.` },
    ];
    const request = { model: 'gpt-4o-mini', messages };
    if (index % 3 === 0) {
      const answer = await openai.chat.completions.create(request, options);
      completed.set(answer.id, JSON.stringify(answer.usage));
      return;
    }
    const stream = await openai.chat.completions.create({ ...request, stream: true }, options);
    let chunks = 0;
    for await (const chunk of stream) {
      chunks += 1;
      if (index % 10 !== 1 || chunks < 4) continue;
      left += 1;
      expect(chunk).not.toHaveProperty('xproxy_result');
      break; // The client closes its connection.
    }
  };
  const waiting = Array.from({ length: CALLS }, (_each, index) => index);
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await call(next);
    }),
  );
  expect(left).toBeGreaterThanOrEqual(CALLS / 20);

  const events = await waitUntil('all calls are recorded', async () => {
    const found = await readAll(service.client.usage.list(experienceId));
    return found.length === CALLS ? found : undefined;
  });
  const { inFlight, calls } = await provider.served();
  expect([inFlight, calls.length]).toEqual([0, CALLS]);
  const servedById = new Map(calls.map((each) => [each.responseId, each]));
  expect(events.filter(({ outcome }) => outcome === 'CANCELLED')).toHaveLength(left);
  for (const { providerResponseId, units, outcome, properties } of events) {
    const served = servedById.get(providerResponseId);
    const output = Number(units.text?.output);
    if (properties.units === undefined) {
      expect([units.text?.input, output]).toEqual([
        BigInt(served?.promptTokens ?? 0),
        served?.completionTokens,
      ]);
      continue;
    }
    // What was on its way when the provider noticed is within a few tokens.
    expect(outcome).toBe('CANCELLED');
    expect(Math.abs(output - (served?.completionTokens ?? 0))).toBeLessThanOrEqual(ON_ITS_WAY_TOKENS);
  }
  const { totals } = await service.client.costs.get(experienceId);
  expect([totals.eventCount, totals.openReservationCount]).toEqual([BigInt(CALLS), 0n]);
  await expectVerified(service.client);
});

const ON_ITS_WAY_TOKENS = 4;
