import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UsageEvent } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import {
  ANTHROPIC_KEY,
  OPENAI_KEY,
  type ProxyWorld,
  resultIn,
  startProxyWorld,
} from './support/proxy-world.js';
import { readAll } from './support/read-all.js';
import { answerJson, beginStream } from './support/scripted-provider.js';
import { expectVerified } from './support/verified.js';

/** The proxy as clients of the providers see it, and what the ledger then holds. */

let world: ProxyWorld;

beforeAll(async () => {
  world = await startProxyWorld();
  for (const name of ['Chat', 'Other'])
    await world.service.client.types.create({ name, description: 'A test.' });
});

afterAll(async () => {
  await world?.stop();
});

/** `gpt-4o-mini` costs 0.00000015 a token in, 0.000000075 cached, and 0.0000006 out. */
const QUESTION = { model: 'gpt-4o-mini', messages: [{ role: 'user' as const, content: 'How are you?' }] };
const COMPLETION = {
  id: 'chatcmpl-7',
  object: 'chat.completion',
  created: 1_770_000_000,
  model: 'gpt-4o-mini-2024-07-18',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Well.' }, finish_reason: 'stop' }],
  usage: {
    prompt_tokens: 100,
    completion_tokens: 20,
    total_tokens: 120,
    prompt_tokens_details: { cached_tokens: 40 },
  },
};
/** 60 × 0.00000015 + 40 × 0.000000075 = 0.000012; 20 × 0.0000006 = 0.000012. */
const COST = {
  currency: 'usd',
  input: { base: 0.000012 },
  output: { base: 0.000012 },
  total: { base: 0.000024 },
};

async function eventsOf(experienceId: unknown): Promise<readonly UsageEvent[]> {
  return readAll(world.service.client.usage.list(String(experienceId)));
}

describe('a chat completion', () => {
  test('is in the ledger, exactly, when the caller has its answer', async () => {
    world.provider.script((_call, response) =>
      answerJson(response, COMPLETION, 200, { 'x-request-id': 'req_upstream' }),
    );
    const answer = await world.openai.chat.completions.create(QUESTION, {
      headers: {
        'xProxy-Experience-Name': 'Chat',
        'xProxy-User-ID': 'ada@example.com',
        'xProxy-Request-Tags': 'blue, green',
        'xProxy-UseCase-Step': 'greet',
        'xProxy-Account-Name': 'acme',
        'xProxy-Request-Properties': JSON.stringify({ colour: 'blue', nothing: null }),
      },
    });
    const { xproxy_result, ...rest } = answer as typeof answer & { xproxy_result: object };
    expect(rest).toMatchObject(COMPLETION);
    const result = resultIn(answer);
    const [event, ...others] = await eventsOf(result.experience_id);
    expect(xproxy_result).toEqual({
      request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      request_tags: ['blue', 'green'],
      experience_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      use_case_id: result.experience_id,
      use_case_step: 'greet',
      user_id: 'ada@example.com',
      account_name: 'acme',
      resource_id: event?.priceId,
      cost: COST,
    });
    expect(others).toEqual([]);
    expect(event).toMatchObject({
      eventId: result.request_id,
      experienceType: 'Chat',
      experienceVersion: 1,
      userId: 'ada@example.com',
      requestTags: ['blue', 'green'],
      step: 'greet',
      provider: 'openai',
      model: 'gpt-4o-mini-2024-07-18',
      requestedModel: 'gpt-4o-mini',
      units: { text: { input: 60n, output: 20n }, text_cache_read: { input: 40n, output: 0n } },
      cost: { input: '0.000012', output: '0.000012', total: '0.000024' },
      outcome: 'SUCCEEDED',
      settlement: 'SETTLED',
      httpStatusCode: 200,
      providerRequestId: 'req_upstream',
      providerResponseId: 'chatcmpl-7',
      properties: { colour: 'blue', 'system.account_name': 'acme' },
    });
  });

  test('reaches the provider as it was sent, without a word of ours', async () => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const body = '{ "model":"gpt-4o-mini",  "messages":[], "seed":12345678901234567890, "x":1e400 }';
    await world.post('openai/v1/chat/completions?api-version=1', body, {
      'xProxy-api-key': 'a-key-of-ours',
      'xProxy-Forward-X-Custom': 'kept',
      'x-stainless-lang': 'js',
    });
    const [call] = world.provider.calls;
    expect(call?.body).toBe(body);
    expect(call?.url).toBe('/v1/chat/completions?api-version=1');
    expect(call?.headers).toMatchObject({
      authorization: `Bearer ${OPENAI_KEY}`,
      'x-custom': 'kept',
      'x-stainless-lang': 'js',
      'accept-encoding': 'identity',
      'content-length': String(body.length),
    });
    expect(Object.keys(call?.headers ?? {}).filter((name) => name.includes('xproxy'))).toEqual([]);
  });

  test('comes back with the bytes of the provider and one member more', async () => {
    const text =
      '{ "id" : "c", "model":"gpt-4o-mini", "big": 1.10e0, "choices":[ ],"usage":{"prompt_tokens":1,"completion_tokens":1} }\n';
    world.provider.script((_call, response) =>
      answerJson(response, text, 200, {
        'x-ratelimit-remaining': '5',
        connection: 'x-hop',
        'x-hop': 'dropped',
      }),
    );
    const answer = await world.post('openai/v1/chat/completions', QUESTION);
    const body = await answer.text();
    expect(body.startsWith(text.trimEnd().slice(0, -1).trimEnd())).toBe(true);
    expect(body).toContain('"cost":{"currency":"usd","input":{"base":0.00000015},');
    expect(answer.headers.get('content-length')).toBe(String(Buffer.byteLength(body)));
    expect(answer.headers.get('x-ratelimit-remaining')).toBe('5');
    expect(answer.headers.get('x-hop')).toBeNull();
  });

  test('is unattributed without headers', async () => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const result = resultIn(await world.openai.chat.completions.create(QUESTION));
    expect(result).toEqual({ request_id: result.request_id, resource_id: result.resource_id, cost: COST });
  });

  test('with tools and images is passed on both ways', async () => {
    const tool = { type: 'function' as const, function: { name: 'look', parameters: { type: 'object' } } };
    const image = { type: 'image_url' as const, image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } };
    const call = { id: 'call_1', type: 'function', function: { name: 'look', arguments: '{"at":"sky"}' } };
    const message = { role: 'assistant', content: null, tool_calls: [call] };
    world.provider.script((_call, response) =>
      answerJson(response, { ...COMPLETION, choices: [{ index: 0, message, finish_reason: 'tool_calls' }] }),
    );
    const answer = await world.openai.chat.completions.create(
      {
        model: 'gpt-4o-mini',
        messages: [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, image] }],
        tools: [tool],
      },
      { headers: { 'xProxy-Experience-Name': 'Chat' } },
    );
    expect(answer.choices[0]?.message.tool_calls).toEqual([call]);
    expect(JSON.parse(world.provider.calls[0]?.body ?? '')).toMatchObject({ tools: [tool] });
    const [event] = await eventsOf(resultIn(answer).experience_id);
    // What the provider reports in all is split into the text, counted here, and the rest.
    const { text, text_cache_read: cached, vision } = event?.units ?? {};
    expect((text?.input ?? 0n) + (cached?.input ?? 0n) + (vision?.input ?? 0n)).toBe(100n);
    expect(vision?.input).toBeGreaterThan(0n);
  });
});

describe('a streamed chat completion', () => {
  const chunk = (fields: object): string =>
    `data: ${JSON.stringify({ id: 'chatcmpl-8', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o-mini', ...fields })}\n\n`;
  const delta = (content: string): string =>
    chunk({ choices: [{ index: 0, delta: { content }, finish_reason: null }], usage: null });
  const EVENTS = [
    delta('We'),
    ': keep-alive\n\n',
    delta('ll.'),
    chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: null }),
    chunk({ choices: [], usage: COMPLETION.usage }),
    'data: [DONE]\n\n',
  ];

  test('has the result on the last chunk with choices, and no usage that nobody asked for', async () => {
    world.provider.script((_call, response) => {
      beginStream(response);
      response.end(EVENTS.join(''));
    });
    const stream = await world.openai.chat.completions.create(
      { ...QUESTION, stream: true },
      { headers: { 'xProxy-Experience-Name': 'Chat' } },
    );
    const chunks = await readAll(stream);
    expect(JSON.parse(world.provider.calls[0]?.body ?? '')).toMatchObject({
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(chunks.map((each) => each.choices[0]?.delta.content ?? each.choices[0]?.finish_reason)).toEqual([
      'We',
      'll.',
      'stop',
    ]);
    expect(chunks.filter((each) => 'usage' in each)).toEqual([]);
    expect(chunks.slice(0, -1).filter((each) => 'xproxy_result' in each)).toEqual([]);
    const result = resultIn(chunks.at(-1) ?? {});
    expect(result.cost).toEqual(COST);
    const [event] = await eventsOf(result.experience_id);
    expect(event).toMatchObject({
      eventId: result.request_id,
      outcome: 'SUCCEEDED',
      cost: { total: '0.000024' },
    });
    expect(event?.timeToFirstTokenMs).toBeLessThanOrEqual(event?.latencyMs ?? 0);
    expect(event?.properties).toEqual({});
  });

  test('has the usage where it was asked for', async () => {
    world.provider.script((_call, response) => {
      beginStream(response);
      response.end(EVENTS.join(''));
    });
    const options = { stream: true, stream_options: { include_usage: true } } as const;
    const chunks = await readAll(await world.openai.chat.completions.create({ ...QUESTION, ...options }));
    expect(chunks.at(-1)?.usage).toEqual(COMPLETION.usage);
    expect(resultIn(chunks.at(-1) ?? {}).cost).toEqual(COST);
  });

  test('has its first event before the provider has sent the second', async () => {
    let goOn: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    world.provider.script(async (_call, response) => {
      beginStream(response);
      response.write(EVENTS.slice(0, 3).join(''));
      await asked;
      response.end(EVENTS.slice(3).join(''));
    });
    const stream = await world.openai.chat.completions.create({ ...QUESTION, stream: true });
    const words: string[] = [];
    for await (const each of stream) {
      words.push(each.choices[0]?.delta.content ?? '');
      goOn();
    }
    expect(words).toEqual(['We', 'll.', '']);
  });

  test('is settled before its end is sent', async () => {
    world.provider.script((_call, response) => {
      beginStream(response);
      response.end(EVENTS.join(''));
    });
    const experienceId = newUuid();
    const headers = { 'xProxy-Experience-Name': 'Chat', 'xProxy-Experience-ID': experienceId };
    const stream = await world.openai.chat.completions.create({ ...QUESTION, stream: true }, { headers });
    for await (const each of stream) {
      if (!('xproxy_result' in each)) continue;
      expect((await world.service.client.costs.get(experienceId)).totals).toMatchObject({
        eventCount: 1n,
        openReservationCount: 0n,
        cost: { total: '0.000024' },
      });
    }
  });
});

describe("other paths of OpenAI's", () => {
  test('embeddings are recorded', async () => {
    const usage = { prompt_tokens: 1_000, total_tokens: 1_000 };
    const data = [{ object: 'embedding', index: 0, embedding: [0.5, 0.25] }];
    world.provider.script((_call, response) =>
      answerJson(response, { object: 'list', data, model: 'text-embedding-3-small', usage }),
    );
    const answer = await world.openai.embeddings.create({
      model: 'text-embedding-3-small',
      input: 'a text',
      encoding_format: 'float',
    });
    // 1,000 × 0.00000002.
    expect(resultIn(answer).cost).toMatchObject({ total: { base: 0.00002 } });
  });

  test('responses are recorded, whole and as a stream', async () => {
    const usage = {
      input_tokens: 100,
      input_tokens_details: { cached_tokens: 40 },
      output_tokens: 20,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 120,
    };
    const whole = {
      id: 'resp_1',
      object: 'response',
      status: 'completed',
      model: 'gpt-4o-mini',
      output: [],
      usage,
    };
    world.provider.script((call, response) => {
      if (JSON.parse(call.body).stream !== true) return answerJson(response, whole);
      beginStream(response);
      const event = (type: string, fields: object): string =>
        `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
      response.write(
        event('response.created', { response: { ...whole, status: 'in_progress', usage: null } }),
      );
      response.write(event('response.output_text.delta', { delta: 'Well.' }));
      response.end(event('response.completed', { response: whole }));
    });
    const answer = await world.openai.responses.create({ model: 'gpt-4o-mini', input: 'How are you?' });
    expect(resultIn(answer).cost).toEqual(COST);
    const events = await readAll(
      await world.openai.responses.create({ model: 'gpt-4o-mini', input: 'How are you?', stream: true }),
    );
    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.output_text.delta',
      'response.completed',
    ]);
    expect(resultIn(events.at(-1) ?? {}).cost).toEqual(COST);
  });

  test('responses in the background are refused before anything is spent', async () => {
    world.provider.script((_call, response) => answerJson(response, { status: 'queued' }));
    const ask = { model: 'gpt-4o-mini', input: 'Think long.', background: true };
    const answer = await world.post('openai/v1/responses', ask);
    expect([answer.status, await answer.json()]).toEqual([
      400,
      expect.objectContaining({
        message: expect.stringContaining('background'),
        xproxy_error: expect.objectContaining({ code: 'request_processing_error' }),
      }),
    ]);
    expect(world.provider.calls).toEqual([]);
  });

  test('images are recorded', async () => {
    const usage = {
      total_tokens: 150,
      input_tokens: 50,
      output_tokens: 100,
      input_tokens_details: { text_tokens: 50, image_tokens: 0 },
    };
    world.provider.script((_call, response) =>
      answerJson(response, { created: 1, data: [{ b64_json: 'aGk=' }], usage }),
    );
    const answer = await world.openai.images.generate({ model: 'gpt-image-1', prompt: 'a cat' });
    expect(answer.data?.[0]?.b64_json).toBe('aGk=');
    expect(resultIn(answer)).toHaveProperty('request_id');
  });

  test.each(['openai/v1/models', 'openai/v1/files', 'openai/v1/chat', 'azure.openai/openai/v1/responses'])(
    '%s is nothing that is proxied',
    async (path) => {
      const answer = await world.post(path, {});
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ statusCode: 404 });
    },
  );
});

describe('messages of Anthropic', () => {
  const ask = { model: 'claude-3-haiku-20240307', max_tokens: 50, messages: [] };
  /** 11 × 0.00000025 and 21 × 0.00000125. */
  const cost = { input: { base: 0.00000275 }, output: { base: 0.00002625 }, total: { base: 0.000029 } };
  const message = {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-3-haiku-20240307',
    content: [{ type: 'text', text: 'Well.' }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 11, output_tokens: 21 },
  };

  test('are recorded, with the key of the provider passed on', async () => {
    world.provider.script((_call, response) =>
      answerJson(response, message, 200, { 'request-id': 'req_anthropic' }),
    );
    const answer = await world.anthropic.messages.create(ask, { headers: { 'xProxy-UseCase-Name': 'Chat' } });
    const result = resultIn(answer);
    expect(result.cost).toMatchObject(cost);
    expect(world.provider.calls[0]?.headers).toMatchObject({
      authorization: `Bearer ${ANTHROPIC_KEY}`,
      'anthropic-version': expect.stringMatching(/^\d{4}-/),
    });
    const [event] = await eventsOf(result.experience_id);
    expect(event).toMatchObject({
      provider: 'anthropic',
      providerRequestId: 'req_anthropic',
      providerResponseId: 'msg_1',
      cost: { total: '0.000029' },
    });
  });

  test('have the result on the last message_delta of a stream', async () => {
    world.provider.script((_call, response) => {
      beginStream(response);
      const event = (type: string, fields: object): string =>
        `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
      const start = {
        ...message,
        content: [],
        stop_reason: null,
        usage: { input_tokens: 11, output_tokens: 1 },
      };
      response.write(event('message_start', { message: start }));
      response.write(event('ping', {}));
      response.write(event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }));
      response.write(
        event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'Well.' } }),
      );
      response.write(event('content_block_stop', { index: 0 }));
      response.write(
        event('message_delta', { delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 21 } }),
      );
      response.end(event('message_stop', {}));
    });
    const events = await readAll(await world.anthropic.messages.create({ ...ask, stream: true }));
    const told = events.filter((each) => 'xproxy_result' in each);
    expect(told.map(({ type }) => type)).toEqual(['message_delta']);
    expect(resultIn(told[0] ?? {}).cost).toMatchObject(cost);
    expect(events.at(-1)?.type).toBe('message_stop');
  });
});

describe('the experience of a call', () => {
  const send = async (headers: Readonly<Record<string, string>>): Promise<Response> => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    return world.post('openai/v1/chat/completions', QUESTION, headers);
  };
  const existing = newUuid();
  const braced = newUuid();

  test.each([
    ['a known name', { 'xproxy-experience-name': 'Chat' }, expect.any(String)],
    ['a name and a new id', { 'xProxy-Experience-Name': 'Chat', 'xProxy-Experience-Id': existing }, existing],
    ['an id that exists', { 'XPROXY-EXPERIENCE-ID': existing }, existing],
    ['the id of another type', { 'xProxy-UseCase-Name': 'Other', 'xProxy-UseCase-ID': existing }, existing],
    ['a new id alone', { 'xProxy-Experience-ID': `{${braced.toUpperCase()}}` }, braced],
    ['both eras alike', { 'xProxy-UseCase-ID': existing, 'xProxy-Experience-ID': existing }, existing],
    ['what is no id', { 'xProxy-Experience-ID': 'run-7' }, expect.stringMatching(/^[0-9a-f-]{36}$/)],
  ])('%s', async (_case, headers, experienceId) => {
    const answer = await send(headers);
    expect(answer.status).toBe(200);
    expect(resultIn((await answer.json()) as object).experience_id).toEqual(experienceId);
  });

  test('that is replaced or of another type is told by a warning', async () => {
    for (const [headers, warning] of [
      [{ 'xProxy-Experience-ID': 'run-7' }, /is not a UUID/],
      [{ 'xProxy-Experience-Name': 'Other', 'xProxy-Experience-ID': existing }, /stays so/],
    ] as const) {
      const { warnings } = resultIn((await (await send(headers)).json()) as object);
      expect(warnings).toEqual([expect.stringMatching(warning)]);
    }
  });

  test.each([
    ['an unknown name', { 'xProxy-Experience-Name': 'Nobody' }, 'experience_type_not_found'],
    ['an impossible name', { 'xProxy-Experience-Name': 'No body' }, 'experience_type_not_found'],
    [
      'a version that is not there',
      { 'xProxy-Experience-Name': 'Chat', 'xProxy-UseCase-Version': '9' },
      'request_processing_error',
    ],
    [
      'a version that is none',
      { 'xProxy-Experience-Name': 'Chat', 'xProxy-UseCase-Version': 'v1' },
      'request_processing_error',
    ],
    [
      'two ids',
      { 'xProxy-UseCase-ID': existing, 'xProxy-Experience-ID': newUuid() },
      'request_processing_error',
    ],
    ['a user id with a space', { 'xProxy-User-ID': 'a b' }, 'invalid_user_id'],
    ['a bad tag', { 'xProxy-Request-Tags': 'good,b@d' }, 'invalid_tags'],
    ['a limit id that is none', { 'xProxy-Limit-IDs': 'seven' }, 'invalid_limit_ids'],
    ['an unknown limit', { 'xProxy-Limit-IDs': newUuid() }, 'invalid_limit_ids'],
    ['a limit twice', { 'xProxy-Limit-IDs': `${existing},${existing.toUpperCase()}` }, 'duplicate_limit_id'],
    ['properties that are no JSON', { 'xProxy-Request-Properties': '{' }, 'invalid_json'],
    ['properties that are no strings', { 'xProxy-UseCase-Properties': '{"a":1}' }, 'invalid_json'],
  ])('%s is refused before anything is spent', async (_case, headers, code) => {
    const answer = await send(headers);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ statusCode: 400, xproxy_error: { code } });
    expect(world.provider.calls).toEqual([]);
  });

  test('takes the properties that a call says of it', async () => {
    const experienceId = newUuid();
    const properties = Buffer.from(JSON.stringify({ plan: 'gold' })).toString('base64');
    await send({ 'xProxy-Experience-ID': experienceId, 'xProxy-UseCase-Properties': properties });
    expect((await world.service.client.experiences.get(experienceId)).properties).toEqual({ plan: 'gold' });
  });
});

describe('the price of a call', () => {
  test('is that of the resource which the caller names', async () => {
    await world.service.client.prices.create({
      provider: 'mine',
      model: 'tuned',
      rates: {
        text: { input: { base: '0.001' }, output: { base: '0.002' } },
        text_cache_read: { input: { base: '0' } },
      },
    });
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const answer = await world.openai.chat.completions.create(QUESTION, {
      headers: { 'xProxy-PriceAs-Category': 'mine', 'xProxy-PriceAs-Resource': 'tuned' },
    });
    expect(resultIn(answer).cost).toMatchObject({
      input: { base: 0.06 },
      output: { base: 0.04 },
      total: { base: 0.1 },
    });
  });

  test('is not known for a model that nobody knows, and is not zero', async () => {
    world.provider.script((_call, response) =>
      answerJson(response, { ...COMPLETION, model: 'nobodys-model' }),
    );
    const result = resultIn(
      await world.openai.chat.completions.create({ ...QUESTION, model: 'nobodys-alias' }),
    );
    expect(result).not.toHaveProperty('cost');
    expect(result.unknown_units).toEqual({
      text: { input: 60, output: 20 },
      text_cache_read: { input: 40, output: 0 },
    });
    expect(result.warnings).toHaveLength(1);
  });
});

describe('a limit', () => {
  test('that blocks lets the call through that goes beyond it, and none after', async () => {
    const { limit } = await world.service.client.limits.create({
      name: 'small',
      maxCost: '0.00000001',
      type: 'BLOCK',
    });
    const { limit: other } = await world.service.client.limits.create({
      name: 'large',
      maxCost: '10',
      type: 'ALLOW',
    });
    const headers = {
      'xProxy-Limit-IDs': `${limit.limitId}, ${other.limitId}`,
      'xProxy-Resource-Scope': 'datazone',
      'xProxy-Experience-Name': 'Chat',
      'xProxy-Request-Tags': 'blue',
    };
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const first = resultIn(await world.openai.chat.completions.create(QUESTION, { headers }));
    expect(first.limits).toEqual({ [limit.limitId]: { state: 'overrun' }, [other.limitId]: { state: 'ok' } });
    const before = await world.service.client.limits.get(limit.limitId);
    // All but the maximum.
    expect(first.cost).toMatchObject({ total: { overrun_base: Number(before.limit.period.overrunCost) } });
    expect(before.limit.period.overrunCost).not.toBe('0');
    expect(first.warnings).toEqual([expect.stringContaining("'datazone'")]);

    // This client shows the member `error` alone, which only it gets.
    await expect(world.openai.chat.completions.create(QUESTION, { headers })).rejects.toMatchObject({
      status: 400,
      code: 'limit_reached',
      message: expect.stringContaining(limit.limitId),
      error: { xproxy_result: { blocked_limit_ids: [limit.limitId] } },
    });
    const blocked = await world.post('openai/v1/chat/completions', QUESTION, headers);
    expect(world.provider.calls).toHaveLength(1);
    // Other clients show the body only if it has no member `error`.
    expect([blocked.status, await blocked.json()]).toEqual([
      400,
      {
        statusCode: 400,
        message: expect.stringContaining(limit.limitId),
        xproxy_error: { code: 'limit_reached', message: expect.stringContaining(limit.limitId) },
        xproxy_result: {
          request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
          request_tags: ['blue'],
          limits: { [limit.limitId]: { state: 'blocked' }, [other.limitId]: { state: 'blocked_external' } },
          blocked_limit_ids: [limit.limitId],
        },
      },
    ]);
    const after = await world.service.client.limits.get(limit.limitId);
    expect(after.limit.period).toMatchObject({ ...before.limit.period, blockedCount: 2n });
  });
});

describe('a provider that fails', () => {
  test('is passed on as it answers, with what is ours, and costs nothing', async () => {
    const error = { message: 'Slow down.', type: 'rate_limit_exceeded', code: 'rate_limit_exceeded' };
    world.provider.script((_call, response) => answerJson(response, { error }, 429, { 'retry-after': '7' }));
    const answer = await world.post('openai/v1/chat/completions', QUESTION, {
      'xProxy-Experience-Name': 'Chat',
    });
    expect(answer.status).toBe(429);
    expect(answer.headers.get('retry-after')).toBe('7');
    const body = (await answer.json()) as object;
    expect(body).toMatchObject({
      error,
      statusCode: 429,
      message: 'The provider answered with status 429.',
      xproxy_error: { code: 'provider_error' },
    });
    const result = resultIn(body);
    expect(result).not.toHaveProperty('cost');
    const [event] = await eventsOf(result.experience_id);
    expect(event).toMatchObject({
      outcome: 'FAILED',
      httpStatusCode: 429,
      units: {},
      cost: { total: '0' },
      settlement: 'SETTLED',
    });
  });

  test('is an error of its own client', async () => {
    world.provider.script((_call, response) =>
      answerJson(response, { error: { message: 'No such key.' } }, 401),
    );
    await expect(world.openai.chat.completions.create(QUESTION)).rejects.toMatchObject({
      status: 401,
      error: { message: 'No such key.' },
    });
  });

  test('may answer with what is no JSON, which is passed on as it is', async () => {
    world.provider.script((_call, response) => {
      response.writeHead(503, { 'content-type': 'text/html' }).end('<h1>Away</h1>');
    });
    const answer = await world.post('openai/v1/chat/completions', QUESTION);
    expect([answer.status, await answer.text()]).toEqual([503, '<h1>Away</h1>']);
  });

  test('may not lead the caller elsewhere', async () => {
    world.provider.script((_call, response) => {
      response.writeHead(307, { location: 'http://example.com/v1/chat/completions' }).end();
    });
    const answer = await world.post('openai/v1/chat/completions', QUESTION);
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({ xproxy_error: { code: 'provider_error' } });
  });

  test('and one that says zero beside an answer is counted here and marked', async () => {
    const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    world.provider.script((_call, response) => answerJson(response, { ...COMPLETION, usage }));
    const answer = await world.openai.chat.completions.create(QUESTION, {
      headers: { 'xProxy-Experience-Name': 'Chat' },
    });
    const [event] = await eventsOf(resultIn(answer).experience_id);
    expect(event).toMatchObject({ outcome: 'SUCCEEDED', properties: { units: 'estimated' } });
    expect(event?.units.text?.output).toBe(2n);
  });

  test('and one that succeeds without saying the usage is counted here and marked', async () => {
    const { usage: _usage, ...silent } = COMPLETION;
    world.provider.script((_call, response) => answerJson(response, silent));
    const answer = await world.openai.chat.completions.create(QUESTION, {
      headers: { 'xProxy-Experience-Name': 'Chat' },
    });
    const [event] = await eventsOf(resultIn(answer).experience_id);
    expect(event).toMatchObject({ outcome: 'SUCCEEDED', properties: { units: 'estimated' } });
    expect(event?.units.text?.input).toBeGreaterThan(3n);
    expect(event?.units.text?.output).toBeGreaterThan(0n);
  });
});

test('what was proxied is in books that balance', async () => {
  await expectVerified(world.service.client);
});
