import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ExperiencesPlugin, type ExperiencesPluginOptions } from '../workflows/plugin/worker.js';
import { type PayingWorld, startPayingWorld } from './support/paying-world.js';
import { readAll } from './support/read-all.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';
import { expectWitnessed, type WitnessedBooks } from './support/witnessed-books.js';

/**
 * What Temporal does over, and what it does again, with the provider as the witness; every workflow task is a replay, for
 * the workers keep no workflow in memory. A call costs 0.00001725 dollars, as paying-activities.ts says.
 */
let world: PayingWorld;

beforeAll(async () => {
  world = await startPayingWorld();
});
afterAll(() => world.stop());
afterEach(() => world.provider.reset());

describe('a workflow that is reset', () => {
  test('pays again for what is done again; what it replaces is wasted', async () => {
    const { experienceId, handle } = await world.pay([{ name: 'first' }, { name: 'second' }]);
    expect(await handle.result()).toBe('attempt 1, attempt 1');
    const again = await reset(handle.workflowId, handle.firstExecutionRunId, 1);
    expect(await again.result()).toBe('attempt 1, attempt 1');
    await expectBooks(experienceId, {
      settled: ['1 SUCCEEDED', '1 SUCCEEDED', '1 SUCCEEDED', '1 SUCCEEDED'],
      total: '0.000069',
      useful: '0.0000345',
      wasted: '0.0000345',
    });
    const events = await eventsOf(experienceId);
    expect(events.map(({ useful }) => useful)).toEqual([false, false, true, true]);
    const [first, second, ...others] = events.map(({ operationKey }) => operationKey);
    expect(others).toEqual([first, second]);
    const runIds = events.map(({ workflowSource }) => workflowSource?.runId);
    expect(runIds).toEqual([runIds[0], runIds[0], again.runId, again.runId]);
  });

  test('with a call under way has paid for that call too, and not again for what was finished', async () => {
    // The first two calls wait: the one that is finished, and the one that is not.
    await world.provider.fail({ kind: 'latency', ms: 3_000, times: 2 });
    const { experienceId, handle } = await world.pay([
      { name: 'finished' },
      { name: 'slow', isStubborn: true },
    ]);
    await waitUntil('the second call is with the provider', async () => {
      const { inFlight, calls } = await world.provider.served();
      return inFlight === 1 && calls.length === 1 ? true : undefined;
    });
    const again = await reset(handle.workflowId, handle.firstExecutionRunId, 2);
    expect(await again.result()).toBe('attempt 1, attempt 1');
    await expectBooks(experienceId, {
      settled: ['1 SUCCEEDED', '1 SUCCEEDED', '1 SUCCEEDED'],
      total: '0.00005175',
      useful: '0.0000345',
      wasted: '0.00001725',
    });
    const steps = (await eventsOf(experienceId)).map(({ workflowSource }) => workflowSource?.activityId);
    expect(steps).toEqual(['1', '2', '2']);
  });
});

describe('an activity that is reset', () => {
  test('begins at attempt 1 again, and both calls of attempt 1 are in the books', async () => {
    const payment = { name: 'reset', failures: 1 };
    const { experienceId, handle } = await world.pay([payment], { retryMs: 600_000 });
    await waitUntil('the first execution has failed', async () => {
      const { raw } = await handle.describe();
      return raw.pendingActivities?.[0]?.attempt === 2 ? true : undefined;
    });
    await expectBooks(experienceId, {
      settled: ['1 FAILED'],
      total: '0.00001725',
      useful: '0',
      wasted: '0.00001725',
    });
    await world.temporal.workflowService.resetActivity({
      namespace: 'default',
      execution: { workflowId: handle.workflowId },
      type: 'pay',
    });
    expect(await handle.result()).toBe('attempt 1');
    await expectBooks(experienceId, {
      settled: ['1 FAILED', '1 SUCCEEDED'],
      total: '0.0000345',
      useful: '0.00001725',
      wasted: '0.00001725',
    });
    const [failed, succeeded] = await eventsOf(experienceId);
    expect(failed?.operationKey).toBe(succeeded?.operationKey);
    expect(failed?.eventId).not.toBe(succeeded?.eventId);
  });
});

test('a workflow that continues as new pays once in each of its runs, and none of it is wasted', async () => {
  const { experienceId, handle } = await world.payInEachRun({ name: 'continued' }, 3);
  expect(await handle.result()).toBe('attempt 1');
  await expectBooks(experienceId, {
    settled: ['1 SUCCEEDED', '1 SUCCEEDED', '1 SUCCEEDED'],
    total: '0.00005175',
    useful: '0.00005175',
    wasted: '0',
  });
  const events = await eventsOf(experienceId);
  expect(new Set(events.map(({ workflowSource }) => workflowSource?.runId)).size).toBe(3);
  expect(new Set(events.map(({ operationKey }) => operationKey)).size).toBe(3);
});

describe('a call is in the books once where the worker has', () => {
  const same = (options: ExperiencesPluginOptions) => {
    const plugin = new ExperiencesPlugin(options);
    return [plugin, plugin];
  };
  const two = (options: ExperiencesPluginOptions) => [
    new ExperiencesPlugin(options),
    new ExperiencesPlugin(options),
  ];

  test.each(Object.entries({ 'the same plugin twice': same, 'two copies of the plugin': two }))(
    '%s',
    async (_name, pluginsOf) => {
      // It bundles by itself, so that the workflow side has them twice too.
      const worker = await world.startWorker({ pluginsOf, worker: {} });
      const { experienceId, handle } = await world.pay(
        [
          { name: pluginsOf.name, failures: 1 },
          { name: 'plain', isPlain: true },
        ],
        { worker },
      );
      expect(await handle.result()).toBe('attempt 2');
      await worker.stop();
      await expectBooks(experienceId, {
        settled: ['1 FAILED', '2 SUCCEEDED', '1 SUCCEEDED'],
        total: '0.00005175',
        useful: '0.0000345',
        wasted: '0.00001725',
      });
    },
  );
});

test('a workflow that is replayed at every task pays no call for a replay', async () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const { experienceId, handle } = await world.pay(names.map((name) => ({ name, failures: 1 })));
  expect(await handle.result()).toBe(names.map(() => 'attempt 2').join(', '));
  await expectBooks(experienceId, {
    settled: names.flatMap(() => ['1 FAILED', '2 SUCCEEDED']),
    total: '0.0001725',
    useful: '0.00008625',
    wasted: '0.00008625',
  });
});

test('all books agree', () => expectVerified(world.service.client));

/** At the first workflow task, or the one after so many activities. */
async function reset(workflowId: string, runId: string | undefined, task: number) {
  const handle = world.temporal.workflow.getHandle(workflowId, runId);
  const { events } = await handle.fetchHistory();
  const completed = (events ?? []).filter((event) => event.workflowTaskCompletedEventAttributes);
  const reset = await world.temporal.workflowService.resetWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId, runId: runId ?? '' },
    reason: 'a test',
    workflowTaskFinishEventId: completed[task - 1]?.eventId ?? null,
    requestId: `${workflowId}-${task}`,
  });
  const again = world.temporal.workflow.getHandle(workflowId, reset.runId);
  return { runId: reset.runId, result: () => again.result() };
}

function expectBooks(experienceId: string, books: WitnessedBooks): Promise<void> {
  return expectWitnessed(world.service.client, world.provider, experienceId, books);
}

function eventsOf(experienceId: string) {
  return readAll(world.service.client.usage.list(experienceId));
}
