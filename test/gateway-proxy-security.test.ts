import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkedLookup, type Resolve } from '../services/gateway/proxy/checked-lookup.js';
import { isPrivateAddress } from '../services/gateway/proxy/private-address.js';
import { ProviderHosts } from '../services/gateway/proxy/provider-host.js';
import { Upstreams } from '../services/gateway/proxy/upstreams.js';
import { type ProxyWorld, startProxyWorld } from './support/proxy-world.js';
import { answerJson, type ScriptedProvider, startScriptedProvider } from './support/scripted-provider.js';

/** What the proxy refuses, and that nothing is spent then. */

let world: ProxyWorld;
/** Another host that may be named. */
let named: ScriptedProvider;

beforeAll(async () => {
  named = await startScriptedProvider();
  world = await startProxyWorld({
    gateway: { providerHosts: [new URL(named.url).host, 'localhost'], privateProviderHosts: false },
  });
});

afterAll(async () => {
  await world?.stop();
  await named?.stop();
});

const QUESTION = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'How are you?' }] };
const COMPLETION = {
  id: 'c',
  model: 'gpt-4o-mini',
  choices: [],
  usage: { prompt_tokens: 1, completion_tokens: 1 },
};
const PATH = 'openai/v1/chat/completions';

describe('addresses', () => {
  /** Written in parts: places of private networks are not named in this project. */
  const ipv4 = (...octets: readonly number[]): string => octets.join('.');
  test.each([
    ...[
      [0, 0, 0, 0],
      [10, 1, 2, 3],
      [100, 64, 0, 1],
      [127, 0, 0, 1],
      [127, 255, 255, 254],
      [169, 254, 169, 254],
      [172, 16, 0, 1],
      [172, 31, 255, 255],
      [192, 0, 0, 1],
      [192, 0, 2, 1],
      [192, 168, 1, 1],
      [198, 18, 0, 1],
      [203, 0, 113, 9],
      [224, 0, 0, 1],
      [255, 255, 255, 255],
    ].map((octets) => ipv4(...octets)),
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    'not an address',
  ])('%s is not public', (address) => {
    expect(isPrivateAddress(address)).toBe(true);
  });

  test.each(['8.8.8.8', '100.63.255.255', '172.32.0.1', '193.0.0.1', '2606:4700::1111', '2a00:1450::1'])(
    '%s is public',
    (address) => {
      expect(isPrivateAddress(address)).toBe(false);
    },
  );

  test.each([
    [
      'one private address',
      [
        ['8.8.8.8', 4],
        ['::1', 6],
      ],
      'PrivateAddress',
    ],
    [
      'public addresses only',
      [
        ['8.8.8.8', 4],
        ['2606:4700::1', 6],
      ],
      undefined,
    ],
  ] as const)('a name with %s is judged when it is connected to', async (_case, resolved, refusal) => {
    const resolve: Resolve = (_name, _options, callback) =>
      callback(
        null,
        resolved.map(([address, family]) => ({ address, family })),
      );
    const found = await new Promise<unknown>((done) => {
      checkedLookup(resolve)('example.com', { all: true }, (error, addresses) => done(error ?? addresses));
    });
    if (refusal === undefined) expect(found).toHaveLength(2);
    else expect(found).toMatchObject({ name: refusal });
  });
});

describe('the host that a call names', () => {
  const hosts = new ProviderHosts({
    providers: { openai: 'http://127.0.0.1:4010/base/', anthropic: 'https://api.anthropic.com' },
    providerHosts: ['llm.example.com', 'other.example.com:8443', '127.0.0.1'],
    privateProviderHosts: false,
  });

  test.each([
    ['https://api.openai.com', { origin: 'https://api.openai.com', path: '', mayBePrivate: false }],
    ['https://API.OpenAI.com/v1/', { origin: 'https://api.openai.com', path: '', mayBePrivate: false }],
    [
      'https://llm.example.com/a/b/v1',
      { origin: 'https://llm.example.com', path: '/a/b', mayBePrivate: false },
    ],
    ['https://llm.example.com:443', { origin: 'https://llm.example.com', path: '', mayBePrivate: false }],
    [
      'https://other.example.com:8443',
      { origin: 'https://other.example.com:8443', path: '', mayBePrivate: false },
    ],
    // What the operator has configured may be anywhere.
    ['http://127.0.0.1:4010/base/v1', { origin: 'http://127.0.0.1:4010', path: '/base', mayBePrivate: true }],
    [undefined, { origin: 'http://127.0.0.1:4010', path: '/base', mayBePrivate: true }],
  ])('may be %s', (uri, base) => {
    expect(hosts.baseOf('openai', uri)).toEqual(base);
  });

  test.each([
    ['https://evil.example.com', 'invalid_provider_host'],
    ['https://api.openai.com.evil.example.com', 'invalid_provider_host'],
    ['https://api.openai.com.', 'invalid_provider_host'],
    ['https://api.openai.com:8443', 'invalid_provider_host'],
    ['https://llm.example.com:8443', 'invalid_provider_host'],
    ['https://other.example.com', 'invalid_provider_host'],
    ['https://127.0.0.1', 'invalid_provider_host'],
    ['https://2130706433', 'invalid_provider_host'],
    ['https://0x7f.1', 'invalid_provider_host'],
    ['https://[::1]', 'invalid_provider_host'],
    ['http://127.0.0.1:4011', 'invalid_provider_host'],
    // Beside what the operator has configured.
    ['http://127.0.0.1:4010', 'invalid_provider_host'],
    ['http://127.0.0.1:4010/base/other', 'invalid_provider_host'],
    ['http://127.0.0.1:4010/base/../other', 'invalid_provider_host'],
    ['http://llm.example.com', 'invalid_provider_uri'],
    ['https://api.openai.com@evil.example.com', 'invalid_provider_uri'],
    ['https://user:secret@llm.example.com', 'invalid_provider_uri'],
    ['https://llm.example.com/?a=b', 'invalid_provider_uri'],
    ['https://llm.example.com/#', 'invalid_provider_uri'],
    ['ftp://llm.example.com', 'invalid_provider_uri'],
    ['file:///etc/passwd', 'invalid_provider_uri'],
    ['//llm.example.com', 'invalid_provider_uri'],
    ['llm.example.com', 'invalid_provider_uri'],
    [`https://llm.example.com/${'a'.repeat(3_000)}`, 'invalid_provider_uri'],
  ])('may not be %s', (uri, code) => {
    expect(() => hosts.baseOf('openai', uri)).toThrow(expect.objectContaining({ statusCode: 400, code }));
  });

  test('is refused when its name turns out to be private, and nothing is left reserved', async () => {
    const experienceId = crypto.randomUUID();
    const answer = await world.post(PATH, QUESTION, {
      'xProxy-Provider-BaseUri': 'https://localhost',
      'xProxy-Experience-ID': experienceId,
    });
    expect([answer.status, await answer.json()]).toEqual([
      400,
      expect.objectContaining({ xproxy_error: expect.objectContaining({ code: 'invalid_provider_host' }) }),
    ]);
    const { totals } = await world.service.client.costs.get(experienceId);
    expect(totals).toMatchObject({ eventCount: 0n, openReservationCount: 0n });
  });

  test('is refused as an address of its own', async () => {
    named.script((_call, response) => answerJson(response, COMPLETION));
    for (const uri of [named.url, named.url.replace('http:', 'https:')]) {
      const answer = await world.post(PATH, QUESTION, { 'xProxy-Provider-BaseURI': uri });
      expect(answer.status).toBe(400);
    }
    expect(named.calls).toEqual([]);
  });

  test('may be private where the operator says so, and over http', async () => {
    const open = await startProxyWorld({
      gateway: { providerHosts: [new URL(named.url).host], privateProviderHosts: true },
    });
    named.script((_call, response) => answerJson(response, COMPLETION));
    const answer = await open.post(PATH, QUESTION, { 'xProxy-Provider-BaseUri': `${named.url}/sub/v1` });
    expect(answer.status).toBe(200);
    expect(named.calls.map(({ url }) => url)).toEqual(['/sub/v1/chat/completions']);
    await open.stop();
  });
});

describe('headers', () => {
  test.each([
    'Connection',
    'Transfer-Encoding',
    'Host',
    'Content-Length',
    'TE',
    'Upgrade',
    'xProxy-api-key',
    'Keep-Alive',
  ])('xProxy-Forward-%s is refused', async (name) => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const answer = await world.post(PATH, QUESTION, { [`xProxy-Forward-${name}`]: 'x' });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ xproxy_error: { code: 'request_processing_error' } });
    expect(world.provider.calls).toEqual([]);
  });

  test('that belong to one connection end here', async () => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const body = JSON.stringify(QUESTION);
    const reply = await raw(
      [
        `POST /api/v1/proxy/${PATH} HTTP/1.1`,
        'Host: gateway',
        'Connection: keep-alive, X-Secret-Hop',
        'X-Secret-Hop: 1',
        'TE: trailers',
        'Proxy-Authorization: Basic eDp5',
        'Authorization: Bearer of-the-provider',
        'Authorization-Twin: kept',
        'xProxy-Forward-Authorization: Bearer forwarded',
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        '',
        body,
      ].join('\r\n'),
    );
    expect(reply).toMatch(/^HTTP\/1\.1 200 /);
    const [call] = world.provider.calls;
    const names = (call?.rawHeaders ?? [])
      .filter((_each, index) => index % 2 === 0)
      .map((name) => name.toLowerCase());
    for (const name of ['x-secret-hop', 'te', 'proxy-authorization', 'xproxy-forward-authorization'])
      expect(names).not.toContain(name);
    // A forwarded header takes the place of a plain one.
    expect(names.filter((name) => name === 'authorization')).toHaveLength(1);
    expect(call?.headers).toMatchObject({ authorization: 'Bearer forwarded', 'authorization-twin': 'kept' });
  });

  test('that tell who the caller is end here, unless they are forwarded', async () => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const telling = {
      cookie: 'session=1',
      forwarded: 'for=a',
      via: '1.1 a',
      'x-real-ip': 'a',
      'x-forwarded-for': 'a',
      'x-forwarded-client-cert': 'a',
      'x-amzn-oidc-data': 'a',
      'x-goog-iap-jwt-assertion': 'a',
      'x-ms-client-principal-name': 'a',
      'cf-access-jwt-assertion': 'a',
      'x-auth-request-email': 'a',
    };
    const answer = await world.post(PATH, QUESTION, {
      ...telling,
      'x-stainless-lang': 'js',
      'xProxy-Forward-X-Forwarded-Proto': 'https',
    });
    expect(answer.status).toBe(200);
    const headers = world.provider.calls[0]?.headers ?? {};
    expect(Object.keys(telling).filter((name) => name in headers)).toEqual([]);
    expect(headers).toMatchObject({ 'x-stainless-lang': 'js', 'x-forwarded-proto': 'https' });
  });

  test.each(['Authorization', 'X-Api-Key', 'xProxy-Forward-Authorization'])(
    'that hold a key of ours are refused: %s',
    async (name) => {
      world.provider.script((_call, response) => answerJson(response, COMPLETION));
      const key = `exp_${'0a'.repeat(12)}_${'s'.repeat(43)}`;
      const answer = await world.post(PATH, QUESTION, { [name]: `Bearer ${key}` });
      expect(answer.status).toBe(400);
      expect(await answer.text()).not.toContain(key);
      expect(world.provider.calls).toEqual([]);
    },
  );

  test('cannot be split into others', async () => {
    const body = JSON.stringify(QUESTION);
    const head = `POST /api/v1/proxy/${PATH} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n`;
    for (const line of [
      'xProxy-Forward-A: b\rInjected: yes',
      'xProxy-Forward-A: b\nInjected yes',
      'xProxy-Forward-A\u0000: b',
      'xProxy-Forward-A : b',
    ]) {
      world.provider.script((_call, response) => answerJson(response, COMPLETION));
      const reply = await raw(`${head}${line}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      expect(reply).toMatch(/^HTTP\/1\.1 400 /);
      expect(world.provider.calls).toEqual([]);
    }
  });

  test('that two servers may understand differently are refused', async () => {
    const head = `POST /api/v1/proxy/${PATH} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n`;
    for (const rest of [
      'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}{}',
      'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
      'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
    ]) {
      world.provider.script((_call, response) => answerJson(response, COMPLETION));
      expect(await raw(head + rest)).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(world.provider.calls).toEqual([]);
    }
  });

  /** The beginning of what is answered to these bytes. */
  async function raw(bytes: string): Promise<string> {
    const { hostname, port } = new URL(world.url);
    const socket = connect(Number(port), hostname);
    socket.write(bytes, 'latin1');
    const [reply] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return reply.toString();
  }
});

describe('bodies', () => {
  test.each([
    ['nothing', '', 'required_field_missing'],
    ['no JSON', '{"model":', 'invalid_json'],
    ['a list', '[]', undefined],
    ['no model', '{"messages":[]}', 'required_field_missing'],
    ['a model that is no text', '{"model":7,"messages":[]}', 'required_field_missing'],
    ['two models', '{"model":"gpt-4o-mini","messages":[],"model":"gpt-4o"}', 'invalid_json'],
    ['a model hidden in an escape', '{"model":"a","messages":[],"m\\u006fdel":"b"}', 'invalid_json'],
    ['two ways to answer', '{"stream":false,"model":"a","messages":[],"stream":true}', 'invalid_json'],
    ['a thousand brackets', '['.repeat(100_000), 'invalid_json'],
  ])('%s is refused', async (_case, body, code) => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const answer = await world.post(PATH, body);
    expect(answer.status).toBe(400);
    const { xproxy_error: error } = (await answer.json()) as { xproxy_error: { code: string } };
    if (code !== undefined) expect(error.code).toBe(code);
    expect(world.provider.calls).toEqual([]);
  });

  test('that are nested without end go to the provider, and are counted when it says nothing', async () => {
    const experienceId = crypto.randomUUID();
    world.provider.script((_call, response) => void response.destroy());
    const body = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":${'['.repeat(50_000)}${']'.repeat(50_000)}}]}`;
    const answer = await world.post(PATH, body, { 'xProxy-Experience-ID': experienceId });
    expect(answer.status).toBe(502);
    const { totals } = await world.service.client.costs.get(experienceId);
    expect(totals).toMatchObject({ eventCount: 1n, openReservationCount: 0n });
  });

  test('may name inside what they name once at the top', async () => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const tools = [{ type: 'function', function: { name: 'a', parameters: { model: { stream: true } } } }];
    expect((await world.post(PATH, { ...QUESTION, tools, stream: false })).status).toBe(200);
  });

  test('that are no UTF-8 are refused', async () => {
    const answer = await fetch(`${world.url}/api/v1/proxy/${PATH}`, {
      method: 'POST',
      body: Buffer.from('{"model":"\xff"}', 'latin1'),
    });
    expect(answer.status).toBe(400);
  });

  test('that are compressed are refused', async () => {
    const answer = await world.post(PATH, 'x', { 'content-encoding': 'gzip' });
    expect(answer.status).toBe(415);
  });

  test('that are larger than may be are refused, told or not', async () => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const told = await world.post(PATH, 'x'.repeat(32 * 1024 * 1024 + 1));
    expect(told.status).toBe(413);
    expect(await told.json()).toMatchObject({
      statusCode: 413,
      xproxy_error: { code: 'request_processing_error' },
    });
    const chunk = new Uint8Array(1024 * 1024);
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        sent += 1;
        if (sent > 34) controller.close();
        else controller.enqueue(chunk);
      },
    });
    const untold = await fetch(`${world.url}/api/v1/proxy/${PATH}`, { method: 'POST', body, duplex: 'half' });
    expect(untold.status).toBe(413);
    expect(world.provider.calls).toEqual([]);
  });

  test('of 20 MB are passed on whole', async () => {
    world.provider.script((_call, response) => answerJson(response, COMPLETION));
    const body = JSON.stringify({ ...QUESTION, padding: 'x'.repeat(20_000_000) });
    const answer = await world.post(PATH, body);
    expect(answer.status).toBe(200);
    expect(world.provider.calls[0]?.body.length).toBe(body.length);
  });
});

test('more calls to one host than may be are refused at once', () => {
  const upstreams = new Upstreams();
  const base = { origin: 'https://llm.example.com', path: '', mayBePrivate: false };
  const places = Array.from({ length: 1_024 }, () => upstreams.enter(base));
  expect(() => upstreams.enter(base)).toThrow(expect.objectContaining({ statusCode: 429 }));
  expect(() => upstreams.enter({ ...base, origin: 'https://other.example.com' })).not.toThrow();
  places[0]?.leave();
  places[0]?.leave(); // A place is given back once.
  upstreams.enter(base);
  expect(() => upstreams.enter(base)).toThrow(expect.objectContaining({ statusCode: 429 }));
});

test('neither keys nor bodies are in what is answered for a provider that cannot be reached', async () => {
  const gone = await startProxyWorld();
  await gone.provider.stop();
  const answer = await gone.post(PATH, QUESTION, { 'xProxy-Forward-Secret': 'do-not-tell' });
  expect(answer.status).toBe(502);
  const text = await answer.text();
  expect(JSON.parse(text)).toMatchObject({ xproxy_error: { code: 'provider_error' } });
  for (const secret of ['do-not-tell', 'sk-a-key', 'How are you', new URL(gone.provider.url).port])
    expect(text).not.toContain(secret);
  await gone.stop().catch(() => undefined); // Its provider is stopped already.
});
