import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExperiencesClient } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { CallerCache, type KnownCaller } from '../services/gateway/proxy/caller-cache.js';
import { startServer } from '../services/server/server.js';
import { startTestGateway } from './support/gateway.js';
import { startGatewayProcess } from './support/gateway-process.js';
import { type ProxyWorld, resultIn, startProxyWorld } from './support/proxy-world.js';
import { readAll } from './support/read-all.js';
import { answerJson, startScriptedProvider } from './support/scripted-provider.js';
import { startTestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';

/** The proxy and the service: whose calls they are, and what happens while one of them is away. */

const PATH = 'openai/v1/chat/completions';
const QUESTION = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'How are you?' }] };
const COMPLETION = {
  id: 'chatcmpl-1',
  model: 'gpt-4o-mini',
  choices: [],
  usage: { prompt_tokens: 100, completion_tokens: 20 },
};

describe('callers with keys', () => {
  const bootstrapKey = 'a-bootstrap-key-of-a-test-'.padEnd(40, 'x');
  let world: ProxyWorld;
  let admin: ExperiencesClient;
  const keys = new Map<string, string>();

  beforeAll(async () => {
    world = await startProxyWorld({ service: { bootstrapKey }, gateway: { apiKey: bootstrapKey } });
    admin = world.service.client.as({ apiKey: bootstrapKey });
    for (const applicationId of ['one', 'two']) {
      await admin.admin.createApplication({ applicationId });
      const client = admin.as({ apiKey: bootstrapKey, application: applicationId });
      keys.set(applicationId, (await client.admin.createKey({ scopes: ['RECORD'] })).keyText);
      if (applicationId === 'one')
        keys.set('reader', (await client.admin.createKey({ scopes: ['READ'] })).keyText);
    }
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
  });

  afterAll(async () => {
    await world?.stop();
  });

  test('are recorded in the application of their key, and see nothing of another', async () => {
    const limit = await admin.as({ apiKey: bootstrapKey, application: 'one' }).limits.create({
      name: 'of one',
      maxCost: '1',
    });
    const headers = { 'xProxy-Experience-ID': newUuid(), 'xProxy-Limit-IDs': limit.limit.limitId };
    const mine = await world.post(PATH, QUESTION, { ...headers, 'xProxy-Api-Key': keys.get('one') ?? '' });
    expect([mine.status, await mine.json()]).toEqual([200, expect.objectContaining({ id: 'chatcmpl-1' })]);
    const theirs = await world.post(PATH, QUESTION, { ...headers, 'xProxy-Api-Key': keys.get('two') ?? '' });
    expect([theirs.status, await theirs.json()]).toEqual([
      400,
      expect.objectContaining({ xproxy_error: expect.objectContaining({ code: 'invalid_limit_ids' }) }),
    ]);
    const totals = async (application: string) =>
      (await admin.as({ apiKey: bootstrapKey, application }).costs.get(headers['xProxy-Experience-ID']))
        .totals;
    expect((await totals('one')).eventCount).toBe(1n);
    await expect(totals('two')).rejects.toMatchObject({ reason: 'EXPERIENCE_NOT_FOUND' });
  });

  test.each([
    ['none', undefined, 401, 'invalid_api_key'],
    ['one that is none', 'exp_0_nothing', 401, 'invalid_api_key'],
    ['one that cannot be one', 'two words', 401, 'invalid_api_key'],
  ])('that have %s are refused before a provider is called', async (_case, key, status, code) => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const answer = await world.post(PATH, QUESTION, key === undefined ? {} : { 'xProxy-api-key': key });
    expect([answer.status, await answer.json()]).toEqual([
      status,
      expect.objectContaining({ xproxy_error: expect.objectContaining({ code }) }),
    ]);
    expect(world.provider.calls).toEqual([]);
  });

  test('that may only read are refused', async () => {
    const answer = await world.post(PATH, QUESTION, { 'xProxy-api-key': keys.get('reader') ?? '' });
    expect(answer.status).toBe(403);
    expect(world.provider.calls).toEqual([]);
  });

  test('that are revoked are refused within seconds', async () => {
    const client = admin.as({ apiKey: bootstrapKey, application: 'two' });
    const { key, keyText } = await client.admin.createKey({ scopes: ['RECORD'] });
    const send = async () => (await world.post(PATH, QUESTION, { 'xProxy-api-key': keyText })).status;
    expect(await send()).toBe(200);
    await client.admin.revokeKey(key.keyId);
    await waitUntil('the key is refused', async () => ((await send()) === 401 ? true : undefined), 6_000);
  });
});

describe("the gateway's own key", () => {
  test('may be there before the service demands one', async () => {
    const world = await startProxyWorld({ gateway: { apiKey: 'a-placeholder-key' } });
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    expect((await world.post(PATH, QUESTION, { 'xProxy-api-key': 'another' })).status).toBe(200);
    await world.stop();
  });

  test('that is of one application records for no other, calls no provider for it, and logs why', async () => {
    const bootstrapKey = 'another-bootstrap-key-of-a-test-'.padEnd(40, 'x');
    const service = await startTestService({ bootstrapKey });
    const keyOf = async (application: string): Promise<string> => {
      await service.client
        .as({ apiKey: bootstrapKey })
        .admin.createApplication({ applicationId: application });
      const client = service.client.as({ apiKey: bootstrapKey, application });
      return (await client.admin.createKey({ scopes: ['RECORD'] })).keyText;
    };
    const [own, other] = [await keyOf('one'), await keyOf('two')];
    const provider = await startScriptedProvider();
    provider.script((_call, response) => answerJson(response, COMPLETION));
    const lines: string[] = [];
    const gateway = await startTestGateway({
      serviceAddress: service.address,
      apiKey: own,
      logger: pino({ level: 'error' }, { write: (line) => void lines.push(line) }),
      providers: { openai: provider.url, anthropic: provider.url },
    });
    const send = (key: string) =>
      fetch(`${gateway.url}/api/v1/proxy/${PATH}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'xProxy-api-key': key },
        body: JSON.stringify(QUESTION),
      });
    expect((await send(own)).status).toBe(200);
    const refused = await send(other);
    expect([refused.status, await refused.json()]).toMatchObject([
      503,
      { xproxy_error: { code: 'unexpected_error' } },
    ]);
    expect(provider.calls).toHaveLength(1);
    expect(lines).toEqual([expect.stringContaining('EXPERIENCES_API_KEY, is missing or refused')]);
    expect(lines.join()).not.toContain(other);
    await gateway.stop();
    await provider.stop();
    await service.stop();
  });
});

describe('who calls', () => {
  test('is asked once for many calls, again beside them, and believed for half a second', async () => {
    let now = 0;
    const asked: ((caller: KnownCaller) => void)[] = [];
    const cache = new CallerCache(
      () => new Promise<KnownCaller>((resolve) => asked.push(resolve)),
      () => now,
    );
    const one = { application: 'one', scopes: ['RECORD'] };
    const two = { application: 'two', scopes: ['RECORD'] };
    const first = Promise.all([cache.callerOf('a'), cache.callerOf('a')]);
    expect(asked).toHaveLength(1);
    asked[0]?.(one);
    expect(await first).toEqual([one, one]);
    now = 300; // It is asked again, and nobody waits for that.
    expect(await Promise.all([cache.callerOf('a'), cache.callerOf('a')])).toEqual([one, one]);
    expect(asked).toHaveLength(2);
    now = 500; // What was answered at 0 is not believed any more.
    const late = cache.callerOf('a');
    expect(asked).toHaveLength(3);
    asked[2]?.(two);
    expect(await late).toEqual(two);
  });

  test('is not remembered when it could not be found out', async () => {
    let asked = 0;
    const cache = new CallerCache(async () => {
      asked += 1;
      throw new Error('away');
    });
    await expect(cache.callerOf('a')).rejects.toThrow('away');
    await expect(cache.callerOf('a')).rejects.toThrow('away');
    expect(asked).toBe(2);
  });
});

describe('while the ledger is away', () => {
  test('no provider is called', { timeout: 60_000 }, async () => {
    const world = await startProxyWorld();
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    expect((await world.post(PATH, QUESTION)).status).toBe(200);
    await world.service.stopServer();
    const answer = await world.post(PATH, QUESTION);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await answer.json()).toMatchObject({
      statusCode: 503,
      xproxy_error: { code: expect.any(String) },
    });
    expect(world.provider.calls).toHaveLength(1);
    await world.stop();
  });

  test('what a provider has answered reaches the caller, and the ledger later, once', {
    timeout: 90_000,
  }, async () => {
    const world = await startProxyWorld();
    const experienceId = newUuid();
    world.provider.script(async (_call, response) => {
      await world.service.stopServer();
      answerJson(response, COMPLETION);
    });
    const answer = await world.post(PATH, QUESTION, { 'xProxy-Experience-ID': experienceId });
    expect(answer.status).toBe(200);
    const body = (await answer.json()) as object;
    expect(body).toMatchObject(COMPLETION);
    const result = resultIn(body);
    expect(result).toEqual({
      request_id: expect.any(String),
      experience_id: experienceId,
      use_case_id: experienceId,
      queued: true,
    });
    const server = await startServer({ ...world.service.options, listen: world.service.address });
    const events = await waitUntil('the outbox has delivered', async () => {
      const found = await readAll(world.service.client.usage.list(experienceId)).catch(() => []);
      return found.length > 0 ? found : undefined;
    });
    expect(events).toEqual([
      expect.objectContaining({
        eventId: result.request_id,
        settlement: 'SETTLED',
        units: { text: { input: 100n, output: 20n } },
      }),
    ]);
    await world.stop();
    await server.stop();
  });
});

describe('a gateway that is killed', () => {
  test('while the provider works leaves the reservation, and no answer', { timeout: 90_000 }, async () => {
    const world = await startProxyWorld();
    const gateway = await startGatewayProcess({
      serviceAddress: world.service.address,
      providerUrl: world.provider.url,
    });
    const experienceId = newUuid();
    world.provider.script(() => gateway.kill('SIGKILL'));
    const call = fetch(`${gateway.url}/api/v1/proxy/${PATH}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'xProxy-Experience-ID': experienceId },
      body: JSON.stringify(QUESTION),
    });
    await expect(call).rejects.toThrow();
    expect((await world.service.client.costs.get(experienceId)).totals).toMatchObject({
      eventCount: 0n,
      openReservationCount: 1n,
    });
    await gateway.stop();
    await world.stop();
  });

  test('after the answer was queued has it delivered by the next one', { timeout: 120_000 }, async () => {
    const world = await startProxyWorld();
    const outboxFolder = await mkdtemp(join(tmpdir(), 'experiences-outbox-'));
    const options = { serviceAddress: world.service.address, providerUrl: world.provider.url, outboxFolder };
    const gateway = await startGatewayProcess(options);
    const experienceId = newUuid();
    world.provider.script(async (_call, response) => {
      await world.service.stopServer();
      answerJson(response, COMPLETION);
    });
    const answer = await fetch(`${gateway.url}/api/v1/proxy/${PATH}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'xProxy-Experience-ID': experienceId },
      body: JSON.stringify(QUESTION),
    });
    const result = resultIn((await answer.json()) as object);
    expect(result.queued).toBe(true);
    gateway.kill('SIGKILL');
    await gateway.exited;
    const server = await startServer({ ...world.service.options, listen: world.service.address });
    const next = await startGatewayProcess(options);
    const events = await waitUntil('the next gateway has delivered', async () => {
      const found = await readAll(world.service.client.usage.list(experienceId)).catch(() => []);
      return found.length > 0 ? found : undefined;
    });
    expect(events.map(({ eventId, settlement }) => [eventId, settlement])).toEqual([
      [result.request_id, 'SETTLED'],
    ]);
    await next.stop();
    await rm(outboxFolder, { recursive: true, force: true });
    await world.stop();
    await server.stop();
  });
});
