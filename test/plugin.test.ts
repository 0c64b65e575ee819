import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import {
  type ClientOptions,
  ScheduleOverlapPolicy,
  WithStartWorkflowOperation,
  type WorkflowClientInterceptor,
  WorkflowFailedError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Worker, type WorkerOptions, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { MongoClient, UUID } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { UsageEvent } from '../services/client/index.js';
import { completeMetered, ExperiencesClientPlugin, withExperience } from '../workflows/plugin/client.js';
import { BUDGET_EXCEEDED, EXPERIENCE_GONE, ExperiencesPlugin } from '../workflows/plugin/worker.js';
import * as workflows from './fixtures/metered-workflows.js';
import { setLimitConfig } from './support/limits.js';
import type { Spending } from './support/metered-activities.js';
import {
  bundleMetered,
  type MeteredWorker,
  quietTemporal,
  startMeteredWorker,
  temporalClient,
} from './support/metered-worker.js';
import { startTestService, type TestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';

let service: TestService;
let temporal: Awaited<ReturnType<typeof temporalClient>>;
let worker: MeteredWorker;
let bundle: WorkflowBundleWithSourceMap;
let mongo: MongoClient;

beforeAll(async () => {
  quietTemporal();
  service = await startTestService();
  await service.client.types.create({ name: 'Metered', description: 'Of the plugin' });
  bundle = await bundleMetered([new ExperiencesPlugin({ client: service.client })]);
  temporal = await temporalClient();
  // Replays at every task: what the workflow side remembers must come from the history alone.
  worker = await startMeteredWorker(
    service,
    { heartbeat: true },
    { workflowBundle: bundle, maxCachedWorkflows: 0 },
  );
  mongo = await MongoClient.connect(inject('mongodbUri'));
});
afterAll(async () => {
  await worker.stop();
  await temporal.close();
  await mongo.close();
  await service.stop();
});

describe('an experience named at the client', () => {
  const carriers = {
    'a start': (options: Options) => temporal.workflow.execute(workflows.tell, options),
    'a child workflow': (options: Options) => temporal.workflow.execute(workflows.tellByChild, options),
    'continue-as-new': (options: Options) =>
      temporal.workflow.execute(workflows.tellAfterwards, { ...options, args: [2] }),
    'signal-with-start': async (options: Options) => {
      const handle = await temporal.workflow.signalWithStart(workflows.conversation, {
        ...options,
        signal: workflows.end,
      });
      return handle.result();
    },
    'update-with-start': async (options: Options) => {
      const startWorkflowOperation = new WithStartWorkflowOperation(workflows.conversation, {
        ...options,
        workflowIdConflictPolicy: 'USE_EXISTING',
      });
      const told = await temporal.workflow.executeUpdateWithStart(workflows.ask, { startWorkflowOperation });
      const handle = await startWorkflowOperation.workflowHandle();
      await handle.signal(workflows.end);
      return { ...(await handle.result()), activity: told };
    },
  } as const;

  test.each(Object.entries(carriers))(
    'reaches activities and local activities over %s',
    async (_name, run) => {
      const experienceId = randomUUID();
      const name = { experienceType: 'Metered', experienceId, version: 3, budget: '1.5' };
      const told = await withExperience(name, () => run(optionsOf()));
      const carried = { experienceId, experienceType: 'Metered', experienceVersion: 3, budget: '1.5' };
      expect(told.activity).toMatchObject(carried);
      expect(told.local).toMatchObject(carried);
      expect(told.experience).toEqual(carried);
    },
  );

  test('is type and version alone in a schedule, and every firing is an experience of its own', async () => {
    const scheduleId = `schedule-${randomUUID()}`;
    const schedule = await withExperience(
      { experienceType: 'Metered', experienceId: randomUUID(), version: 2 },
      () =>
        temporal.schedule.create({
          scheduleId,
          spec: {},
          policies: { overlap: ScheduleOverlapPolicy.ALLOW_ALL },
          action: { type: 'startWorkflow', workflowType: workflows.tell, taskQueue: worker.taskQueue },
        }),
    );
    const firings: workflows.Tellings[] = [];
    for (const count of [1, 2]) {
      await schedule.trigger();
      const actions = await waitUntil('the schedule has fired', async () => {
        const { info } = await schedule.describe();
        return info.recentActions.length === count ? info.recentActions : undefined;
      });
      const { workflow } = actions[count - 1]?.action ?? {};
      const handle = temporal.workflow.getHandle<typeof workflows.tell>(workflow?.workflowId ?? '');
      const told = await handle.result();
      expect(told.activity).toMatchObject({ experienceType: 'Metered', experienceVersion: 2 });
      expect(told.experience?.experienceId).toBe(workflow?.firstExecutionRunId);
      firings.push(told);
    }
    await schedule.delete();
    expect(firings[0]?.experience?.experienceId).not.toBe(firings[1]?.experience?.experienceId);
  });
});

describe('without a name at the client the experience of a run is', () => {
  test('what its memo says', async () => {
    const experienceId = randomUUID();
    const memo = { experienceId, experienceType: 'Metered', experienceVersion: 4 };
    const told = await temporal.workflow.execute(workflows.tell, { ...optionsOf(), memo });
    expect(told.activity).toMatchObject({ experienceId, experienceType: 'Metered', experienceVersion: 4 });
  });

  test('the UUID at the end of its id', async () => {
    const id = randomUUID();
    const told = await temporal.workflow.execute(workflows.tell, {
      ...optionsOf(),
      workflowId: `shop/${id}`,
    });
    expect(told.activity?.experienceId).toBe(id);
  });

  test('else the id of its first run, over continue-as-new too', async () => {
    const handle = await temporal.workflow.start(workflows.tellAfterwards, { ...optionsOf(), args: [1] });
    const told = await handle.result();
    expect(told.activity?.experienceId).toBe(handle.firstExecutionRunId);
  });

  test("of the type that the plugin's option names", async () => {
    const typed = await temporalClient({
      experienceType: ({ type }) => (type === 'tell' ? 'Metered' : undefined),
    });
    const told = await typed.workflow.execute(workflows.tell, optionsOf());
    const other = await typed.workflow.execute(workflows.tellByChild, optionsOf());
    await typed.close();
    expect(told.experience?.experienceType).toBe('Metered');
    expect(other.experience?.experienceType).toBeUndefined();
  });
});

test('search attributes are set when a workflow starts, where the plugin is told that they are registered', async () => {
  await temporal.connection.operatorService.addSearchAttributes({
    namespace: 'default',
    searchAttributes: { ExperienceId: KEYWORD, ExperienceType: KEYWORD },
  });
  const marked = await temporalClient({ searchAttributes: true });
  const experienceId = randomUUID();
  const handle = await waitUntil('the attributes are known', () =>
    withExperience({ experienceType: 'Metered', experienceId }, () =>
      marked.workflow.start(workflows.tell, optionsOf()).catch(() => undefined),
    ),
  );
  await handle.result();
  const { typedSearchAttributes } = await handle.describe();
  const values = typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]);
  expect(values).toContainEqual(['ExperienceId', experienceId]);
  expect(values).toContainEqual(['ExperienceType', 'Metered']);
  await marked.close();
});

describe('a metered call', () => {
  test('is settled once for each attempt: that of the last is useful, the others are wasted', async () => {
    const { experienceId, result } = await spend({ name: 'retried', failedAttempts: 2 });
    expect(result).toBe('attempt 3');
    const events = await eventsOf(experienceId);
    expect(events.map(({ outcome, useful }) => [outcome, useful])).toEqual([
      ['FAILED', false],
      ['FAILED', false],
      ['SUCCEEDED', true],
    ]);
    expect(events.map(({ settlement }) => settlement)).toEqual(['SETTLED', 'SETTLED', 'SETTLED']);
    expect(new Set(events.map(({ operationKey }) => operationKey)).size).toBe(1);
    expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(3);
    expect(events.map(({ workflowSource }) => workflowSource?.attempt)).toEqual([1, 2, 3]);
    expect(await totalsOf(experienceId)).toMatchObject({
      cost: { total: '0.00135' },
      usefulCost: '0.00045',
      wastedCost: '0.0009',
      heldCost: '0',
      openReservationCount: 0n,
    });
  });

  test('of which nothing was sent is released, and leaves no event', async () => {
    const { experienceId, failure } = await spend({ name: 'unsent', unsent: true });
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(await eventsOf(experienceId)).toEqual([]);
    expect(await totalsOf(experienceId)).toMatchObject({ heldCost: '0', openReservationCount: 0n });
  });

  test('whose usage is not known leaves its reservation open at the estimate', async () => {
    const { experienceId } = await spend({ name: 'unknown', unreported: true });
    expect(await eventsOf(experienceId)).toEqual([]);
    expect(await totalsOf(experienceId)).toMatchObject({ heldCost: '0.00075', openReservationCount: 1n });
  });

  test('that is cancelled is recorded at what it had used', async () => {
    const experienceId = randomUUID();
    const handle = await withExperience({ experienceType: 'Metered', experienceId }, () =>
      temporal.workflow.start(workflows.spend, {
        ...optionsOf(),
        args: [{ name: 'cancelled', untilCancelled: true }],
      }),
    );
    await waitUntil('the call is under way', async () => worker.spendings.paid.get('cancelled'));
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
    const events = await waitUntil('the call is recorded', async () => {
      const found = await eventsOf(experienceId);
      return found.length > 0 ? found : undefined;
    });
    expect(events).toMatchObject([{ outcome: 'CANCELLED', cost: { total: '0.00045' }, useful: false }]);
    expect(await totalsOf(experienceId)).toMatchObject({ openReservationCount: 0n });
  });

  test("leaves the activity's own heartbeat details to its retry", async () => {
    const silent = await startMeteredWorker(service, {}, { workflowBundle: bundle });
    const found = await temporal.workflow.execute(workflows.resume, optionsOf(silent));
    await silent.stop();
    expect(found).toEqual({ page: 7 });
  });

  test('that ends elsewhere holds its estimate until it is completed by its token', async () => {
    const experienceId = randomUUID();
    const handle = await withExperience({ experienceType: 'Metered', experienceId }, () =>
      temporal.workflow.start(workflows.completeElsewhere, optionsOf()),
    );
    const { taskToken, call } = await waitUntil('it was handed on', async () => worker.spendings.tokens[0]);
    expect(await totalsOf(experienceId)).toMatchObject({ heldCost: '0.00075', openReservationCount: 1n });
    for (let time = 1; time <= 2; time += 1) {
      await completeMetered(service.client.usage, call, { units: { text: { input: 100, output: 100 } } });
    }
    await temporal.activity.complete(taskToken, 'done elsewhere');
    expect(await handle.result()).toBe('done elsewhere');
    expect(await eventsOf(experienceId)).toMatchObject([
      { outcome: 'SUCCEEDED', settlement: 'SETTLED', cost: { total: '0.000075' } },
    ]);
    expect(await totalsOf(experienceId)).toMatchObject({ heldCost: '0', openReservationCount: 0n });
    await expect(completeMetered(service.client.usage, 'no-token', {})).rejects.toThrow(TypeError);
  });

  test('carries the step that the workflow names, and the workflow can ask what it has cost', async () => {
    const experienceId = randomUUID();
    const cost = await withExperience({ experienceType: 'Metered', experienceId }, () =>
      temporal.workflow.execute(workflows.spendInSteps, optionsOf()),
    );
    const steps = (await eventsOf(experienceId)).map(({ step }) => step ?? '-');
    expect(steps.sort()).toEqual(['-', 'map', 'map', 'reduce']);
    expect(cost).toEqual({
      totalCost: '0.0018',
      usefulCost: '0.0018',
      wastedCost: '0',
      heldCost: '0',
      eventCount: 4,
    });
  });

  test("of another package's activity is taken from its result", async () => {
    const experienceId = randomUUID();
    await withExperience({ experienceType: 'Metered', experienceId }, () =>
      temporal.workflow.execute(workflows.askForeignModels, optionsOf()),
    );
    const events = await eventsOf(experienceId);
    expect(events.map(({ requestedModel, model, units }) => [requestedModel, model, plain(units)])).toEqual([
      [
        'gpt-4o-mini',
        'gpt-4o-mini-2024-07-18',
        { text: [90, 7], text_cache_read: [20, 0], text_cache_write: [10, 0] },
      ],
      ['gpt-4o-mini', 'gpt-4o-mini', { text: [20, 5], text_cache_read: [30, 0] }],
      ['text-embedding-3-small', 'text-embedding-3-small', { text: [3, 0] }],
    ]);
    expect(events.map(({ providerResponseId }) => providerResponseId)).toEqual([
      'resp-1',
      'resp-2',
      undefined,
    ]);
    expect(await totalsOf(experienceId)).toMatchObject({ heldCost: '0', openReservationCount: 0n });
  });
});

describe('a budget', () => {
  test('that is spent fails the activity for good before it pays, in a way that a workflow can catch', async () => {
    await limitedType('Limited', '0.0012');
    const experienceId = randomUUID();
    const first = await spend({ name: 'limited' }, { experienceType: 'Limited', experienceId });
    expect(first.result).toBe('attempt 1');
    const second = await spend({ name: 'limited' }, { experienceType: 'Limited', experienceId });
    expect(second.result).toBe('attempt 1');
    // 0.0009 of 0.0012 is spent, and the next call may cost 0.00075.
    const third = await spend({ name: 'limited' }, { experienceType: 'Limited', experienceId });
    expect(third.failure).toMatchObject({ type: BUDGET_EXCEEDED, nonRetryable: true });
    expect(worker.spendings.paid.get('limited')).toBe(2);
    expect(await totalsOf(experienceId)).toMatchObject({ cost: { total: '0.0009' }, heldCost: '0' });
  });

  test('lets the activity wait for a raise where the plugin is told so', async () => {
    await limitedType('Waiting', '0.0001');
    const waiting = await startMeteredWorker(
      service,
      { onBudget: 'wait', budgetRetryDelayMs: 200 },
      { workflowBundle: bundle },
    );
    const experienceId = randomUUID();
    // Made first: a refusal makes no experience, and with it no limit that could be raised.
    await service.client.experiences.create({ experienceType: 'Waiting', experienceId });
    const handle = await withExperience({ experienceType: 'Waiting', experienceId }, () =>
      temporal.workflow.start(workflows.spend, {
        ...optionsOf(waiting),
        args: [{ name: 'waiting' }],
      }),
    );
    await waitUntil('it was refused twice', async () => {
      const { raw } = await handle.describe();
      return (raw.pendingActivities?.[0]?.attempt ?? 0) >= 3 ? true : undefined;
    });
    expect(waiting.spendings.paid.get('waiting')).toBeUndefined();
    const limits = mongo.db(service.options.databaseName).collection('limits');
    const { modifiedCount } = await limits.updateMany({ n: { $regex: '^Waiting/' } }, [
      { $set: { mx: { $multiply: ['$mx', 10_000] } } },
    ]);
    expect(modifiedCount).toBe(1);
    expect(await handle.result()).toMatch(/^attempt \d/);
    await waiting.stop();
    expect(waiting.spendings.paid.get('waiting')).toBe(1);
  });
});

describe('a deleted experience', () => {
  test('is paid for no more: the activity fails for good, and nothing is reserved elsewhere', async () => {
    const experienceId = randomUUID();
    await spend({ name: 'deleted' }, { experienceId });
    await service.client.experiences.delete(experienceId);
    const { failure } = await spend({ name: 'deleted' }, { experienceId });
    expect(failure).toMatchObject({ type: EXPERIENCE_GONE, nonRetryable: true });
    expect(worker.spendings.paid.get('deleted')).toBe(1);
    const reservations = mongo.db(service.options.databaseName).collection('reservations');
    expect(await reservations.countDocuments({ p: 'openai', x: { $exists: false } })).toBe(0);
  });

  test('does not hinder the settling of a call that was under way', async () => {
    const experienceId = randomUUID();
    worker.spendings.during.set('underway', async () => {
      await service.client.experiences.delete(experienceId);
    });
    const { result } = await spend({ name: 'underway' }, { experienceId });
    expect(result).toBe('attempt 1');
    await delivered();
    const reservations = mongo.db(service.options.databaseName).collection('reservations');
    const held = await reservations.find({ x: new UUID(experienceId) }).toArray();
    expect(held.map(({ s }) => s)).toEqual(['s']);
  });
});

describe('mode `after`', () => {
  test('records what was spent and holds nothing before', async () => {
    const after = await startMeteredWorker(service, { mode: 'after' }, { workflowBundle: bundle });
    const { experienceId } = await spend({ name: 'after', failedAttempts: 1 }, {}, after);
    const unknown = await spend({ name: 'after', unreported: true }, {}, after);
    await after.stop();
    const events = await eventsOf(experienceId);
    expect(events.map(({ outcome, settlement }) => [outcome, settlement])).toEqual([
      ['FAILED', 'NONE'],
      ['SUCCEEDED', 'NONE'],
    ]);
    await expect(totalsOf(unknown.experienceId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(after.logged).toEqual(['what a call has used is not known: it is not recorded']);
  });
});

describe('a service that is away', () => {
  test('before a call keeps it from being paid, until it is back', async () => {
    const own = await startTestService();
    // The client waits longer for the service than the heartbeats of an activity may be apart.
    const metered = await startMeteredWorker(own, { heartbeat: true }, { workflowBundle: bundle });
    await own.client.types.create({ name: 'Metered', description: 'Of the plugin' });
    const { address, options } = own;
    const stopped = await restartable(own);
    const experienceId = randomUUID();
    const handle = await withExperience({ experienceType: 'Metered', experienceId }, () =>
      temporal.workflow.start(workflows.spend, { ...optionsOf(metered), args: [{ name: 'away' }] }),
    );
    await waitUntil('it was refused', async () => {
      const { raw } = await handle.describe();
      return (raw.pendingActivities?.[0]?.attempt ?? 0) >= 2 ? true : undefined;
    });
    expect(metered.spendings.paid.get('away')).toBeUndefined();
    const back = await startTestService({ ...options, listen: address });
    expect(await handle.result()).toMatch(/^attempt/);
    expect(metered.spendings.paid.get('away')).toBe(1);
    await metered.stop();
    const events = [];
    for await (const event of back.client.usage.list(experienceId)) events.push(event);
    expect(events).toHaveLength(1);
    const { totals } = await back.client.costs.get(experienceId);
    expect(totals).toMatchObject({ heldCost: '0', openReservationCount: 0n });
    stopped.close();
    await back.stop();
  }, 60_000);

  test('after a call keeps the result; the outbox settles it later, at the latest when the worker ends', async () => {
    const own = await startTestService();
    // The client waits longer for the service than the heartbeats of an activity may be apart.
    const metered = await startMeteredWorker(own, { heartbeat: true }, { workflowBundle: bundle });
    await own.client.types.create({ name: 'Metered', description: 'Of the plugin' });
    const { address, options } = own;
    let stopped: { close(): void } | undefined;
    metered.spendings.during.set('cut', async () => {
      stopped = await restartable(own);
    });
    const { experienceId, result } = await spend({ name: 'cut' }, {}, metered);
    expect(result).toBe('attempt 1');
    expect(metered.plugin.outbox.size).toBe(1);
    const back = await startTestService({ ...options, listen: address });
    await metered.stop();
    expect(metered.plugin.outbox).toMatchObject({ size: 0, lostCount: 0 });
    const { totals } = await back.client.costs.get(experienceId);
    expect(totals).toMatchObject({ cost: { total: '0.00045' }, heldCost: '0', openReservationCount: 0n });
    stopped?.close();
    await back.stop();
  }, 60_000);
});

describe("a user's own interceptors", () => {
  const passed = (): { calls: string[]; worker: Partial<WorkerOptions>; client: ClientOptions } => {
    const calls: string[] = [];
    const noted = <T>(name: string, result: T): T => {
      calls.push(name);
      return result;
    };
    const workflow: WorkflowClientInterceptor = {
      startWithDetails: (input, next) => noted('client', next(input)),
    };
    return {
      calls,
      worker: {
        interceptors: {
          activity: [() => ({ inbound: { execute: (input, next) => noted('activity', next(input)) } })],
          activityInbound: [() => ({ execute: (input, next) => noted('activityInbound', next(input)) })],
          nexus: [() => ({})],
          workflowModules: [COUNTING_INTERCEPTORS],
          client: { activity: [{}], nexus: [{}], workflow: [{}], schedule: [{}] },
        },
      },
      client: { interceptors: { workflow: [workflow], activity: [{}], nexus: [{}], schedule: [{}] } },
    };
  };

  test('survive, also with the plugin passed twice, which then meters once', async () => {
    const { calls, ...options } = passed();
    const plugin = new ExperiencesPlugin({ client: service.client });
    const copy: typeof import('../workflows/plugin/worker.js') = await import(BUILT_COPY);
    const second = new copy.ExperiencesPlugin({ client: service.client }) as unknown as ExperiencesPlugin;
    const headers: string[][] = [];
    const doubled = await startMeteredWorker(
      service,
      {},
      {
        plugins: [plugin, plugin, second],
        interceptors: {
          ...options.worker.interceptors,
          activity: [
            ...(options.worker.interceptors?.activity ?? []),
            () => ({
              inbound: {
                execute(input, next) {
                  headers.push(Object.keys(input.headers).sort());
                  return next(input);
                },
              },
            }),
          ],
        },
      },
    );
    const twice = await temporalClient(
      {},
      { ...options.client, plugins: [new ExperiencesClientPlugin(), new ExperiencesClientPlugin()] },
    );
    const experienceId = randomUUID();
    await withExperience({ experienceType: 'Metered', experienceId }, () =>
      twice.workflow.execute(workflows.spend, { ...optionsOf(doubled), args: [{ name: 'twice' }] }),
    );
    await twice.close();
    await doubled.stop();
    expect(await eventsOf(experienceId)).toHaveLength(1);
    expect(calls.sort()).toEqual(['activity', 'activityInbound', 'client']);
    expect(headers).toEqual([['experiences-attribution', 'users-own']]);
  });

  test('all stay in the options, where ours are added once', () => {
    const plugin = new ExperiencesPlugin({ client: service.client });
    const { worker: own, client } = passed();
    const before = { taskQueue: 'any', activities: {}, ...own };
    const options = plugin.configureWorker(plugin.configureWorker(before));
    const { interceptors = {} } = options;
    expect(interceptors.activityInbound).toEqual(own.interceptors?.activityInbound);
    expect(interceptors.workflowModules).toEqual(own.interceptors?.workflowModules);
    const counts = [interceptors.activity, interceptors.nexus, ...Object.values(interceptors.client ?? {})];
    expect(counts.map((list) => (Array.isArray(list) ? list.length : list))).toEqual([2, 2, 2, 2, 2, 2]);
    const clientOptions = plugin.configureClient(plugin.configureClient(client));
    const lists = Object.values(clientOptions.interceptors ?? {});
    expect(lists.map((list) => (Array.isArray(list) ? list.length : list))).toEqual([2, 2, 2, 2]);
    const bundled = plugin.configureBundler(plugin.configureBundler({ workflowsPath: 'any' }));
    expect(bundled.workflowInterceptorModules).toHaveLength(1);
  });

  test('a worker of workflows alone is given no activities', () => {
    const plugin = new ExperiencesPlugin({ client: service.client });
    expect(plugin.configureWorker({ taskQueue: 'any' }).activities).toBeUndefined();
    expect(
      Object.keys(plugin.configureWorker({ taskQueue: 'any', activities: {} }).activities ?? {}),
    ).toEqual(['experiencesRunningCost']);
  });
});

describe('a workflow bundle', () => {
  test('without the plugin is said to be so by the activities, once for each workflow type', async () => {
    const bare = await startMeteredWorker(service, {}, { workflowBundle: await bundleMetered([]) });
    const experienceId = randomUUID();
    const handle = await withExperience({ experienceType: 'Metered', experienceId }, () =>
      temporal.workflow.start(workflows.spend, {
        ...optionsOf(bare),
        args: [{ name: 'bare', failedAttempts: 1 }],
      }),
    );
    await handle.result();
    await bare.stop();
    expect(bare.logged).toEqual([
      'the workflow bundle lacks the plugin: experiences do not reach activities',
    ]);
    expect(worker.logged.filter((message) => message.includes('lacks'))).toEqual([]);
  });

  test('with it and without replay each other: it adds nothing to a history', async () => {
    const without = await bundleMetered([]);
    const bare = await startMeteredWorker(service, {}, { workflowBundle: without });
    const args = [{ name: 'history', failedAttempts: 1 }] as const;
    const lengths: number[] = [];
    for (const { taskQueue } of [worker, bare]) {
      const handle = await temporal.workflow.start(workflows.spend, {
        ...optionsOf({ taskQueue }),
        args: [...args],
      });
      await handle.result();
      const history = await handle.fetchHistory();
      lengths.push(history.events?.length ?? 0);
      for (const workflowBundle of [bundle, without]) {
        await Worker.runReplayHistory({ workflowBundle }, history);
      }
    }
    await bare.stop();
    expect(lengths[0]).toBe(lengths[1]);
  });
});

/** INDEXED_VALUE_TYPE_KEYWORD of Temporal's API. */
const KEYWORD = 2;

/** A second copy of the package, as two versions in one tree are. */
const BUILT_COPY = fileURLToPath(new URL('../dist/workflows/plugin/worker.js', import.meta.url));
const COUNTING_INTERCEPTORS = fileURLToPath(new URL('./fixtures/counting-interceptors.ts', import.meta.url));

type Options = ReturnType<typeof optionsOf>;

function optionsOf({ taskQueue }: { readonly taskQueue: string } = worker) {
  return { taskQueue, workflowId: `metered-${randomUUID().slice(0, 8)}` };
}

async function spend(
  spending: Spending,
  name: { readonly experienceType?: string; readonly experienceId?: string } = {},
  by: MeteredWorker = worker,
): Promise<{ experienceId: string; result?: string; failure?: unknown }> {
  const experienceId = name.experienceId ?? randomUUID();
  const handle = await withExperience({ experienceType: 'Metered', ...name, experienceId }, () =>
    temporal.workflow.start(workflows.spend, { ...optionsOf(by), args: [spending] }),
  );
  try {
    return { experienceId, result: await handle.result() };
  } catch (error) {
    const cause = error instanceof WorkflowFailedError ? error.cause?.cause : error;
    return { experienceId, failure: cause };
  }
}

/** Stops the service, but not the client that a worker holds. */
async function restartable(own: TestService): Promise<{ close(): void }> {
  await own.stopServer();
  return own.client;
}

async function limitedType(name: string, maxCost: string): Promise<void> {
  await service.client.types.create({ name, description: 'With a limit for each' });
  await setLimitConfig(mongo.db(service.options.databaseName), name, { maxCost });
}

/** Settlements follow the results of their activities. */
async function delivered(): Promise<void> {
  await waitUntil('what has ended is settled', () => (worker.plugin.outbox.size === 0 ? true : undefined));
}

async function eventsOf(experienceId: string): Promise<readonly UsageEvent[]> {
  await delivered();
  const events: UsageEvent[] = [];
  for await (const event of service.client.usage.list(experienceId)) events.push(event);
  return events;
}

async function totalsOf(experienceId: string) {
  await delivered();
  return (await service.client.costs.get(experienceId)).totals;
}

function plain(units: UsageEvent['units']): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(units).map(([kind, { input, output }]) => [kind, [Number(input), Number(output)]]),
  );
}
