import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { type ActivityInterceptorsFactory, DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExperiencesError, type UsageEvent } from '../services/client/index.js';
import type { UsagePort } from '../services/client/settle.js';
import { ATTRIBUTION_HEADER, type AttributionHeader } from '../services/domain/attribution-header.js';
import { parseUuid } from '../services/domain/uuid.js';
import { type InterceptorSettings, meteringInterceptor } from '../workflows/plugin/activity-interceptor.js';
import { readAttribution, readTextAttribution, withAttribution } from '../workflows/plugin/attribution.js';
import { type StartFacts, withExperience } from '../workflows/plugin/client.js';
import { clientInterceptors } from '../workflows/plugin/client-interceptors.js';
import { currentExperience } from '../workflows/plugin/experience-context.js';
import { currentScope } from '../workflows/plugin/metering-scope.js';
import { uuidAtEnd } from '../workflows/plugin/resolve-attribution.js';
import { UsageOutbox } from '../workflows/plugin/usage-outbox.js';
import {
  aiSdkExtractors,
  type CallUsage,
  ExperiencesPlugin,
  metered,
  openAiAgentsExtractors,
  type UsageExtractor,
} from '../workflows/plugin/worker.js';
import { startTestService, type TestService } from './support/service.js';

const CALL = { provider: 'openai', model: 'gpt-4o-mini' };
const ESTIMATE = { units: { text: { input: 1_000, output: 1_000 } } };
const FREE = { ...CALL, nothingSpent: true };
const USAGE: CallUsage = { units: { text: { input: 1_000, output: 500 } } };

/**
 * What the pinned development server of Temporal does not have: standalone activities, and the client's side of Nexus.
 * The service is a real one.
 */
let service: TestService;
let logged: string[];

beforeAll(async () => {
  service = await startTestService();
  await service.client.types.create({ name: 'Metered', description: 'Of the plugin' });
});
afterAll(() => service.stop());

describe('a standalone activity', () => {
  test('belongs to the experience that its client named, over its attempts', async () => {
    const header = headerOf({ experienceType: 'Metered' });
    for (const attempt of [1, 2]) await run({ header, info: { ...STANDALONE, attempt } });
    const events = await eventsOf(header.experienceId ?? '');
    expect(events.map(({ useful }) => useful)).toEqual([false, true]);
    expect(new Set(events.map(({ operationKey }) => operationKey)).size).toBe(1);
    expect(events[0]?.workflowSource).toMatchObject({ workflowId: '', activityId: STANDALONE.activityId });
    expect(logged).toEqual([]);
  });

  test('whose id is a UUID is an experience without any header; any other is recorded unattributed', async () => {
    const activityId = randomUUID();
    await run({ info: { ...STANDALONE, activityId } });
    expect(await eventsOf(activityId)).toHaveLength(1);
    const scope = await run({ info: { ...STANDALONE, activityId: 'order-7' } });
    expect(scope).toBeUndefined();
  });

  test('is not hurt by a header that is not ours', async () => {
    const interceptor: ActivityInterceptorsFactory = () => ({
      inbound: {
        execute: (input, next) =>
          next({ ...input, headers: { [ATTRIBUTION_HEADER]: { data: new TextEncoder().encode('{"a":1') } } }),
      },
    });
    const environment = new MockActivityEnvironment(STANDALONE, {
      interceptors: [interceptor, meteringInterceptor(settings())],
    });
    await expect(environment.run(spend)).resolves.toBe('paid');
  });
});

describe('an activity of a workflow', () => {
  test('passed through two interceptors of the plugin is metered once', async () => {
    const header = headerOf({ experienceType: 'Metered' });
    // What an extractor finds would be recorded by each of them.
    const extractors = { unknown: () => [{ ...CALL, ...USAGE }] };
    const both = { ...settings(), extractors };
    const environment = new MockActivityEnvironment(WORKFLOW_INFO, {
      interceptors: [withHeader(header), meteringInterceptor(both), meteringInterceptor(both)],
    });
    await environment.run(async () => 'done');
    expect(await eventsOf(header.experienceId ?? '')).toHaveLength(1);
  });

  test('whose call outlives it has that call settled by itself', async () => {
    const header = headerOf({ experienceType: 'Metered' });
    const own = settings();
    const environment = new MockActivityEnvironment(WORKFLOW_INFO, {
      interceptors: [withHeader(header), meteringInterceptor(own)],
    });
    let finish: () => void = () => undefined;
    let outlived: Promise<unknown> = Promise.resolve();
    await environment.run(async () => {
      const opened = new Promise<void>((resolve) => {
        outlived = metered(CALL, ESTIMATE, async (report) => {
          resolve();
          await new Promise<void>((end) => {
            finish = end;
          });
          report(USAGE);
        });
      });
      await opened;
    });
    expect(await eventsOf(header.experienceId ?? '')).toHaveLength(0);
    finish();
    await outlived;
    await own.outbox.drain(5_000);
    expect(await eventsOf(header.experienceId ?? '')).toMatchObject([{ settlement: 'SETTLED' }]);
  });

  test.each<[name: string, usage: CallUsage | null, events: number, open: bigint]>([
    ['reported', { units: { text: { input: 1 } } }, 1, 0n],
    ['refused', { units: {}, unitsBasis: 'none', outcome: 'FAILED', httpStatusCode: 429 }, 1, 0n],
    ['not sent', { nothingSpent: true }, 0, 0n],
    ['successful and of no units', { units: { text: { input: 0 } } }, 0, 0n],
    ['not known', { unitsBasis: 'unknown', outcome: 'TIMED_OUT' }, 0, 1n],
    ['never told', null, 0, 1n],
  ])('settles a call that is %s', async (_name, usage, events, open) => {
    const header = headerOf({ experienceType: 'Metered' });
    await run({ header, info: WORKFLOW_INFO, usage });
    expect(await eventsOf(header.experienceId ?? '')).toHaveLength(events);
    const { totals } = await service.client.costs.get(header.experienceId ?? '');
    expect(totals.openReservationCount).toBe(open);
  });
});

describe('an extractor', () => {
  const fine: UsageExtractor = { usage: () => [{ ...CALL, ...USAGE }], call: () => CALL };
  const rejected = () => Promise.reject(new Error('nobody awaits this')) as never;
  test.each<[name: string, extractor: unknown, events: number, open: bigint]>([
    ['is right', fine, 1, 0n],
    ['answers a promise', { ...fine, usage: rejected }, 0, 1n],
    ['answers no list', { ...fine, usage: () => ({ ...CALL, ...USAGE }) }, 0, 1n],
    ['answers a list of nothing', { ...fine, usage: () => [null] }, 0, 1n],
    [
      'answers too many usages',
      { ...fine, usage: () => [{ ...CALL, ...USAGE }, ...Array(1_000).fill(FREE)] },
      1,
      0n,
    ],
    ['answers no units', { ...fine, usage: () => [{ ...CALL, units: null }] }, 0, 1n],
    ['answers units of nothing', { ...fine, usage: () => [{ ...CALL, units: { text: null } }] }, 0, 1n],
    ['answers half a token', { ...fine, usage: () => [{ ...CALL, units: { text: { input: 0.5 } } }] }, 0, 1n],
    ['throws', { ...fine, usage: () => JSON.parse('') }, 0, 1n],
    ['names no model', { ...fine, call: () => ({ provider: 'openai', model: '' }) }, 1, 0n],
    ['names a model that is no text', { ...fine, call: () => ({ provider: 'openai', model: {} }) }, 1, 0n],
    ['names the call by a promise', { ...fine, call: rejected }, 1, 0n],
    ['estimates by a promise', { ...fine, estimate: rejected }, 1, 0n],
    ['estimates no units', { ...fine, estimate: () => ({ units: null }) }, 1, 0n],
    ['estimates less than nothing', { ...fine, estimate: () => ({ cost: '-1' }) }, 1, 0n],
    ['estimates too much', { ...fine, estimate: () => ({ cost: '1000000000000000000' }) }, 1, 0n],
  ])('that %s leaves the result of its activity as it is', async (name, extractor, events, open) => {
    const header = headerOf({ experienceType: 'Metered' });
    const own = { ...settings(), extractors: { unknown: extractor as UsageExtractor } };
    const environment = new MockActivityEnvironment(WORKFLOW_INFO, {
      interceptors: [withHeader(header), meteringInterceptor(own)],
    });
    await expect(environment.run(async () => 'done')).resolves.toBe('done');
    await own.outbox.drain(20_000);
    expect(logged.length > 0).toBe(name !== 'is right');
    expect(await eventsOf(header.experienceId ?? '')).toHaveLength(events);
    const { totals } = await service.client.costs.get(header.experienceId ?? '');
    expect(totals.openReservationCount).toBe(open);
  });

  test.each<[activityType: string, error: Error, open: bigint]>([
    ['invokeModel', errorOf({ statusCode: 429 }), 0n],
    ['invokeEmbeddingModel', errorOf({ statusCode: 401 }), 0n],
    ['invokeModelActivity', errorOf({ status: 400 }), 0n],
    ['invokeModelActivity', ApplicationFailure.create({ cause: errorOf({ status: 404 }) }), 0n],
    ['invokeModelActivity', errorOf({ status: 408 }), 1n],
    ['invokeModel', errorOf({ statusCode: 500 }, errorOf({ statusCode: 429 })), 1n],
    ['invokeModel', errorOf({ statusCode: 200 }), 1n],
    ['invokeModel', errorOf({}), 1n],
  ])('of %s releases what a provider refused to work for: %o', async (activityType, error, open) => {
    const header = headerOf({ experienceType: 'Metered' });
    const own = { ...settings(), extractors: { ...aiSdkExtractors(), ...openAiAgentsExtractors() } };
    const environment = new MockActivityEnvironment(
      { ...WORKFLOW_INFO, activityType },
      {
        interceptors: [withHeader(header), meteringInterceptor(own)],
        logger: new DefaultLogger('ERROR'),
      },
    );
    await expect(environment.run(() => Promise.reject(error))).rejects.toBe(error);
    const { totals } = await service.client.costs.get(header.experienceId ?? '');
    expect(totals.openReservationCount).toBe(open);
  });
});

describe('a metered call that throws without a report', () => {
  test.each([
    ['is released where the provider refused to work', errorOf({ status: 429 }), 0n],
    ['is released where that is the cause', errorOf({}, errorOf({ statusCode: 400 })), 0n],
    ['stays reserved where the provider failed', errorOf({ status: 500 }), 1n],
    ['stays reserved where nobody knows', errorOf({}), 1n],
  ])('%s', async (_name, error, open) => {
    const header = headerOf({ experienceType: 'Metered' });
    const environment = new MockActivityEnvironment(WORKFLOW_INFO, {
      interceptors: [withHeader(header), meteringInterceptor(settings())],
      logger: new DefaultLogger('ERROR'),
    });
    const call = { provider: 'openai', model: 'gpt-4o-mini' };
    const refused = metered.bind(undefined, call, { cost: '0.5' }, () => Promise.reject(error));
    await expect(environment.run(refused)).rejects.toBe(error);
    const { totals } = await service.client.costs.get(header.experienceId ?? '');
    expect(totals.openReservationCount).toBe(open);
  });
});

describe('the outbox', () => {
  test('is bounded: what is over the bound, refused or left at the end is counted and logged', async () => {
    const errors: string[] = [];
    const logger = {
      warn: () => undefined,
      error: (_: object, message: string) => void errors.push(message),
    };
    const away = await startTestService();
    await away.stopServer();
    const outbox = new UsageOutbox(logger, { itemsMax: 2 });
    for (let index = 0; index < 3; index += 1)
      outbox.add({ kind: 'release', eventId: randomUUID() }, away.client.usage);
    expect([outbox.size, outbox.lostCount]).toEqual([2, 1]);
    await outbox.drain(300);
    expect([outbox.size, outbox.lostCount]).toEqual([0, 3]);
    expect(errors).toEqual(Array.from({ length: 3 }, () => 'a paid call could not be settled'));
    const refusing = new UsageOutbox(logger);
    const bad = { eventId: randomUUID(), provider: '', model: '', units: {} };
    refusing.add({ kind: 'record', record: bad }, service.client.usage);
    await refusing.drain(5_000);
    expect([refusing.size, refusing.lostCount]).toEqual([0, 1]);
    away.client.close();
  });

  test('sends sixteen at once, and each until it is taken', async () => {
    const { usage } = service.client;
    const sent = new Map<string, number>();
    let underWay = 0;
    let underWayMax = 0;
    const counting: UsagePort = {
      reserve: (reservation) => usage.reserve(reservation),
      record: (record) => usage.record(record),
      async release(eventId) {
        const times = (sent.get(eventId) ?? 0) + 1;
        sent.set(eventId, times);
        underWay += 1;
        underWayMax = Math.max(underWayMax, underWay);
        try {
          const released = await usage.release(eventId);
          // The answer to every tenth is lost once.
          if (times === 1 && sent.size % 10 === 0) throw unavailable();
          return released;
        } finally {
          underWay -= 1;
        }
      },
    };
    const silent = { warn: () => undefined, error: () => undefined };
    const outbox = new UsageOutbox(silent);
    for (let index = 0; index < 100; index += 1)
      outbox.add({ kind: 'release', eventId: randomUUID() }, counting);
    await outbox.drain(20_000);
    expect([outbox.size, outbox.lostCount, sent.size, underWayMax]).toEqual([0, 0, 100, 16]);
    expect(Math.max(...sent.values())).toBe(2);
  });
});

describe('the client', () => {
  const starts: StartFacts[] = [];
  const ours = clientInterceptors({
    defaultTypeOf: (start) => {
      starts.push(start);
      return start.type === 'typed' ? 'Metered' : undefined;
    },
    searchAttributes: false,
  });

  test('gives a standalone activity an id of its own where none is named', async () => {
    const started = async (activityType: string, id: string) => {
      let headers = {};
      const next = async (input: { headers: object }) => {
        headers = input.headers;
        return undefined as never;
      };
      const options = { id, taskQueue: 'any', args: [], startToCloseTimeout: '1 minute' };
      await ours.activity[0]?.start?.({ activityType, options, headers: {} } as never, next as never);
      return readAttribution(headers);
    };
    const named = randomUUID();
    const first = await started('typed', 'order-7');
    expect(first).toMatchObject({ experienceType: 'Metered', experienceVersion: 0 });
    expect(parseUuid(first?.experienceId ?? '')).toBeDefined();
    expect((await started('typed', `order/${named}`))?.experienceId).toBe(named);
    expect(await started('untyped', 'order-7')).toBeUndefined();
    const inside = await withExperience({ experienceId: named, budget: '2' }, () =>
      started('untyped', 'order-7'),
    );
    expect(inside).toEqual({ experienceId: named, experienceType: '', experienceVersion: 0, budget: '2' });
    expect(starts[0]).toEqual({ kind: 'activity', type: 'typed', id: 'order-7' });
  });

  test('writes the experience as text into the headers of a Nexus operation', async () => {
    let headers: Record<string, string> = {};
    const next = async (input: { headers?: Record<string, string> }) => {
      headers = input.headers ?? {};
      return undefined as never;
    };
    const experienceId = randomUUID();
    const input = { endpoint: 'e', service: 's', operation: 'o', id: 'i', arg: 1, headers: { own: '1' } };
    await withExperience({ experienceType: 'Metered', experienceId, version: 2 }, async () =>
      ours.nexus[0]?.startOperation?.(input, next as never),
    );
    expect(headers.own).toBe('1');
    expect(readTextAttribution({ 'Experiences-Attribution': headers[ATTRIBUTION_HEADER] ?? '' })).toEqual({
      experienceId,
      experienceType: 'Metered',
      experienceVersion: 2,
    });
  });

  test('writes it into both bags of update-with-start, into signals and updates, and leaves one that is there', async () => {
    const experienceId = randomUUID();
    const bags: Record<string, object> = {};
    const next = async (input: Record<string, object>) => {
      Object.assign(bags, input);
      return undefined as never;
    };
    const [workflow] = ours.workflow;
    const options = { workflowId: 'order-7' };
    await withExperience({ experienceId }, async () => {
      const both = { workflowStartOptions: options, workflowStartHeaders: {}, updateHeaders: {} };
      await workflow?.startUpdateWithStart?.(both as never, next as never);
      await workflow?.signal?.(
        { headers: {} } as never,
        (async (input: { headers: object }) => {
          bags.signalHeaders = input.headers;
        }) as never,
      );
      await workflow?.startUpdate?.(
        { headers: {} } as never,
        (async (input: { headers: object }) => {
          bags.startUpdateHeaders = input.headers;
        }) as never,
      );
      const given = withAttribution({}, headerOf({ experienceType: 'Given' }));
      await workflow?.startWithDetails?.(
        { headers: given, options } as never,
        (async (input: { headers: object }) => {
          bags.givenHeaders = input.headers;
        }) as never,
      );
    });
    for (const name of ['workflowStartHeaders', 'updateHeaders', 'signalHeaders', 'startUpdateHeaders']) {
      expect(readAttribution({ ...bags[name] })?.experienceId, name).toBe(experienceId);
    }
    expect(readAttribution({ ...bags.givenHeaders })?.experienceType).toBe('Given');
  });

  test('inside of a Nexus operation starts for the experience of its caller', async () => {
    const plugin = new ExperiencesPlugin({ client: service.client });
    const { interceptors } = plugin.configureWorker({ taskQueue: 'any' });
    const header = headerOf({ experienceType: 'Metered' });
    const headers = { [ATTRIBUTION_HEADER]: JSON.stringify(header) };
    const inbound = interceptors?.nexus?.[0]?.({} as never).inbound;
    const seen = await inbound?.startOperation?.(
      { ctx: { headers } } as never,
      (async () => currentExperience()) as never,
    );
    expect(seen).toEqual(header);
  });

  test('refuses an id that is no UUID', () => {
    expect(() => withExperience({ experienceId: 'order-7' }, () => 1)).toThrow(RangeError);
  });
});

test.each([
  ['0192f0c1-0000-7000-8000-000000000000', true],
  ['shop/0192F0C1-0000-7000-8000-000000000000', true],
  ['order-0192f0c1-0000-7000-8000-000000000000', true],
  ['a0192f0c1-0000-7000-8000-000000000000', false],
  ['0192f0c1-0000-7000-8000-000000000000-2026-11-24T22:00:00Z', false],
  ['order-7', false],
  ['', false],
])('of the workflow id %j the end is a UUID: %s', (workflowId, isOne) => {
  expect(uuidAtEnd(workflowId) !== undefined).toBe(isOne);
});

test('outside of a metered activity no call is made', async () => {
  let called = false;
  const call = metered(CALL, ESTIMATE, async () => {
    called = true;
  });
  await expect(call).rejects.toThrow('outside of a metered activity');
  expect(called).toBe(false);
});

function unavailable(): ExperiencesError {
  return new ExperiencesError('the answer was lost', {
    code: 'UNAVAILABLE',
    reason: undefined,
    metadata: {},
    violations: [],
    retryAfterMs: undefined,
  });
}

interface RunOptions {
  readonly header?: AttributionHeader;
  readonly info: ConstructorParameters<typeof MockActivityEnvironment>[0];
  /** `null`: it is never told. */
  readonly usage?: CallUsage | null;
}

/** One paid call in one attempt; answers the experience that it belongs to. */
async function run({ header, info, usage = USAGE }: RunOptions): Promise<string | undefined> {
  const environment = new MockActivityEnvironment(info, {
    interceptors: [...(header === undefined ? [] : [withHeader(header)]), meteringInterceptor(settings())],
  });
  return environment.run(async () => {
    await metered(CALL, ESTIMATE, async (report) => {
      if (usage !== null) report(usage);
    });
    return currentScope()?.attempt.attribution?.experienceId;
  });
}

async function spend(): Promise<string> {
  return metered(CALL, ESTIMATE, async (report) => {
    report(USAGE);
    return 'paid';
  });
}

function headerOf(fields: Partial<AttributionHeader>): AttributionHeader {
  const experienceId = parseUuid(randomUUID());
  return {
    ...(experienceId === undefined ? {} : { experienceId }),
    experienceType: '',
    experienceVersion: 0,
    marker: '1',
    ...fields,
  };
}

/** The mock environment sends no headers. */
function withHeader(header: AttributionHeader): ActivityInterceptorsFactory {
  return () => ({
    inbound: {
      execute: (input, next) => next({ ...input, headers: withAttribution(input.headers, header) }),
    },
  });
}

/** As providers' clients throw them. */
function errorOf(fields: object, cause?: unknown): Error {
  return Object.assign(new Error('refused', { cause }), fields);
}

function settings(): InterceptorSettings {
  logged = [];
  const log = (_fields: object, message: string) => void logged.push(message);
  const logger = { warn: log, error: log };
  const { usage } = service.client;
  return {
    usageOf: () => usage,
    logger,
    outbox: new UsageOutbox(logger),
    settleDelayMs: 0,
    mode: 'reserve',
    onBudget: 'fail',
    budgetRetryDelayMs: 1_000,
    reservationTtlMs: undefined,
    extractors: {},
    heartbeat: false,
    defaultTypeOf: () => '',
    workerIdentity: () => 'mock',
  };
}

async function eventsOf(experienceId: string): Promise<readonly UsageEvent[]> {
  const events: UsageEvent[] = [];
  for await (const event of service.client.usage.list(experienceId)) events.push(event);
  return events;
}

const STANDALONE = {
  activityId: 'standalone-1',
  workflowExecution: undefined,
  workflowType: undefined,
  inWorkflow: false,
} as unknown as NonNullable<ConstructorParameters<typeof MockActivityEnvironment>[0]> & {
  activityId: string;
};
const WORKFLOW_INFO = { workflowType: 'any', startToCloseTimeoutMs: 60_000 };
