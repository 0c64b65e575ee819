import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { ExperiencesClient } from '../services/client/index.js';
import { withExperience } from '../workflows/plugin/client.js';
import { BUDGET_EXCEEDED, ExperiencesPlugin } from '../workflows/plugin/worker.js';
import * as workflows from './fixtures/paying-workflows.js';
import { startPayingProcess } from './support/paying-process.js';
import type { HaltPoint, PayingWorker } from './support/paying-worker.js';
import { type PayingWorld, startPayingWorld } from './support/paying-world.js';
import { startTestProvider } from './support/provider.js';
import { expectVerified } from './support/verified.js';
import { expectWitnessed, sweep } from './support/witnessed-books.js';

/**
 * By default calls are settled behind the results of their activities. A call costs 0.00001725 dollars and is estimated at
 * 0.00003045, as paying-activities.ts says.
 */
let world: PayingWorld;
beforeAll(async () => {
  world = await startPayingWorld();
});
afterAll(() => world.stop());

describe('a worker that is killed behind the result of an activity', () => {
  const HALTS: Readonly<Record<string, HaltPoint>> = {
    'before it has settled leaves the reservation, and pays no second time': 'answered',
    'after it has settled leaves what was served': 'settled',
  };

  test.each(Object.entries(HALTS))('%s', async (_name, halt) => {
    const provider = await startTestProvider({ promptCache: false });
    const experienceId = randomUUID();
    const taskQueue = `delayed-${experienceId.slice(0, 8)}`;
    const worker = await startPayingProcess({
      temporalAddress: inject('temporalAddress'),
      serviceAddress: world.service.address,
      taskQueue,
      halts: { [experienceId]: halt },
    });
    try {
      const handle = await withExperience({ experienceType: 'Paying', experienceId }, () =>
        world.temporal.workflow.start(workflows.pay, {
          taskQueue,
          workflowId: `paying-${experienceId.slice(0, 8)}`,
          args: [[{ name: 'delayed', apiUrl: provider.apiUrl }]],
        }),
      );
      expect(await handle.result()).toBe('attempt 1');
      await worker.halted(experienceId);
      await worker.kill();
      const { client } = world.service;
      if (halt === 'settled') {
        await expectWitnessed(client, provider, experienceId, { settled: ['1 SUCCEEDED'], ...ONCE });
        return;
      }
      const nothing = { settled: [], lost: 1, useful: '0' };
      await expectWitnessed(client, provider, experienceId, {
        ...nothing,
        open: 1,
        held: '0.00003045',
        total: '0',
        wasted: '0',
      });
      await sweep(client, 1);
      await expectWitnessed(client, provider, experienceId, {
        ...nothing,
        unsettled: 1,
        estimated: '0.00003045',
        total: '0.00003045',
        wasted: '0.00003045',
      });
    } finally {
      await worker.kill();
      await provider.stop();
    }
  });
});

describe('a budget that has room for a call once the one before is settled', () => {
  // What one call costs and another may: 0.00001725 + 0.00003045.
  const BUDGET = '0.0000477';

  test.each([
    ['by the same worker', false],
    ['by another worker', true],
  ])('%s lets it be made', async (_name, isOther) => {
    const type = `Tight_${randomUUID().slice(0, 8)}`;
    await world.service.client.types.create({
      name: type,
      description: 'Little money',
      limitConfig: { maxCost: BUDGET, type: 'BLOCK' },
    });
    const experienceId = randomUUID();
    // So long that the next call comes before.
    const first = await world.startWorker({ settleDelayMs: 600 });
    const other = isOther ? await world.startWorker({ settleDelayMs: 600 }) : first;
    const pay = async (worker: PayingWorker) =>
      withExperience({ experienceType: type, experienceId }, () =>
        world.temporal.workflow.execute(workflows.pay, {
          taskQueue: worker.taskQueue,
          workflowId: `paying-${randomUUID().slice(0, 8)}`,
          args: [[{ name: 'tight', apiUrl: world.provider.apiUrl }]],
        }),
      );
    expect(await pay(first)).toBe('attempt 1');
    expect(await pay(other)).toBe('attempt 1');
    // 0.0000345 of it is spent: a third call may cost more than is left.
    await expect(pay(first)).rejects.toMatchObject({
      cause: { cause: { type: BUDGET_EXCEEDED } },
    });
    for (const worker of new Set([first, other])) await worker.stop();
  });
});

test('a run that has ended is told with all that it has cost', async () => {
  const type = `Started_${randomUUID().slice(0, 8)}`;
  const { client } = world.service;
  await client.types.create({
    name: type,
    description: 'A run of somebody else’s worker',
    workflowType: 'payAsRun',
    taskQueue: world.worker.taskQueue,
  });
  for (let run = 0; run < 3; run += 1) {
    const started = await client.runs.start({
      experienceType: type,
      parameters: { payments: [{ name: 'told', apiUrl: world.provider.apiUrl }] },
    });
    let told = started.run;
    while (told.state === 'RUNNING') told = await client.runs.get(told.experienceId);
    expect(told.state).toBe('COMPLETED');
    expect(told.totals).toMatchObject({ cost: { total: '0.00001725' }, openReservationCount: 0n });
  }
});

test('a worker that ends settles what still gathers, and does not wait for the delay', async () => {
  const worker = await world.startWorker({ settleDelayMs: 10_000 });
  const { experienceId, handle } = await world.pay([{ name: 'ending' }], { worker });
  expect(await handle.result()).toBe('attempt 1');
  expect(worker.plugin.outbox.size).toBe(1);
  const before = Date.now();
  await worker.stop();
  expect(Date.now() - before).toBeLessThan(5_000);
  expect(worker.plugin.outbox).toMatchObject({ size: 0, lostCount: 0 });
  const { totals } = await world.service.client.costs.get(experienceId);
  expect(totals).toMatchObject({ usefulCost: ONCE.useful, openReservationCount: 0n });
});

test('a delay that is no whole number of milliseconds up to 10,000 is refused', () => {
  const client = new ExperiencesClient({ address: world.service.address });
  for (const settleDelayMs of [-1, 0.5, Number.NaN, 10_001])
    expect(() => new ExperiencesPlugin({ client, settleDelayMs })).toThrow(RangeError);
  client.close();
});

test('all books agree', () => expectVerified(world.service.client));

const ONCE = { total: '0.00001725', useful: '0.00001725', wasted: '0' };
