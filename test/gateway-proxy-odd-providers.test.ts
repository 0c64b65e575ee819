import { brotliCompressSync, createGzip, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UsageEvent } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { OPENAI_KEY, type ProxyWorld, resultIn, startProxyWorld } from './support/proxy-world.js';
import { sendRaw } from './support/raw-http.js';
import { readAll } from './support/read-all.js';
import { answerJson, beginStream, chatChunk } from './support/scripted-provider.js';
import { expectVerified } from './support/verified.js';

/** Providers that do not keep to the protocol, or name themselves otherwise: what they did is in the ledger all the same. */

let world: ProxyWorld;

beforeAll(async () => {
  world = await startProxyWorld();
});

afterAll(async () => {
  await world?.stop();
});

const PATH = 'openai/v1/chat/completions';
const QUESTION = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'How are you?' }] };
const USAGE = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 };
const COMPLETION = {
  id: 'chatcmpl-7',
  model: 'gpt-4o-mini-2024-07-18',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Well.' }, finish_reason: 'stop' }],
  usage: USAGE,
};
const UNITS = { text: { input: 100n, output: 20n } };
const STREAM = [
  chatChunk({ choices: [{ index: 0, delta: { content: 'Well.' }, finish_reason: null }] }),
  chatChunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }),
  chatChunk({ choices: [], usage: USAGE }),
  'data: [DONE]\n\n',
];

async function call(
  body: object,
): Promise<{ answer: Response; text: string; event: UsageEvent | undefined }> {
  const experienceId = newUuid();
  const answer = await world.post(PATH, body, { 'xProxy-Experience-ID': experienceId });
  const text = await answer.text();
  const [event] = await readAll(world.service.client.usage.list(experienceId));
  return { answer, text, event };
}

describe('an answer that is compressed though it was asked not to be', () => {
  const whole = Buffer.from(JSON.stringify(COMPLETION));
  test.each([
    ['gzip', gzipSync(whole)],
    ['deflate', deflateSync(whole)],
    ['BR', brotliCompressSync(whole)],
  ] as const)('is read, and goes on plain (%s)', async (coding, bytes) => {
    world.provider.script((_call, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': coding }).end(bytes);
    });
    const { answer, text, event } = await call(QUESTION);
    expect(answer.headers.get('content-encoding')).toBeNull();
    expect(JSON.parse(text)).toMatchObject({ ...COMPLETION, xproxy_result: { cost: expect.anything() } });
    expect(event).toMatchObject({ outcome: 'SUCCEEDED', units: UNITS });
  });

  test('is read as it comes, where it is a stream', async () => {
    let goOn: () => void = () => undefined;
    const seen = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    world.provider.script(async (_call, response) => {
      beginStream(response, { 'content-encoding': 'gzip' });
      const gzip = createGzip();
      gzip.pipe(response);
      gzip.write(STREAM[0]);
      gzip.write(STREAM[0]);
      gzip.flush();
      await seen;
      gzip.end(STREAM.slice(1).join(''));
    });
    const experienceId = newUuid();
    const headers = { 'xProxy-Experience-ID': experienceId };
    const answer = await world.post(PATH, { ...QUESTION, stream: true }, headers);
    let text = '';
    const decoder = new TextDecoder();
    for await (const bytes of answer.body ?? []) {
      text += decoder.decode(bytes, { stream: true });
      if (text.includes('Well.')) goOn();
    }
    expect(answer.headers.get('content-encoding')).toBeNull();
    expect(text).toContain('"xproxy_result"');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    const [event] = await readAll(world.service.client.usage.list(experienceId));
    expect(event).toMatchObject({ outcome: 'SUCCEEDED', units: UNITS });
  });

  test('and is cut in the middle is a failed call', async () => {
    world.provider.script((_call, response) => {
      const bytes = gzipSync(whole);
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      response.end(bytes.subarray(0, bytes.length - 12));
    });
    const { answer, event } = await call(QUESTION);
    expect(answer.status).toBe(502);
    expect(event).toMatchObject({ outcome: 'FAILED', properties: { units: 'estimated' } });
  });

  test('becomes no larger than an answer may be', async () => {
    const bomb = gzipSync(Buffer.alloc(80 * 1024 * 1024, ' '));
    expect(bomb.length).toBeLessThan(100_000);
    world.provider.script((_call, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(bomb);
    });
    const { answer, event } = await call(QUESTION);
    expect(answer.status).toBe(502);
    expect(event?.outcome).toBe('FAILED');
  });

  test('in a coding that is not known goes on as it is, and is estimated', async () => {
    world.provider.script((_call, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'x-odd' });
      response.end('odd bytes');
    });
    const { answer, text, event } = await call({ ...QUESTION, stream: true });
    expect([answer.status, answer.headers.get('content-encoding'), text]).toEqual([
      200,
      'x-odd',
      'odd bytes',
    ]);
    expect(event).toMatchObject({ outcome: 'SUCCEEDED', properties: { units: 'estimated' } });
  });
});

describe('a stream that was asked for', () => {
  test.each(['application/octet-stream', 'application/json', 'text/plain'])(
    'is read as one under the type %s',
    async (type) => {
      world.provider.script((_call, response) => {
        response.writeHead(200, { 'content-type': type }).end(STREAM.join(''));
      });
      const { text, event } = await call({ ...QUESTION, stream: true });
      expect(text).toContain('"xproxy_result"');
      expect(event).toMatchObject({ outcome: 'SUCCEEDED', units: UNITS });
    },
  );

  test('may be answered whole, and is passed on so', async () => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const { text, event } = await call({ ...QUESTION, stream: true });
    expect(JSON.parse(text)).toMatchObject({ ...COMPLETION, xproxy_result: { cost: expect.anything() } });
    expect(event).toMatchObject({ outcome: 'SUCCEEDED', units: UNITS });
  });

  test.each(['<h1>Hello</h1>', ''])(
    'may be answered with something else, which is passed on (%j)',
    async (body) => {
      world.provider.script((_call, response) => {
        response.writeHead(200, { 'content-type': 'text/html' }).end(body);
      });
      const { answer, text } = await call({ ...QUESTION, stream: true });
      expect([answer.status, text]).toEqual([200, body]);
    },
  );

  test('is whole though its last event has no blank line behind it', async () => {
    world.provider.script((_call, response) => {
      beginStream(response);
      response.end(STREAM.join('').trimEnd());
    });
    const { text, event } = await call({ ...QUESTION, stream: true });
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(event).toMatchObject({ outcome: 'SUCCEEDED', units: UNITS });
  });

  test('keeps the ids of its events and what it says of connecting again', async () => {
    world.provider.script((_call, response) => {
      beginStream(response);
      response.end(`retry: 700\n\nid: 1\n${STREAM[0]}id: 2\n${STREAM.slice(1).join('')}`);
    });
    const { text } = await call({ ...QUESTION, stream: true });
    expect(text).toMatch(/^retry: 700\n\nid: 1\ndata: .*\n\nid: 2\ndata: .*xproxy_result/);
  });
});

describe('the price of a call whose server names another model than was asked for', () => {
  const rates = { text: { input: { base: '0.001' }, output: { base: '0.002' } } };
  const answerAs = (model: string): void =>
    world.provider.script((_call, response) => answerJson(response, { ...COMPLETION, model }));
  const totalOf = async (asked: string, headers: Readonly<Record<string, string>> = {}): Promise<unknown> => {
    const answer = await world.post(PATH, { ...QUESTION, model: asked }, headers);
    return resultIn((await answer.json()) as object).cost;
  };

  test('is the own one of the model that was asked for', async () => {
    await world.service.client.prices.create({ provider: 'openai', model: 'house-model', rates });
    for (const answered of ['vendor/house-model-7b', 'gpt-4o-mini']) {
      answerAs(answered);
      expect(await totalOf('house-model')).toMatchObject({ total: { base: 0.14 } });
    }
  });

  test('is the own one of the model that answered, where both have one', async () => {
    const dear = { text: { input: { base: '0.01' }, output: { base: '0.02' } } };
    await world.service.client.prices.create({ provider: 'openai', model: 'house-model-dear', rates: dear });
    answerAs('house-model-dear');
    expect(await totalOf('house-model')).toMatchObject({ total: { base: 1.4 } });
  });

  test('is that of the catalogue for the model that was asked for, where it knows only that', async () => {
    answerAs('nobodys-model');
    // 100 × 0.00000015 + 20 × 0.0000006.
    expect(await totalOf('gpt-4o-mini')).toMatchObject({ total: { base: 0.000027 } });
  });

  test('is that which the caller names, before all', async () => {
    answerAs('vendor/house-model-7b');
    const headers = { 'xProxy-PriceAs-Resource': 'gpt-4o-mini', 'xProxy-Experience-ID': newUuid() };
    expect(await totalOf('house-model', headers)).toMatchObject({ total: { base: 0.000027 } });
    const [event] = await readAll(world.service.client.usage.list(headers['xProxy-Experience-ID']));
    expect(event?.properties).toEqual({ 'system.requested_model': 'house-model' });
  });

  test('comes later for both, where there was none', async () => {
    answerAs('vendor/late-model-7b');
    expect(await totalOf('late-model')).toBeUndefined();
    const effectiveTime = new Date(Date.now() - 3_600_000);
    await world.service.client.prices.create({
      provider: 'openai',
      model: 'late-model',
      rates,
      effectiveTime,
    });
    const { addedCost } = await world.service.client.prices.repriceUnpriced({ repricingId: newUuid() });
    expect(addedCost.total).toBe('0.14');
  });
});

describe('which models there are', () => {
  test('is asked of the provider, and costs nothing', async () => {
    const models = { object: 'list', data: [{ id: 'gpt-4o-mini', object: 'model' }] };
    world.provider.script((_call, response) => answerJson(response, models));
    expect((await readAll(await world.openai.models.list())).map(({ id }) => id)).toEqual(['gpt-4o-mini']);
    const [call] = world.provider.calls;
    expect([call?.method, call?.url, call?.body]).toEqual(['GET', '/v1/models', '']);
    expect(call?.headers.authorization).toBe(`Bearer ${OPENAI_KEY}`);
    expect(Object.keys(call?.headers ?? {}).filter((name) => name.includes('xproxy'))).toEqual([]);
  });

  test('is asked of one model, and of Anthropic', async () => {
    world.provider.script((_call, response) =>
      answerJson(response, { id: 'vendor/a', type: 'model', data: [] }),
    );
    expect(await world.openai.models.retrieve('vendor/a')).toMatchObject({ id: 'vendor/a' });
    expect(await world.anthropic.models.retrieve('claude')).toMatchObject({ id: 'vendor/a' });
    await world.anthropic.models.list({ limit: 2 });
    expect(world.provider.calls.map(({ url }) => url)).toEqual([
      '/v1/models/vendor%2Fa',
      '/v1/models/claude',
      '/v1/models?limit=2',
    ]);
  });

  test('is refused as the provider refuses it', async () => {
    world.provider.script((_call, response) => answerJson(response, { error: { message: 'No.' } }, 401));
    await expect(world.openai.models.list()).rejects.toMatchObject({
      status: 401,
      error: { message: 'No.' },
    });
  });

  test.each(['..', '.', '%2e%2e'])('leads to no other path by %s', async (model) => {
    world.provider.script((_call, response) => answerJson(response, {}));
    const address = world.url.replace('http://', '');
    const line = `GET /api/v1/proxy/openai/v1/models/${model} HTTP/1.1`;
    const answer = await sendRaw(address, `${line}\r\nhost: ${address}\r\nconnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 40[04] /);
    expect(world.provider.calls).toEqual([]);
  });

  test('leads to no other host', async () => {
    world.provider.script((_call, response) => {
      response.writeHead(302, { location: 'http://example.com/' }).end();
    });
    const url = `${world.url}/api/v1/proxy/openai/v1/models`;
    expect((await fetch(url)).status).toBe(502);
    const refused = await fetch(url, { headers: { 'xProxy-Provider-BaseUri': 'https://example.com' } });
    expect([refused.status, await refused.json()]).toEqual([
      400,
      expect.objectContaining({ xproxy_error: expect.objectContaining({ code: 'invalid_provider_host' }) }),
    ]);
    expect(world.provider.calls).toHaveLength(1);
  });
});

test('what was proxied is in books that balance', async () => {
  await expectVerified(world.service.client);
});
