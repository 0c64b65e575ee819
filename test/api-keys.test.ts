import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { Binary, MongoClient } from 'mongodb';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { type ExperiencesClient, ExperiencesError, type Scope } from '../services/client/index.js';
import { contract } from '../services/contract/contract.js';
import { Ledger } from '../services/ledger/ledger.js';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';
import { Authenticator } from '../services/server/authenticator.js';
import { methodScopes } from '../services/server/method-scopes.js';
import { contractMethods } from './support/contract-methods.js';
import { RawClient } from './support/raw-client.js';
import { startTestService, type TestService } from './support/service.js';
import { type ServiceProcess, startServiceProcess } from './support/service-process.js';
import { RawUsageStream } from './support/usage-stream.js';
import { waitUntil } from './support/wait-until.js';

const admin = contract.AdminService.service;
const KEY_TEXT = /^exp_[0-9a-f]{24}_[A-Za-z0-9_-]{43}$/;
const BOOTSTRAP_KEY = 'a-bootstrap-key-of-at-least-32-characters';
const PAID = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: '1', output: '0' } } };
const NO_KEY = 'The call has no valid key: send one as xproxy-api-key, or as authorization: Bearer <key>.';

let service: TestService;
let raw: RawClient;
/** Of the service with the bootstrap key, which has one application more. */
let operator: ExperiencesClient;
let teamA: ExperiencesClient;
const logged: string[] = [];

beforeAll(async () => {
  const logger = pino({ level: 'trace' }, { write: (line: string) => logged.push(line) });
  service = await startTestService({ bootstrapKey: BOOTSTRAP_KEY, logger });
  raw = new RawClient(service.address);
  operator = service.client;
  await operator.admin.createApplication({ applicationId: 'team-a' });
  teamA = operator.as({ apiKey: BOOTSTRAP_KEY, application: 'team-a' });
});
afterAll(async () => {
  raw.close();
  await service.stop();
});

describe('a service without a bootstrap key', () => {
  let own: TestService;
  let other: ServiceProcess;
  beforeAll(async () => {
    own = await startTestService();
    other = await startServiceProcess(own.options);
  });
  afterAll(async () => {
    await other.stop();
    await own.stop();
  });

  test('takes calls without a key as those of default, which may do all but what the bootstrap key may', async () => {
    expect(await own.client.admin.caller()).toEqual({
      application: 'default',
      scopes: ['READ', 'RECORD', 'ADMIN'],
      isBootstrap: false,
    });
    const create = own.client.admin.createApplication({ applicationId: 'team-b' });
    expect(await refusal(create)).toEqual(['PERMISSION_DENIED', 'BOOTSTRAP_KEY_REQUIRED']);
    const foreign = own.client.as({ application: 'team-b' });
    expect(await refusal(foreign.admin.caller())).toEqual(['PERMISSION_DENIED', 'BOOTSTRAP_KEY_REQUIRED']);
    expect(await own.client.as({ application: 'default' }).admin.caller()).toMatchObject({
      application: 'default',
    });
  });

  test('takes no notice of a key that is sent', async () => {
    for (const apiKey of ['placeholder', `exp_${'0'.repeat(24)}_${'A'.repeat(43)}`])
      expect(await own.client.as({ apiKey }).admin.caller()).toMatchObject({ application: 'default' });
  });

  test('asks every caller for a key from the first key on: at once, and in another process within two seconds', async () => {
    const elsewhere = new RawClient(other.address);
    onTestFinished(() => elsewhere.close());
    const call = () => elsewhere.call(admin.GetCaller, {});
    const stream = new RawUsageStream(own.address);
    onTestFinished(() => stream.close());
    stream.send({ sequence: '1', records: [PAID] });
    await stream.answer(1);
    expect(await call()).toMatchObject({ applicationId: 'default' });
    const first = own.client.admin.createKey({ scopes: ['READ', 'RECORD'] });
    await expect(first).rejects.toMatchObject({
      reason: 'INVALID_FIELDS',
      violations: [{ field: 'scopes', description: 'of the first key must hold SCOPE_ADMIN' }],
    });
    expect(await own.client.admin.caller()).toMatchObject({ application: 'default' });

    const { key, keyText } = await own.client.admin.createKey({ scopes: ['ADMIN'] });
    const createdAt = performance.now();
    expect(await refusal(own.client.admin.caller())).toEqual(['UNAUTHENTICATED', 'INVALID_API_KEY']);
    await waitUntil('the other process asks too', () =>
      call().then(
        () => undefined,
        () => true,
      ),
    );
    expect(performance.now() - createdAt).toBeLessThan(2_000);
    // What was opened without a key ends too.
    expect(await stream.ended).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'INVALID_API_KEY' });

    const holder = own.client.as({ apiKey: keyText });
    expect(await holder.admin.caller()).toMatchObject({ application: 'default', isBootstrap: false });
    // The other process knows it, too, until it asks again.
    const callWithKey = () =>
      elsewhere.call(admin.GetCaller, {}, { metadata: [['xproxy-api-key', keyText]] });
    expect(await callWithKey()).toMatchObject({ applicationId: 'default' });
    await holder.admin.revokeKey(key.keyId);
    const revokedAt = performance.now();
    expect(await refusal(holder.admin.caller())).toEqual(['UNAUTHENTICATED', 'INVALID_API_KEY']);
    await waitUntil('the other process refuses the revoked key', () =>
      callWithKey().then(
        () => undefined,
        () => true,
      ),
    );
    expect(performance.now() - revokedAt).toBeLessThan(2_000);
    // Nobody revokes back to a service that asks for no key.
    expect(await refusal(own.client.admin.caller())).toEqual(['UNAUTHENTICATED', 'INVALID_API_KEY']);
    expect(await refusal(call())).toEqual(['UNAUTHENTICATED', 'INVALID_API_KEY']);
  });

  test('does not start where others could reach it', async () => {
    const start = startTestService({ listen: '0.0.0.0:0' });
    await expect(start).rejects.toThrow(
      'To listen beyond loopback (0.0.0.0:0) it needs a bootstrap key: set EXPERIENCES_BOOTSTRAP_KEY.',
    );
    const ended = startServiceProcess({ ...own.options, listen: '0.0.0.0:0' });
    await expect(ended).rejects.toThrow('set EXPERIENCES_BOOTSTRAP_KEY');
  });
});

describe('the bootstrap key', () => {
  test('lets the service listen where others reach it', async () => {
    const reachable = await startTestService({ listen: '0.0.0.0:0', bootstrapKey: BOOTSTRAP_KEY });
    onTestFinished(() => reachable.stop());
    const local = new RawClient(reachable.address.replace('0.0.0.0', '127.0.0.1'));
    onTestFinished(() => local.close());
    expect(await refusal(local.call(admin.GetCaller, {}))).toEqual(['UNAUTHENTICATED', 'INVALID_API_KEY']);
  });

  test.each(['', 'x'.repeat(31), 'x'.repeat(257), `${'x'.repeat(40)} y`, `${'x'.repeat(40)}ü`])(
    'is long, and of visible ASCII: %j is refused, without being shown',
    async (bootstrapKey) => {
      await expect(startTestService({ bootstrapKey })).rejects.toThrow(
        /^EXPERIENCES_BOOTSTRAP_KEY must be 32 to 256 visible ASCII characters\.$/,
      );
    },
  );

  test('may do everything for every application, and for default where none is named', async () => {
    const all = { scopes: ['READ', 'RECORD', 'ADMIN'], isBootstrap: true };
    expect(await operator.admin.caller()).toEqual({ application: 'default', ...all });
    expect(await teamA.admin.caller()).toEqual({ application: 'team-a', ...all });
    for (const application of ['nobody', 'Team A', '', 'x'.repeat(5_000)]) {
      const named = raw.call(
        admin.GetCaller,
        {},
        {
          metadata: [
            ['xproxy-api-key', BOOTSTRAP_KEY],
            ['experiences-application', application],
          ],
        },
      );
      // An empty one is none.
      if (application === '') expect(await named).toMatchObject({ applicationId: 'default' });
      else expect(await refusal(named)).toEqual(['NOT_FOUND', 'APPLICATION_NOT_FOUND']);
    }
  });

  test('is as good in the other header', async () => {
    const metadata = [['authorization', `Bearer ${BOOTSTRAP_KEY}`]] as const;
    expect(await raw.call(admin.GetCaller, {}, { metadata })).toMatchObject({ isBootstrap: true });
  });
});

describe('a key', () => {
  test('is shown once, and kept nowhere', async () => {
    const { key, keyText } = await teamA.admin.createKey({
      scopes: ['RECORD', 'READ'],
      description: 'checkout',
    });
    expect(keyText).toMatch(KEY_TEXT);
    expect(key).toEqual({
      keyId: keyText.slice(4, 28),
      applicationId: 'team-a',
      scopes: ['READ', 'RECORD'],
      description: 'checkout',
      createTime: expect.any(Date),
      revokeTime: undefined,
    });
    expect(await teamA.admin.listKeys()).toEqual([key]);
    await teamA.as({ apiKey: keyText }).usage.record({
      eventId: randomUUID(),
      provider: 'openai',
      model: 'gpt-4o-mini',
      units: { text: { input: 1n } },
    });
    await refusal(teamA.as({ apiKey: `${keyText}x` }).admin.caller());

    const secret = keyText.slice(29);
    const stored = await everythingStored();
    const hash = createHash('sha256').update(secret).digest();
    expect(stored.texts).toContain(key.keyId);
    for (const trace of [secret, BOOTSTRAP_KEY]) {
      expect(stored.texts).not.toContain(trace);
      for (const encoding of ['base64', 'hex'] as const)
        expect(stored.texts).not.toContain(Buffer.from(trace).toString(encoding));
    }
    expect(stored.texts).not.toContain(Buffer.from(secret, 'base64url').toString('base64'));
    expect(stored.hashes).toEqual([hash.toString('hex')]);
    expect(logged.join()).not.toContain(secret);
    expect(logged.join()).not.toContain(BOOTSTRAP_KEY);
    await teamA.admin.revokeKey(key.keyId);
  });

  test('is compared in constant time', () => {
    const source = readFileSync(join(PACKAGE_ROOT, 'services', 'server', 'authenticator.ts'), 'utf8');
    expect(source.match(/timingSafeEqual\(secretHash\(/g)).toHaveLength(2);
    expect(source).not.toMatch(/[!=]==? *(?:found\.)?secret|secret(?:Hash)?\)? *[!=]==/);
  });

  test('is taken from either header; two that differ are none', async () => {
    const { key, keyText } = await teamA.admin.createKey({ scopes: ['READ'] });
    const calledWith = (...metadata: readonly (readonly [string, string])[]) =>
      raw.call(admin.GetCaller, {}, { metadata });
    for (const metadata of [
      [['xproxy-api-key', keyText]],
      [['authorization', `Bearer ${keyText}`]],
      [['authorization', `bearer  ${keyText}`]],
      [
        ['xproxy-api-key', keyText],
        ['authorization', `Bearer ${keyText}`],
      ],
      // That of somebody else, on the way to a provider.
      [
        ['xproxy-api-key', keyText],
        ['authorization', 'Basic YTpi'],
      ],
      [
        ['xproxy-api-key', keyText],
        ['experiences-application', 'team-a'],
      ],
    ] as const)
      expect(await calledWith(...metadata).catch(String), JSON.stringify(metadata)).toMatchObject({
        applicationId: 'team-a',
        isBootstrap: false,
      });
    const foreign = [
      ['xproxy-api-key', keyText],
      ['experiences-application', 'default'],
    ] as const;
    expect(await refusal(calledWith(...foreign))).toEqual(['PERMISSION_DENIED', 'BOOTSTRAP_KEY_REQUIRED']);
    const absent = [
      ['xproxy-api-key', keyText],
      ['experiences-application', 'nobody'],
    ] as const;
    expect(await refusal(calledWith(...absent))).toEqual(['PERMISSION_DENIED', 'BOOTSTRAP_KEY_REQUIRED']);

    const wrongSecret = `${keyText.slice(0, -1)}${keyText.endsWith('A') ? 'B' : 'A'}`;
    const unknown = `exp_${'0'.repeat(24)}_${'A'.repeat(43)}`;
    for (const metadata of [
      [],
      [['xproxy-api-key', '']],
      [['xproxy-api-key', 'exp']],
      [['xproxy-api-key', 'x'.repeat(6_000)]],
      [['xproxy-api-key', unknown]],
      [['xproxy-api-key', wrongSecret]],
      [['xproxy-api-key', keyText.toUpperCase()]],
      [['xproxy-api-key', `${keyText}A`]],
      [['xproxy-api-key', keyText.slice(0, -1)]],
      [['xproxy-api-key', `exp_${key.keyId}_`]],
      [['xproxy-api-key', `exp_\u0024ne_${'A'.repeat(43)}`]],
      [['xproxy-api-key', `${BOOTSTRAP_KEY.slice(0, -1)}`]],
      [['authorization', keyText]],
      [['authorization', `Basic ${keyText}`]],
      [['authorization', 'Bearer']],
      [
        ['xproxy-api-key', keyText],
        ['authorization', `Bearer ${BOOTSTRAP_KEY}`],
      ],
      [
        ['xproxy-api-key', keyText],
        ['xproxy-api-key', unknown],
      ],
    ] as const) {
      const error = await calledWith(...metadata).catch((reason: unknown) => reason);
      expect(error, JSON.stringify(metadata)).toMatchObject({
        code: 'UNAUTHENTICATED',
        reason: 'INVALID_API_KEY',
        message: NO_KEY,
        metadata: {},
      });
    }
    await teamA.admin.revokeKey(key.keyId);
  });

  test('may be made anew while the one before is live: two of the same scopes, however many ask at once', async () => {
    const made = await Promise.allSettled(
      Array.from({ length: 6 }, () => teamA.admin.createKey({ scopes: ['RECORD'] })),
    );
    const texts = made.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    expect(texts).toHaveLength(2);
    for (const each of made)
      if (each.status === 'rejected')
        expect(each.reason).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'APPLICATION_FULL' });
    const [first, second] = texts;
    if (first === undefined || second === undefined) throw new Error('there are two');
    for (const { keyText } of texts)
      expect((await teamA.as({ apiKey: keyText }).admin.caller()).scopes).toEqual(['RECORD']);
    await teamA.admin.revokeKey(first.key.keyId);
    expect(await refusal(teamA.as({ apiKey: first.keyText }).admin.caller())).toEqual([
      'UNAUTHENTICATED',
      'INVALID_API_KEY',
    ]);
    expect((await teamA.as({ apiKey: second.keyText }).admin.caller()).application).toBe('team-a');
    const third = await teamA.admin.createKey({ scopes: ['RECORD'] });
    // Other scopes are counted by themselves, and what a scope implies does not matter.
    const admins = [
      await teamA.admin.createKey({ scopes: ['ADMIN'] }),
      await teamA.admin.createKey({ scopes: ['READ', 'ADMIN'] }),
    ];
    expect(admins.map(({ key }) => key.scopes)).toEqual([
      ['READ', 'RECORD', 'ADMIN'],
      ['READ', 'RECORD', 'ADMIN'],
    ]);
    expect(await refusal(teamA.admin.createKey({ scopes: ['ADMIN', 'RECORD'] }))).toEqual([
      'RESOURCE_EXHAUSTED',
      'APPLICATION_FULL',
    ]);
    for (const { key } of [second, third, ...admins]) await teamA.admin.revokeKey(key.keyId);
  });

  test('is made once by a request that is sent again, which gets a secret that holds', async () => {
    const request = { scopes: ['RECORD'] as const, requestId: randomUUID() };
    const [first, again] = [await teamA.admin.createKey(request), await teamA.admin.createKey(request)];
    expect(again.key).toEqual(first.key);
    expect(again.keyText).not.toBe(first.keyText);
    expect((await teamA.as({ apiKey: again.keyText }).admin.caller()).scopes).toEqual(['RECORD']);
    expect(await refusal(teamA.as({ apiKey: first.keyText }).admin.caller())).toEqual([
      'UNAUTHENTICATED',
      'INVALID_API_KEY',
    ]);
    const exists = ['ALREADY_EXISTS', 'API_KEY_ALREADY_EXISTS'];
    expect(await refusal(teamA.admin.createKey({ ...request, scopes: ['READ'] }))).toEqual(exists);
    await inDatabase((db) =>
      db
        .collection<{ _id: string; c: Date }>('api_keys')
        .updateOne({ _id: first.key.keyId }, { $set: { c: new Date(Date.now() - 11 * 60_000) } }),
    );
    expect(await refusal(teamA.admin.createKey(request))).toEqual(exists);
    await teamA.admin.revokeKey(first.key.keyId);
    expect(await refusal(teamA.admin.createKey(request))).toEqual(exists);
  });

  test('that is revoked stays in the list, and of those the oldest goes when there are a hundred', async () => {
    const { key } = await teamA.admin.createKey({ scopes: ['READ', 'RECORD'], description: 'the last' });
    const revoked = await teamA.admin.revokeKey(key.keyId);
    expect(revoked.revokeTime).toBeInstanceOf(Date);
    expect(await teamA.admin.revokeKey(key.keyId)).toEqual(revoked);
    const before = await teamA.admin.listKeys();
    expect(before[0]).toEqual(revoked);
    await inDatabase((db) => {
      const old = (n: number) => ({
        _id: n.toString(16).padStart(24, '0'),
        a: 'team-a',
        s: ['READ'],
        h: new Binary(Buffer.alloc(32)),
        c: new Date(n),
        d: new Date(n),
      });
      const missing = Array.from({ length: 100 - before.length }, (_, index) => old(index + 1));
      return db.collection<ReturnType<typeof old>>('api_keys').insertMany(missing);
    });
    expect(await teamA.admin.listKeys()).toHaveLength(100);
    const next = await teamA.admin.createKey({ scopes: ['READ', 'RECORD'] });
    const after = await teamA.admin.listKeys();
    expect(after).toHaveLength(100);
    expect(after[0]).toEqual(next.key);
    expect(after.map(({ keyId }) => keyId)).not.toContain('1'.padStart(24, '0'));
    expect(after.map(({ keyId }) => keyId)).toContain('2'.padStart(24, '0'));
    await teamA.admin.revokeKey(next.key.keyId);
  });

  test('of another application is to those who look for it as one that does not exist', async () => {
    const { key } = await operator.admin.createKey({ scopes: ['READ'] });
    expect(await refusal(teamA.admin.revokeKey(key.keyId))).toEqual(['NOT_FOUND', 'API_KEY_NOT_FOUND']);
    expect((await operator.admin.listKeys())[0]?.revokeTime).toBeUndefined();
    await operator.admin.revokeKey(key.keyId);
  });

  test('ends the streams that it has opened within seconds of its end', async () => {
    const { key, keyText } = await teamA.admin.createKey({ scopes: ['ADMIN'] });
    const stream = new RawUsageStream(service.address, { metadata: { 'xproxy-api-key': keyText } });
    onTestFinished(() => stream.close());
    stream.send({ sequence: '1', records: [PAID] });
    await stream.answer(1);
    await teamA.types.create({ name: 'Waits', description: 'Nobody runs it', workflowType: 'nobody' });
    const { run } = await teamA.runs.start({ experienceType: 'Waits', parameters: {} });
    let seen = 0;
    const watching = (async () => {
      for await (const state of teamA.as({ apiKey: keyText }).runs.watch(run.experienceId))
        seen += state.state === 'RUNNING' ? 1 : 0;
    })();
    await waitUntil('the watch has begun', () => (seen > 0 ? true : undefined));
    await teamA.admin.revokeKey(key.keyId);
    const revokedAt = performance.now();
    expect(await refusal(watching)).toEqual(['UNAUTHENTICATED', 'INVALID_API_KEY']);
    await teamA.runs.cancel(run.experienceId);
    expect(await stream.ended).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'INVALID_API_KEY' });
    expect(performance.now() - revokedAt).toBeLessThan(4_000);
  });
});

describe('scopes', () => {
  const RIGHTS: readonly (readonly [stated: readonly Scope[], all: readonly string[]])[] = [
    [['READ'], ['READ', 'NONE']],
    [['RECORD'], ['RECORD', 'NONE']],
    [
      ['READ', 'RECORD'],
      ['READ', 'RECORD', 'NONE'],
    ],
    [['ADMIN'], ['READ', 'RECORD', 'ADMIN', 'NONE']],
  ];

  test.each(RIGHTS)('%j open exactly the methods that need %j', async (stated, all) => {
    const { key, keyText } = await teamA.admin.createKey({ scopes: stated });
    const methods = contractMethods();
    expect(methods.length).toBeGreaterThanOrEqual(63);
    for (const { path, scope } of methods) {
      const method = { path, responseDeserialize: (bytes: Buffer) => bytes };
      const metadata = [['xproxy-api-key', keyText]] as const;
      const error: unknown = await raw
        .callBytes(method, Buffer.alloc(0), { metadata })
        .catch((reason: unknown) => reason);
      const reason = error instanceof ExperiencesError ? error.reason : undefined;
      expect(reason === 'SCOPE_MISSING', `${path} needs ${scope}: ${reason}`).toBe(!all.includes(scope));
      if (reason !== 'SCOPE_MISSING') continue;
      expect(error).toMatchObject({ code: 'PERMISSION_DENIED', metadata: { required_scope: scope } });
    }
    await teamA.admin.revokeKey(key.keyId);
  });

  test('are stated for every method; one without is refused to everybody', async () => {
    const known = methodScopes();
    expect(Object.fromEntries(known)).toEqual(
      Object.fromEntries(contractMethods().map(({ path, scope }) => [path, scope])),
    );
    const { mongodbUri: uri, databaseName } = service.options;
    const ledger = await Ledger.open({ uri, databaseName, catalogue: [], applications: ['default'] });
    onTestFinished(() => ledger.close());
    const authenticator = new Authenticator(ledger, known, {
      bootstrapKey: BOOTSTRAP_KEY,
      strictDefault: false,
    });
    const metadata = new Metadata();
    metadata.set('xproxy-api-key', BOOTSTRAP_KEY);
    expect(await authenticator.admit('/experiences.v1.AdminService/Verify', metadata)).toMatchObject({
      application: 'default',
    });
    await expect(authenticator.admit('/experiences.v1.AdminService/New', metadata)).rejects.toMatchObject({
      reason: 'SCOPE_MISSING',
    });
  });

  test.each<[what: string, scopes: readonly string[], wrong: string]>([
    ['none', [], 'is required'],
    ['one that is not stated', ['SCOPE_UNSPECIFIED'], 'may hold SCOPE_READ, SCOPE_RECORD, SCOPE_ADMIN'],
    ['that of methods', ['SCOPE_READ', 'SCOPE_NONE'], 'may hold SCOPE_READ, SCOPE_RECORD, SCOPE_ADMIN'],
  ])('of a key cannot be %s', async (_what, scopes, description) => {
    const request = { scopes: scopes as 'SCOPE_READ'[] };
    const metadata = [['xproxy-api-key', BOOTSTRAP_KEY]] as const;
    const error = await raw
      .call(admin.CreateApiKey, request, { metadata })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ violations: [{ field: 'scopes', description }] });
  });
});

describe('where keys are asked for', () => {
  test('health is open', async () => {
    const { Check } = healthService;
    if (Check === undefined) throw new Error('the health protocol has a Check');
    expect(await raw.call(Check, { service: '' })).toEqual({ status: 'SERVING' });
  });

  test.each(['v1', 'v1alpha'])('reflection %s needs one', async (version) => {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const method = { path, responseDeserialize: (bytes: Buffer) => bytes.toString('latin1') };
    // `list_services`, field 7: an empty text.
    const ask = (...metadata: readonly (readonly [string, string])[]) =>
      raw.callBytes(method, Buffer.from([7 * 8 + 2, 0]), { metadata });
    expect(await refusal(ask())).toEqual(['UNAUTHENTICATED', 'INVALID_API_KEY']);
    expect(await ask(['xproxy-api-key', BOOTSTRAP_KEY])).toContain('experiences.v1.AdminService');
  });

  test('a call whose request cannot be read is refused for its key first', async () => {
    const method = { ...admin.GetApplication, responseDeserialize: (bytes: Buffer) => bytes };
    const bad = Buffer.from([0xff, 0xff]);
    expect(await refusal(raw.callBytes(method, bad))).toEqual(['UNAUTHENTICATED', 'INVALID_API_KEY']);
    const metadata = [['xproxy-api-key', BOOTSTRAP_KEY]] as const;
    expect(await refusal(raw.callBytes(method, bad, { metadata }))).toEqual([
      'INVALID_ARGUMENT',
      'INVALID_FIELDS',
    ]);
  });
});

/** What a call was refused with; it must be. */
async function refusal(call: Promise<unknown>): Promise<readonly (string | undefined)[]> {
  const error = await call.then(
    () => new Error('the call was answered'),
    (reason: unknown) => reason,
  );
  if (error instanceof ExperiencesError) return [error.code, error.reason];
  throw error;
}

async function inDatabase<T>(work: (db: ReturnType<MongoClient['db']>) => Promise<T>): Promise<T> {
  const mongo = await MongoClient.connect(inject('mongodbUri'));
  try {
    return await work(mongo.db(service.options.databaseName));
  } finally {
    await mongo.close();
  }
}

/** Every document of every collection, as text, with bytes in base64; and the hashes of keys, in hex. */
async function everythingStored(): Promise<{ readonly texts: string; readonly hashes: readonly string[] }> {
  return inDatabase(async (db) => {
    const collections = await db.listCollections({ name: { $not: /^system\./ } }).toArray();
    const texts: string[] = [];
    for (const { name } of collections.filter(({ name }) => name !== 'prices'))
      texts.push(JSON.stringify(await db.collection(name).find().toArray()));
    const keys = await db.collection<{ h: Binary }>('api_keys').find().toArray();
    return {
      texts: texts.join('\n'),
      hashes: keys.map(({ h }) => Buffer.from(h.buffer).toString('hex')),
    };
  });
}
