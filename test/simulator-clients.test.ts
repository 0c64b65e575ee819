import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { type Simulator, type SimulatorOptions, startSimulator } from '../services/simulator/simulator.js';
import { waitUntil } from './support/wait-until.js';

/** What the simulator answers, read by the providers' own clients; its wire to the byte is in simulator.test.ts. */

const KEY = 'right';
const QUESTION = 'What is the weather in Bergen today?';
const WEATHER = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer' }, unit: { enum: ['celsius', 'kelvin'] } },
  required: ['city', 'unit'],
} as const;
const CALLED = { city: 'Bergen', unit: 'celsius' };
const CLAUDE = 'claude-sonnet-4-5';

describe('OpenAI’s client', () => {
  const tools = [
    { type: 'function' as const, function: { name: 'get_weather', parameters: { ...WEATHER } } },
  ];

  test.each(['whole', 'streamed'])(
    'reads a tool call of a chat, %s, and the answer after its result',
    async (how) => {
      const { openai, served } = await start();
      const messages = [{ role: 'user' as const, content: QUESTION }];
      const request = { model: 'gpt-4o-mini', messages, tools };
      const completion =
        how === 'whole'
          ? await openai.chat.completions.create(request)
          : await openai.chat.completions
              .stream({ ...request, stream_options: { include_usage: true } })
              .finalChatCompletion();
      const [choice] = completion.choices;
      expect(choice).toMatchObject({
        finish_reason: 'tool_calls',
        message: { role: 'assistant', content: null },
      });
      const [call] = choice?.message.tool_calls ?? [];
      if (call?.type !== 'function') throw new Error('a function is called');
      expect(call).toMatchObject({ id: expect.stringMatching(/^call_/), function: { name: 'get_weather' } });
      expect(JSON.parse(call.function.arguments)).toEqual(CALLED);
      expect(await served()).toMatchObject([
        {
          endpoint: 'chat.completions',
          outcome: 'answered',
          promptTokens: completion.usage?.prompt_tokens,
          completionTokens: completion.usage?.completion_tokens,
        },
      ]);
      expect(completion.usage?.completion_tokens).toBeGreaterThan(8);

      const told = await openai.chat.completions.create({
        ...request,
        messages: [
          ...messages,
          { role: 'assistant', content: null, tool_calls: [call] },
          { role: 'tool', tool_call_id: call.id, content: 'The weather in Bergen is wet.' },
        ],
      });
      expect(told.choices[0]).toMatchObject({
        finish_reason: 'stop',
        message: { content: 'The weather in Bergen is wet.' },
      });
    },
  );

  test.each<[choice: OpenAI.ChatCompletionToolChoiceOption, text: string, name: string | undefined]>([
    ['auto', 'Hi', undefined],
    ['none', QUESTION, undefined],
    ['required', 'Hi', 'get_weather'],
    [{ type: 'function', function: { name: 'get_time' } }, QUESTION, 'get_time'],
  ])('calls by the tool choice %j what the model must for “%s”', async (choice, text, name) => {
    const { openai } = await start();
    const { choices } = await openai.chat.completions.create({
      model: 'gpt-4o-mini',
      messages: [{ role: 'user', content: text }],
      tools: [...tools, { type: 'function', function: { name: 'get_time' } }],
      tool_choice: choice,
    });
    expect(choices[0]?.message.tool_calls).toEqual(
      name === undefined
        ? undefined
        : [expect.objectContaining({ function: expect.objectContaining({ name }) })],
    );
  });

  test.each(['whole', 'streamed'])('reads a response, %s', async (how) => {
    const { openai, served } = await start();
    const request = {
      model: 'gpt-4.1-mini',
      instructions: 'The depot opens in May.',
      input: [
        {
          role: 'user' as const,
          content: [
            { type: 'input_text' as const, text: 'When does the depot open?' },
            { type: 'input_image' as const, image_url: 'https://example.com/a.png', detail: 'low' as const },
          ],
        },
      ],
    };
    const response =
      how === 'whole'
        ? await openai.responses.create(request)
        : await openai.responses.stream(request).finalResponse();
    expect(response).toMatchObject({
      id: expect.stringMatching(/^resp_/),
      object: 'response',
      status: 'completed',
      model: 'gpt-4.1-mini-2025-04-14',
      output_text: 'The depot opens in May.',
      output: [{ type: 'message', role: 'assistant', status: 'completed' }],
      usage: {
        // 3 + 1 + 6 for the instructions, 3 + 1 + 6 + 85 for the question and its image, 3 for the reply.
        input_tokens: 108,
        output_tokens: 6,
        total_tokens: 114,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens_details: { reasoning_tokens: 0 },
      },
    });
    expect(await served()).toMatchObject([
      {
        endpoint: 'responses',
        responseId: response.id,
        promptTokens: 108,
        completionTokens: 6,
        outcome: 'answered',
      },
    ]);
  });

  test.each(['whole', 'streamed'])('reads a tool call of a response, %s', async (how) => {
    const { openai } = await start();
    const tool = {
      type: 'function' as const,
      name: 'get_weather',
      parameters: { ...WEATHER },
      strict: false,
    };
    const request = { model: 'gpt-4o', input: QUESTION, tools: [tool] };
    const response =
      how === 'whole'
        ? await openai.responses.create(request)
        : await openai.responses.stream(request).finalResponse();
    const [item] = response.output;
    if (item?.type !== 'function_call') throw new Error('a function is called');
    expect(item).toMatchObject({
      name: 'get_weather',
      call_id: expect.stringMatching(/^call_/),
      status: 'completed',
    });
    expect(JSON.parse(item.arguments)).toEqual(CALLED);
    const told = await openai.responses.create({
      ...request,
      input: [
        { role: 'user', content: QUESTION },
        item,
        { type: 'function_call_output', call_id: item.call_id, output: 'The weather in Bergen is wet.' },
      ],
    });
    expect(told.output_text).toBe('The weather in Bergen is wet.');
  });

  test('reads the events of a streamed response in their order, each with its number', async () => {
    const { openai } = await start();
    const stream = await openai.responses.create({
      model: 'gpt-4o',
      input: 'Hi',
      max_output_tokens: 2,
      stream: true,
    });
    const events = [];
    for await (const event of stream) events.push(event);
    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.incomplete',
    ]);
    expect(events.map((event) => 'sequence_number' in event && event.sequence_number)).toEqual([
      ...Array(10).keys(),
    ]);
    expect(events.at(-1)).toMatchObject({
      response: { incomplete_details: { reason: 'max_output_tokens' }, usage: { output_tokens: 2 } },
    });
  });

  test.each<
    [model: string, more: Partial<OpenAI.ImageGenerateParamsNonStreaming>, outputTokens: number | undefined]
  >([
    ['gpt-image-1', {}, 4160],
    ['gpt-image-1', { n: 3, quality: 'low', size: '1024x1536' }, 1224],
    ['gpt-image-1-mini', { quality: 'medium', size: '1536x1024' }, 1568],
    ['dall-e-3', { response_format: 'b64_json' }, undefined],
  ])('reads images of %s with %j', async (model, more, outputTokens) => {
    const { openai, served } = await start();
    const images = await openai.images.generate({ model, prompt: 'A red bus', ...more });
    expect(images.data).toHaveLength(more.n ?? 1);
    const bytes = Buffer.from(images.data?.[0]?.b64_json ?? '', 'base64');
    expect(bytes.subarray(1, 4).toString()).toBe('PNG');
    expect(images.usage).toEqual(
      outputTokens === undefined
        ? undefined
        : {
            input_tokens: 3,
            input_tokens_details: { text_tokens: 3, image_tokens: 0 },
            output_tokens: outputTokens,
            total_tokens: 3 + outputTokens,
          },
    );
    const tokens = outputTokens === undefined ? [0, 0] : [3, outputTokens];
    expect((await served()).map((call) => [call.endpoint, call.promptTokens, call.completionTokens])).toEqual(
      [['images.generations', ...tokens]],
    );
  });
});

describe('Anthropic’s client', () => {
  const tools = [{ name: 'get_weather', input_schema: { ...WEATHER, required: [...WEATHER.required] } }];

  test.each(['whole', 'streamed'])('reads a message, %s', async (how) => {
    const { anthropic, served } = await start();
    const request = {
      model: CLAUDE,
      max_tokens: 100,
      system: 'The depot opens in May.',
      messages: [
        {
          role: 'user' as const,
          content: [
            { type: 'text' as const, text: 'When does the depot open?' },
            {
              type: 'image' as const,
              source: { type: 'base64' as const, media_type: 'image/png' as const, data: 'aGk=' },
            },
          ],
        },
      ],
    };
    const message =
      how === 'whole'
        ? await anthropic.messages.create(request)
        : await anthropic.messages.stream(request).finalMessage();
    expect(message).toMatchObject({
      id: expect.stringMatching(/^msg_/),
      type: 'message',
      role: 'assistant',
      model: CLAUDE,
      content: [{ type: 'text', text: 'The depot opens in May.' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: {
        input_tokens: 108,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: 6,
      },
    });
    expect(await served()).toMatchObject([
      {
        endpoint: 'messages',
        responseId: message.id,
        promptTokens: 108,
        completionTokens: 6,
        outcome: 'answered',
      },
    ]);
  });

  test.each(['whole', 'streamed'])('reads a tool call, %s, and the answer after its result', async (how) => {
    const { anthropic } = await start();
    const messages = [{ role: 'user' as const, content: QUESTION }];
    const request = { model: CLAUDE, max_tokens: 100, messages, tools };
    const message =
      how === 'whole'
        ? await anthropic.messages.create(request)
        : await anthropic.messages.stream(request).finalMessage();
    expect(message).toMatchObject({
      stop_reason: 'tool_use',
      content: [
        { type: 'tool_use', name: 'get_weather', input: CALLED, id: expect.stringMatching(/^toolu_/) },
      ],
    });
    const [use] = message.content;
    if (use?.type !== 'tool_use') throw new Error('a tool is used');
    const result = {
      type: 'tool_result' as const,
      tool_use_id: use.id,
      content: 'The weather in Bergen is wet.',
    };
    const told = await anthropic.messages.create({
      ...request,
      messages: [
        ...messages,
        { role: 'assistant', content: message.content },
        { role: 'user', content: [result] },
      ],
    });
    expect(told).toMatchObject({
      stop_reason: 'end_turn',
      content: [{ text: 'The weather in Bergen is wet.' }],
    });
  });

  test('reads the events of a stream in their order, with counts that grow', async () => {
    const { anthropic } = await start();
    const stream = await anthropic.messages.create({
      model: CLAUDE,
      max_tokens: 2,
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
    });
    const events = [];
    for await (const event of stream) events.push(event);
    // The client keeps `ping` to itself.
    expect(events.map(({ type }) => type)).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    expect(events[0]).toMatchObject({
      message: { content: [], usage: { input_tokens: 8, output_tokens: 1 } },
    });
    expect(events.at(-2)).toMatchObject({
      delta: { stop_reason: 'max_tokens' },
      usage: { output_tokens: 2 },
    });
  });

  test.each<[what: string, ttl: '5m' | '1h' | undefined, written: object]>([
    ['five minutes', undefined, { ephemeral_5m_input_tokens: 1304, ephemeral_1h_input_tokens: 0 }],
    ['an hour', '1h', { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 1304 }],
  ])(
    'is told what a marked prefix for %s wrote and read, disjoint from the rest',
    async (_what, ttl, written) => {
      const { anthropic, served } = await start();
      const cache_control = { type: 'ephemeral' as const, ...(ttl === undefined ? {} : { ttl }) };
      const request = (question: string) => ({
        model: CLAUDE,
        max_tokens: 1,
        // 1,300 tokens, with 3 around them and 1 for who speaks.
        system: [{ type: 'text' as const, text: `cat${' cat'.repeat(1299)}`, cache_control }],
        messages: [{ role: 'user' as const, content: question }],
      });
      // Around each question are 3 and 1 tokens, and 3 open the reply.
      expect((await anthropic.messages.create(request('Hi'))).usage).toMatchObject({
        input_tokens: 8,
        cache_creation_input_tokens: 1304,
        cache_read_input_tokens: 0,
        cache_creation: written,
        output_tokens: 1,
      });
      expect((await anthropic.messages.create(request('Hi there'))).usage).toMatchObject({
        input_tokens: 9,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 1304,
      });
      expect(await served()).toMatchObject([
        { promptTokens: 1312, cachedTokens: 0, cacheWriteTokens: 1304 },
        { promptTokens: 1313, cachedTokens: 1304, cacheWriteTokens: 0 },
      ]);
    },
  );

  test('is told nothing of a cache where a prefix is too short or none is marked', async () => {
    const { anthropic, served } = await start();
    const short = { type: 'text' as const, text: 'cat', cache_control: { type: 'ephemeral' as const } };
    for (const system of [[short], `cat${' cat'.repeat(1299)}`, `cat${' cat'.repeat(1299)}`]) {
      await anthropic.messages.create({
        model: CLAUDE,
        max_tokens: 1,
        system,
        messages: [{ role: 'user', content: 'Hi' }],
      });
    }
    expect((await served()).map((call) => [call.cachedTokens, call.cacheWriteTokens])).toEqual(
      Array(3).fill([0, 0]),
    );
  });

  test.each<[fault: string, expected: object]>([
    ['rate-limit=1', { status: 429, type: 'rate_limit_error' }],
    ['server-error', { status: 500, type: 'api_error' }],
    ['server-error=529', { status: 529, type: 'overloaded_error' }],
    ['unauthorized', { status: 401, type: 'authentication_error' }],
  ])('reads the fault %s as the provider’s error, and nothing is billed', async (fault, expected) => {
    const { anthropic, served } = await start();
    const call = anthropic.messages.create(
      { model: CLAUDE, max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] },
      { headers: { 'x-simulator-fault': fault } },
    );
    await expect(call).rejects.toMatchObject({ ...expected, requestID: expect.stringMatching(/^req_/) });
    expect(await served()).toMatchObject([{ billed: false, outcome: 'refused' }]);
  });

  test.each<[what: string, body: object, status: number, type: string]>([
    [
      'no max_tokens',
      { model: CLAUDE, messages: [{ role: 'user', content: 'Hi' }] },
      400,
      'invalid_request_error',
    ],
    [
      'an unknown model',
      { model: 'unknown', max_tokens: 1, messages: [{ role: 'user', content: 'Hi' }] },
      404,
      'not_found_error',
    ],
  ])('is refused %s in the provider’s form', async (_what, body, status, type) => {
    const { simulator } = await start();
    const headers = { 'x-api-key': KEY, 'anthropic-version': '2023-06-01' };
    const response = await fetch(`${simulator.apiUrl}/messages`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({
      type: 'error',
      error: { type, message: expect.stringMatching(/\w/) },
    });
  });

  test.each<[what: string, headers: Record<string, string>, status: number]>([
    ['no key', {}, 401],
    ['a wrong key', { 'x-api-key': 'other' }, 401],
    ['the key, as a bearer', { authorization: `Bearer ${KEY}` }, 200],
    ['the key, and no other beside it', { 'x-api-key': 'other', authorization: `Bearer ${KEY}` }, 401],
    ['no version', { 'x-api-key': KEY, 'anthropic-version': '' }, 400],
    ['the key', { 'x-api-key': KEY }, 200],
  ])('needs %s: %o', async (_what, headers, status) => {
    const { simulator } = await start();
    const sent = new Headers({ 'anthropic-version': '2023-06-01', ...headers });
    if (sent.get('anthropic-version') === '') sent.delete('anthropic-version');
    const body = JSON.stringify({
      model: CLAUDE,
      max_tokens: 1,
      messages: [{ role: 'user', content: 'Hi' }],
    });
    const response = await fetch(`${simulator.apiUrl}/messages`, { method: 'POST', headers: sent, body });
    expect(response.status).toBe(status);
    if (status !== 200) expect(await response.json()).toMatchObject({ type: 'error' });
  });
});

describe('a stream that is cut is counted as far as it was sent', () => {
  // Of 17 pieces of an answer to `Hi`, around which are 3 events before and 3 after (messages), or 4 and 4 (responses).
  test.each<[path: string, body: object, fault: string, outcome: string, tokens: number]>([
    [
      '/messages',
      { max_tokens: 99, messages: [{ role: 'user', content: 'Hi' }] },
      'truncate-stream',
      'truncated',
      8,
    ],
    [
      '/messages',
      { max_tokens: 99, messages: [{ role: 'user', content: 'Hi' }] },
      'drop=mid-body',
      'dropped',
      8,
    ],
    ['/responses', { input: 'Hi' }, 'truncate-stream', 'truncated', 8],
    ['/responses', { input: 'Hi' }, 'drop=mid-body', 'dropped', 8],
  ])('%s %j %s', async (path, body, fault, outcome, tokens) => {
    const { simulator, served } = await start();
    const headers = {
      'x-api-key': KEY,
      authorization: `Bearer ${KEY}`,
      'anthropic-version': '2023-06-01',
      'x-simulator-fault': fault,
    };
    const request = { model: 'gpt-4o-mini', stream: true, ...body };
    const response = await fetch(simulator.apiUrl + path, {
      method: 'POST',
      headers,
      body: JSON.stringify(request),
    });
    const text = await response.text().catch(() => undefined);
    expect(text === undefined).toBe(outcome === 'dropped');
    if (text !== undefined) expect(text.match(/^event: \S*delta$/gm)).toHaveLength(tokens);
    expect(await served()).toMatchObject([
      { outcome, billed: true, promptTokens: 8, completionTokens: tokens },
    ]);
  });

  test('and so is one that its client leaves', async () => {
    const { anthropic, served } = await start({ tokenDelayMs: 20 });
    const stream = anthropic.messages.stream({
      model: CLAUDE,
      max_tokens: 99,
      messages: [{ role: 'user', content: 'Hi' }],
    });
    stream.on('text', () => stream.abort());
    await expect(stream.finalMessage()).rejects.toThrow();
    const [call] = await waitUntil('it is written down', async () => {
      const calls = await served();
      return calls.length > 0 ? calls : undefined;
    });
    expect(call).toMatchObject({ outcome: 'dropped', billed: true });
    expect(call?.completionTokens).toBeLessThan(17);
  });
});

const CALL = z.looseObject({
  endpoint: z.string(),
  promptTokens: z.number(),
  cachedTokens: z.number(),
  cacheWriteTokens: z.number(),
  completionTokens: z.number(),
});

async function start(options: SimulatorOptions = {}): Promise<{
  readonly simulator: Simulator;
  readonly openai: OpenAI;
  readonly anthropic: Anthropic;
  readonly served: () => Promise<readonly z.output<typeof CALL>[]>;
}> {
  const simulator = await startSimulator({ apiKey: KEY, ...options });
  onTestFinished(() => simulator.stop());
  return {
    simulator,
    openai: new OpenAI({ apiKey: KEY, baseURL: simulator.apiUrl, maxRetries: 0 }),
    anthropic: new Anthropic({ apiKey: KEY, baseURL: simulator.url, maxRetries: 0 }),
    async served() {
      const report: unknown = await (await fetch(`${simulator.url}/simulator/served`)).json();
      return z.object({ calls: z.array(CALL) }).parse(report).calls;
    },
  };
}
