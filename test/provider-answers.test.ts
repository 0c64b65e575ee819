import { isLosslessNumber, parse as parseLossless } from 'lossless-json';
import { describe, expect, test } from 'vitest';
import { addMember, memberText, removeMember, removeNullMember } from '../services/providers/json-member.js';
import { NotMetered, WireFault, wireOf } from '../services/providers/provider-wire.js';
import { countTokens, TOKENIZED_CHARACTERS_MAX, tokenEncodingOf } from '../services/providers/token-count.js';
import { type AnswerFixture, answerFixtures, plainUnits, wireFor } from './support/provider-fixtures.js';

const FIXTURES = answerFixtures().map((fixture) => [fixture.name, fixture] as const);

describe('what an answer says', () => {
  test.each(FIXTURES)('of %s is read', (_name, fixture) => {
    expect(read(fixture, fixture.request, fixture.answer)).toEqual(fixture.expected);
  });

  test.each(FIXTURES)('of %s is the same when its numbers kept their digits', (_name, fixture) => {
    const lossless = (value: unknown) => parseLossless(JSON.stringify(value));
    expect(read(fixture, lossless(fixture.request), lossless(fixture.answer))).toEqual(fixture.expected);
  });

  test.each(['prompt_tokens', 'completion_tokens'])('with a %s that is no count is not believed', (name) => {
    for (const bad of [-1, 1.5, '12', null, {}, 1e300]) {
      const usage = { prompt_tokens: 3, completion_tokens: 4, [name]: bad };
      const answer = chat().readAnswer({ choices: [], usage }, chat().readRequest(REQUEST));
      const expected = name === 'prompt_tokens' ? { input: 9, output: 0 } : { input: 3, output: 0 };
      expect(plainUnits(answer.units)).toEqual({ text: expected });
    }
  });

  test.each([undefined, null, 'text', 7, [], { error: {} }, { choices: {} }])(
    'that is %j is unknown',
    (body) => {
      expect(chat().readAnswer(body, chat().readRequest(REQUEST))).toEqual({ unitsBasis: 'unknown' });
    },
  );

  test('with a name or an id that cannot be recorded still has its usage', () => {
    const body = {
      id: 'x'.repeat(300),
      model: 'a\u0000b\n',
      choices: [],
      usage: { prompt_tokens: 1, completion_tokens: 1 },
    };
    const answer = chat().readAnswer(body, chat().readRequest(REQUEST));
    expect(answer).toMatchObject({ model: 'ab', responseId: 'x'.repeat(256), unitsBasis: 'reported' });
  });
});

/** An answer of four words, by our count, to a prompt of so many tokens by our count. */
describe('usage that cannot be all', () => {
  const WORDS = 'One two three four';
  const ANSWERS = {
    'chat/completions': { choices: [{ index: 0, message: { role: 'assistant', content: WORDS } }] },
    responses: {
      output: [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: WORDS }] }],
    },
    messages: { content: [{ type: 'text', text: WORDS }] },
  } as const;
  test.each([
    ['chat/completions', { prompt_tokens: 0, completion_tokens: 0 }, 9, 4, 'estimated'],
    ['chat/completions', { prompt_tokens: 7 }, 7, 4, 'estimated'],
    ['chat/completions', { prompt_tokens: 7, completion_tokens: 0 }, 7, 4, 'estimated'],
    ['chat/completions', { prompt_tokens: 0, completion_tokens: 5 }, 0, 5, 'reported'],
    ['responses', { input_tokens: 0, output_tokens: 0 }, 9, 4, 'estimated'],
    ['responses', { input_tokens: 7 }, 7, 4, 'estimated'],
    ['messages', { input_tokens: 0, output_tokens: 0 }, 6, 4, 'estimated'],
    ['messages', { input_tokens: 7 }, 7, 4, 'estimated'],
    ['messages', { input_tokens: 7, output_tokens: 5 }, 7, 5, 'reported'],
  ] as const)('of %s: %j is completed by counting', (path, usage, input, output, unitsBasis) => {
    const wire = wireFor({ provider: path === 'messages' ? 'anthropic' : 'openai', path });
    const request = wire.readRequest({ ...REQUEST, input: 'Hello world' });
    const answer = wire.readAnswer({ ...ANSWERS[path], usage }, request);
    expect([plainUnits(answer.units), answer.unitsBasis]).toEqual([{ text: { input, output } }, unitsBasis]);
  });

  test('of nothing is nothing', () => {
    const usage = { prompt_tokens: 0, completion_tokens: 0 };
    const answer = chat().readAnswer({ choices: [], usage }, chat().readRequest(REQUEST));
    expect([plainUnits(answer.units), answer.unitsBasis]).toEqual([{}, 'reported']);
  });

  test('of embeddings that says zero is the prompt', () => {
    const wire = wireFor({ provider: 'openai', path: 'embeddings' });
    const request = wire.readRequest({ model: 'text-embedding-3-small', input: 'Hello world' });
    const answer = wire.readAnswer({ data: [{}], usage: { prompt_tokens: 0 } }, request);
    expect([plainUnits(answer.units), answer.unitsBasis]).toEqual([
      { text: { input: 2, output: 0 } },
      'estimated',
    ]);
  });
});

describe('a response in the background', () => {
  test.each([true, 1, 'true'])('is refused (%j)', (background) => {
    const wire = wireFor({ provider: 'openai', path: 'responses' });
    expect(() => wire.readRequest({ model: 'gpt-5', input: 'Think.', background })).toThrow(NotMetered);
  });

  test.each([undefined, null, false])('that is none is not (%j)', (background) => {
    const wire = wireFor({ provider: 'openai', path: 'responses' });
    expect(wire.readRequest({ model: 'gpt-5', input: 'Think.', background }).model).toBe('gpt-5');
  });
});

describe('a request', () => {
  test.each([
    ['openai', 'chat/completions', { messages: [] }, 'model'],
    ['openai', 'chat/completions', { model: 'gpt-4o' }, 'messages'],
    ['openai', 'chat/completions', { model: 7, messages: [] }, 'model'],
    ['openai', 'chat/completions', { model: '', messages: [] }, 'model'],
    ['openai', 'chat/completions', { model: 'a\nb', messages: [] }, 'model'],
    ['openai', 'chat/completions', { model: 'x'.repeat(257), messages: [] }, 'model'],
    ['openai', 'chat/completions', { model: 'gpt-4o', messages: [], stream: 'yes' }, 'stream'],
    ['openai', 'chat/completions', [], undefined],
    ['openai', 'chat/completions', null, undefined],
    ['openai', 'embeddings', { model: 'text-embedding-3-small' }, 'input'],
    ['openai', 'images/generations', { model: 'gpt-image-1' }, 'prompt'],
    ['anthropic', 'messages', { messages: [] }, 'model'],
    ['anthropic', 'messages', { model: 'claude-sonnet-4-5' }, 'messages'],
  ] as const)('to %s %s of %j is refused for %s', (provider, path, body, field) => {
    const reading = () => wireFor({ provider, path }).readRequest(body);
    expect(reading).toThrow(WireFault);
    expect(reading).toThrow(expect.objectContaining({ field }));
  });

  test.each([
    ['openai', 'responses', { input: 'Hi', prompt: { id: 'pmpt_1' } }, 'unknown_model'],
    ['openai', 'images/generations', { prompt: 'Hi' }, 'dall-e-2'],
  ] as const)('to %s %s may leave its model out', (provider, path, body, model) => {
    expect(wireFor({ provider, path }).readRequest(body).model).toBe(model);
  });

  test.each(['chat/completion', 'models', 'audio/speech', 'messages', '', '__proto__'])(
    'to %j is not metered',
    (path) => {
      expect(wireOf('openai', path)).toBeUndefined();
    },
  );

  const asked = '{"stream":true,"stream_options":{"include_usage":true},"model":"gpt-4o","messages":[]}';
  test.each([
    ['{"model":"gpt-4o","messages":[]}', false, '{"model":"gpt-4o","messages":[]}'],
    [asked, true, asked],
    [
      '{ "stream": true, "seed": 12345678901234567890, "model":"gpt-4o", "messages":[] }\n',
      false,
      '{ "stream": true, "seed": 12345678901234567890, "model":"gpt-4o", "messages":[],"stream_options":{"include_usage":true} }\n',
    ],
    [
      '{"stream":true,"stream_options":{"include_obfuscation":false, "include_usage":false},"model":"gpt-4o","messages":[]}',
      false,
      '{"stream":true,"model":"gpt-4o","messages":[],"stream_options":{"include_obfuscation":false,"include_usage":true}}',
    ],
    [
      '{"stream":true,"model":"gpt-4o","messages":[],"stream_options":null}',
      false,
      '{"stream":true,"model":"gpt-4o","messages":[],"stream_options":{"include_usage":true}}',
    ],
  ])('%s is sent with its usage asked for', (text, wantsUsage, upstream) => {
    const body: unknown = parseLossless(text);
    const request = chat().readRequest(body);
    expect(request.wantsUsage).toBe(wantsUsage);
    expect(request.upstreamText(text)).toBe(upstream);
    expect(request.upstreamBody).toEqual(parseLossless(upstream));
    if (text === upstream) expect(request.upstreamBody).toBe(body);
  });

  test('keeps numbers of a lossless body as they were', () => {
    const body = parseLossless('{"stream":true,"seed":12345678901234567890,"model":"m","messages":[]}');
    expect(chat().readRequest(body).upstreamBody).toHaveProperty('seed', expect.toSatisfy(isLosslessNumber));
  });
});

describe('the units of a prompt', () => {
  const parameters = { type: 'object', properties: { city: { type: 'string' } } };
  test.each([
    ['openai', 'chat/completions', requestOf('Hello world'), { text: { input: 9, output: 0 } }],
    ['openai', 'chat/completions', requestOf('<|endoftext|>'), { text: { input: 14, output: 0 } }],
    [
      'openai',
      'chat/completions',
      requestOf([
        { type: 'text', text: 'Hello world' },
        { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(100_000)}` } },
        { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
        { type: 'input_audio', input_audio: { data: 'A'.repeat(100_000), format: 'wav' } },
      ]),
      { text: { input: 9, output: 0 }, vision: { input: 850, output: 0 } },
    ],
    [
      'openai',
      'responses',
      { model: 'gpt-5', instructions: 'Hello world', input: [{ role: 'user', content: 'Hello world' }] },
      { text: { input: 11, output: 0 } },
    ],
    [
      'openai',
      'embeddings',
      { model: 'm', input: ['Hello world', 'Hello'] },
      { text: { input: 3, output: 0 } },
    ],
    ['openai', 'embeddings', { model: 'm', input: [1, 2, 3] }, { text: { input: 3, output: 0 } }],
    [
      'anthropic',
      'messages',
      {
        model: 'claude-sonnet-4-5',
        system: [{ type: 'text', text: 'Hello world', cache_control: { type: 'ephemeral' } }],
        messages: [
          {
            role: 'user',
            content: [
              { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'Hello world' } },
              {
                type: 'document',
                source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0' },
              },
              { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'image', source: {} }] },
            ],
          },
        ],
      },
      { text: { input: 8, output: 0 }, vision: { input: 765, output: 0 } },
    ],
  ] as const)('to %s %s are counted', (provider, path, body, expected) => {
    expect(plainUnits(wireFor({ provider, path }).readRequest(body).promptUnits())).toEqual(expected);
  });

  test('include the definitions of tools, names and all', () => {
    const tools = [{ type: 'function', function: { name: 'get_weather', parameters } }];
    const bare = plainUnits(chat().readRequest(REQUEST).promptUnits())?.text?.input ?? 0;
    const withTools =
      plainUnits(
        chat()
          .readRequest({ ...REQUEST, tools })
          .promptUnits(),
      )?.text?.input ?? 0;
    expect(withTools - bare).toBeGreaterThan(15);
    expect(withTools - bare).toBeLessThan(60);
  });

  test('of a body nested deeper than any request end', () => {
    const deep: unknown = JSON.parse(`${'[{"content":'.repeat(5_000)}"x"${'}]'.repeat(5_000)}`);
    const request = chat().readRequest({ model: 'gpt-4o', messages: deep, tools: deep });
    expect(plainUnits(request.promptUnits())?.text?.input).toBeLessThan(500);
  });
});

describe('counting tokens', () => {
  test.each([
    ['gpt-4o-mini', 'o200k_base'],
    ['gpt-4.1', 'o200k_base'],
    ['gpt-5', 'o200k_base'],
    ['claude-sonnet-4-5', 'o200k_base'],
    ['gpt-4', 'cl100k_base'],
    ['gpt-4-turbo-2024-04-09', 'cl100k_base'],
    ['gpt-3.5-turbo', 'cl100k_base'],
    ['text-embedding-3-small', 'cl100k_base'],
  ])('of %s is by %s', (model, encoding) => {
    expect(tokenEncodingOf(model)).toBe(encoding);
  });

  test('the encodings differ where they should', () => {
    expect([
      countTokens(['这是一个测试'], 'o200k_base'),
      countTokens(['这是一个测试'], 'cl100k_base'),
    ]).toEqual([3n, 4n]);
  });

  const prose = 'It was the best of times, it was the worst of times, it was the age of wisdom. ';
  test('of ten megabytes takes no longer than of the bounded part, and is near', () => {
    const one = Number(countTokens([prose.repeat(100)], 'o200k_base'));
    const text = prose.repeat(130_000);
    expect(text.length).toBeGreaterThan(100 * TOKENIZED_CHARACTERS_MAX);
    const started = performance.now();
    const tokens = Number(countTokens([text], 'o200k_base'));
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(tokens / (one * 1_300)).toBeGreaterThan(0.97);
    expect(tokens / (one * 1_300)).toBeLessThan(1.03);
  });

  test.each([
    ['one word', ['a'.repeat(10_000_000)]],
    ['nothing but blanks', [' '.repeat(10_000_000)]],
    ['a million short texts', Array<string>(1_000_000).fill('Hello wor')],
  ])('of ten megabytes of %s is bounded too', (_name, texts) => {
    const started = performance.now();
    expect(countTokens(texts, 'o200k_base')).toBeGreaterThan(10_000n);
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  test('spreads what it looks at over all of the text', () => {
    const half = 40 * TOKENIZED_CHARACTERS_MAX;
    const letters = 'x7Q'.repeat(half / 3);
    const words = ' wonderful'.repeat(half / 10);
    const [both, first, second] = [[words + letters], [words], [letters]].map((texts) =>
      Number(countTokens(texts, 'o200k_base')),
    );
    expect((both ?? 0) / ((first ?? 0) + (second ?? 0))).toBeCloseTo(1, 1);
  });
});

describe('a member', () => {
  test.each([
    ['{}', '{"r":1}'],
    [' {\n} ', ' {"r":1\n} '],
    ['{"a":1}', '{"a":1,"r":1}'],
    ['{"a":{}}', '{"a":{},"r":1}'],
    ['{"a":1.50e-7,"b":"}\\"{"}\n', '{"a":1.50e-7,"b":"}\\"{","r":1}\n'],
    ['{"r":{"x":[1,2]},"a":1}', '{"a":1,"r":1}'],
    ['{"a":1, "r":"\\\\", "b":2}', '{"a":1, "b":2,"r":1}'],
    ['{"r":null}', '{"r":1}'],
    ['{"\\u0072":2,"a":1,"r":3}', '{"a":1,"r":1}'],
    ['{"\\u0072":2,"a":1}', '{"a":1,"r":1}'],
    ['{"a":{"r":2},"b":[{"r":3}],"c":"\\"r\\":"}', '{"a":{"r":2},"b":[{"r":3}],"c":"\\"r\\":","r":1}'],
  ])('is added to %j', (text, expected) => {
    expect(addMember(text, 'r', '1')).toBe(expected);
    expect(JSON.parse(expected)).toMatchObject({ r: 1 });
  });

  test.each(['', '[]', 'null', '7', '"{}"', '[DONE]', '}'])('is not added to %j', (text) => {
    expect(() => addMember(text, 'r', '1')).toThrow(RangeError);
  });

  test.each([
    ['{"usage":null}', '{}'],
    ['{"usage":null,"a":1}', '{"a":1}'],
    ['{"a":1,"usage":null}', '{"a":1}'],
    ['{ "a" : 1 , "usage" : null , "b" : 2 }', '{ "a" : 1 , "b" : 2 }'],
    ['{"a":{"usage":null}}', '{"a":{"usage":null}}'],
    ['{"a":"\\"usage\\":null"}', '{"a":"\\"usage\\":null"}'],
    ['{"a":1,"\\u0075sage":null,"b":{"x":1,"usage":null}}', '{"a":1,"b":{"x":1,"usage":null}}'],
    ['{"b":{"x":1,"usage":null},"usage" :null}', '{"b":{"x":1,"usage":null}}'],
    ['{"a":"usage","usage":null,"b":[1,"usage"]}', '{"a":"usage","b":[1,"usage"]}'],
    ['{"usage":1,"a":2,"usage":null}', '{"a":2}'],
    ['{"a":"\\ud83c\\udf0d","usage":null}', '{"a":"\\ud83c\\udf0d"}'],
  ])('is taken out of %j and nothing else', (text, expected) => {
    expect(removeMember(text, 'usage')).toBe(expected);
    if (JSON.parse(text).usage === null) expect(removeNullMember(text, 'usage')).toBe(expected);
  });

  test('is found as a parser finds it', () => {
    expect(memberText('{"a": {"b":1} ,"a":[2]}', 'a')).toBe('[2]');
    expect(memberText('{"b":{"a":1}}', 'a')).toBeUndefined();
  });
});

function chat() {
  return wireFor({ provider: 'openai', path: 'chat/completions' });
}

function read(fixture: AnswerFixture, requestBody: unknown, answerBody: unknown) {
  const wire = wireFor(fixture);
  const request = wire.readRequest(requestBody);
  const { units, ...answer } = wire.readAnswer(answerBody, request);
  const plain = plainUnits(units);
  return { ...answer, hasImages: request.hasImages, ...(plain === undefined ? {} : { units: plain }) };
}

function requestOf(content: unknown) {
  return { model: 'gpt-4o', messages: [{ role: 'user', content }] };
}
const REQUEST = requestOf('Hello world');
