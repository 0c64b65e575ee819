import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UsageEvent } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { startGatewayProcess } from './support/gateway-process.js';
import { type ProxyWorld, resultIn, startProxyWorld } from './support/proxy-world.js';
import { readAll } from './support/read-all.js';
import { beginStream } from './support/scripted-provider.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

/** Calls that do not end as they should: whoever leaves or fails, what was used is in the ledger. */

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

function chunk(fields: object): string {
  return `data: ${JSON.stringify({ id: 'chatcmpl-9', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o-mini', ...fields })}\n\n`;
}

function delta(content: string): string {
  return chunk({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });
}

const END = [
  chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }),
  chunk({ choices: [], usage: USAGE }),
  'data: [DONE]\n\n',
].join('');

/** The one event of an experience, as soon as it is there. */
async function eventOf(experienceId: string): Promise<UsageEvent> {
  return waitUntil('the call is in the ledger', async () => {
    const events = await readAll(world.service.client.usage.list(experienceId)).catch(() => []);
    expect(events.length).toBeLessThanOrEqual(1);
    return events[0];
  });
}

function leftBy(response: ServerResponse): Promise<unknown> {
  return once(response, 'close');
}

describe('a caller who leaves', () => {
  test('in mid-stream ends the call of the provider, and what had come is counted', async () => {
    const experienceId = newUuid();
    let left: Promise<unknown> | undefined;
    world.provider.script((_call, response) => {
      left = leftBy(response);
      beginStream(response);
      response.write(delta('One two three four five. ') + delta('Six seven eight nine ten.') + delta(' '));
    });
    const stopped = new AbortController();
    const stream = await world.openai.chat.completions.create(
      { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Count.' }], stream: true },
      { headers: { 'xProxy-Experience-ID': experienceId }, signal: stopped.signal },
    );
    for await (const _chunk of stream) break;
    stopped.abort();
    const event = await eventOf(experienceId);
    expect(event).toMatchObject({
      outcome: 'CANCELLED',
      settlement: 'SETTLED',
      httpStatusCode: 200,
      providerResponseId: 'chatcmpl-9',
      properties: { units: 'estimated' },
    });
    expect(event.units.text?.input).toBeGreaterThan(0n);
    expect(event.units.text?.output).toBeGreaterThanOrEqual(12n);
    expect(event.units.text?.output).toBeLessThanOrEqual(16n);
    await left;
  });

  test('when all but the end has come is charged what the provider said', async () => {
    const experienceId = newUuid();
    world.provider.script(async (_call, response) => {
      beginStream(response);
      response.write(delta('Well.'));
      await new Promise((resolve) => setTimeout(resolve, 20)); // It leaves meanwhile.
      response.end(END);
    });
    const answer = await world.post(
      PATH,
      { ...QUESTION, stream: true },
      { 'xProxy-Experience-ID': experienceId },
    );
    await answer.body?.cancel();
    const event = await eventOf(experienceId);
    expect(event).toMatchObject({ outcome: 'CANCELLED', properties: {} });
    expect(event.units).toEqual({ text: { input: 100n, output: 20n } });
  });

  test('before the answer ends the call of the provider, and the prompt is counted', async () => {
    const experienceId = newUuid();
    let left: Promise<unknown> | undefined;
    const asked = new Promise<void>((resolve) => {
      world.provider.script((_call, response) => {
        left = leftBy(response);
        resolve();
      });
    });
    const stopped = new AbortController();
    const call = world.openai.chat.completions.create(
      { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Count.' }], stream: true },
      { headers: { 'xProxy-Experience-ID': experienceId }, signal: stopped.signal },
    );
    await asked;
    stopped.abort();
    await expect(call).rejects.toThrow();
    await left;
    const event = await eventOf(experienceId);
    expect(event).toMatchObject({ outcome: 'CANCELLED', properties: { units: 'estimated' } });
    expect(event.units.text).toMatchObject({ output: 0n });
    expect(event.units.text?.input).toBeGreaterThan(0n);
  });
});

describe('a provider that breaks off', () => {
  test('in mid-stream is seen by the caller as a cut, with all that had come', async () => {
    const experienceId = newUuid();
    world.provider.script((_call, response) => {
      beginStream(response);
      response.write(delta('One two three') + delta(' four.'), () => response.destroy());
    });
    const answer = await world.post(
      PATH,
      { ...QUESTION, stream: true },
      { 'xProxy-Experience-ID': experienceId },
    );
    const { text, isCut } = await readUntilCut(answer);
    expect(isCut).toBe(true);
    expect(text).toContain('One two three');
    expect(text).toContain(' four.');
    const event = await eventOf(experienceId);
    expect(event).toMatchObject({
      outcome: 'FAILED',
      settlement: 'SETTLED',
      properties: { units: 'estimated' },
    });
    expect(event.units.text?.output).toBeGreaterThanOrEqual(4n);
  });

  test('by a clean end without the last event is counted, and passed on as it is', async () => {
    const experienceId = newUuid();
    world.provider.script((_call, response) => {
      beginStream(response);
      response.end(delta('One two') + delta(' three.'));
    });
    const answer = await world.post(
      PATH,
      { ...QUESTION, stream: true },
      { 'xProxy-Experience-ID': experienceId },
    );
    const text = await answer.text();
    expect(text).toContain('One two');
    expect(text).toContain(' three.');
    expect(await eventOf(experienceId)).toMatchObject({
      outcome: 'FAILED',
      properties: { units: 'estimated' },
    });
  });

  test('in the middle of a whole answer is told, with the result', async () => {
    const experienceId = newUuid();
    world.provider.script((_call, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"id":"chatcmpl-9",', () => response.destroy());
    });
    const answer = await world.post(PATH, QUESTION, { 'xProxy-Experience-ID': experienceId });
    expect(answer.status).toBe(502);
    const body = (await answer.json()) as object;
    expect(body).toMatchObject({ statusCode: 502, xproxy_error: { code: 'provider_error' } });
    expect(resultIn(body)).toMatchObject({ experience_id: experienceId, cost: { currency: 'usd' } });
    expect(await eventOf(experienceId)).toMatchObject({
      outcome: 'FAILED',
      properties: { units: 'estimated' },
    });
  });

  test('before any answer is told, and the prompt is counted', async () => {
    const experienceId = newUuid();
    world.provider.script((_call, response) => void response.destroy());
    const answer = await world.post(PATH, QUESTION, { 'xProxy-Experience-ID': experienceId });
    expect(answer.status).toBe(502);
    expect(await eventOf(experienceId)).toMatchObject({
      outcome: 'FAILED',
      properties: { units: 'estimated' },
    });
  });
});

test('a stream whose event carries an error is passed on, and ends', async () => {
  const experienceId = newUuid();
  const error = 'data: {"error":{"message":"The server had an error.","type":"server_error"}}\n\n';
  world.provider.script((_call, response) => {
    beginStream(response);
    response.end(delta('One') + error);
  });
  const answer = await world.post(
    PATH,
    { ...QUESTION, stream: true },
    { 'xProxy-Experience-ID': experienceId },
  );
  expect(await answer.text()).toContain('The server had an error.');
  expect(await eventOf(experienceId)).toMatchObject({ outcome: 'FAILED' });
});

test('a gateway that stops finishes the streams in flight, and takes nothing new', async () => {
  const other = await startProxyWorld();
  let goOn: () => void = () => undefined;
  const stopping = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  other.provider.script(async (_call, response) => {
    beginStream(response);
    response.write(delta('One'));
    await stopping;
    response.end(delta(' two.') + END);
  });
  const answer = await other.post(PATH, { ...QUESTION, stream: true });
  const stopped = other.stop();
  setTimeout(goOn, 100);
  const text = await answer.text();
  expect(text).toContain(' two.');
  expect(text).toContain('xproxy_result');
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  await stopped;
});

test('slow readers make the gateway hold less than 256 kB each, and the provider wait', {
  timeout: 90_000,
}, async () => {
  const gateway = await startGatewayProcess({
    serviceAddress: world.service.address,
    providerUrl: world.provider.url,
  });
  let written = 0;
  let flood: () => void = () => undefined;
  const flooding = new Promise<void>((resolve) => {
    flood = resolve;
  });
  const event = delta('x'.repeat(10_000));
  world.provider.script(async (_call, response) => {
    beginStream(response);
    response.write(event);
    await flooding;
    while (written < READERS * STREAM_BYTES && !response.destroyed) {
      written += event.length;
      if (!response.write(event)) await drained(response);
    }
  });
  const readers: Socket[] = [];
  try {
    // The first call that is estimated loads the tokenizer, which stays.
    const experienceId = newUuid();
    const warm = await slowReader(gateway.url, experienceId);
    warm.destroy();
    await eventOf(experienceId);
    readers.push(...(await Promise.all(Array.from({ length: READERS }, () => slowReader(gateway.url)))));
    const before = await gateway.liveMemory();
    flood();
    let last = -1;
    await waitUntil('the provider waits for the readers', async () => {
      const now = written;
      await new Promise((resolve) => setTimeout(resolve, 500)); // So long without a byte is standing still.
      const isStill = now === written && now === last;
      last = now;
      return isStill || undefined;
    });
    expect(written).toBeLessThan(READERS * STREAM_BYTES);
    const held = (await gateway.liveMemory()) - before;
    expect(held / READERS).toBeLessThan(256 * 1024);
  } finally {
    for (const reader of readers) reader.destroy();
    await gateway.stop();
  }
});

test('the books balance after all that', async () => {
  await expectVerified(world.service.client);
});

const READERS = 16;
const STREAM_BYTES = 64 * 1024 * 1024;

/** Resolves when more may be written, or nobody is there. */
async function drained(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const go = (): void => {
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.on('drain', go).on('close', go);
  });
}

/** Asks for a stream, waits for its beginning, and reads nothing more. */
async function slowReader(url: string, experienceId = newUuid()): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const body = JSON.stringify({ ...QUESTION, stream: true });
  socket.write(
    `POST /api/v1/proxy/${PATH} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nxProxy-Experience-ID: ${experienceId}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await once(socket, 'readable');
  return socket;
}

async function readUntilCut(answer: Response): Promise<{ readonly text: string; readonly isCut: boolean }> {
  let text = '';
  try {
    const decoder = new TextDecoder();
    for await (const bytes of answer.body ?? [])
      text += decoder.decode(bytes as Uint8Array, { stream: true });
    return { text, isCut: false };
  } catch {
    return { text, isCut: true };
  }
}
