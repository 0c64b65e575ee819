import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { promisify } from 'node:util';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { anthropicUrl, createHeaders, type ExperienceHeaders, openaiUrl } from '../services/client/index.js';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';

const ID = '0193a0b0-7c1d-7e6f-8a2b-1c2d3e4f5a6b';

describe('headers for a call through the gateway', () => {
  test.each<[what: string, of: ExperienceHeaders, headers: Record<string, string>]>([
    ['nothing', {}, {}],
    ['a key', { apiKey: 'exp_1_secret' }, { 'xProxy-api-key': 'exp_1_secret' }],
    [
      'an experience',
      { experienceId: ID, experienceName: 'Contract_Review', experienceVersion: 3, step: 'clause 2' },
      {
        'xProxy-Experience-ID': ID,
        'xProxy-Experience-Name': 'Contract_Review',
        'xProxy-Experience-Version': '3',
        'xProxy-UseCase-Step': 'clause 2',
      },
    ],
    [
      'who pays',
      { userId: ' ada ', accountName: 'acme', limitIds: [ID] },
      { 'xProxy-User-ID': 'ada', 'xProxy-Account-Name': 'acme', 'xProxy-Limit-IDs': ID },
    ],
    [
      'one list, trimmed',
      { requestTags: [' nightly', 'eu west '] },
      { 'xProxy-Request-Tags': 'nightly,eu west' },
    ],
    [
      'what it is priced as and where it goes',
      {
        priceAsCategory: 'system.openai',
        priceAsResource: 'gpt-4o-mini',
        providerBaseUri: 'https://models.example.com',
        forward: { 'X-Trace': 'abc', 'X-Absent': undefined },
      },
      {
        'xProxy-PriceAs-Category': 'system.openai',
        'xProxy-PriceAs-Resource': 'gpt-4o-mini',
        'xProxy-Provider-BaseUri': 'https://models.example.com',
        'xProxy-Forward-X-Trace': 'abc',
      },
    ],
    [
      'properties of any text, in ASCII',
      { requestProperties: { city: 'Zürich 🎉', none: null }, experienceProperties: { tier: 'gold' } },
      {
        'xProxy-Request-Properties': '{"city":"Z\\u00fcrich \\ud83c\\udf89"}',
        'xProxy-UseCase-Properties': '{"tier":"gold"}',
      },
    ],
    [
      'none for what is falsy or blank',
      {
        apiKey: '',
        experienceId: null,
        experienceName: undefined,
        experienceVersion: 0,
        userId: '  ',
        requestTags: ['', ' ', null],
        limitIds: [],
        requestProperties: {},
        forward: { 'X-Blank': '' },
      },
      {},
    ],
  ])('say %s', (_what, of, headers) => {
    expect(createHeaders(of)).toEqual(headers);
  });

  test.each<[what: string, of: ExperienceHeaders, message: string]>([
    ['a line break', { userId: 'ada\r\nx-evil: 1' }, 'xProxy-User-ID must be printable ASCII'],
    ['a zero byte', { experienceName: 'a\u0000b' }, 'xProxy-Experience-Name must be printable ASCII'],
    ['text beyond ASCII', { requestTags: ['zürich'] }, 'xProxy-Request-Tags must be printable ASCII'],
    ['a line break in a key', { apiKey: 'top\nsecret' }, 'xProxy-api-key must be printable ASCII'],
    [
      'a comma in a tag',
      { requestTags: ['a,b'] },
      'an item of xProxy-Request-Tags must not have a comma in it',
    ],
    [
      'a comma in a limit id',
      { limitIds: [`${ID},`] },
      'an item of xProxy-Limit-IDs must not have a comma in it',
    ],
    ['half a version', { experienceVersion: 1.5 }, 'xProxy-Experience-Version must be a whole number from 1'],
    [
      'a negative version',
      { experienceVersion: -1 },
      'xProxy-Experience-Version must be a whole number from 1',
    ],
    [
      'no number',
      { experienceVersion: Number.NaN },
      'xProxy-Experience-Version must be a whole number from 1',
    ],
    ['a space in a name', { forward: { 'X Trace': 'a' } }, "'xProxy-Forward-X Trace' is no header name"],
    ['a line break in a name', { forward: { 'X\r\nY': 'a' } }, "'xProxy-Forward-X\r\nY' is no header name"],
  ])('refuse %s', (_what, of, message) => {
    expect(() => createHeaders(of)).toThrow(new RangeError(message));
  });

  test('do not show a value that they refuse', () => {
    expect(() => createHeaders({ apiKey: 'topsecret\n.' })).toThrow(/^(?!.*topsecret)/s);
  });
});

describe('the base URL of a provider client', () => {
  test.each([
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['http://127.0.0.1:8080/', 'http://127.0.0.1:8080'],
    ['https://Costs.Example.com//', 'https://costs.example.com'],
    ['https://example.com/costs/', 'https://example.com/costs'],
    ['http://[::1]:8080', 'http://[::1]:8080'],
  ])('is that of the gateway %s with the path of the proxy', (gateway, base) => {
    expect(openaiUrl(gateway)).toBe(`${base}/api/v1/proxy/openai/v1`);
    expect(anthropicUrl(gateway)).toBe(`${base}/api/v1/proxy/anthropic`);
  });

  test.each([
    '',
    '127.0.0.1:8080',
    'localhost:8080',
    'grpc://127.0.0.1:50051',
    'http://',
    'http://ada:secret@127.0.0.1:8080',
    'http://127.0.0.1:8080?a=b',
    'http://127.0.0.1:8080/#',
  ])('is refused for the gateway "%s"', (gateway) => {
    expect(() => openaiUrl(gateway)).toThrow(RangeError);
    expect(() => anthropicUrl(gateway)).toThrow(RangeError);
    expect(() => openaiUrl(gateway)).toThrow(/^(?!.*secret)/s);
  });
});

describe('stock clients', () => {
  const received: IncomingMessage[] = [];
  let server: Server;
  let address: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      received.push(request);
      request.resume();
      response.setHeader('content-type', 'application/json').end('{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const bound = server.address();
    address = `http://127.0.0.1:${typeof bound === 'object' ? bound?.port : ''}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  test('of OpenAI send them, with what one call adds', async () => {
    const openai = new OpenAI({
      baseURL: openaiUrl(address),
      apiKey: 'of-the-provider',
      defaultHeaders: createHeaders({ apiKey: 'ours', experienceName: 'Contract_Review' }),
    });
    const headers = createHeaders({ userId: 'ada', requestTags: ['a', 'b'] });
    await openai.chat.completions.create({ model: 'gpt-4o-mini', messages: [] }, { headers });
    const request = received.at(-1);
    expect(request?.url).toBe('/api/v1/proxy/openai/v1/chat/completions');
    expect(request?.headers).toMatchObject({
      authorization: 'Bearer of-the-provider',
      'xproxy-api-key': 'ours',
      'xproxy-experience-name': 'Contract_Review',
      'xproxy-user-id': 'ada',
      'xproxy-request-tags': 'a,b',
    });
  });

  test('of Anthropic send them', async () => {
    const anthropic = new Anthropic({
      baseURL: anthropicUrl(`${address}/`),
      apiKey: 'of-the-provider',
      defaultHeaders: createHeaders({ experienceId: ID, experienceVersion: 2 }),
    });
    await anthropic.messages.create({ model: 'claude-haiku-4-5', max_tokens: 10, messages: [] });
    const request = received.at(-1);
    expect(request?.url).toBe('/api/v1/proxy/anthropic/v1/messages');
    expect(request?.headers).toMatchObject({
      authorization: 'Bearer of-the-provider',
      'xproxy-experience-id': ID,
      'xproxy-experience-version': '2',
    });
  });
});

test('the package is there for them without any server, and holds no process open', async () => {
  const code = `import { createHeaders, openaiUrl } from 'experiences/client';
    console.log(openaiUrl('http://gateway:8080'), JSON.stringify(createHeaders({ experienceName: 'A' })));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: PACKAGE_ROOT,
    timeout: 20_000,
  });
  expect(stdout).toBe('http://gateway:8080/api/v1/proxy/openai/v1 {"xProxy-Experience-Name":"A"}\n');
});
