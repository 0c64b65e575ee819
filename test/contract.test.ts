import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { service as healthService } from 'grpc-health-check';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { ExperiencesError } from '../services/client/index.js';
import { errorMessageType, LOADER_OPTIONS } from '../services/contract/contract.js';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';
import { RawClient } from './support/raw-client.js';
import { startTestService, type TestService } from './support/service.js';

const PROTO = join(PACKAGE_ROOT, 'proto');
const RELEASED = join(PROTO, 'released.binpb');
const SERVICES = [
  'AdminService',
  'CostService',
  'DocumentService',
  'ExperienceRunService',
  'ExperienceService',
  'ExperienceTypeService',
  'LimitService',
  'PriceService',
  'RunStateService',
  'UsageService',
].map((name) => `experiences.v1.${name}`);
/** How buf says that it found something. */
const FOUND = 100;

let service: TestService;
let raw: RawClient;
beforeAll(async () => {
  service = await startTestService();
  raw = new RawClient(service.address);
});
afterAll(async () => {
  raw.close();
  await service.stop();
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function buf(...options: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const limits = { timeout: 20_000, maxBuffer: 16 * 1024 * 1024 };
    execFile(join(PACKAGE_ROOT, 'node_modules', '.bin', 'buf'), options, limits, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ code: Number(error?.code ?? 0), stdout, stderr });
    });
  });
}

/** A copy of the contract with one file changed. */
async function changedContract(file: string, change: (text: string) => string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'experiences-contract-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await cp(PROTO, folder, { recursive: true });
  const path = join(folder, 'experiences', 'v1', file);
  const before = await readFile(path, 'utf8');
  const after = change(before);
  expect(after).not.toBe(before);
  await writeFile(path, after);
  return folder;
}

describe('the contract', () => {
  test('is clean by the linter and against the released image', async () => {
    expect(await buf('lint', PROTO)).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await buf('breaking', PROTO, '--against', RELEASED)).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test.each<[what: string, file: string, change: (text: string) => string, found: string]>([
    [
      'a field with another number',
      'usage.proto',
      (text) => text.replace('string provider = 3;', 'string provider = 33;'),
      'Previously present field "3" with name "provider"',
    ],
    [
      'a field less',
      'usage.proto',
      (text) => text.replace('string step = 10;', 'reserved 10;'),
      'Previously present field "10" with name "step"',
    ],
    [
      'a field of another type',
      'usage.proto',
      (text) => text.replace('int64 event_count = 1;', 'string event_count = 1;'),
      'Field "1" with name "event_count"',
    ],
    [
      'a field of another name',
      'price_service.proto',
      (text) => text.replace('string price_id = 1;', 'string id = 1;'),
      'Field "1" on message "Price"',
    ],
    [
      'a method less',
      'usage_service.proto',
      (text) => text.replace(/ {2}rpc ListUsage[^}]*\}/, ''),
      'Previously present RPC "ListUsage"',
    ],
    [
      'a method with another request',
      'cost_service.proto',
      (text) =>
        text.replace('GetExperienceCost(GetExperienceCostRequest)', 'GetExperienceCost(EstimateCostRequest)'),
      'RPC "GetExperienceCost" on service "CostService" changed request type',
    ],
    [
      'a reason with another name',
      'error_reason.proto',
      (text) => text.replace('ERROR_REASON_INTERNAL = 22', 'ERROR_REASON_BUG = 22'),
      'Enum value "22" on enum "ErrorReason" changed name',
    ],
  ])('with %s is found to break its callers', async (_what, file, change, found) => {
    const { code, stdout } = await buf(
      'breaking',
      await changedContract(file, change),
      '--against',
      RELEASED,
    );
    expect(code).toBe(FOUND);
    expect(stdout).toContain(found);
  });

  test('with a reason more breaks nobody', async () => {
    const folder = await changedContract('error_reason.proto', (text) =>
      text.replace(
        'ERROR_REASON_INTERNAL = 22;',
        'ERROR_REASON_INTERNAL = 22;\n  // New.\n  ERROR_REASON_NEW = 1000;',
      ),
    );
    expect((await buf('breaking', folder, '--against', RELEASED)).code).toBe(0);
  });

  test.each<[what: string, file: string, change: (text: string) => string, found: string]>([
    [
      'a field without a comment',
      'usage.proto',
      (text) => text.replace('  // Who was paid', '  string x = 1000;\n  // Who was paid'),
      'COMMENT_FIELD',
    ],
    [
      'a value without its prefix',
      'usage.proto',
      (text) => text.replace('USAGE_OUTCOME_FAILED', 'FAILED'),
      'prefix',
    ],
  ])('with %s does not pass the linter', async (_what, file, change, found) => {
    const { code, stdout } = await buf('lint', await changedContract(file, change), '--error-format=json');
    expect(code).toBe(FOUND);
    expect(stdout).toContain(found);
  });

  test('is read by the loader as the types of it were generated', async () => {
    const script = await readFile(join(PACKAGE_ROOT, 'services', 'contract', 'generate.mjs'), 'utf8');
    const [, list = ''] = /const typeOptions = \[([^\]]*)\]/.exec(script) ?? [];
    const generated = [...list.matchAll(/'(--[^']*)'/g)].map(([, flag]) => flag);
    const loaded = Object.entries(LOADER_OPTIONS).map(([name, value]) =>
      value === String ? `--${name}=String` : value === true ? `--${name}` : `--${name}=${value}`,
    );
    expect(loaded.length).toBeGreaterThan(0);
    expect(generated.filter((flag) => flag !== '--includeComments').sort()).toEqual(loaded.sort());
  });
});

describe('every method', () => {
  const METHOD = z.object({ name: z.string(), options: z.record(z.string(), z.unknown()).default({}) });
  const FILE = z.object({
    service: z.array(z.object({ name: z.string(), method: z.array(METHOD) })).default([]),
  });
  let methods: { readonly path: string; readonly options: Readonly<Record<string, unknown>> }[];
  beforeAll(async () => {
    const { stdout } = await buf('build', PROTO, '-o', '-#format=json');
    const { file } = z.object({ file: z.array(FILE) }).parse(JSON.parse(stdout));
    methods = file.flatMap(({ service: services }) =>
      services.flatMap(({ name, method }) =>
        method.map((one) => ({ path: `/experiences.v1.${name}/${one.name}`, options: one.options })),
      ),
    );
  });

  test('says which scope it needs, and one that only reads says so', () => {
    expect(methods).toHaveLength(68);
    for (const { path, options } of methods) {
      const scope = options['[experiences.v1.required_scope]'];
      // Who calls may be asked by any key.
      const any = path.endsWith('AdminService/GetCaller');
      if (any) expect(scope, path).toBe('SCOPE_NONE');
      else expect(scope, path).toMatch(/^SCOPE_(READ|RECORD|ADMIN)$/);
      // A verify reads everything there is, and what keys there are is not for everyone who reads.
      const reads = scope === 'SCOPE_READ' || any || /AdminService\/(Verify|ListApiKeys)$/.test(path);
      expect(options.idempotencyLevel === 'NO_SIDE_EFFECTS', path).toBe(reads);
    }
  });

  test('is served: an empty request is answered, or refused for its fields', async () => {
    const answers: [path: string, reason: unknown][] = [];
    // One after the other: a process checks its books one at a time.
    for (const { path } of methods) {
      const method = { path, responseDeserialize: (bytes: Buffer) => bytes };
      const error: unknown = await raw.callBytes(method, Buffer.alloc(0)).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      answers.push([path, error instanceof ExperiencesError ? error.reason : error]);
    }
    const answered = [
      'ExperienceTypeService/ListExperienceTypes',
      'ExperienceService/ListExperiences',
      'PriceService/ListPrices',
      'PriceService/ListPricedProviders',
      'PriceService/RepriceUnpriced',
      'DocumentService/CreateDocument',
      'LimitService/ListLimits',
      'AdminService/SweepReservations',
      'AdminService/Verify',
      'AdminService/Repair',
      'AdminService/GetApplication',
      'AdminService/ListApplications',
      'AdminService/ListApiKeys',
      'AdminService/GetCaller',
    ];
    const expected = (path: string) => {
      // Nobody without the bootstrap key is told more.
      if (path.endsWith('/CreateApplication')) return 'BOOTSTRAP_KEY_REQUIRED';
      return answered.some((method) => path.endsWith(method)) ? undefined : 'INVALID_FIELDS';
    };
    expect(Object.fromEntries(answers)).toEqual(
      Object.fromEntries(methods.map(({ path }) => [path, expected(path)])),
    );
  });
});

describe('a client that is not ours, by reflection,', () => {
  async function curl(method: string, data: object, ...more: readonly string[]): Promise<Ended> {
    const url = `http://${service.address}/experiences.v1.${method}`;
    return buf(
      'curl',
      '--http2-prior-knowledge',
      '--protocol',
      'grpc',
      ...more,
      '-d',
      JSON.stringify(data),
      url,
    );
  }

  async function answer(method: string, data: object, ...more: readonly string[]): Promise<unknown> {
    const { code, stdout, stderr } = await curl(method, data, ...more);
    expect([code, stderr]).toEqual([0, '']);
    return JSON.parse(stdout);
  }

  test('lists all services and methods', async () => {
    const options = ['curl', '--http2-prior-knowledge', '--protocol', 'grpc'];
    const services = await buf(...options, '--list-services', `http://${service.address}`);
    expect(services.stdout.trim().split('\n').sort()).toEqual(SERVICES);
    const methods = await buf(...options, '--list-methods', `http://${service.address}`);
    expect(methods.stdout.trim().split('\n')).toHaveLength(68);
    expect(methods.stdout).toContain('experiences.v1.ExperienceRunService/WatchExperienceRun');
  });

  test('creates a type and an experience, records usage, and reads the cost', async () => {
    const type = { name: 'Curled', description: 'Created by a client that is not ours' };
    expect(await answer('ExperienceTypeService/CreateExperienceType', type)).toMatchObject({
      experienceType: { ...type, currentVersion: 1, createTime: expect.stringMatching(/^\d{4}-.*Z$/) },
    });
    const experienceId = '018f3c2e-0000-7000-8000-00000000aaaa';
    const experience = { experienceType: 'Curled', experienceId, userId: 'ada' };
    expect(await answer('ExperienceService/CreateExperience', experience)).toMatchObject({
      experience: { experienceId, experienceType: 'Curled', experienceVersion: 1, userId: 'ada' },
    });
    const record = {
      eventId: 'curl 1',
      provider: 'openai',
      model: 'gpt-4o-mini',
      units: { text: { input: 1000, output: 500 } },
      eventTime: '2026-11-01T12:00:00.250Z',
    };
    const metadata = ['-H', `xproxy-experience-id: ${experienceId}`, '-H', 'xproxy-request-tags: nightly'];
    expect(await answer('UsageService/RecordUsage', { record }, ...metadata)).toMatchObject({
      event: {
        eventId: 'curl 1',
        experienceId,
        experienceType: 'Curled',
        requestTags: ['nightly'],
        eventTime: '2026-11-01T12:00:00.250Z',
        outcome: 'USAGE_OUTCOME_SUCCEEDED',
        useful: true,
        cost: { input: '0.00015', output: '0.0003', total: '0.00045', currencyCode: 'USD' },
      },
    });
    expect(await answer('CostService/GetExperienceCost', { experienceId })).toMatchObject({
      experienceId,
      totals: {
        eventCount: '1',
        cost: { total: '0.00045' },
        units: { text: { input: '1000', output: '500' } },
      },
    });
  });

  test('is shown what was wrong, in detail', async () => {
    const { code, stderr } = await curl('UsageService/RecordUsage', {
      record: { provider: 'openai', units: { text: { input: -1 } } },
    });
    expect(code).not.toBe(0);
    const shown = z
      .object({ code: z.string(), message: z.string(), details: z.array(DETAIL) })
      .parse(JSON.parse(stderr));
    expect(shown.code).toBe('invalid_argument');
    expect(shown.message).toBe('record.units[text].input: must not be negative; record.model: is required');
    expect(shown.details).toEqual([
      ['google.rpc.ErrorInfo', { reason: 'INVALID_FIELDS', domain: 'experiences.v1', metadata: {} }],
      [
        'google.rpc.BadRequest',
        {
          fieldViolations: [
            expect.objectContaining({
              field: 'record.units[text].input',
              description: 'must not be negative',
            }),
            expect.objectContaining({ field: 'record.model', description: 'is required' }),
          ],
        },
      ],
    ]);
  });
});

/** An error detail as buf prints it, read by the contract's own definition. */
const DETAIL = z
  .object({ type: z.enum(['google.rpc.ErrorInfo', 'google.rpc.BadRequest']), value: z.string() })
  .transform(({ type, value }) => {
    const name = type === 'google.rpc.ErrorInfo' ? 'ErrorInfo' : 'BadRequest';
    return [type, errorMessageType(name).deserialize(Buffer.from(value, 'base64'))];
  });

describe('health', () => {
  const { Check } = healthService;
  if (Check === undefined) throw new Error('the health protocol has a Check');

  test.each(['', ...SERVICES])("of '%s' is SERVING", async (name) => {
    expect(await raw.call(Check, { service: name })).toEqual({ status: 'SERVING' });
  });

  test('of an unknown service is NOT_FOUND', async () => {
    await expect(raw.call(Check, { service: 'experiences.v1.Missing' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
