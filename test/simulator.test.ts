import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { type Simulator, type SimulatorOptions, startSimulator } from '../services/simulator/simulator.js';

/** Written for this test: prose with everything around it that a summary must leave out. */
const ARTICLE = `# Marlow goes electric

The city of Marlow will replace all of its diesel buses with electric buses by 2031. The council voted for the plan on
Tuesday after a debate of four hours. **Electric buses** cost more to buy than diesel buses, but the city expects to save
on fuel and repairs.

## What it costs

| year | buses | cost  |
| ---- | ----- | ----- |
| 2027 | 12    | 9.1 m |

The first twelve electric buses arrive in 2027 and will run on the [ring line](https://example.com/ring). Dr. Ines Varga,
who leads the transport office, said that each electric bus saves about 40 tonnes of carbon dioxide a year. The depot in
Harrow Street gets new chargers and a battery that stores power at night.

\`\`\`sh
curl https://example.com/buses --output buses.json
\`\`\`

- Drivers will be trained for two weeks before they drive an electric bus.
- Tickets stay at the present price until the end of 2028.
- See the plan.

Some residents of Harrow Street fear the noise of the building work. They asked the council to stop work at eight in the
evening. A cafe near the depot will close for the summer. The owner said she would use the time to paint the walls. The
mayor promised that the city would publish the costs of the electric buses every year.
`;

const ARTICLE_SENTENCES = [
  'The city of Marlow will replace all of its diesel buses with electric buses by 2031.',
  'The council voted for the plan on Tuesday after a debate of four hours.',
  'Electric buses cost more to buy than diesel buses, but the city expects to save on fuel and repairs.',
  'The first twelve electric buses arrive in 2027 and will run on the ring line.',
  'Dr. Ines Varga, who leads the transport office, said that each electric bus saves about 40 tonnes of carbon dioxide a year.',
  'The depot in Harrow Street gets new chargers and a battery that stores power at night.',
  'Drivers will be trained for two weeks before they drive an electric bus.',
  'Tickets stay at the present price until the end of 2028.',
  'Some residents of Harrow Street fear the noise of the building work.',
  'They asked the council to stop work at eight in the evening.',
  'A cafe near the depot will close for the summer.',
  'The owner said she would use the time to paint the walls.',
  'The mayor promised that the city would publish the costs of the electric buses every year.',
];

let shared: Simulator;
beforeAll(async () => {
  shared = await startSimulator();
});
afterAll(() => shared.stop());
afterEach(async () => {
  await fetch(`${shared.url}/simulator/faults`, { method: 'DELETE' });
});

describe('prompt tokens are counted as the provider counts them', () => {
  /** The example of OpenAI's cookbook "How to count tokens with tiktoken", with the counts its API reported. */
  const jargon = [
    {
      role: 'system',
      content:
        'You are a helpful, pattern-following assistant that translates corporate jargon into plain English.',
    },
    { role: 'system', name: 'example_user', content: 'New synergies will help drive top-line growth.' },
    {
      role: 'system',
      name: 'example_assistant',
      content: 'Things working well together will increase revenue.',
    },
    {
      role: 'system',
      name: 'example_user',
      content:
        "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
    },
    {
      role: 'system',
      name: 'example_assistant',
      content: "Let's talk later when we're less busy about how to do better.",
    },
    {
      role: 'user',
      content: "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
  ];
  /** The example of OpenAI's API reference, with the 19 prompt tokens it shows. */
  const hello = [
    { role: 'system', content: 'You are a helpful assistant.' },
    { role: 'user', content: 'Hello!' },
  ];
  const image = { type: 'image_url', image_url: { url: 'https://example.com/cat.png' } };

  it.each<[what: string, model: string, messages: readonly object[], promptTokens: number]>([
    ['the cookbook example', 'gpt-4', jargon, 129],
    ['the cookbook example', 'gpt-3.5-turbo', jargon, 129],
    ['the cookbook example', 'gpt-4o', jargon, 124],
    ['the cookbook example', 'gpt-4o-mini', jargon, 124],
    ['the reference example', 'gpt-4o-mini', hello, 19],
    ['one short word', 'gpt-4o-mini', user('Hi'), 8],
    ['no content', 'gpt-4o-mini', [{ role: 'assistant', content: null }], 7],
    ['a text part', 'gpt-4o-mini', [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }], 8],
    ['an image', 'gpt-4o-mini', [{ role: 'user', content: [{ type: 'text', text: 'Hi' }, image] }], 93],
    ['Japanese', 'gpt-4o', user('お誕生日おめでとう'), 15],
    ['Japanese', 'gpt-4', user('お誕生日おめでとう'), 16],
    ['what looks like a special token', 'gpt-4o', user('<|endoftext|>'), 14],
  ])('%s for %s', async (_what, model, messages, promptTokens) => {
    const { usage } = await chat({ model, messages });
    expect(usage.prompt_tokens).toBe(promptTokens);
    expect(usage.total_tokens).toBe(promptTokens + usage.completion_tokens);
  });

  it.each<[input: string | string[], promptTokens: number]>([
    // The example of OpenAI's API reference for embeddings, with the count it shows.
    ['The food was delicious and the waiter...', 8],
    [['tiktoken is great!', 'Hi'], 7],
  ])('embedding %j', async (input, promptTokens) => {
    const { usage } = await embed({ model: 'text-embedding-3-small', input });
    expect(usage).toEqual({ prompt_tokens: promptTokens, total_tokens: promptTokens });
  });

  it('a text without spaces does not take quadratic time', async () => {
    const startedAt = performance.now();
    await chat({ model: 'gpt-4o', messages: user('ab'.repeat(100_000)) });
    // 0.2 s on a slow machine; 25 s if the encoder saw the run whole.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});

describe('an answer has the provider’s shape', () => {
  it('without a stream', async () => {
    const response = await post('/v1/chat/completions', { model: 'gpt-4o-mini', messages: user('Hi') });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
    expect(response.headers.get('openai-processing-ms')).toMatch(/^\d+$/);
    expect(await response.json()).toEqual({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
      object: 'chat.completion',
      created: expect.closeTo(Date.now() / 1000, -1),
      model: 'gpt-4o-mini-2024-07-18',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: expect.stringMatching(/“Hi”/),
            refusal: null,
            annotations: [],
          },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 8,
        completion_tokens: 17,
        total_tokens: 25,
        prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
        completion_tokens_details: {
          reasoning_tokens: 0,
          audio_tokens: 0,
          accepted_prediction_tokens: 0,
          rejected_prediction_tokens: 0,
        },
      },
      service_tier: 'default',
      system_fingerprint: expect.stringMatching(/^fp_[0-9a-f]{10}$/),
    });
  });

  it('with a stream that was asked for usage', async () => {
    const { chunks, ended } = await stream({ messages: user('Hi'), stream_options: { include_usage: true } });
    expect(ended).toBe(true);
    expect(chunks[0]?.choices).toEqual([
      {
        index: 0,
        delta: { role: 'assistant', content: '', refusal: null },
        logprobs: null,
        finish_reason: null,
      },
    ]);
    expect(chunks.at(-2)?.choices).toEqual([{ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }]);
    expect(chunks.at(-1)?.choices).toEqual([]);
    expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 8, completion_tokens: 17, total_tokens: 25 });
    expect(chunks.slice(0, -1).map(({ usage }) => usage)).toEqual(Array(19).fill(null));
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(new Set(chunks.map(({ model }) => model))).toEqual(new Set(['gpt-4o-mini-2024-07-18']));
  });

  it('with a stream that was not asked for usage', async () => {
    const { chunks, ended } = await stream({ messages: user('Hi') });
    expect(ended).toBe(true);
    expect(chunks).toHaveLength(19);
    expect(chunks.every((chunk) => chunk.choices.length === 1 && !('usage' in chunk))).toBe(true);
  });

  it.each([
    'Hi',
    'Wool 🧶 or 毛糸 or Ünïcödé?',
    `Please summarise this text.\n\n${'A cat sat on the mat by the door. '.repeat(9)}`,
  ])('a stream and a whole answer agree about %j', async (content) => {
    const whole = await chat({ messages: user(content) });
    const streamed = await stream({ messages: user(content), stream_options: { include_usage: true } });
    expect(streamed.content).toBe(whole.content);
    expect(streamed.chunks.at(-1)?.usage).toEqual(whole.usage);
  });

  it.each([
    ['gpt-4o-mini', 'gpt-4o-mini-2024-07-18'],
    ['gpt-4o', 'gpt-4o-2024-08-06'],
    ['gpt-4.1-mini', 'gpt-4.1-mini-2025-04-14'],
    ['gpt-4o-2024-11-20', 'gpt-4o-2024-11-20'],
    ['my-own-model', 'my-own-model'],
  ])('%s is answered by %s', async (model, answering) => {
    expect((await chat({ model, messages: user('Hi') })).model).toBe(answering);
  });

  it.each(['max_tokens', 'max_completion_tokens'])('%s cuts the answer', async (limit) => {
    const cut = await chat({ messages: user('Hi'), [limit]: 4 });
    expect(cut.content).toBe('This is a simulated');
    expect(cut.finishReason).toBe('length');
    expect(cut.usage.completion_tokens).toBe(4);
    const streamed = await stream({ messages: user('Hi'), [limit]: 4 });
    expect(streamed.content).toBe('This is a simulated');
    expect(streamed.chunks.at(-1)?.choices[0]?.finish_reason).toBe('length');
  });

  it('the models are listed', async () => {
    const body = await (await fetch(`${shared.apiUrl}/models`)).json();
    expect(body).toMatchObject({ object: 'list' });
    expect(JSON.stringify(body)).toContain('"id":"text-embedding-3-small","object":"model"');
  });

  it('health is answered', async () => {
    expect(await (await fetch(`${shared.url}/health`)).json()).toEqual({ status: 'ok' });
  });
});

describe('repeated prompt prefixes are counted as cached', () => {
  // `cat` and ` cat` are one token each; around the text of a user are 7 more, 4 of them before it.
  const cats = (count: number, then = ''): object[] => user(`cat${' cat'.repeat(count - 1)}${then}`);
  const dogs = (count: number): string => ' dog'.repeat(count);

  it.each<[what: string, first: object[], second: object[], cachedTokens: number]>([
    ['the same 1,307 tokens', cats(1300), cats(1300), 1280],
    ['the same 1,024 tokens', cats(1017), cats(1017), 1024],
    ['the same 1,023 tokens', cats(1016), cats(1016), 0],
    ['1,104 tokens in common', cats(1300), cats(1100, dogs(200)), 1024],
    ['1,154 tokens in common', cats(1300), cats(1150, dogs(200)), 1152],
    ['1,023 tokens in common', cats(1300), cats(1019, dogs(300)), 0],
    ['a conversation that went on', cats(1300), [...cats(1300), ...user('And then?')], 1280],
    ['another beginning', cats(1300), [{ role: 'system', content: 'Be brief.' }, ...cats(1300)], 0],
  ])('%s', async (_what, first, second, cachedTokens) => {
    const simulator = await start();
    const before = await chat({ messages: first }, simulator);
    const after = await chat({ messages: second }, simulator);
    expect(before.usage.prompt_tokens_details.cached_tokens).toBe(0);
    expect(after.usage.prompt_tokens_details.cached_tokens).toBe(cachedTokens);
    expect((await served(simulator)).calls.map((call) => call.cachedTokens)).toEqual([0, cachedTokens]);
  });

  it.each<[what: string, options: SimulatorOptions, first: string, second: string]>([
    ['by another model', {}, 'gpt-4o', 'gpt-4o-mini'],
    ['by models before gpt-4o', {}, 'gpt-4-turbo', 'gpt-4-turbo'],
    ['where the cache is off', { promptCache: false }, 'gpt-4o', 'gpt-4o'],
  ])('not %s', async (_what, options, first, second) => {
    const simulator = await start(options);
    await chat({ model: first, messages: cats(1300) }, simulator);
    const { usage } = await chat({ model: second, messages: cats(1300) }, simulator);
    expect(usage.prompt_tokens_details.cached_tokens).toBe(0);
  });

  it('a refused prompt is not remembered', async () => {
    const simulator = await start({ faults: [{ kind: 'server-error', times: 1 }] });
    await post('/v1/chat/completions', { model: 'gpt-4o', messages: cats(1300) }, {}, simulator);
    const { usage } = await chat({ model: 'gpt-4o', messages: cats(1300) }, simulator);
    expect(usage.prompt_tokens_details.cached_tokens).toBe(0);
  });
});

describe('a summary', () => {
  it.each<[what: string, messages: readonly object[]]>([
    ['the user asks for', user(`Please summarise the following article in a few sentences.\n\n${ARTICLE}`)],
    ['the system asks for', [{ role: 'system', content: 'You write summaries.' }, ...user(ARTICLE)]],
    ['is asked for below the text', user(`${ARTICLE}\n\nSummarize the article above.`)],
    ['is asked for in a later message', [...user(ARTICLE), ...user('Now give me a summary of that.')]],
    ['has the text in triple quotes', user(`Summarise the text in triple quotes.\n"""${ARTICLE}"""`)],
    ['has the text in tags', user(`<document>\n${ARTICLE}\n</document>\n\nSummarise the document.`)],
    ['is asked for in parts', [{ role: 'user', content: parts('Summarise this article:', ARTICLE) }]],
  ])('that %s is made of the text’s sentences in their order', async (_what, messages) => {
    const { content } = await chat({ messages });
    const found = ARTICLE_SENTENCES.filter((sentence) => content.includes(sentence));
    expect(found.join(' ')).toBe(content);
    expect(found.length).toBeGreaterThanOrEqual(2);
    expect(wordsIn(content)).toBeLessThanOrEqual(
      0.2 * ARTICLE_SENTENCES.map(wordsIn).reduce((a, b) => a + b, 0),
    );
  });

  it('says what the text is about', async () => {
    const { content } = await chat({ messages: user(`Summarise:\n\n${ARTICLE}`) });
    expect(content).toContain(
      'The city of Marlow will replace all of its diesel buses with electric buses by 2031.',
    );
    expect(content.toLowerCase()).toContain('electric buses');
  });

  it('never has more than 120 words', async () => {
    const long = Array.from(
      { length: 400 },
      (_, i) => `Engine ${i} of the fleet ran for ${i} hours without any fault.`,
    );
    const { content } = await chat({ messages: user(`Summarise this report.\n\n${long.join(' ')}`) });
    expect(wordsIn(content)).toBeGreaterThan(80);
    expect(wordsIn(content)).toBeLessThanOrEqual(120);
  });

  it('of several summaries takes from more than one', async () => {
    const first =
      'The harbour was deepened in spring so that larger ships can enter. The work cost nine million and took four ' +
      'months. Fishermen complained about the noise at night. The council paid them a small compensation for it. ' +
      'A second crane was ordered from a maker in Finland. It is to arrive before the winter.';
    const second =
      'Larger ships brought a third more cargo to the harbour than in the year before. Most of the cargo was timber and ' +
      'grain. The new railway line to the harbour opens in May. Trains will carry half of the timber from then on. ' +
      'The road through the old town is closed to trucks at the same time. Residents had asked for that for years.';
    const { content } = await chat({
      messages: user(
        `Combine these summaries into one summary.\n\nSummary 1: ${first}\n\nSummary 2: ${second}`,
      ),
    });
    const sentences = `${first} ${second}`.split(/(?<=\.) /);
    const found = sentences.filter((sentence) => content.includes(sentence));
    expect(found.join(' ')).toBe(content);
    expect(found.some((sentence) => first.includes(sentence))).toBe(true);
    expect(found.some((sentence) => second.includes(sentence))).toBe(true);
  });

  it('leaves out headings, tables and code, and does not end at an abbreviation', async () => {
    const water =
      'The pump lifts water from the river to the village, and the pump cleans the water of the river.';
    const text = [
      `# ${water}`,
      `| ${water} | 1 | 2 |`,
      `\`\`\`\n${water}\n\`\`\``,
      `${water}\n=====`,
      'Engineers came in the first week of May. The old well stays open for another year. Lunch was served below the trees.',
      '# Water\n| 1 | 2 |\nThe council thanked Dr. Okoro for a pump that lifts water from the river to the village.\nChildren sang.',
      'A second visit is planned for the winter. The new road was finished in March.',
    ].join('\n\n');
    const { content } = await chat({ messages: user(`Summarise this.\n\n${text}`) });
    expect(content).toBe(
      'The council thanked Dr. Okoro for a pump that lifts water from the river to the village.',
    );
  });

  it('keeps the order of the text, though the later sentence tells more', async () => {
    const sentences = [
      'Engineers came to the village in May.',
      'Lunch was served below the trees.',
      'The road was finished in March.',
      'Children sang for the guests all afternoon.',
      'The new pump lifts water from the river and a filter cleans the water of the river.',
      'Before there was a pump, water was carried from the river.',
      'They left before it was dark.',
      'They hope for another pump at the river.',
      'Nobody could say what the road had cost.',
      'The paper was sold out before noon.',
      'Somebody else asked the engineers for advice.',
      'The council will decide about it in June.',
      'Most of the old pipes were found to be broken.',
      'It is not known whether pipes for water can be bought nearby.',
      'A plumber from the coast has offered to look at them in autumn.',
      'Until then everyone is to boil what they drink.',
    ];
    const { content } = await chat({ messages: user(`Summarise this.\n\n${sentences.join('\n\n')}`) });
    expect(content).toBe(`${sentences[0]} ${sentences[4]}`);
  });

  it('is made of a text in backticks where there is no other', async () => {
    const text = 'The harbour was deepened in spring so that larger ships can enter.';
    const { content } = await chat({
      messages: user(`Summarise the text in backticks.\n\`\`\`${text}\`\`\``),
    });
    expect(content).toBe(text);
  });

  it('without a text says so', async () => {
    expect((await chat({ messages: user('Summarise.') })).content).toBe('There is no text to summarise.');
  });
});

describe('a question is answered by the sentence that fits best', () => {
  const passages =
    'Passages:\n[1] The invoice is due within thirty days of receipt. Late payment costs two percent a month.\n' +
    '[2] Support is reachable on weekdays from nine to five. A summary of open tickets is sent every month.';

  it.each([
    ['When is the invoice due?', 'The invoice is due within thirty days of receipt.'],
    ['What does late payment cost?', 'Late payment costs two percent a month.'],
    ['When is support reachable?', 'Support is reachable on weekdays from nine to five.'],
  ])('%s', async (question, answer) => {
    const system = { role: 'system', content: 'Answer the question from the passages only.' };
    const messages = [system, ...user(`${passages}\n\nQuestion: ${question}`)];
    expect((await chat({ messages })).content).toBe(answer);
    const passagesInSystem = [{ role: 'system', content: passages }, ...user(question)];
    expect((await chat({ messages: passagesInSystem })).content).toBe(answer);
  });

  it('and not by a direction to the model', async () => {
    const direction = 'Answer when the invoice is due, and answer only from the passages.';
    const messages = [
      { role: 'system', content: `${direction}\n\n${passages}` },
      ...user('When is the invoice due?'),
    ];
    expect((await chat({ messages })).content).toBe('The invoice is due within thirty days of receipt.');
  });

  it('and where none fits, by saying so', async () => {
    expect((await chat({ messages: user('Who won?') })).content).toBe(
      'This is a simulated answer, for nothing in the conversation says more about “Who won?”.',
    );
  });

  it('another simulator with another seed answers the same', async () => {
    const messages = user(`Summarise:\n\n${ARTICLE}`);
    const other = await start({ seed: 99 });
    expect((await chat({ messages }, other)).content).toBe((await chat({ messages })).content);
  });
});

describe('embeddings', () => {
  const model = 'text-embedding-3-small';

  it.each<[model: string, options: object, dimensions: number]>([
    [model, {}, 1536],
    ['text-embedding-3-large', {}, 3072],
    ['text-embedding-ada-002', {}, 1536],
    [model, { dimensions: 256 }, 256],
    [model, { dimensions: 1 }, 1],
  ])('of %s %j have length 1 in %i dimensions, the same each time', async (name, options, dimensions) => {
    const [first] = (await embed({ model: name, input: 'the price of tea', ...options })).vectors;
    const [again] = (await embed({ model: name, input: 'the price of tea', ...options })).vectors;
    expect(first).toHaveLength(dimensions);
    expect(again).toEqual(first);
    expect(Math.hypot(...(first ?? []))).toBeCloseTo(1, 6);
  });

  it('of similar texts are nearer than those of unrelated texts', async () => {
    const { vectors } = await embed({
      model,
      input: [
        'The invoice is due within thirty days of receipt.',
        'Invoices are due thirty days after receipt.',
        'Cats sleep for most of the afternoon.',
      ],
    });
    const [invoice = [], similar = [], unrelated = []] = vectors;
    expect(dot(invoice, similar)).toBeGreaterThan(0.7);
    expect(Math.abs(dot(invoice, unrelated))).toBeLessThan(0.2);
  });

  it('in base64 are the same numbers', async () => {
    const { vectors } = await embed({ model, input: ['tea', 'coffee'] });
    const response = await post('/v1/embeddings', {
      model,
      input: ['tea', 'coffee'],
      encoding_format: 'base64',
    });
    const { data } = z
      .object({ data: z.array(z.object({ embedding: z.string() })) })
      .parse(await response.json());
    const unpacked = data.map(({ embedding }) => {
      const bytes = Buffer.from(embedding, 'base64');
      return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
    });
    expect(unpacked).toEqual(vectors);
  });

  it('are given for tokens, and for a text of stop words or signs', async () => {
    const tokens = await embed({ model, input: [[1, 2, 3], [4]] });
    expect(tokens.vectors).toHaveLength(2);
    expect(tokens.usage.prompt_tokens).toBe(4);
    const { vectors } = await embed({ model, input: ['it is', '!!!'] });
    expect(vectors.map((vector) => Math.round(Math.hypot(...vector) * 1000))).toEqual([1000, 1000]);
  });
});

describe('what is refused, with the provider’s error body', () => {
  const hi = user('Hi');
  it.each<[what: string, path: string, body: unknown, status: number, error: object]>([
    ['no JSON', '/v1/chat/completions', '{', 400, { param: null, code: null }],
    ['no object', '/v1/chat/completions', '[]', 400, { param: null, code: null }],
    [
      'no model',
      '/v1/chat/completions',
      { messages: hi },
      400,
      { param: 'model', code: 'missing_required_parameter' },
    ],
    [
      'no messages',
      '/v1/chat/completions',
      { model: 'm' },
      400,
      { param: 'messages', code: 'missing_required_parameter' },
    ],
    [
      'an empty list',
      '/v1/chat/completions',
      { model: 'm', messages: [] },
      400,
      { param: 'messages', code: 'invalid_value' },
    ],
    [
      'a wrong role',
      '/v1/chat/completions',
      { model: 'm', messages: [...hi, { role: 'boss', content: 'Hi' }] },
      400,
      { param: 'messages[1].role', code: 'invalid_value' },
    ],
    [
      'two choices',
      '/v1/chat/completions',
      { model: 'm', messages: hi, n: 2 },
      400,
      { param: 'n', code: 'invalid_value' },
    ],
    [
      'stream options without a stream',
      '/v1/chat/completions',
      { model: 'm', messages: hi, stream_options: { include_usage: true } },
      400,
      { param: 'stream_options' },
    ],
    [
      'an unknown model',
      '/v1/chat/completions',
      { model: 'unknown-1', messages: hi },
      404,
      { param: 'model', code: 'model_not_found' },
    ],
    [
      'an embedding model',
      '/v1/chat/completions',
      { model: 'text-embedding-3-small', messages: hi },
      404,
      { param: 'model' },
    ],
    [
      'a prompt over the context',
      '/v1/chat/completions',
      { model: 'gpt-4', messages: user(' cat'.repeat(8_192)) },
      400,
      { param: 'messages', code: 'context_length_exceeded' },
    ],
    [
      'an empty input',
      '/v1/embeddings',
      { model: 'text-embedding-3-small', input: '' },
      400,
      { param: 'input' },
    ],
    [
      'too many dimensions',
      '/v1/embeddings',
      { model: 'text-embedding-3-small', input: 'a', dimensions: 1537 },
      400,
      { param: 'dimensions' },
    ],
    [
      'dimensions of an old model',
      '/v1/embeddings',
      { model: 'text-embedding-ada-002', input: 'a', dimensions: 8 },
      400,
      { param: 'dimensions' },
    ],
    ['a chat model', '/v1/embeddings', { model: 'gpt-4o', input: 'a' }, 403, { param: 'model' }],
    [
      'an unknown model',
      '/v1/embeddings',
      { model: 'unknown', input: 'a' },
      404,
      { code: 'model_not_found' },
    ],
    ['an unknown path', '/v1/completions', {}, 404, { code: 'unknown_url' }],
    ['a wrong method', '/v1/models', {}, 405, { code: 'method_not_supported' }],
  ])('%s (%s)', async (_what, path, body, status, error) => {
    const response = await post(path, body);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({
      error: {
        message: expect.stringMatching(/\w/),
        type: 'invalid_request_error',
        param: expect.toBeOneOf([null, expect.any(String)]),
        code: expect.toBeOneOf([null, expect.any(String)]),
        ...error,
      },
    });
  });

  it('a body over 8 MiB, and not one of 8 MiB', async () => {
    const bytesMax = 8 * 1024 * 1024;
    const empty = JSON.stringify({ model: 'gpt-4o', messages: hi, padding: '' });
    const largest = JSON.stringify({
      model: 'gpt-4o',
      messages: hi,
      padding: 'x'.repeat(bytesMax - empty.length),
    });
    expect((await post('/v1/chat/completions', largest)).status).toBe(200);
    const response = await post('/v1/chat/completions', `${largest} `);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({
      error: { type: 'invalid_request_error', code: 'request_too_large' },
    });
  });

  it.each<[what: string, headers: Record<string, string>, status: number, code: string | null]>([
    ['no key', {}, 401, null],
    ['a wrong key', { authorization: 'Bearer other' }, 401, 'invalid_api_key'],
    ['the key', { authorization: 'Bearer right' }, 200, null],
  ])('%s where one is required', async (_what, headers, status, code) => {
    const simulator = await start({ apiKey: 'right' });
    const response = await post('/v1/chat/completions', { model: 'm', messages: hi }, headers, simulator);
    expect(response.status).toBe(status);
    if (status === 401) {
      expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error', code } });
    }
    expect((await fetch(`${simulator.apiUrl}/models`, { headers })).status).toBe(status);
    expect((await served(simulator)).calls).toMatchObject([
      { status, billed: status === 200, outcome: status === 200 ? 'answered' : 'refused' },
    ]);
  });
});

describe('a fault asked for by the request is what its client sees and what is counted', () => {
  const body = { model: 'gpt-4o-mini', messages: user('Hi') };
  const streamBody = { ...body, stream: true, stream_options: { include_usage: true } };
  const embeddingsBody = { model: 'text-embedding-3-small', input: 'Hi' };
  const whole = { billed: true, promptTokens: 8, completionTokens: 17 };
  const nothing = { billed: false, promptTokens: 0, completionTokens: 0 };
  // A stream of `Hi` has 20 events: the role, 17 pieces of text, the finish reason, the usage. Cut half-way, the role and
  // 9 pieces were sent.
  const half = { billed: true, promptTokens: 8, completionTokens: 9 };

  it.each<[fault: string, request: object, seen: object, entry: object]>([
    ['latency=1', body, { status: 200, end: 'whole', usage: true }, { ...whole, outcome: 'answered' }],
    [
      'rate-limit=1500',
      body,
      { status: 429, retryAfter: '2' },
      { ...nothing, outcome: 'refused', status: 429 },
    ],
    ['server-error', body, { status: 500 }, { ...nothing, outcome: 'refused', status: 500 }],
    ['server-error=503', streamBody, { status: 503 }, { ...nothing, outcome: 'refused', status: 503 }],
    ['unauthorized', body, { status: 401 }, { ...nothing, outcome: 'refused', status: 401 }],
    ['drop=before-work', body, { status: 'none' }, { ...nothing, outcome: 'dropped', status: undefined }],
    ['drop=before-answer', body, { status: 'none' }, { ...whole, outcome: 'dropped', status: undefined }],
    [
      'drop=before-answer',
      streamBody,
      { status: 'none' },
      { ...whole, outcome: 'dropped', status: undefined },
    ],
    [
      'drop=after-headers',
      body,
      { status: 200, end: 'broken' },
      { ...whole, outcome: 'dropped', status: 200 },
    ],
    [
      'drop=after-headers',
      streamBody,
      { status: 200, end: 'broken', pieces: 0 },
      { billed: true, promptTokens: 8, completionTokens: 0, outcome: 'dropped', status: 200 },
    ],
    ['drop=mid-body', body, { status: 200, end: 'broken' }, { ...whole, outcome: 'dropped', status: 200 }],
    [
      'drop=mid-body',
      streamBody,
      { status: 200, end: 'broken', pieces: 9 },
      { ...half, outcome: 'dropped', status: 200 },
    ],
    [
      'drop=mid-body',
      embeddingsBody,
      { status: 200, end: 'broken' },
      { billed: true, promptTokens: 1, completionTokens: 0, outcome: 'dropped', status: 200 },
    ],
    [
      'truncate-stream',
      streamBody,
      { status: 200, end: 'no [DONE]', pieces: 9, usage: false },
      { ...half, outcome: 'truncated' },
    ],
    ['broken-json', body, { status: 200, end: 'bad JSON' }, { ...whole, outcome: 'answered' }],
    ['broken-json', streamBody, { status: 200, end: 'bad JSON' }, { ...whole, outcome: 'answered' }],
    ['no-usage', body, { status: 200, end: 'whole', usage: false }, { ...whole, outcome: 'answered' }],
    [
      'no-usage',
      streamBody,
      { status: 200, end: 'whole', usage: false, pieces: 17 },
      { ...whole, outcome: 'answered' },
    ],
    [
      'no-usage',
      embeddingsBody,
      { status: 200, end: 'whole', usage: false },
      { billed: true, promptTokens: 1, outcome: 'answered' },
    ],
    ['hang', body, { status: 'none' }, { ...whole, outcome: 'hung', status: undefined }],
    ['hang', streamBody, { status: 'none' }, { ...whole, outcome: 'hung', status: undefined }],
  ])('%s %j', async (fault, request, seen, entry) => {
    const simulator = await start();
    expect(await observe(request, fault, simulator)).toMatchObject(seen);
    const { calls, inFlight } = await served(simulator);
    expect(calls).toHaveLength(1);
    expect({ status: undefined, ...calls[0] }).toMatchObject({
      faults: [fault === 'server-error' ? 'server-error=500' : fault],
      ...entry,
    });
    expect(inFlight).toBe(0);
  });

  it('latency delays the answer, a token delay each piece of a stream', async () => {
    let startedAt = performance.now();
    await observe(body, 'latency=150+50', shared);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(149);
    startedAt = performance.now();
    await observe(streamBody, 'token-delay=10', shared);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(17 * 9);
  });

  it('JSON is understood, several faults are combined, and one for streams passes other calls by', async () => {
    const simulator = await start();
    const fault = JSON.stringify([
      { kind: 'latency', ms: 1 },
      { kind: 'no-usage' },
      { kind: 'truncate-stream' },
    ]);
    expect(await observe(body, fault, simulator)).toMatchObject({ end: 'whole', usage: false });
    expect((await served(simulator)).calls[0]?.faults).toEqual(['latency=1', 'no-usage']);
  });

  it.each([
    'melt',
    'latency',
    'latency=fast',
    'server-error=200',
    'drop=later',
    '{"kind":"hang","for":1}',
    '{',
  ])('%s is no fault and refused', async (fault) => {
    const response = await post('/v1/chat/completions', body, { 'x-simulator-fault': fault });
    expect(response.status).toBe(400);
  });
});

describe('fault rules', () => {
  const statuses = async (count: number, tag?: string): Promise<number[]> => {
    const seen: number[] = [];
    for (let i = 0; i < count; i += 1) {
      const headers = tag === undefined ? {} : { 'x-simulator-tag': tag };
      seen.push(
        (await post('/v1/chat/completions', { model: 'gpt-4o-mini', messages: user('Hi') }, headers)).status,
      );
    }
    return seen;
  };

  it('apply so many times, one after the other', async () => {
    await addRules([
      { kind: 'rate-limit', times: 2 },
      { kind: 'server-error', status: 502, times: 1 },
    ]);
    expect(await statuses(5)).toEqual([429, 429, 502, 200, 200]);
    const state = await (await fetch(`${shared.url}/simulator/faults`)).json();
    expect(state).toEqual({
      seed: 1,
      rules: [
        { kind: 'rate-limit', retryAfterMs: 1000, times: 2, applied: 2 },
        { kind: 'server-error', status: 502, times: 1, applied: 1 },
      ],
    });
  });

  it('with a probability fall on the same calls for the same seed', async () => {
    const rules = [{ kind: 'server-error', probability: 0.3 }];
    await addRules(rules, 7);
    const first = await statuses(40);
    await addRules(rules, 7);
    expect(await statuses(40)).toEqual(first);
    await addRules(rules, 8);
    expect(await statuses(40)).not.toEqual(first);
    expect(first.filter((status) => status === 500).length).toBeGreaterThan(4);
    expect(first.filter((status) => status === 500).length).toBeLessThan(21);
  });

  it.each<[what: string, condition: object, met: boolean]>([
    ['the requested model', { model: 'gpt-4o-mini' }, true],
    ['the answering model', { model: 'gpt-4o-mini-2024-07-18' }, true],
    ['another model', { model: 'gpt-4o' }, false],
    ['the endpoint', { endpoint: 'chat.completions' }, true],
    ['another endpoint', { endpoint: 'embeddings' }, false],
    ['the tag', { tag: 'mine' }, true],
    ['another tag', { tag: 'yours' }, false],
  ])('with %s', async (_what, condition, met) => {
    await addRules([{ kind: 'server-error', ...condition }]);
    expect(await statuses(1, 'mine')).toEqual([met ? 500 : 200]);
  });

  it('for streams are not used up by other calls', async () => {
    await addRules([{ kind: 'truncate-stream', times: 1 }]);
    expect((await chat({ messages: user('Hi') })).finishReason).toBe('stop');
    expect((await stream({ messages: user('Hi') })).ended).toBe(false);
    expect((await stream({ messages: user('Hi') })).ended).toBe(true);
  });

  it('are removed by DELETE', async () => {
    await addRules([{ kind: 'server-error' }]);
    await fetch(`${shared.url}/simulator/faults`, { method: 'DELETE' });
    expect(await statuses(1)).toEqual([200]);
  });

  it('come after the fault that a request asks for, and are not used up by it', async () => {
    await addRules([{ kind: 'server-error', times: 1 }]);
    const limited = await post(
      '/v1/chat/completions',
      { model: 'm', messages: user('Hi') },
      { 'x-simulator-fault': 'rate-limit' },
    );
    expect([limited.status, ...(await statuses(2))]).toEqual([429, 500, 200]);
  });

  it('can be configured', async () => {
    const simulator = await start({ faults: [{ kind: 'drop', at: 'before-work', times: 1 }] });
    const request = { model: 'm', messages: user('Hi') };
    await expect(post('/v1/chat/completions', request, {}, simulator)).rejects.toThrow();
    expect((await post('/v1/chat/completions', request, {}, simulator)).status).toBe(200);
  });

  it.each<[what: string, body: object]>([
    ['an unknown kind', { rules: [{ kind: 'melt' }] }],
    ['an unknown member', { rules: [{ kind: 'hang', often: true }] }],
    ['a probability over 1', { rules: [{ kind: 'hang', probability: 2 }] }],
    ['too many', { rules: Array(101).fill({ kind: 'hang' }) }],
  ])('are refused: %s', async (_what, body) => {
    expect((await post('/simulator/faults', body)).status).toBe(400);
  });
});

describe('the count of served calls', () => {
  it('is exact for 200 parallel calls', async () => {
    const simulator = await start();
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        chat({ model: i % 2 === 0 ? 'gpt-4o' : 'gpt-4o-mini', messages: user(`Hi ${i}`) }, simulator),
      ),
    );
    const { sums, models, calls, inFlight } = await served(simulator);
    const total = (count: (usage: z.output<typeof USAGE>) => number): number =>
      answers.reduce((sum, { usage }) => sum + count(usage), 0);
    expect(sums).toMatchObject({
      calls: 200,
      billedCalls: 200,
      promptTokens: total((usage) => usage.prompt_tokens),
      completionTokens: total((usage) => usage.completion_tokens),
      outcomes: { answered: 200, dropped: 0, truncated: 0, refused: 0, hung: 0 },
    });
    expect(Object.keys(models).sort()).toEqual(['gpt-4o-2024-08-06', 'gpt-4o-mini-2024-07-18']);
    expect(Object.values(models).map((model) => model.calls)).toEqual([100, 100]);
    expect(inFlight).toBe(0);
    expect(calls.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    expect(new Set(calls.map(({ responseId }) => responseId))).toEqual(new Set(answers.map(({ id }) => id)));
  });

  it('tells of each call what the client was told', async () => {
    const simulator = await start({ now: () => Date.UTC(2026, 10, 24, 12) });
    const response = await post(
      '/v1/chat/completions',
      { model: 'gpt-4o-mini', messages: user('Hi') },
      { 'x-simulator-tag': 'run 7' },
      simulator,
    );
    const { id } = z.object({ id: z.string() }).parse(await response.json());
    const body = await (await fetch(`${simulator.url}/simulator/served`)).json();
    expect(body).toMatchObject({
      calls: [
        {
          sequence: 1,
          requestId: response.headers.get('x-request-id'),
          responseId: id,
          endpoint: 'chat.completions',
          requestedModel: 'gpt-4o-mini',
          model: 'gpt-4o-mini-2024-07-18',
          status: 200,
          billed: true,
          promptTokens: 8,
          cachedTokens: 0,
          completionTokens: 17,
          stream: false,
          startedAt: '2026-11-24T12:00:00.000Z',
          finishedAt: '2026-11-24T12:00:00.000Z',
          outcome: 'answered',
          faults: [],
          tag: 'run 7',
        },
      ],
    });
  });

  it('bills a client that leaves a stream for what it was sent', async () => {
    const simulator = await start({ tokenDelayMs: 200 });
    const leaving = new AbortController();
    const response = await fetch(`${simulator.apiUrl}/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'gpt-4o', messages: user('Hi'), stream: true }),
      signal: leaving.signal,
    });
    let received = '';
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    while (piecesIn(received) < 3) {
      const read = await reader?.read();
      if (read?.done !== false) throw new Error('the stream ended early');
      received += read.value;
    }
    expect((await served(simulator)).inFlight).toBe(1);
    leaving.abort();
    const [call] = await servedCalls(simulator, 1);
    expect(call).toMatchObject({ outcome: 'dropped', status: 200, billed: true, promptTokens: 8 });
    expect(call?.completionTokens).toBeGreaterThanOrEqual(3);
    expect(call?.completionTokens).toBeLessThan(17);
  });

  it('bills a client that leaves before its answer for the whole work', async () => {
    const simulator = await start({ latencyMs: 5_000 });
    await expect(
      fetch(`${simulator.apiUrl}/chat/completions`, {
        method: 'POST',
        body: JSON.stringify({ model: 'gpt-4o', messages: user('Hi') }),
        signal: AbortSignal.timeout(200),
      }),
    ).rejects.toThrow();
    expect(await servedCalls(simulator, 1)).toMatchObject([
      { outcome: 'dropped', billed: true, promptTokens: 8, completionTokens: 17 },
    ]);
  });

  it('keeps the last calls one by one and all in the sums', async () => {
    const simulator = await start({ servedCallsMax: 5 });
    for (let i = 0; i < 12; i += 1) await chat({ messages: user('Hi') }, simulator);
    const all = await served(simulator);
    expect(all.calls.map(({ sequence }) => sequence)).toEqual([8, 9, 10, 11, 12]);
    expect(all.sums).toMatchObject({ calls: 12, promptTokens: 96 });
    const page = await served(simulator, '?after=9&limit=2');
    expect(page.calls.map(({ sequence }) => sequence)).toEqual([10, 11]);
  });

  it('begins again after DELETE', async () => {
    const simulator = await start();
    await chat({ messages: user('Hi') }, simulator);
    await fetch(`${simulator.url}/simulator/served`, { method: 'DELETE' });
    expect(await served(simulator)).toMatchObject({
      inFlight: 0,
      sums: { calls: 0, promptTokens: 0 },
      models: {},
      calls: [],
    });
    await chat({ messages: user('Hi') }, simulator);
    expect((await served(simulator)).calls).toMatchObject([{ sequence: 1 }]);
  });
});

describe('stopping', () => {
  it('lets a call under way finish and does not wait longer than it takes', async () => {
    const simulator = await startSimulator({ latencyMs: 200 });
    const answered = chat({ messages: user('Hi') }, simulator);
    await until(async () => (await served(simulator)).inFlight === 1);
    const startedAt = performance.now();
    await simulator.stop();
    expect(performance.now() - startedAt).toBeLessThan(900);
    expect((await answered).usage.prompt_tokens).toBe(8);
    await expect(fetch(`${simulator.url}/health`)).rejects.toThrow();
  });

  it('takes about a second with hung connections, and can be asked for twice', async () => {
    const simulator = await startSimulator({ faults: [{ kind: 'hang' }] });
    const hung = Array.from({ length: 10 }, () =>
      chat({ messages: user('Hi') }, simulator).catch(() => 'broken'),
    );
    await servedCalls(simulator, 10);
    const startedAt = performance.now();
    await Promise.all([simulator.stop(), simulator.stop()]);
    expect(performance.now() - startedAt).toBeLessThan(2_500);
    expect(await Promise.all(hung)).toEqual(Array(10).fill('broken'));
  });
});

describe('the process', () => {
  it('says in one line that it is ready, obeys its environment, logs no text, and stops when told', async () => {
    const run = runMain({
      SIMULATOR_API_KEY: 'right',
      SIMULATOR_FAULTS: 'server-error=503',
      SIMULATOR_SEED: '5',
    });
    await until(async () => run.stdout().includes('\n'));
    const ready = z.object({ url: z.string() }).parse(JSON.parse(run.stdout()));
    expect(JSON.parse(run.stdout())).toEqual({
      level: 'info',
      time: expect.any(Number),
      msg: 'simulator ready',
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/v1$/),
    });
    for (const [key, body, status] of [
      ['wrong', JSON.stringify({ model: 'm', messages: user('confidential') }), 401],
      ['right', JSON.stringify({ model: 'm', messages: user('confidential') }), 503],
      ['right', '{"messages": confidential', 400],
    ] as const) {
      const response = await fetch(`${ready.url}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body,
      });
      expect(response.status).toBe(status);
      expect(await response.text()).not.toContain('confidential');
    }
    const report = await fetch(ready.url.replace('/v1', '/simulator/served'));
    expect(await report.text()).not.toContain('confidential');
    run.child.kill('SIGTERM');
    expect(await run.exit).toBe(0);
    expect(run.stdout().trim().split('\n')).toHaveLength(1);
    expect(run.stderr()).toBe('');
  });

  it.each<[name: string, value: string]>([
    ['SIMULATOR_PORT', '99999'],
    ['SIMULATOR_LATENCY_MS', 'soon'],
    ['SIMULATOR_PROMPT_CACHE', 'maybe'],
    ['SIMULATOR_FAULTS', 'melt'],
  ])('does not start with %s=%s', async (name, value) => {
    const run = runMain({ [name]: value });
    expect(await run.exit).toBe(1);
    expect(run.stdout()).toBe('');
    expect(z.object({ problems: z.array(z.string()) }).parse(JSON.parse(run.stderr())).problems).toEqual([
      expect.stringMatching(new RegExp(`^${name}: `)),
    ]);
  });
});

const USAGE = z.object({
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
  total_tokens: z.number(),
  prompt_tokens_details: z.looseObject({ cached_tokens: z.number() }),
  completion_tokens_details: z.looseObject({ reasoning_tokens: z.number() }),
});
const COMPLETION = z.object({
  id: z.string(),
  model: z.string(),
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }), finish_reason: z.string() })]),
  usage: USAGE,
});
const CHUNK = z.object({
  id: z.string(),
  model: z.string(),
  choices: z.array(
    z.looseObject({
      delta: z.looseObject({ content: z.string().optional() }),
      finish_reason: z.string().nullable(),
    }),
  ),
  usage: USAGE.nullish(),
});
const SUMS = z.object({
  calls: z.number(),
  billedCalls: z.number(),
  promptTokens: z.number(),
  cachedTokens: z.number(),
  completionTokens: z.number(),
  outcomes: z.record(z.string(), z.number()),
});
const SERVED = z.object({
  inFlight: z.number(),
  sums: SUMS,
  models: z.record(z.string(), SUMS),
  calls: z.array(
    z.looseObject({
      sequence: z.number(),
      responseId: z.string().optional(),
      outcome: z.string(),
      faults: z.array(z.string()),
      promptTokens: z.number(),
      cachedTokens: z.number(),
      completionTokens: z.number(),
    }),
  ),
});

async function start(options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await startSimulator(options);
  onTestFinished(() => simulator.stop());
  return simulator;
}

function post(
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
  simulator: Simulator = shared,
): Promise<Response> {
  return fetch(simulator.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

async function chat(request: object, simulator: Simulator = shared) {
  const response = await post('/v1/chat/completions', { model: 'gpt-4o-mini', ...request }, {}, simulator);
  const { id, model, choices, usage } = COMPLETION.parse(await response.json());
  return { id, model, content: choices[0].message.content, finishReason: choices[0].finish_reason, usage };
}

async function stream(request: object) {
  const response = await post('/v1/chat/completions', { model: 'gpt-4o-mini', stream: true, ...request });
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const lines = dataLines(await response.text());
  const chunks = lines.filter((line) => line !== '[DONE]').map((line) => CHUNK.parse(JSON.parse(line)));
  const content = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
  return { chunks, content, ended: lines.at(-1) === '[DONE]' };
}

async function embed(request: object) {
  const response = await post('/v1/embeddings', request);
  const body = z
    .object({
      object: z.literal('list'),
      data: z.array(
        z.object({ object: z.literal('embedding'), index: z.number(), embedding: z.array(z.number()) }),
      ),
      usage: z.object({ prompt_tokens: z.number(), total_tokens: z.number() }),
    })
    .parse(await response.json());
  expect(body.data.map(({ index }) => index)).toEqual(body.data.map((_, index) => index));
  return { vectors: body.data.map(({ embedding }) => embedding), usage: body.usage };
}

/** What a client with a deadline sees of one call that meets a fault. */
async function observe(request: object, fault: string, simulator: Simulator): Promise<object> {
  const path = 'input' in request ? '/embeddings' : '/chat/completions';
  let received = '';
  let response: Response;
  try {
    response = await fetch(simulator.apiUrl + path, {
      method: 'POST',
      headers: { 'x-simulator-fault': fault },
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(fault === 'hang' ? 1_500 : 10_000),
    });
  } catch {
    return { status: 'none' };
  }
  const { status, headers } = response;
  if (status !== 200) return { status, retryAfter: headers.get('retry-after') };
  try {
    for await (const text of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream()))
      received += text;
  } catch {
    return { status, end: 'broken', pieces: piecesIn(received) };
  }
  const usage = received.includes('"usage":{');
  const lines = dataLines(received);
  const texts = lines.length === 0 ? [received] : lines.filter((line) => line !== '[DONE]');
  if (!texts.every(isJson)) return { status, end: 'bad JSON' };
  const end = lines.length === 0 || lines.at(-1) === '[DONE]' ? 'whole' : 'no [DONE]';
  return { status, end, usage, pieces: piecesIn(received) };
}

function dataLines(text: string): string[] {
  return text
    .split('\n\n')
    .flatMap((event) => (event.startsWith('data: ') ? [event.slice('data: '.length)] : []));
}

/** How many events carry a piece of text. */
function piecesIn(text: string): number {
  return dataLines(text).filter((line) => line.includes('"delta":{"content":')).length;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function served(simulator: Simulator, query = '') {
  return SERVED.parse(await (await fetch(`${simulator.url}/simulator/served${query}`)).json());
}

async function servedCalls(simulator: Simulator, count: number) {
  await until(async () => (await served(simulator)).calls.length >= count);
  return (await served(simulator)).calls;
}

async function addRules(rules: readonly object[], seed?: number): Promise<void> {
  expect((await post('/simulator/faults', { rules, seed })).status).toBe(200);
}

/** Waits for a condition; a test never sleeps for luck. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('the condition did not come true in time');
    await sleep(10);
  }
}

function runMain(environment: Record<string, string>) {
  const main = fileURLToPath(new URL('../services/simulator/main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', main], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const exit = once(child, 'close').then(([code]: unknown[]) => code);
  return { child, stdout: () => stdout, stderr: () => stderr, exit };
}

function user(content: string): object[] {
  return [{ role: 'user', content }];
}

function parts(...texts: string[]): object[] {
  return texts.map((text) => ({ type: 'text', text }));
}

function wordsIn(text: string): number {
  return text.split(/\s+/).filter((word) => word !== '').length;
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
}
