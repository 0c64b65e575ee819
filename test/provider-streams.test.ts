import { Stream as AnthropicStream } from '@anthropic-ai/sdk/core/streaming';
import { Stream as OpenAiStream } from 'openai/core/streaming';
import { describe, expect, test } from 'vitest';
import {
  EventSplitter,
  EventTooLarge,
  partText,
  type StreamPart,
} from '../services/providers/event-stream.js';
import type { StreamEvent, StreamStep } from '../services/providers/provider-contract.js';
import { addMember } from '../services/providers/provider-wire.js';
import { plainUnits, type StreamFixture, streamFixtures, wireFor } from './support/provider-fixtures.js';

const FIXTURES = streamFixtures().map((fixture) => [fixture.name, fixture] as const);

describe('a stream', () => {
  test.each(FIXTURES)('of %s is read: usage, and where the result rides', (_name, fixture) => {
    const { events: count, resultOn, dropped, order, ...facts } = fixture.expected;
    const events = eventsOf(split([fixture.bytes]));
    expect(events).toHaveLength(count);
    const { steps, answer } = run(fixture, events);

    const sent = steps.flatMap(({ forward, result, afterResult }) => [
      ...forward,
      ...(result === undefined ? [] : [result]),
      ...(afterResult ?? []),
    ]);
    const expected = (order ?? events.map((_, index) => index))
      .filter((index) => !dropped.includes(index))
      .map((index) => events[index]);
    expect(sent).toEqual(expected.map((event) => event && asAsked(fixture, event)));

    const results = steps.flatMap(({ result }) => result ?? []);
    const carrier = resultOn === null ? undefined : events[resultOn];
    expect(results).toEqual(carrier === undefined ? [] : [asAsked(fixture, carrier)]);
    expect(answer).toEqual(facts);
  });

  test.each(FIXTURES)('of %s is the same wherever its bytes are cut', (_name, fixture) => {
    const { bytes } = fixture;
    const whole = split([bytes]);
    const steps = run(fixture, eventsOf(whole));
    for (let cut = 1; cut < bytes.length; cut += 1) {
      expect(split([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole);
    }
    const single = split(Array.from(bytes, (_, index) => bytes.subarray(index, index + 1)));
    expect(single).toEqual(whole);
    expect(run(fixture, eventsOf(single))).toEqual(steps);
  });

  test.each(FIXTURES)('of %s is the same with other ends of lines', (_name, { bytes }) => {
    const text = bytes.toString('utf8');
    const whole = split([bytes]);
    for (const [end, mark] of [
      ['\r\n', ''],
      ['\r', ''],
      ['\n', '\ufeff'],
    ] as const) {
      const other = Buffer.from(mark + text.replaceAll('\n', end));
      expect(split([other])).toEqual(whole);
      expect(split(Array.from(other, (_, index) => other.subarray(index, index + 1)))).toEqual(whole);
    }
  });

  test.each(FIXTURES)('of %s can be cut behind any event', (_name, fixture) => {
    const events = eventsOf(split([fixture.bytes]));
    for (let cut = 0; cut <= events.length; cut += 1) {
      const { steps, answer } = run(fixture, events.slice(0, cut));
      const settling = steps.filter(({ afterResult }) => afterResult !== undefined);
      expect(settling.length).toBeLessThanOrEqual(1);
      for (const { result, afterResult } of steps) {
        if (result !== undefined) expect(afterResult).toBeDefined();
      }
      const sent = steps.reduce((sum, step) => sum + sentBy(step), 0);
      const dropped = fixture.expected.dropped.filter((index) => index < cut).length;
      expect(sent).toBe(cut - dropped);
      expect(answer.unitsBasis).not.toBe('unknown');
      if (cut < events.length - 2) expect(answer.complete).toBe(false);
    }
  });

  test.each(FIXTURES)('of %s holds back no more than the newest chunk', (_name, fixture) => {
    let waiting = 0;
    for (const step of run(fixture, eventsOf(split([fixture.bytes]))).steps) {
      waiting += 1 - sentBy(step);
      // The chunk that may carry the result, and what is behind it and is no chunk.
      expect(waiting).toBeLessThanOrEqual(3);
    }
  });
});

describe("the provider's own client", () => {
  const carried = FIXTURES.filter(([, { expected }]) => expected.resultOn !== null);
  test.each(carried)('reads %s to its end, and the result with it', async (_name, fixture) => {
    const { steps } = run(fixture, eventsOf(split([fixture.bytes])));
    const text = steps
      .flatMap(({ forward, result, afterResult }) => [
        ...forward,
        ...(result === undefined
          ? []
          : [{ ...result, data: addMember(result.data, 'xproxy_result', RESULT) }]),
        ...(afterResult ?? []),
      ])
      .map((event) => partText({ event }))
      .join('');
    const Stream = fixture.provider === 'openai' ? OpenAiStream : AnthropicStream;
    const read: unknown[] = [];
    const reading = async () => {
      const stream = Stream.fromSSEResponse<unknown>(new Response(text), new AbortController());
      for await (const each of stream) read.push(each);
    };
    const { events, resultOn, failed } = fixture.expected;
    // The client throws an event with an error; the body of what it throws is that error, so the result is not seen.
    const throws = failed === true && (fixture.provider === 'anthropic' || text.includes('data: {"error":'));
    if (throws) await expect(reading()).rejects.toThrow();
    else await reading();
    const results = read.filter((each) => JSON.stringify(each).includes('xproxy_result'));
    const ridesOnError = throws && resultOn === events - 1;
    expect(results).toEqual(
      ridesOnError ? [] : [expect.objectContaining({ xproxy_result: JSON.parse(RESULT) })],
    );
  });
});

describe('what a stream used that was cut', () => {
  const chat = fixtureNamed('openai-chat');
  const message = fixtureNamed('anthropic-messages');
  test.each([
    [chat, 0, { text: { input: 19, output: 0 } }, 'estimated'],
    [chat, 2, { text: { input: 19, output: 1 } }, 'estimated'],
    [chat, 3, { text: { input: 19, output: 6 } }, 'estimated'],
    [chat, 5, { text: { input: 15, output: 10 }, text_cache_read: { input: 4, output: 0 } }, 'reported'],
    [message, 0, { text: { input: 6, output: 0 } }, 'estimated'],
    [message, 1, { text: { input: 25, output: 1 } }, 'estimated'],
    [message, 5, { text: { input: 25, output: 2 } }, 'estimated'],
    [message, 7, { text: { input: 25, output: 15 } }, 'reported'],
  ] as const)('is counted from what was seen (%#)', (fixture, events, units, unitsBasis) => {
    const { answer } = run(fixture, eventsOf(split([fixture.bytes])).slice(0, events));
    expect(answer).toMatchObject({ units, unitsBasis });
  });

  test('has the searches of the OpenAI tools that were over', () => {
    const done = (item: object): StreamEvent => ({
      data: JSON.stringify({ type: 'response.output_item.done', item }),
    });
    const { stream } = openStream('openai', 'responses');
    for (const action of ['search', 'search', 'open_page']) {
      stream.push(done({ type: 'web_search_call', status: 'completed', action: { type: action } }));
    }
    stream.push(done({ type: 'file_search_call', status: 'completed' }));
    stream.end();
    expect(plainUnits(stream.answer().units)).toMatchObject({
      web_search_request: { input: 0, output: 2 },
      storage_search_request: { input: 0, output: 1 },
    });
  });

  test('has the searches of the Anthropic tool that were not refused', () => {
    const block = (content_block: object): StreamEvent => ({
      data: JSON.stringify({ type: 'content_block_start', index: 0, content_block }),
    });
    const { stream } = openStream('anthropic', 'messages');
    const message = { id: 'm', model: 'claude-sonnet-4-5', usage: { input_tokens: 9, output_tokens: 1 } };
    stream.push({ data: JSON.stringify({ type: 'message_start', message }) });
    const page = {
      type: 'web_search_result',
      title: 'A long title of many words',
      url: 'https://example.com',
    };
    stream.push(block({ type: 'web_search_tool_result', content: [page] }));
    const refused = { type: 'web_search_tool_result_error', error_code: 'unavailable' };
    stream.push(block({ type: 'web_search_tool_result', content: refused }));
    stream.end();
    const { units, unitsBasis } = stream.answer();
    expect([plainUnits(units), unitsBasis]).toEqual([
      { text: { input: 9, output: 1 }, web_search_request: { input: 0, output: 1 } },
      'estimated',
    ]);
  });

  test.each([
    [
      'openai',
      'chat/completions',
      [
        { choices: [{ index: 0, delta: { content: 'One two three' } }] },
        { choices: [], usage: { prompt_tokens: 7, completion_tokens: 0 } },
      ],
    ],
    [
      'openai',
      'responses',
      [
        {
          type: 'response.completed',
          response: {
            output: [{ type: 'message', content: [{ type: 'output_text', text: 'One two three' }] }],
            usage: { input_tokens: 7 },
          },
        },
      ],
    ],
    [
      'anthropic',
      'messages',
      [
        { type: 'message_start', message: { usage: { input_tokens: 7, output_tokens: 0 } } },
        { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'One two three' } },
        { type: 'message_delta', delta: {}, usage: { output_tokens: 0 } },
        { type: 'message_stop' },
      ],
    ],
  ] as const)('is no zero beside a text (%s %s)', (provider, path, events) => {
    const { stream } = openStream(provider, path);
    for (const event of events) stream.push({ data: JSON.stringify(event) });
    stream.end();
    const { units, unitsBasis, complete } = stream.answer();
    expect([plainUnits(units), unitsBasis, complete]).toEqual([
      { text: { input: 7, output: 3 } },
      'estimated',
      true,
    ]);
  });

  test('grows with a long answer of which the end is not kept', () => {
    const { answer } = run(chat, Array<StreamEvent>(20_000).fill(chunk(' wonderful words')));
    expect(answer.units?.text?.output).toBeGreaterThan(39_000);
    expect(answer.units?.text?.output).toBeLessThan(41_000);
  });

  test('is counted again when more has come', () => {
    const stream = wireFor(chat).openStream(wireFor(chat).readRequest(chat.request));
    stream.push(chunk('Hello'));
    expect(plainUnits(stream.answer().units)?.text?.output).toBe(1);
    stream.push(chunk(' world'));
    expect(plainUnits(stream.answer().units)?.text?.output).toBe(2);
  });

  test('is the sum of all images, and the result rides on the last', () => {
    const images = fixtureNamed('openai-images');
    const whole = eventsOf(split([images.bytes])).at(-1) ?? chunk('');
    const { steps, answer } = run(images, [whole, whole]);
    expect(answer).toMatchObject({
      units: { text: { input: 20, output: 100 }, vision: { input: 80, output: 0 } },
      unitsBasis: 'reported',
      complete: true,
    });
    expect(steps.map(sentBy)).toEqual([0, 1, 1]);
  });

  test('counts reasoning, refusals and the arguments of tools', () => {
    const deltas = [
      { reasoning_content: 'Hello' },
      { refusal: ' world' },
      { tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { arguments: ' Hello' } }] },
      { audio: { id: 'audio_1', data: 'A'.repeat(9_000), transcript: ' world' } },
    ];
    const { answer } = run(
      chat,
      deltas.map((delta) => ({ data: JSON.stringify({ choices: [{ index: 0, delta }] }) })),
    );
    expect(answer.units).toEqual({ text: { input: 19, output: 4 } });
  });
});

describe('an event', () => {
  const chat = fixtureNamed('openai-chat');
  test('that nobody knows passes as it is, in its place', () => {
    const strange = ['not json', '[]', '7', '{"choices":7}', '{"usage":"x"}', '{}', ''];
    const events = [chunk('Hello'), ...strange.map((data) => ({ data })), { data: '[DONE]' }];
    const { steps } = run(chat, events);
    expect(steps.at(-2)).toEqual({ forward: [], result: events[0], afterResult: events.slice(1) });
  });

  test('is not held back without end', () => {
    const stream = wireFor(chat).openStream(wireFor(chat).readRequest(chat.request));
    stream.push(chunk('Hello'));
    let waiting = 1;
    for (let index = 0; index < 1_000; index += 1) {
      waiting += 1 - sentBy(stream.push({ data: '{"note":1}' }));
      expect(waiting).toBeLessThanOrEqual(64);
    }
    stream.push(chunk(' wide'));
    expect(stream.push({ data: `{"note":"${'x'.repeat(100_000)}"}` }).forward).toHaveLength(2);
    stream.push(chunk(' world'));
    expect(stream.push({ data: '[DONE]' }).result).toEqual(chunk(' world'));
  });

  test('behind the result passes at once, and the result comes once', () => {
    const asked = fixtureNamed('openai-chat-usage-asked');
    const stream = wireFor(asked).openStream(wireFor(asked).readRequest(asked.request));
    const usage = { data: '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}' };
    expect(stream.push(usage)).toEqual({ forward: [], result: usage, afterResult: [] });
    for (const event of [chunk('late'), usage, { data: '{"error":{}}' }, { data: '[DONE]' }]) {
      expect(stream.push(event)).toEqual({ forward: [event] });
    }
    expect(stream.end()).toEqual({ forward: [] });
  });

  test.each(['openai-chat', 'openai-responses', 'anthropic-messages'])(
    'that opens %s goes on at once',
    (name) => {
      const fixture = fixtureNamed(name);
      const stream = wireFor(fixture).openStream(wireFor(fixture).readRequest(fixture.request));
      const [first = chunk('')] = eventsOf(split([fixture.bytes]));
      expect(stream.push(first)).toEqual({ forward: [asAsked(fixture, first)] });
    },
  );

  test('that opens and ends a stream carries the result', () => {
    const only = { data: '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}' };
    const { steps } = run(chat, [only, { data: '[DONE]' }]);
    expect(steps[1]).toEqual({ forward: [], result: only, afterResult: [{ data: '[DONE]' }] });
  });

  test('that says it is alive goes on at once', () => {
    const message = fixtureNamed('anthropic-messages');
    const stream = wireFor(message).openStream(wireFor(message).readRequest(message.request));
    const ping = { event: 'ping', data: '{"type":"ping"}' };
    stream.push({ event: 'message_delta', data: '{"type":"message_delta","usage":{"output_tokens":1}}' });
    expect(stream.push(ping)).toEqual({ forward: [ping] });
  });

  test('that carries the result stays an event of its stream', () => {
    for (const [, fixture] of FIXTURES) {
      for (const { result } of run(fixture, eventsOf(split([fixture.bytes]))).steps) {
        if (result === undefined) continue;
        const data = addMember(result.data, 'xproxy_result', '{"cost":{"total":{"base":1.50e-7}}}');
        expect(JSON.parse(data)).toEqual({
          ...JSON.parse(result.data),
          xproxy_result: { cost: { total: { base: 1.5e-7 } } },
        });
        expect(split([Buffer.from(partText({ event: { ...result, data } }))])).toEqual([
          { event: { ...result, data } },
        ]);
      }
    }
  });
});

describe('the bytes of a stream', () => {
  test.each(FIXTURES)('of %s are written as they were read', (_name, { name, bytes }) => {
    const written = split([bytes]).map(partText).join('');
    expect(split([Buffer.from(written)])).toEqual(split([bytes]));
    // A field that is not passed on, and the blank behind a colon, are all that may differ.
    if (name !== 'openai-chat-comments') expect(written).toBe(bytes.toString('utf8'));
  });

  test('may hold comments, fields that nobody knows, and data of several lines', () => {
    const text =
      ': one\n:two\n:\nfoo: bar\nfoo\nevent: a\ndata: 1\ndata:2\ndata\nid: 3\nretry: 4\n\nevent: b\n\ndata: \u2028x\n\n';
    const parts = split([Buffer.from(text)]);
    expect(parts).toEqual([
      { comment: 'one' },
      { comment: 'two' },
      { comment: '' },
      { retryMs: 4 },
      { event: { id: '3', event: 'a', data: '1\n2\n' } },
      { event: { data: '\u2028x' } },
    ]);
    expect(parts.map(partText).join('')).toBe(
      ': one\n\n: two\n\n:\n\nretry: 4\n\nid: 3\nevent: a\ndata: 1\ndata: 2\ndata: \n\ndata: \u2028x\n\n',
    );
  });

  test.each(['data: {"half":', 'data: half', 'event: a', '\u{1f30d}'.slice(0, 1)])(
    'that end inside an event (%j) are no event',
    (text) => {
      expect(split([Buffer.from('data: 1\n\n'), Buffer.from(text)])).toEqual([{ event: { data: '1' } }]);
    },
  );

  test.each(['data: {"whole":1}', 'data: {"whole":1}\n', 'data: {"whole":1}\r', 'data: [DONE]'])(
    'that end with a whole event and no blank line (%j) are that event',
    (text) => {
      const data = text.slice('data: '.length).trim();
      const events = [{ event: { data: '1' } }, { event: { data } }];
      expect(split([Buffer.from('data: 1\n\n'), Buffer.from(text)])).toEqual(events);
    },
  );

  test('keep ids and what is said of connecting again', () => {
    const parts = split([Buffer.from('retry: 70\n\nid: 7\nevent: a\ndata: 1\n\n')]);
    expect(parts).toEqual([{ retryMs: 70 }, { event: { id: '7', event: 'a', data: '1' } }]);
    expect(parts.map(partText).join('')).toBe('retry: 70\n\nid: 7\nevent: a\ndata: 1\n\n');
  });

  test('of one event are bounded', () => {
    const splitter = new EventSplitter();
    const part = Buffer.alloc(1024 * 1024, 'x');
    splitter.feed(Buffer.from('data: '));
    expect(() => {
      for (let megabytes = 0; megabytes < 20; megabytes += 1) splitter.feed(part);
    }).toThrow(EventTooLarge);
    expect(() => splitter.feed(part)).toThrow(EventTooLarge);
  });

  test('of many events are not', () => {
    const splitter = new EventSplitter();
    const events = Buffer.from(`data: ${'x'.repeat(1024 * 1024)}\n\n`);
    for (let count = 0; count < 20; count += 1) expect(splitter.feed(events)).toHaveLength(1);
  });
});

function split(pieces: readonly Uint8Array[]): readonly StreamPart[] {
  const splitter = new EventSplitter();
  return [...pieces.flatMap((piece) => splitter.feed(piece)), ...splitter.end()];
}

function eventsOf(parts: readonly StreamPart[]): readonly StreamEvent[] {
  return parts.flatMap((part) => ('event' in part ? [part.event] : []));
}

/** Pushes all events and ends the stream; asks for the answer when the call is settled, as the proxy does, and at the end. */
function run(fixture: StreamFixture, events: readonly StreamEvent[]) {
  const wire = wireFor(fixture);
  const stream = wire.openStream(wire.readRequest(fixture.request));
  const steps: StreamStep[] = [];
  let settledAt: ReturnType<typeof stream.answer> | undefined;
  for (const event of events) {
    const step = stream.push(event);
    if (step.afterResult !== undefined) settledAt = stream.answer();
    steps.push(step);
  }
  steps.push(stream.end());
  const { units, ...answer } = stream.answer();
  if (settledAt !== undefined) expect(settledAt).toEqual({ ...answer, units });
  return { steps, answer: { ...answer, units: plainUnits(units) } };
}

function openStream(provider: 'openai' | 'anthropic', path: string) {
  const wire = wireFor({ provider, path });
  const body = { model: 'gpt-4o', messages: [], input: 'Hello', max_tokens: 9, stream: true };
  return { stream: wire.openStream(wire.readRequest(body)) };
}

function sentBy({ forward, result, afterResult }: StreamStep): number {
  return forward.length + (result === undefined ? 0 : 1) + (afterResult?.length ?? 0);
}

function fixtureNamed(name: string): StreamFixture {
  const fixture = FIXTURES.find(([each]) => each === name)?.[1];
  if (fixture === undefined) throw new Error(`no fixture ${name}`);
  return fixture;
}

function chunk(content: string): StreamEvent {
  return { data: JSON.stringify({ choices: [{ index: 0, delta: { content } }] }) };
}

const RESULT = '{"request_id":"1","cost":{"total":{"base":1.5e-7}}}';

/** As the caller has to get it: where usage was forced on, without the null, and nothing else is changed. */
function asAsked({ path, request }: StreamFixture, event: StreamEvent): StreamEvent {
  const isForced = path === 'chat/completions' && !JSON.stringify(request).includes('include_usage');
  return isForced ? { ...event, data: event.data.replace(',"usage":null', '') } : event;
}
