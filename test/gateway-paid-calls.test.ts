import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UsageEvent } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { callEstimate } from '../services/gateway/proxy/call-estimate.js';
import { Upstreams } from '../services/gateway/proxy/upstreams.js';
import { beginningOfJson } from '../services/providers/json-beginning.js';
import { startGatewayProcess } from './support/gateway-process.js';
import { type ProxyWorld, resultIn, startProxyWorld } from './support/proxy-world.js';
import { readAll } from './support/read-all.js';
import {
  answerJson,
  type ProviderScript,
  type ScriptedProvider,
  startScriptedProvider,
} from './support/scripted-provider.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

/** Calls that end otherwise than both sides wish: what was paid is in the ledger, and what was not is not. */

const PATH = 'openai/v1/chat/completions';
/** 12 characters and the model's 11 are taken for 6 tokens. */
const QUESTION = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'How are you?' }] };
const USAGE = { prompt_tokens: 100, completion_tokens: 20 };
const COMPLETION = { id: 'chatcmpl-1', model: 'gpt-4o-mini', choices: [], usage: USAGE };
const ESTIMATED = 'The provider did not tell all that the call used; it was estimated.';

let world: ProxyWorld;
let elsewhere: ScriptedProvider;
let deaf: { readonly url: string; stop(): Promise<void> };

beforeAll(async () => {
  [elsewhere, deaf] = await Promise.all([startScriptedProvider(), startDeafHost()]);
  world = await startProxyWorld({
    gateway: {
      providerHosts: [elsewhere.url, deaf.url].map((url) => new URL(url).host),
      privateProviderHosts: true,
    },
  });
});

afterAll(async () => {
  await world?.stop();
  await elsewhere?.stop();
  await deaf?.stop();
});

async function eventsOf(experienceId: string): Promise<readonly UsageEvent[]> {
  return readAll(world.service.client.usage.list(experienceId)).catch(() => []);
}

/** A call, and the event that it is. */
async function ask(script: ProviderScript, body: object = QUESTION) {
  world.provider.script(script);
  const experienceId = newUuid();
  const answer = await world.post(PATH, body, { 'xProxy-Experience-ID': experienceId });
  const told = (await answer.json()) as object;
  const [event] = await eventsOf(experienceId);
  return { status: answer.status, told, result: resultIn(told), event };
}

describe('a gateway whose clock is ten minutes ahead', () => {
  test('has its calls in the ledger, at the time of the service', { timeout: 60_000 }, async () => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const gateway = await startGatewayProcess({
      serviceAddress: world.service.address,
      providerUrl: world.provider.url,
      clockAheadMs: 600_000,
    });
    const experienceId = newUuid();
    const answer = await fetch(`${gateway.url}/api/v1/proxy/${PATH}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'xProxy-Experience-ID': experienceId },
      body: JSON.stringify(QUESTION),
    });
    expect(resultIn((await answer.json()) as object)).not.toHaveProperty('queued');
    const [event] = await eventsOf(experienceId);
    expect(event).toMatchObject({ settlement: 'SETTLED', units: { text: { input: 100n, output: 20n } } });
    expect(Math.abs(Number(event?.eventTime) - Date.now())).toBeLessThan(60_000);
    await gateway.stop();
  });
});

describe('a provider that says what cannot be recorded', () => {
  test('is recorded at the estimate where it tells units without measure', async () => {
    const usage = { prompt_tokens: 2_000_000_000_000, completion_tokens: 1 };
    const { status, result, event } = await ask(
      (_call, response) => answerJson(response, { ...COMPLETION, usage }),
      { ...QUESTION, max_tokens: 50 },
    );
    expect(status).toBe(200);
    expect(result).not.toHaveProperty('queued');
    expect(result.warnings).toEqual([ESTIMATED]);
    expect(event).toMatchObject({
      outcome: 'SUCCEEDED',
      settlement: 'SETTLED',
      units: { text: { input: 6n, output: 50n } },
      properties: { units: 'estimated' },
    });
  });

  test('is told of as one that failed where its status is none', async () => {
    const { status, told, event } = await ask((_call, response) => answerJson(response, COMPLETION, 799));
    expect(status).toBe(502);
    expect(told).toMatchObject({ xproxy_error: { code: 'provider_error' } });
    expect(event).toMatchObject({ outcome: 'FAILED', units: {}, cost: { total: '0' } });
  });

  test('has failed where it answers with an error and a good status, and nothing is charged', async () => {
    const error = { message: 'The model is overloaded.' };
    const { status, told, result, event } = await ask((_call, response) => answerJson(response, { error }));
    expect([status, told]).toEqual([200, expect.objectContaining({ error })]);
    expect(result).not.toHaveProperty('cost');
    expect(event).toMatchObject({ outcome: 'FAILED', units: {}, cost: { total: '0' } });
  });

  test('is named in the result where its usage was counted here', async () => {
    const { usage: _usage, ...silent } = COMPLETION;
    const { result } = await ask((_call, response) => answerJson(response, silent));
    expect(result.warnings).toEqual([ESTIMATED]);
  });
});

describe('an answer that comes whole', () => {
  const text = 'The river carries water and sand to the sea. '.repeat(100);
  const long = { ...COMPLETION, choices: [{ index: 0, message: { role: 'assistant', content: text } }] };

  test('and is cut has its part that came in the ledger, marked', async () => {
    const json = JSON.stringify(long);
    const cutAt = json.indexOf('"}}],"usage"') - text.length / 2;
    const { status, result, event } = await ask((_call, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': json.length });
      response.write(json.slice(0, cutAt), () => response.destroy());
    });
    expect(status).toBe(502);
    expect(result.warnings).toEqual([ESTIMATED]);
    expect(event).toMatchObject({
      outcome: 'FAILED',
      settlement: 'SETTLED',
      model: 'gpt-4o-mini',
      properties: { units: 'estimated' },
    });
    // Ten tokens a sentence, of which fifty came.
    expect(Number(event?.units.text?.output)).toBeGreaterThanOrEqual(495);
    expect(Number(event?.units.text?.output)).toBeLessThanOrEqual(505);
  });

  test('is heard to its end when its caller has left, and counted as its provider says', async () => {
    const experienceId = newUuid();
    const leaves = new AbortController();
    world.provider.script(async (_call, response) => {
      leaves.abort();
      await pause(500);
      answerJson(response, long);
    });
    const call = fetch(`${world.url}/api/v1/proxy/${PATH}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'xProxy-Experience-ID': experienceId },
      body: JSON.stringify(QUESTION),
      signal: leaves.signal,
    });
    await expect(call).rejects.toThrow();
    const [event] = await waitUntil('the call is recorded', async () => {
      const events = await eventsOf(experienceId);
      return events.length > 0 ? events : undefined;
    });
    expect(event).toMatchObject({
      outcome: 'CANCELLED',
      units: { text: { input: 100n, output: 20n } },
      properties: {},
    });
  });
});

test.each([
  ['a text', '{"a":[{"b":"one tw', { a: [{ b: 'one tw' }] }],
  ['an escape', '{"a":"one\\n\\u00', { a: 'one\n' }],
  ['a number', '{"a":1,"b":23', { a: 1 }],
  ['a name', '{"a":{"b":1,"c', { a: { b: 1 } }],
  ['a word', '{"a":[true,fal', { a: [true] }],
  ['whole values', '{"a":["b","c"]', { a: ['b', 'c'] }],
  ['the counts', '{"a":1,"usage":{"prompt_tokens":1,"completion_tokens":2', { a: 1 }],
  ['behind the counts', '{"usage":{"prompt_tokens":1},"a":[', { usage: { prompt_tokens: 1 }, a: [] }],
  ['what is no object', '["a', undefined],
  ['nothing', '', undefined],
])('JSON that is cut in %s is read as far as it is sure', (_case, json, value) => {
  expect(beginningOfJson(json)).toEqual(value);
});

test('JSON that is cut anywhere is the beginning of the whole, or nothing', () => {
  const json = JSON.stringify({
    id: 'a"\\b',
    list: [1, { deep: ['é', null, true] }],
    text: '\u{1f600}\n',
    end: 5,
  });
  for (let length = 1; length < json.length; length += 1) {
    const value = beginningOfJson(json.slice(0, length));
    expect(value === undefined || Object.keys(value).every((key) => json.includes(`"${key}":`))).toBe(true);
  }
});

describe('a call whose caller leaves before it was sent', () => {
  test('is not charged, and its reservation is given back at once', async () => {
    const experienceId = newUuid();
    const leaves = new AbortController();
    const call = fetch(`${world.url}/api/v1/proxy/${PATH}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'xProxy-Experience-ID': experienceId,
        'xProxy-Provider-BaseUri': deaf.url,
      },
      body: JSON.stringify(QUESTION),
      signal: leaves.signal,
    });
    const totals = async () =>
      (await world.service.client.costs.get(experienceId).catch(() => undefined))?.totals;
    await waitUntil('it is reserved', async () => (await totals())?.openReservationCount === 1n || undefined);
    await pause(300); // It waits for the handshake.
    leaves.abort();
    await expect(call).rejects.toThrow();
    await waitUntil(
      'it is released',
      async () => (await totals())?.openReservationCount === 0n || undefined,
      3_000,
    );
    expect(await totals()).toMatchObject({ eventCount: 0n, cost: { total: '0' } });
    expect(await eventsOf(experienceId)).toEqual([]);
  });

  test('gives its place back while all connections are in use, and is never sent', async () => {
    const provider = await startScriptedProvider();
    const answers: (() => void)[] = [];
    provider.script((_call, response) => void answers.push(() => answerJson(response, {})));
    const upstreams = new Upstreams();
    const base = { origin: provider.url, path: '', mayBePrivate: true };
    const send = (abandoned = new AbortController().signal) => {
      const place = upstreams.enter(base);
      const { signal } = new AbortController();
      const answer = place.send({ path: '/', headers: [], body: '{}', signal, abandoned });
      return { place, answer };
    };
    const busy = Array.from({ length: 512 }, () => send());
    await waitUntil('all connections are in use', () => answers.length === 512 || undefined, 20_000);
    const leaves = new AbortController();
    const waiting = send(leaves.signal);
    const next = send();
    leaves.abort(new Error('left'));
    await expect(waiting.answer).rejects.toMatchObject({ failure: 'unreachable', isUnsent: true });
    waiting.place.leave();
    const [first] = busy;
    answers.shift()?.();
    (await first?.answer)?.body.resume();
    first?.place.leave();
    await waitUntil('the next one is sent', () => answers.length === 512 || undefined);
    expect(provider.calls).toHaveLength(513);
    for (const answer of answers) answer();
    for (const { place, answer } of [...busy.slice(1), next]) {
      (await answer).body.resume();
      place.leave();
    }
    await upstreams.close();
    await provider.stop();
  });
});

test.each([
  ['the provider of its path', {}, 'openai', '0.000027'],
  ['the one that it names', { 'xProxy-PriceAs-Category': 'system.nobody' }, 'nobody', '0'],
])('a call to another host is one of %s', async (_case, headers, provider, total) => {
  elsewhere.script((_call, response) => answerJson(response, COMPLETION));
  const experienceId = newUuid();
  await world.post(PATH, QUESTION, {
    ...headers,
    'xProxy-Experience-ID': experienceId,
    'xProxy-Provider-BaseUri': elsewhere.url,
  });
  expect(await eventsOf(experienceId)).toMatchObject([{ provider, cost: { total } }]);
});

test.each([
  ['no bound', {}, 0n],
  ['that of now', { max_completion_tokens: 70, max_tokens: 9 }, 70n],
  ['that of before', { max_tokens: 60 }, 60n],
  ['that of responses', { max_output_tokens: 50 }, 50n],
  ['several answers', { max_tokens: 60, n: 3 }, 180n],
  ['one without measure', { max_tokens: 10 ** 15, n: 128 }, 1_000_000n],
  ['one that is none', { max_tokens: -60 }, 0n],
])('what stands for a lost call has, as its output, the bound of its caller: %s', (_case, bound, output) => {
  const units = Object.fromEntries(callEstimate({ model: 'abcd', ...bound }));
  expect(units).toEqual({ text: { input: 1n, output } });
});

test('what was paid is in books that balance', async () => {
  await expectVerified(world.service.client);
});

/** Takes connections, and never says a word of TLS. */
async function startDeafHost() {
  const server = createServer((socket) => {
    socket.on('error', () => undefined); // The caller leaves.
    socket.resume();
    sockets.add(socket);
  });
  const sockets = new Set<{ destroy(): unknown }>();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return {
    url: `https://127.0.0.1:${address.port}`,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
