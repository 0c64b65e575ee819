import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import type { ExperiencesClient, Scope } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { MARK, thingsOf } from './support/foreign-things.js';
import { startTestGateway } from './support/gateway.js';
import { GatewayHttp, type HttpAnswer } from './support/gateway-http.js';
import {
  OWN,
  ROUTE_WALKS,
  type RouteCall,
  type RouteCase,
  type RouteThing,
  routeThingsOf,
  unknownThing,
} from './support/gateway-walk.js';
import { RawClient } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { answerJson, type ScriptedProvider, startScriptedProvider } from './support/scripted-provider.js';
import { startTestService, type TestService } from './support/service.js';
import { storedDocuments } from './support/stored-documents.js';

/**
 * Who may call which route, and what of another application is to be seen by it: nothing, by no id. Every route that the
 * gateway has is walked.
 */
const BOOTSTRAP_KEY = 'a-bootstrap-key-of-at-least-32-characters';
const CHAT = 'POST /api/v1/proxy/openai/v1/chat/completions';

let service: TestService;
let provider: ScriptedProvider;
let gateway: Awaited<ReturnType<typeof startTestGateway>>;
let http: GatewayHttp;
let raw: RawClient;

beforeAll(async () => {
  [service, provider] = await Promise.all([
    startTestService({ bootstrapKey: BOOTSTRAP_KEY }),
    startScriptedProvider(),
  ]);
  gateway = await startGateway({ apiKey: BOOTSTRAP_KEY });
  http = await GatewayHttp.open(gateway.url);
  raw = new RawClient(service.address);
  provider.script(({ url }, response) => answerJson(response, ANSWERS[url] ?? {}));
});
afterAll(async () => {
  raw.close();
  await gateway.stop();
  await provider.stop();
  await service.stop();
});

/** By the provider's paths. */
const ANSWERS: Readonly<Record<string, object>> = {
  '/v1/chat/completions': {
    model: 'gpt-4o-mini',
    choices: [],
    usage: { prompt_tokens: 100, completion_tokens: 20 },
  },
  '/v1/models': { data: [] },
  '/v1/models/gpt-4o-mini': { id: 'gpt-4o-mini' },
  '/v1/responses': { model: 'gpt-4o-mini', output: [], usage: { input_tokens: 100, output_tokens: 20 } },
  '/v1/embeddings': {
    model: 'text-embedding-3-small',
    data: [],
    usage: { prompt_tokens: 9, total_tokens: 9 },
  },
  '/v1/images/generations': { data: [{ b64_json: '' }], usage: { input_tokens: 9, output_tokens: 90 } },
  '/v1/messages': {
    type: 'message',
    model: 'claude-3-5-haiku-20241022',
    content: [],
    usage: { input_tokens: 100, output_tokens: 20 },
  },
};

function startGateway(options: { readonly apiKey?: string; readonly serviceAddress?: string }) {
  return startTestGateway({
    serviceAddress: service.address,
    providers: { openai: provider.url, anthropic: provider.url },
    ...options,
  });
}

function of(application: string): ExperiencesClient {
  return service.client.as({ apiKey: BOOTSTRAP_KEY, application });
}

async function newKey(application: string, ...scopes: readonly Scope[]): Promise<string> {
  return (await of(application).admin.createKey({ scopes })).keyText;
}

/** With the key where every route takes it, unless there is none. */
async function send(
  route: string,
  { params = {}, query, body, headers = {} }: RouteCall,
  key?: string,
  to = http,
): Promise<HttpAnswer> {
  const [method = '', pattern = ''] = route.split(' ');
  const path = pattern
    .replace('/api/v1', '')
    .replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  const own = key === undefined ? {} : { 'xProxy-api-key': key };
  return to.call(method, query === undefined ? path : `${path}?${query}`, {
    headers: { ...own, ...headers },
    ...(body === undefined ? {} : { body }),
  });
}

function refusalOf({ status, body }: HttpAnswer): readonly unknown[] {
  const { xproxy_error: error } = z
    .object({ xproxy_error: z.object({ code: z.string() }).optional() })
    .parse(body);
  return [status, error?.code];
}

const KEYED = Object.entries(ROUTE_WALKS).filter(([, { needs }]) => needs.length > 0);

function firstCase(route: string): RouteCase {
  const first = ROUTE_WALKS[route]?.cases[0];
  if (first === undefined) throw new Error(`${route} has no case`);
  return first;
}

test('every route is walked', () => {
  expect(Object.keys(ROUTE_WALKS).sort()).toEqual([...gateway.routes].sort());
});

describe('without a valid key', () => {
  const someKey = () => `exp_${randomBytes(12).toString('hex')}_${randomBytes(32).toString('base64url')}`;
  let revoked: string;
  let otherSecret: string;
  beforeAll(async () => {
    await service.client.admin.createApplication({ applicationId: 'revoker' });
    const { key, keyText } = await of('revoker').admin.createKey({ scopes: ['ADMIN'] });
    await of('revoker').admin.revokeKey(key.keyId);
    revoked = keyText;
    const live = await newKey('revoker', 'ADMIN');
    otherSecret = `${live.slice(0, 'exp_'.length + 25)}${randomBytes(32).toString('base64url')}`;
    expect(otherSecret).toHaveLength(live.length);
  });

  test.each<[what: string, key: () => string | undefined]>([
    ['no key', () => undefined],
    ['an unknown key', someKey],
    ['a revoked key', () => revoked],
    ['the secret of no key', () => otherSecret],
    ['a placeholder', () => 'placeholder'],
    ['what cannot be a key', () => 'two words'],
    ['an empty key', () => ''],
  ])('no route answers %s', async (_what, key) => {
    const asked = provider.calls.length;
    const answers: unknown[] = [];
    for (const [route] of KEYED) {
      const { kind, call } = firstCase(route);
      const answer = await send(route, call(unknownThing(kind)), key());
      answers.push([route, ...refusalOf(answer), answer.headers.get('www-authenticate')]);
    }
    expect(answers).toEqual(KEYED.map(([route]) => [route, 401, 'invalid_api_key', 'Bearer']));
    // Who calls is known before any provider is called.
    expect(provider.calls).toHaveLength(asked);
  });

  test('nothing is said of a request, however wrong it is', async () => {
    const answers: unknown[] = [];
    const expected: unknown[] = [];
    for (const [route] of KEYED) {
      const params = { category: 'system.openai', name: '%', limit_id: 'none', model: '%' };
      const wrong = { params, query: 'limit=none&page_number=none', headers: { 'Idempotency-Key': '\t' } };
      const bodies = route.startsWith('GET') ? [undefined] : ['{', '[{}]', 'null'];
      for (const body of bodies) {
        answers.push([route, body, ...refusalOf(await send(route, { ...wrong, body }, someKey()))]);
        expected.push([route, body, 401, 'invalid_api_key']);
      }
    }
    expect(answers).toEqual(expected);
  });

  test('a body is not read', async () => {
    const { hostname: host, port } = new URL(gateway.url);
    const path = '/api/v1/ingest/bulk';
    const head = { 'content-type': 'application/json', 'content-length': 10_000_000 };
    const request = httpRequest({ host, port, path, method: 'POST', headers: head });
    onTestFinished(() => void request.destroy());
    request.on('error', () => undefined); // It is cut when the answer is there.
    request.write('[');
    const [response] = await once(request, 'response');
    expect(response.statusCode).toBe(401);
  });

  test('only what tells nothing is answered', async () => {
    const open = Object.keys(ROUTE_WALKS).filter((route) => ROUTE_WALKS[route]?.needs.length === 0);
    expect(open).toEqual(['GET /api/v1/openapi.json', 'GET /api/v1/health']);
    for (const route of open) expect((await send(route, {})).status).toBe(200);
  });
});

describe('a key', () => {
  const keys = new Map<string, string>();
  let things: (kind: RouteThing) => Promise<string>;
  beforeAll(async () => {
    await service.client.admin.createApplication({ applicationId: 'scoped' });
    for (const scopes of [['READ'], ['RECORD'], ['READ', 'RECORD'], ['ADMIN']] as const)
      keys.set(scopes.join(), await newKey('scoped', ...scopes));
    things = thingsOfApplication('scoped');
  });
  const has = (scopes: string, needs: readonly Scope[]) =>
    scopes === 'ADMIN' || needs.every((each) => scopes.split(',').includes(each));

  test('of too small a scope is refused by each route, which does nothing then', async () => {
    const ids = new Map<string, string>();
    for (const [route] of KEYED) ids.set(route, await things(firstCase(route).kind));
    const before = await storedDocuments(service.options.databaseName, 'scoped');
    const asked = provider.calls.length;
    const allowed: unknown[] = [];
    for (const [route, { needs }] of KEYED) {
      for (const [scopes, key] of keys) {
        if (has(scopes, needs)) continue;
        const answer = await send(route, firstCase(route).call(ids.get(route) ?? ''), key);
        if (answer.status !== 403) allowed.push([route, scopes, answer.status, answer.text]);
        else expect(refusalOf(answer)).toEqual([403, 'request_processing_error']);
      }
    }
    expect(allowed).toEqual([]);
    expect(provider.calls).toHaveLength(asked);
    expect(await storedDocuments(service.options.databaseName, 'scoped')).toBe(before);
  });

  test.each(KEYED)('of no more than the scope that is needed is enough for %s', async (route, { needs }) => {
    const { kind, call } = firstCase(route);
    const answer = await send(route, call(await things(kind)), keys.get(needs.join()));
    expect([answer.status, answer.text]).toEqual([200, answer.text]);
  });

  test.each<[form: string, headers: (key: string, other: string) => Record<string, string>]>([
    ['xProxy-api-key', (key) => ({ 'xProxy-api-key': key })],
    ['XPROXY-API-KEY', (key) => ({ 'XPROXY-API-KEY': key })],
    ['Authorization with Bearer', (key) => ({ Authorization: `Bearer ${key}` })],
    ['Authorization, bare', (key) => ({ Authorization: key })],
    [
      'xProxy-api-key before Authorization',
      (key, other) => ({ 'xProxy-api-key': key, Authorization: other }),
    ],
  ])('is taken as %s', async (_form, headers) => {
    const [key = '', other = ''] = [keys.get('READ'), await newOtherKey()];
    const type = await things('type');
    const answer = await send('GET /api/v1/experiences/types/:name', {
      params: { name: type },
      headers: headers(key, other),
    });
    expect([answer.status, answer.body]).toEqual([200, expect.objectContaining({ name: type })]);
  });

  const newOtherKey = async () => {
    const applicationId = `other-${randomBytes(4).toString('hex')}`;
    await service.client.admin.createApplication({ applicationId });
    return newKey(applicationId, 'ADMIN');
  };

  test('in Authorization is the provider’s on the proxy, and not looked at', async () => {
    const asked = provider.calls.length;
    const call = firstCase(CHAT).call(await things('type'));
    const key = keys.get('RECORD') ?? '';
    for (const authorization of [`Bearer ${key}`, key]) {
      const answer = await send(CHAT, { ...call, headers: { ...call.headers, authorization } });
      expect(refusalOf(answer)).toEqual([401, 'invalid_api_key']);
    }
    expect(provider.calls).toHaveLength(asked);
    const answer = await send(CHAT, { ...call, headers: { ...call.headers, authorization: 'sk-1' } }, key);
    expect(answer.status).toBe(200);
    const received = provider.calls.at(-1)?.headers;
    expect(received?.authorization).toBe('sk-1');
    expect(JSON.stringify(received)).not.toContain(key);
  });
});

function thingsOfApplication(application: string): (kind: RouteThing) => Promise<string> {
  const metadata = [
    ['xproxy-api-key', BOOTSTRAP_KEY],
    ['experiences-application', application],
  ] as const;
  const owner = of(application);
  return routeThingsOf(owner, thingsOf(owner, raw, metadata, { client: service.client, metadata }));
}

describe('an id of another application', () => {
  const walk = Object.entries(ROUTE_WALKS).flatMap(([route, { cases }]) =>
    cases.map((each, index) => [`${route} by ${each.kind} (${index + 1})`, { ...each, route }] as const),
  );
  const lists = Object.entries(ROUTE_WALKS).flatMap(([route, { withoutIds }]) =>
    withoutIds === undefined ? [] : [[route, withoutIds] as const],
  );
  const foreignIds = new Map<string, string>();
  let strangerKey: string;
  let ownersKey: string;
  let before: string;
  const stored = () => storedDocuments(service.options.databaseName, 'owner');

  beforeAll(async () => {
    for (const applicationId of ['owner', 'stranger'])
      await service.client.admin.createApplication({ applicationId, description: MARK });
    [strangerKey, ownersKey] = [await newKey('stranger', 'ADMIN'), await newKey('owner', 'ADMIN')];
    const rates = { text: { input: { base: '1' } } };
    await of('stranger').prices.create({ provider: OWN.category, model: OWN.resource, rates });
    const things = thingsOfApplication('owner');
    for (const [title, { kind }] of walk) foreignIds.set(title, await things(kind));
    before = await stored();
    expect(before.length).toBeGreaterThan(10_000);
  });

  // Before the stranger has made things of his own under the same ids.
  test.each(lists)('is not in what %s lists', async (route, call) => {
    const found = await send(route, call, strangerKey);
    expect(found.status).toBe(200);
    expect(found.text).not.toContain(MARK);
    expect((await send(route, call, ownersKey)).text).toContain(MARK);
  });

  test.each(walk)('is to %s as one that does not exist', async (title, { route, kind, call }) => {
    const foreignId = foreignIds.get(title) ?? '';
    const unknownId = unknownThing(kind);
    const toForeign = await comparable(route, call, foreignId, strangerKey);
    expect(toForeign).toBe(await comparable(route, call, unknownId, strangerKey));
    expect(toForeign).not.toContain(MARK);
  });

  test('has changed nothing of that application', async () => {
    expect(await stored()).toBe(before);
  });

  // Else a case would ask for nothing.
  test.each(walk)('is to its owner in %s another than one that is not', async (title, each) => {
    const { route, kind, call } = each;
    const toOwner = await comparable(route, call, foreignIds.get(title) ?? '', ownersKey);
    const toUnknown = await comparable(route, call, unknownThing(kind), ownersKey);
    if (SAME_TO_OWNER.has(title)) expect(toOwner).toBe(toUnknown);
    else expect(toOwner).not.toBe(toUnknown);
  });

  /** Without what differs between any two calls: ids and times. */
  async function comparable(
    route: string,
    call: RouteCase['call'],
    id: string,
    key: string,
  ): Promise<string> {
    const { status, text } = await send(route, call(id), key);
    const parts = [id, ...id.split(' ')].filter((part) => part !== '');
    return parts
      .reduce((rest, part) => rest.replaceAll(part, '<the id>'), `${status} ${text}`)
      .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<an id>')
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, '<a time>');
  }
});

/** What is made anew, and of which the answer does not tell whether it was there. */
const SAME_TO_OWNER: ReadonlySet<string> = new Set([
  'POST /api/v1/experiences/types by type (1)',
  'POST /api/v1/use_cases/definitions by type (1)',
  'POST /api/v1/ingest by reservation (11)',
  'POST /api/v1/ingest/bulk by experience (3)',
  'POST /api/v1/ingest/bulk by experience (4)',
  'POST /api/v1/ingest/bulk by resource (6)',
  'POST /api/v1/categories/:category/resources/:resource by resource (1)',
  'POST /api/v1/categories/:category/resources/:resource/:resource_id by resource (1)',
  'POST /api/v1/categories/:category/resources/:resource/:resource_id by resource (2)',
  // These are asked for under a name that only the stranger has.
  'GET /api/v1/categories/:category/resources/:resource/:resource_id by resource (2)',
  'DELETE /api/v1/categories/:category/resources/:resource/:resource_id by resource (2)',
  'POST /api/v1/limits by limit (1)',
  // Which models there are is the provider's matter.
  'GET /api/v1/proxy/openai/v1/models by type (1)',
  'GET /api/v1/proxy/openai/v1/models/:model by type (1)',
  'GET /api/v1/proxy/anthropic/v1/models by type (1)',
  'GET /api/v1/proxy/anthropic/v1/models/:model by type (1)',
]);

describe('the proxy', () => {
  const keys = new Map<string, string>();
  beforeAll(async () => {
    for (const applicationId of ['one', 'two']) {
      await service.client.admin.createApplication({ applicationId });
      keys.set(applicationId, await newKey(applicationId, 'RECORD'));
      await of(applicationId).types.create({ name: 'Feature', description: `Of ${applicationId}` });
    }
  });
  const body = { model: 'gpt-4o-mini', messages: [] };
  const ask = (application: string, headers: Readonly<Record<string, string>>) =>
    send(CHAT, { body, headers }, keys.get(application));
  const resultOf = (answer: HttpAnswer) =>
    z.object({ xproxy_result: z.looseObject({ request_id: z.string() }) }).parse(answer.body).xproxy_result;

  test('records in the application of the key, with two of them calling at once under the same ids', async () => {
    const experienceId = newUuid();
    const headers = { 'xProxy-Experience-ID': experienceId, 'xProxy-Experience-Name': 'Feature' };
    const rounds = Array.from({ length: 20 }, (_, index) => (index % 4 === 3 ? 'two' : 'one'));
    const answers = await Promise.all(rounds.map((application) => ask(application, headers)));
    expect(answers.map(({ status }) => status)).toEqual(rounds.map(() => 200));
    for (const [application, count] of [
      ['one', 15],
      ['two', 5],
    ] as const) {
      const told = answers.filter((_, index) => rounds[index] === application).map(resultOf);
      const events = await readAll(of(application).usage.list(experienceId));
      expect(events.map(({ eventId }) => eventId).sort()).toEqual(
        told.map(({ request_id }) => request_id).sort(),
      );
      expect(events).toHaveLength(count);
      expect((await of(application).costs.get(experienceId)).totals.eventCount).toBe(BigInt(count));
    }
    await expect(of('default').costs.get(experienceId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('takes no other word for whose call it is than the key', async () => {
    const claims = Object.fromEntries(
      ['experiences-application', 'x-experiences-application', 'xProxy-Application', 'xProxy-Account-Name']
        .concat(['xProxy-Forward-experiences-application', 'grpc-metadata-experiences-application'])
        .map((name) => [name, 'one']),
    );
    const experienceId = newUuid();
    const answer = await ask('two', { ...claims, 'xProxy-Experience-ID': experienceId });
    expect(answer.status).toBe(200);
    expect((await of('two').costs.get(experienceId)).totals.eventCount).toBe(1n);
    await expect(of('one').costs.get(experienceId)).rejects.toMatchObject({ code: 'NOT_FOUND' });

    const type = { params: { name: 'Feature' }, headers: claims };
    const admin = await newKey('two', 'ADMIN');
    const read = await send('GET /api/v1/experiences/types/:name', type, admin);
    expect(read.body).toMatchObject({ description: 'Of two' });
    // Not even with the bootstrap key: over HTTP it is one of the application `default`.
    const asBootstrap = await send('GET /api/v1/experiences/types/:name', type, BOOTSTRAP_KEY);
    expect(refusalOf(asBootstrap)).toEqual([404, 'experience_type_not_found']);
  });
});

describe('a gateway whose own key does not fit', () => {
  let key: string;
  let other: string;
  beforeAll(async () => {
    for (const applicationId of ['mine', 'theirs'])
      await service.client.admin.createApplication({ applicationId });
    [key, other] = [await newKey('mine', 'ADMIN'), await newKey('theirs', 'ADMIN')];
  });

  test.each<[what: string, own: () => { readonly apiKey?: string }]>([
    ['has none', () => ({})],
    ['is nobody’s', () => ({ apiKey: 'a-key-that-the-service-does-not-know' })],
    ['is of another application', () => ({ apiKey: other })],
  ])('because it %s asks for keys, reads by them, and calls no provider', async (_what, own) => {
    const mended = await startGateway(own());
    onTestFinished(() => mended.stop());
    const to = await GatewayHttp.open(mended.url);
    const asked = provider.calls.length;
    const list = 'GET /api/v1/experiences/types';
    expect((await send(list, {}, key, to)).status).toBe(200);
    expect(refusalOf(await send(list, {}, undefined, to))).toEqual([401, 'invalid_api_key']);
    const call = { body: { model: 'gpt-4o-mini', messages: [] } };
    expect(refusalOf(await send(CHAT, call, undefined, to))).toEqual([401, 'invalid_api_key']);
    const answer = await send(CHAT, call, key, to);
    expect(refusalOf(answer)).toEqual([503, 'unexpected_error']);
    expect(answer.body).toMatchObject({ message: 'The gateway may not record for this application.' });
    expect(provider.calls).toHaveLength(asked);
  });

  test('because it is of one application serves that one', async () => {
    const narrow = await startGateway({ apiKey: key });
    onTestFinished(() => narrow.stop());
    const to = await GatewayHttp.open(narrow.url);
    const call = { body: { model: 'gpt-4o-mini', messages: [] } };
    const recorder = await newKey('mine', 'RECORD');
    const answer = await send(CHAT, call, recorder, to);
    expect(answer.status).toBe(200);
    const { xproxy_result: result } = z
      .object({ xproxy_result: z.object({ request_id: z.string() }) })
      .parse(answer.body);
    expect((await of('mine').usage.get(result.request_id)).event.outcome).toBe('SUCCEEDED');
  });

  test('because the service asks for none serves everybody, as that service does', async () => {
    const open = await startTestService();
    const generous = await startGateway({ apiKey: BOOTSTRAP_KEY, serviceAddress: open.address });
    onTestFinished(async () => {
      await generous.stop();
      await open.stop();
    });
    const to = await GatewayHttp.open(generous.url);
    const call = { body: { model: 'gpt-4o-mini', messages: [] } };
    for (const sent of [undefined, 'placeholder']) {
      expect((await send('GET /api/v1/experiences/types', {}, sent, to)).status).toBe(200);
      expect((await send(CHAT, call, sent, to)).status).toBe(200);
    }
  });

  test('does not listen beyond loopback', async () => {
    const open = await startTestService();
    onTestFinished(() => open.stop());
    const start = (options: { readonly apiKey?: string; readonly serviceAddress?: string }) =>
      startTestGateway({ serviceAddress: service.address, listen: '0.0.0.0:0', ...options });
    const begin = 'to listen at 0.0.0.0:0, beyond loopback,';
    await expect(start({})).rejects.toThrow(`${begin} the gateway needs a key of its own`);
    await expect(start({ apiKey: 'unknown' })).rejects.toThrow(
      `${begin} the gateway needs a key that the service knows`,
    );
    await expect(start({ apiKey: BOOTSTRAP_KEY, serviceAddress: open.address })).rejects.toThrow(
      `${begin} the service must demand keys`,
    );
  });
});
