import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { withExperience } from '../workflows/plugin/client.js';
import * as workflows from './fixtures/paying-workflows.js';
import { quietTemporal, temporalClient } from './support/metered-worker.js';
import { type PayingProcess, startPayingProcess } from './support/paying-process.js';
import { type HaltPoint, startPayingWorker } from './support/paying-worker.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { readAll } from './support/read-all.js';
import { type ReplyCutter, startReplyCutter } from './support/reply-cutter.js';
import { startTestService, type TestService } from './support/service.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';
import { expectWitnessed, sweep, type WitnessedBooks } from './support/witnessed-books.js';

/**
 * One worker that settles each call before its activity's result is killed while each of several runs is at another point of its one call; a second worker brings them all
 * to their end. Each run is an experience with a provider of its own, which counts what it serves. A call costs
 * 0.00001725 dollars and is estimated at 0.00003045, as paying-activities.ts says.
 */
let service: TestService;
let cutter: ReplyCutter;
let temporal: Awaited<ReturnType<typeof temporalClient>>;
let worker: PayingProcess;
const taskQueue = `paying-${randomUUID().slice(0, 8)}`;

interface Crash {
  readonly halt?: HaltPoint;
  /** Resolves when the worker is to be killed. */
  reached(run: Run): Promise<void>;
  /** While reservations are open, and when their time is over. */
  readonly open: WitnessedBooks;
  readonly closed: WitnessedBooks;
}

interface Run {
  readonly experienceId: string;
  readonly provider: TestProvider;
}

/** Nothing was settled for the first attempt: 0.00003045 stand for it, whether it was served or not. */
const REMAINS = { settled: ['2 SUCCEEDED'], useful: '0.00001725' };
const OPEN = { ...REMAINS, open: 1, held: '0.00003045', total: '0.00001725', wasted: '0' };
const CLOSED = {
  ...REMAINS,
  unsettled: 1,
  estimated: '0.00003045',
  total: '0.0000477',
  wasted: '0.00003045',
};
const PAID_TWICE = {
  settled: ['1 SUCCEEDED', '2 SUCCEEDED'],
  total: '0.0000345',
  useful: '0.00001725',
  wasted: '0.00001725',
};
const halted = ({ experienceId }: Run): Promise<void> => worker.halted(experienceId);

const CRASHES: Readonly<Record<string, Crash>> = {
  'before the call': { halt: 'reserved', reached: halted, open: OPEN, closed: CLOSED },
  'during the call': {
    reached: async ({ provider }) => {
      await waitUntil('the call is with the provider', async () =>
        (await provider.served()).inFlight === 1 ? true : undefined,
      );
    },
    open: { ...OPEN, lost: 1 },
    closed: { ...CLOSED, lost: 1 },
  },
  'between answer and settling': {
    halt: 'answered',
    reached: halted,
    open: { ...OPEN, lost: 1 },
    closed: { ...CLOSED, lost: 1 },
  },
  'after settling': { halt: 'settled', reached: halted, open: PAID_TWICE, closed: PAID_TWICE },
  // The last one: its connection says nothing any more.
  'while the answer to settling is on its way': {
    reached: async ({ experienceId }) => {
      await waitUntil('the call is recorded, and the worker does not know it', async () =>
        cutter.held() === 1 && (await eventsOf(experienceId)).length === 1 ? true : undefined,
      );
    },
    open: PAID_TWICE,
    closed: PAID_TWICE,
  },
};
const LAST = 'while the answer to settling is on its way';
const runs = new Map<string, Run>();

beforeAll(async () => {
  quietTemporal();
  [service, temporal] = await Promise.all([startTestService(), temporalClient()]);
  cutter = await startReplyCutter(Number(service.address.split(':').at(-1)));
  await service.client.types.create({ name: 'Paying', description: 'Pays for calls' });
  for (const name of Object.keys(CRASHES)) {
    const provider = await startTestProvider({ promptCache: false });
    runs.set(name, { experienceId: randomUUID(), provider });
  }
  await runOf('during the call').provider.fail({ kind: 'latency', ms: 600_000, times: 1 });
  worker = await startPayingProcess({
    temporalAddress: inject('temporalAddress'),
    serviceAddress: `127.0.0.1:${cutter.port}`,
    taskQueue,
    settleDelayMs: 0,
    halts: Object.fromEntries(
      Object.entries(CRASHES).flatMap(([name, { halt }]) =>
        halt === undefined ? [] : [[runOf(name).experienceId, halt]],
      ),
    ),
  });

  const handles: WorkflowHandle<typeof workflows.pay>[] = [];
  const others = Object.entries(CRASHES).filter(([name]) => name !== LAST);
  for (const [name] of others) handles.push(await start(name));
  for (const [name, { reached }] of others) await reached(runOf(name));
  cutter.hold('chatcmpl-');
  handles.push(await start(LAST));
  await CRASHES[LAST]?.reached(runOf(LAST));
  await worker.kill();

  const second = await startPayingWorker({
    temporalAddress: inject('temporalAddress'),
    serviceAddress: service.address,
    taskQueue,
  });
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(Array(5).fill('attempt 2'));
  await second.stop();
}, 120_000);
afterAll(async () => {
  await worker?.kill();
  await temporal.close();
  await cutter.stop();
  for (const { provider } of runs.values()) await provider.stop();
  await service.stop();
});

describe('a worker that is killed', () => {
  test.each(Object.entries(CRASHES))(
    '%s leaves in the books what was served, or a reservation that stands for it',
    async (name, { open }) => {
      const { provider, experienceId } = runOf(name);
      await expectWitnessed(service.client, provider, experienceId, open);
    },
  );

  describe('and whose reservations have run out', () => {
    beforeAll(() => sweep(service.client, 3));

    test.each(Object.entries(CRASHES))(
      '%s costs what was served, and the estimate of what is not known',
      async (name, { closed }) => {
        const { provider, experienceId } = runOf(name);
        await expectWitnessed(service.client, provider, experienceId, closed);
      },
    );
  });

  test('after it had settled has wasted the first attempt, not the last', async () => {
    for (const name of ['after settling', LAST]) {
      const events = await eventsOf(runOf(name).experienceId);
      expect(events.map(({ useful }) => useful)).toEqual([false, true]);
    }
  });

  test('leaves all books in agreement', () => expectVerified(service.client));
});

async function start(name: string): Promise<WorkflowHandle<typeof workflows.pay>> {
  const { experienceId, provider } = runOf(name);
  return withExperience({ experienceType: 'Paying', experienceId }, () =>
    temporal.workflow.start(workflows.pay, {
      taskQueue,
      workflowId: `paying-${experienceId.slice(0, 8)}`,
      args: [[{ name, apiUrl: provider.apiUrl }]],
    }),
  );
}

function runOf(name: string): Run {
  const run = runs.get(name);
  if (run === undefined) throw new Error(`there is no run '${name}'`);
  return run;
}

async function eventsOf(experienceId: string) {
  return readAll(service.client.usage.list(experienceId));
}
