import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fastify } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countJsonParts } from '../services/gateway/json-parts.js';
import { boundSlowReaders } from '../services/gateway/slow-readers.js';
import { startTestGateway } from './support/gateway.js';
import { type ProxyWorld, startProxyWorld } from './support/proxy-world.js';
import { sendRaw } from './support/raw-http.js';
import { answerJson, beginStream, chatChunk } from './support/scripted-provider.js';
import { startTestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';

/** What one caller, with a key or without, can make the gateway hold and do. */

let world: ProxyWorld;

beforeAll(async () => {
  world = await startProxyWorld();
});

afterAll(async () => {
  await world?.stop();
});

const PATH = 'openai/v1/chat/completions';
const MIB = 1024 * 1024;

function open(url: string): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined); // The gateway may close at any time.
  return socket;
}

async function statusOf(socket: Socket): Promise<number> {
  const [reply] = (await once(socket, 'data')) as [Buffer];
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(reply.toString())?.[1]);
}

function head(path: string, length: number, more = ''): string {
  return `POST /api/v1${path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n${more}\r\n`;
}

describe('without a key', () => {
  test('no body is read, no query is judged, and all of it is 401', async () => {
    const service = await startTestService({ bootstrapKey: 'a-bootstrap-key-of-this-test-0123456789' });
    const gateway = await startTestGateway({ serviceAddress: service.address });
    for (const path of ['/ingest/bulk', '/ingest', '/experiences/types', '/limits']) {
      const socket = open(gateway.url);
      socket.write(head(path, 4 * MIB)); // Of the body nothing comes.
      expect([path, await statusOf(socket)]).toEqual([path, 401]);
      socket.destroy();
    }
    expect((await fetch(`${gateway.url}/api/v1/costs/series?bucket=wrong`)).status).toBe(401);
    expect((await fetch(`${gateway.url}/api/v1/health`)).status).toBe(200);
    expect((await fetch(`${gateway.url}/api/v1/openapi.json`)).status).toBe(200);
    await gateway.stop();
    await service.stop();
  });

  test('a body for a path that is none is not read', async () => {
    const socket = open(world.url);
    socket.write(head('/nowhere', 4 * MIB));
    expect(await statusOf(socket)).toBe(404);
    socket.destroy();
  });
});

describe('a body of many parts', () => {
  test.each([
    ['', 0],
    ['{"a":1,"b":[2,3]}', 6],
    ['["\\"","\\\\","{[,"]', 6],
    ['"never ends, \\', 1],
    ['[[[[', 4],
  ])('%s has its parts counted', (text, parts) => {
    expect(countJsonParts(Buffer.from(text))).toBe(parts);
  });

  test.each([
    ['numbers', '1,'.repeat(600_000), '1'],
    ['objects', '{},'.repeat(300_000), '{}'],
    ['texts', '"",'.repeat(300_000), '""'],
  ])('of %s is refused before it is parsed, here and on its way to a provider', async (_what, many, last) => {
    world.provider.script((_call, response) => answerJson(response, {}));
    const proxied = await world.post(PATH, `{"model":"gpt-4o-mini","messages":[${many}${last}]}`);
    const ingested = await fetch(`${world.url}/api/v1/ingest/bulk`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `[${many}${last}]`,
    });
    for (const answer of [proxied, ingested]) {
      expect(answer.status).toBe(413);
      expect(await answer.json()).toMatchObject({ xproxy_error: { code: 'request_processing_error' } });
    }
    expect(world.provider.calls).toEqual([]);
  });
});

test('bodies that wait for their end are held up to a sum, beyond which others are told to come later', async () => {
  const length = 16 * MIB;
  const almost = Buffer.alloc(length - 1, ' ');
  const sockets = Array.from({ length: 8 }, () => {
    const socket = open(world.url);
    socket.write(head('/ingest/bulk', length));
    socket.write(almost);
    return socket;
  });
  const postLarge = () =>
    fetch(`${world.url}/api/v1/ingest/bulk`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Buffer.alloc(length, ' '),
    });
  // One that only announces its body takes no room from those that send theirs.
  const announced = head('/ingest/bulk', length);
  const refused = await waitUntil('there is no room', async () => {
    const answer = await sendRaw(new URL(world.url).host, announced, 300);
    return answer === '' ? undefined : answer;
  });
  expect(refused).toMatch(/^HTTP\/1\.1 429 .*\r\nretry-after: 1\r\n/s);
  for (const socket of sockets) socket.destroy();
  // An empty body of that many spaces is no JSON, but it is read.
  await waitUntil('there is room again', async () => ((await postLarge()).status === 400 ? true : undefined));
});

test('an answer that nobody reads is dropped after a time, and while much of that waits nothing more is begun', async () => {
  const app = fastify();
  boundSlowReaders(app, { stallTimeMaxMs: 1_000, waitingBytesMax: 30 * MIB });
  app.get('/large', async () => Buffer.alloc(20 * MIB));
  app.get('/small', async () => 'small');
  app.get('/health', { config: { isAlwaysAnswered: true } }, async () => 'ok');
  await app.listen({ host: '127.0.0.1', port: 0 });
  const [address] = app.addresses();
  const url = `http://127.0.0.1:${address?.port}`;
  const get = async (path: string) => (await fetch(`${url}${path}`)).status;
  const sockets = Array.from({ length: 2 }, () => {
    const socket = open(url).pause();
    socket.write('GET /large HTTP/1.1\r\nHost: gateway\r\n\r\n');
    return socket;
  });
  await waitUntil('much waits', async () => ((await get('/small')) === 429 ? true : undefined));
  expect(await get('/health')).toBe(200);
  await waitUntil('it is dropped', async () => ((await get('/small')) === 200 ? true : undefined));
  for (const socket of sockets) socket.destroy();
  await app.close();
});

describe('garbage behind a request', () => {
  test('is answered by no text in the middle of what is being answered', async () => {
    let finish: () => void = () => undefined;
    world.provider.script(async (_call, response) => {
      beginStream(response);
      response.write(chatChunk({ choices: [{ index: 0, delta: { content: 'One' } }] }));
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      response.end();
    });
    const body = JSON.stringify({
      model: 'gpt-4o-mini',
      stream: true,
      messages: [{ role: 'user', content: 'a' }],
    });
    const socket = open(world.url);
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString();
    });
    socket.write(head(`/proxy/${PATH}`, body.length) + body);
    await waitUntil('the stream has begun', () => (received.includes('200 OK') ? true : undefined));
    socket.write('garbage\r\n\r\n');
    await once(socket, 'close');
    finish();
    expect(received).not.toContain('400 Bad Request');
  });

  test('does not stand in the place of an answer that is still to come', async () => {
    const socket = open(world.url);
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString();
    });
    const get = 'GET /api/v1/experiences/types HTTP/1.1\r\nHost: gateway\r\n\r\n';
    socket.write(`${get}garbage\r\n\r\n`);
    await once(socket, 'close');
    expect(received).not.toContain('400 Bad Request');
  });
});
