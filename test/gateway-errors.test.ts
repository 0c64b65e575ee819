import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExperiencesError } from '../services/client/index.js';
import { FAULT_REASONS } from '../services/domain/fault.js';
import { ERROR_TABLE, httpFaultOf } from '../services/gateway/error-table.js';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';
import { startTestGateway } from './support/gateway.js';
import { GatewayHttp } from './support/gateway-http.js';
import { sendRaw } from './support/raw-http.js';
import { startTestService, type TestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';

let service: TestService;
let gateway: Awaited<ReturnType<typeof startTestGateway>>;
let http: GatewayHttp;
beforeAll(async () => {
  service = await startTestService();
  gateway = await startTestGateway({ serviceAddress: service.address });
  http = await GatewayHttp.open(gateway.url);
});
afterAll(async () => {
  await gateway.stop();
  await service.stop();
});

const TYPES = '/experiences/types';
const TYPE = { name: 'Any', description: 'Any' };

describe('a body', () => {
  test.each<[what: string, body: string, code: string]>([
    ['that is cut', '{"name":"a"', 'invalid_json'],
    ['with something behind it', '{"name":"a"} x', 'invalid_json'],
    ['with two values', '{}{}', 'invalid_json'],
    ['in single quotes', "{'name':'a'}", 'invalid_json'],
    ['with a trailing comma', '{"name":"a",}', 'invalid_json'],
    ['with a comment', '{"name":"a"/**/}', 'invalid_json'],
    ['with NaN', '{"name":NaN}', 'invalid_json'],
    ['with a control character in a text', '{"name":"a\u0001"}', 'invalid_json'],
    ['with a member twice', '{"name":"a","name":"b","description":"c"}', 'invalid_json'],
    ['with __proto__', '{"name":"a","description":"b","__proto__":{"x":1}}', 'invalid_json'],
    ['with __proto__ in escapes', '{"name":"a","x":[{"\\u005f_proto__":1}]}', 'invalid_json'],
    ['that is nested very deep', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'invalid_json'],
    ['of white space', '  \n', 'invalid_json'],
    ['that is null', 'null', 'required_field_missing'],
    ['that is a number', '5', 'required_field_missing'],
    ['that is a text', '"name"', 'required_field_missing'],
    ['that is an array', '[]', 'request_processing_error'],
    ['that is empty', '', 'required_field_missing'],
    ['without a member that is needed', '{"name":"a"}', 'required_field_missing'],
    ['with null for what is needed', '{"name":"a","description":null}', 'required_field_missing'],
    ['with an empty text for it', '{"name":"a","description":" "}', 'required_field_missing'],
    ['with a number for a text', '{"name":5,"description":"b"}', 'request_processing_error'],
    ['with a name that is none', '{"name":"a b","description":"b"}', 'request_processing_error'],
    [
      'without what a member needs',
      '{"name":"a","description":"b","limit_config":{}}',
      'required_field_missing',
    ],
    [
      'with a limit of nothing',
      '{"name":"a","description":"b","limit_config":{"max":0}}',
      'invalid_max_limit',
    ],
    [
      'with a limit of too many digits',
      '{"name":"a","description":"b","limit_config":{"max":1e-19}}',
      'invalid_max_limit',
    ],
    [
      'with a limit beyond any number',
      '{"name":"a","description":"b","limit_config":{"max":1e999}}',
      'request_processing_error',
    ],
    [
      'with an unknown type of limit',
      '{"name":"a","description":"b","limit_config":{"max":1,"limit_type":"stop"}}',
      'request_processing_error',
    ],
  ])('%s is 400', async (_what, body, code) => {
    const answer = await http.call('POST', TYPES, { body });
    expect([answer.status, answer.body]).toEqual([
      400,
      { statusCode: 400, message: expect.any(String), xproxy_error: { code, message: expect.any(String) } },
    ]);
  });

  test.each([
    [127, 200],
    [128, 400],
  ])('with %i arrays within each other in an object is %i', async (depth, status) => {
    const nested = `${'['.repeat(depth)}${']'.repeat(depth)}`;
    const body = `{"name":"Any","description":"Any","brackets":"[[[{","x":${nested}}`;
    expect((await http.call('POST', TYPES, { body })).status).toBe(status);
  });

  test('that is not UTF-8 is 400', async () => {
    const body = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
    const response = await fetch(`${gateway.url}/api/v1${TYPES}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(await response.json()).toMatchObject({ xproxy_error: { code: 'invalid_json' } });
  });

  test.each<[type: string, coding: string | undefined, status: number]>([
    ['application/json', undefined, 200],
    ['application/json; charset=utf-8', 'identity', 200],
    ['Application/JSON', undefined, 200],
    ['application/vnd.payi+json', undefined, 200],
    ['application/problem+json;v=1', undefined, 200],
    ['text/plain', undefined, 415],
    ['application/x-www-form-urlencoded', undefined, 415],
    ['multipart/form-data; boundary=x', undefined, 415],
    ['application/jsonp', undefined, 415],
    ['nonsense', undefined, 415],
    ['application/json', 'gzip', 415],
  ])('of %s in the coding %s is %i', async (type, coding, status) => {
    const headers = { 'content-type': type, ...(coding === undefined ? {} : { 'content-encoding': coding }) };
    const answer = await http.call('POST', TYPES, { body: TYPE, headers });
    expect(answer.status).toBe(status);
  });

  test('may have a mark of its byte order', async () => {
    const answer = await http.call('POST', TYPES, { body: `\ufeff${JSON.stringify(TYPE)}` });
    expect(answer.status).toBe(200);
  });

  test('that is too large is 413, whether its length is stated or not', async () => {
    const large = `{"name":"${'x'.repeat(5 * 1024 * 1024)}"}`;
    const head = 'POST /api/v1/experiences/types HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n';
    const stated = await sendRaw(gateway.address, `${head}content-length: ${large.length}\r\n\r\n`);
    const chunk = `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`;
    const chunked = await sendRaw(gateway.address, `${head}transfer-encoding: chunked\r\n\r\n${chunk}`);
    for (const answer of [stated, chunked]) {
      expect(answer).toMatch(/^HTTP\/1\.1 413 /);
      expect(answer).toContain('"statusCode":413');
    }
  });

  test('is none when it is empty in chunks', async () => {
    const head =
      'DELETE /api/v1/experiences/types/absent HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n';
    const answer = await sendRaw(gateway.address, `${head}transfer-encoding: chunked\r\n\r\n0\r\n\r\n`);
    expect(answer).toContain('experience_type_not_found');
  });
});

describe('what is no valid HTTP', () => {
  const rest = 'GET /api/v1/health HTTP/1.1\r\nhost: smuggled\r\n\r\n';
  const post = 'POST /api/v1/experiences/types HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n';

  test.each<[what: string, bytes: string, status: number]>([
    ['a line of anything', 'HELLO\r\n\r\n', 400],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['a version that is none', 'GET / HTTP/3.7\r\nhost: a\r\n\r\n', 400],
    [
      'a length beside a transfer coding',
      `${post}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${rest}`,
      400,
    ],
    [
      'a transfer coding beside a length',
      `${post}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n${rest}`,
      400,
    ],
    ['two lengths', `${post}content-length: 0\r\ncontent-length: 5\r\n\r\n${rest}`, 400],
    ['a length that is none', `${post}content-length: 5, 5\r\n\r\n${rest}`, 400],
    ['a length with a sign', `${post}content-length: +5\r\n\r\n${rest}`, 400],
    ['an unknown transfer coding', `${post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${rest}`, 400],
    [
      'a transfer coding behind chunked',
      `${post}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${rest}`,
      400,
    ],
    [
      'a transfer coding behind a tab',
      `${post}transfer-encoding:\tchunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n${rest}`,
      400,
    ],
    ['a chunk of no length', `${post}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n${rest}`, 400],
    [
      'a chunk longer than it says',
      `${post}transfer-encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n${rest}`,
      400,
    ],
    ['lines that end in a line feed alone', 'GET /api/v1/health HTTP/1.1\nhost: a\n\n', 400],
    [
      'one header that ends in a line feed alone',
      'GET /api/v1/health HTTP/1.1\r\nhost: a\nx: y\r\n\r\n',
      400,
    ],
    [
      'a header that ends in a carriage return alone',
      'GET /api/v1/health HTTP/1.1\r\nhost: a\rx: y\r\n\r\n',
      400,
    ],
    ['a space before the colon', 'GET /api/v1/health HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n', 400],
    [
      'a header that goes on in the next line',
      'GET /api/v1/health HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n',
      400,
    ],
    ['a header without a colon', 'GET /api/v1/health HTTP/1.1\r\nhost: a\r\nxy\r\n\r\n', 400],
    ['a NUL in a header', 'GET /api/v1/health HTTP/1.1\r\nhost: a\r\nx: y\u0000z\r\n\r\n', 400],
    ['no host', 'GET /api/v1/health HTTP/1.1\r\n\r\n', 400],
    ['two hosts', 'GET /api/v1/health HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n', 400],
    ['a whole URI', 'GET http://a/api/v1/health HTTP/1.1\r\nhost: a\r\n\r\n', 400],
    ['a path in half an escape', 'GET /api/v1/experiences/types/%zz HTTP/1.1\r\nhost: a\r\n\r\n', 400],
    [
      'headers that are too long',
      `GET /api/v1/health HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`,
      431,
    ],
    [
      'headers that are too many',
      `GET /api/v1/health HTTP/1.1\r\nhost: a\r\n${'x: y\r\n'.repeat(8_000)}\r\n`,
      431,
    ],
    ['a path that is too long', `GET /api/v1/${'x'.repeat(40_000)} HTTP/1.1\r\nhost: a\r\n\r\n`, 431],
  ])('%s is refused, and nothing behind it is read', async (_what, bytes, status) => {
    const answer = await sendRaw(gateway.address, bytes, 500);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toContain(`{"statusCode":${status},"message":`);
    expect(answer.toLowerCase()).toContain('content-type: application/json');
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });

  test('is told from what is: requests behind each other are answered in order', async () => {
    const answer = await sendRaw(gateway.address, `${rest}${rest}`, 500);
    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  });

  test('a line break in a name reaches neither the headers nor the log of a line', async () => {
    const answer = await http.call('GET', `${TYPES}/a%0d%0ax-injected:%20yes`);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('x-injected')).toBeNull();
  });
});

describe('an API key', () => {
  test.each<[what: string, headers: Record<string, string>]>([
    ['with a space', { 'xproxy-api-key': 'a b' }],
    ['that is empty', { 'xproxy-api-key': '' }],
    ['with an umlaut', { 'xproxy-api-key': 'schlüssel' }],
    ['that is far too long', { authorization: `Bearer ${'x'.repeat(600)}` }],
    ['of another scheme', { authorization: 'Basic YTpi' }],
  ])('%s is nobody’s', async (_what, headers) => {
    const answer = await http.call('GET', TYPES, { headers });
    expect(answer.body).toMatchObject({ statusCode: 401, xproxy_error: { code: 'invalid_api_key' } });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('that was sent twice is nobody’s', async () => {
    const lines = 'xproxy-api-key: a\r\nxProxy-Api-Key: b\r\n';
    const head = 'GET /api/v1/experiences/types HTTP/1.1\r\nhost: a\r\n';
    expect(await sendRaw(gateway.address, `${head}${lines}\r\n`, 500)).toContain('invalid_api_key');
  });

  test.each<[headers: Record<string, string>]>([
    [{ 'xproxy-api-key': 'any' }],
    [{ 'XPROXY-API-KEY': 'any' }],
    [{ authorization: 'Bearer any' }],
    [{ authorization: 'any' }],
    [{}],
  ])('is not asked for by a service that knows none: %o', async (headers) => {
    expect((await http.call('GET', TYPES, { headers })).status).toBe(200);
  });
});

describe('a bad field is named as the protocol names it', () => {
  const ingested = { category: 'system.openai', resource: 'gpt-4o-mini', units: { text: { input: 1 } } };
  const limit = { limit_name: 'Any', max: 1 };
  test.each<[name: string, method: string, path: string, body: object | undefined]>([
    ['cursor', 'GET', '/experiences/types?cursor=none', undefined],
    ['event_timestamp', 'POST', '/ingest', { ...ingested, event_timestamp: '2999-01-01T00:00:00Z' }],
    ['units', 'POST', '/ingest', { ...ingested, units: {} }],
    ['max', 'POST', '/limits', { ...limit, max: 0 }],
    ['limit_config.max', 'POST', TYPES, { ...TYPE, limit_config: { max: 0 } }],
  ])('%s', async (name, method, path, body) => {
    const { status, body: answered } = await http.call(method, path, { body });
    expect([status, answered]).toEqual([
      400,
      expect.objectContaining({ message: expect.stringMatching(new RegExp(`^${name}: `)) }),
    ]);
  });
});

describe('the table of errors', () => {
  test('has a row for every reason of the contract', () => {
    const proto = readFileSync(join(PACKAGE_ROOT, 'proto/experiences/v1/error_reason.proto'), 'utf8');
    const reasons = [...proto.matchAll(/^ {2}ERROR_REASON_(\w+) = [1-9]\d*;/gm)].map(([, name]) => name);
    expect(reasons.length).toBeGreaterThan(30);
    expect(Object.keys(ERROR_TABLE).sort()).toEqual(reasons.sort());
    expect([...FAULT_REASONS].sort()).toEqual(reasons);
  });

  test('never answers what clients repeat for what does not pass', () => {
    const repeated = [408, 409, 429, 500, 503];
    const passing = Object.entries(ERROR_TABLE)
      .filter(([, { statusCode }]) => repeated.includes(statusCode))
      .map(([reason]) => reason);
    expect(passing).toEqual([
      'TOO_MANY_WATCHERS',
      'BOOK_CHECK_RUNNING',
      'OVERLOADED',
      'DEADLINE_EXCEEDED',
      'STORE_UNAVAILABLE',
      'WORKFLOW_ENGINE_UNAVAILABLE',
      'SHUTTING_DOWN',
      'INTERNAL',
    ]);
  });

  test.each<
    [code: string, reason: string | undefined, statusCode: number, errorCode: string, waitMs?: number]
  >([
    ['UNAUTHENTICATED', undefined, 401, 'invalid_api_key'],
    ['PERMISSION_DENIED', undefined, 403, 'request_processing_error'],
    ['RESOURCE_EXHAUSTED', 'OVERLOADED', 429, 'request_processing_error', 1_000],
    ['UNAVAILABLE', 'STORE_UNAVAILABLE', 503, 'request_processing_error', 1_000],
    ['UNAVAILABLE', undefined, 503, 'request_processing_error', 1_000],
    ['DEADLINE_EXCEEDED', undefined, 503, 'request_processing_error', 1_000],
    ['ALREADY_EXISTS', 'EVENT_ID_CONFLICT', 400, 'request_processing_error'],
    ['INTERNAL', 'INTERNAL', 500, 'unexpected_error'],
    ['UNIMPLEMENTED', undefined, 500, 'unexpected_error'],
    ['NOT_FOUND', 'A_REASON_OF_LATER', 500, 'unexpected_error'],
  ])('answers %s / %s with %i %s', (code, reason, statusCode, errorCode, retryAfterMs) => {
    const fields = { code, reason, metadata: {}, violations: [], retryAfterMs: undefined };
    const fault = httpFaultOf(new ExperiencesError('inner text', fields));
    expect(fault).toMatchObject({ statusCode, code: errorCode, retryAfterMs });
    expect(fault.message === 'inner text').toBe(reason !== undefined);
  });
});

describe('a service that is away', () => {
  test('is 503 with a hint, and the texts of gRPC are not shown', async () => {
    const lonely = await startTestGateway({ serviceAddress: '127.0.0.1:9' });
    try {
      const raise = '/use_cases/definitions/any/increment_version';
      const [response, raised] = await Promise.all([
        fetch(`${lonely.url}/api/v1${TYPES}`),
        fetch(`${lonely.url}/api/v1${raise}`, { method: 'POST' }),
      ]);
      // It may have been raised: clients must not repeat that by themselves.
      expect([raised.status, raised.headers.get('x-should-retry')]).toEqual([503, 'false']);
      expect(response.headers.get('x-should-retry')).toBeNull();
      expect(response.status).toBe(503);
      expect(response.headers.get('retry-after')).toBe('1');
      expect(await response.json()).toEqual({
        statusCode: 503,
        message: 'The service cannot be reached just now.',
        xproxy_error: {
          code: 'request_processing_error',
          message: 'The service cannot be reached just now.',
        },
      });
    } finally {
      await lonely.stop();
    }
  });
});

describe('a gateway that stops', () => {
  test('answers what it has begun and takes nothing new', async () => {
    const stopped = await startTestGateway({ serviceAddress: service.address });
    const body = JSON.stringify(TYPE);
    const head = 'POST /api/v1/experiences/types HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n';
    const colon = stopped.address.lastIndexOf(':');
    const port = Number(stopped.address.slice(colon + 1));
    const socket = connect({ host: '127.0.0.1', port });
    const received: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    const closed = once(socket, 'close');
    const begun = `${head}content-length: ${body.length}\r\n\r\n${body.slice(0, 5)}`;
    // Answered, so that what follows on the connection has been read as well.
    const health = 'GET /api/v1/health HTTP/1.1\r\nhost: a\r\n\r\n';
    socket.write(health + begun);
    await waitUntil('the first answer', () => (received.length > 0 ? true : undefined));
    const stopping = stopped.stop();
    await waitUntil('nobody listens', async () =>
      fetch(`${stopped.url}/api/v1/health`).then(
        () => undefined,
        () => true,
      ),
    );
    socket.write(body.slice(5) + health);
    await stopping;
    await closed;
    const answers = Buffer.concat(received).toString();
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
    expect(answers).toContain('"type_version":1');
  });
});
