import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExperiencesError } from '../services/client/index.js';
import type { UsagePort } from '../services/client/settle.js';
import { UsageOutbox } from '../workflows/plugin/usage-outbox.js';
import { ExperiencesPlugin, metered } from '../workflows/plugin/worker.js';
import { startTestService, type TestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';

/** What becomes of settlements behind the results of their activities, when the service is away, slow or full. */

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

test('of two attempts that both succeeded the later one is useful, though both are settled behind their results', async () => {
  const plugin = new ExperiencesPlugin({ client: service.client, settleDelayMs: 300, logger: SILENT });
  const ids = Array.from({ length: 24 }, () => randomUUID());
  await Promise.all(
    ids.map(async (experienceId) => {
      // The result of the first never came to Temporal.
      for (const attempt of [1, 2]) await pay(plugin, { experienceId, attempt, outputTokens: attempt });
    }),
  );
  await settled(plugin);
  for (const experienceId of ids) {
    const useful: (number | undefined)[] = [];
    for await (const event of service.client.usage.list(experienceId))
      if (event.useful) useful.push(event.workflowSource?.attempt);
    expect(useful).toEqual([2]);
  }
});

test('what waits out an outage is settled soon after a reservation shows that it is over', async () => {
  let failures = 0;
  let isAway = true;
  const { usage, costs } = service.client;
  const recording: UsagePort = {
    reserve: (reservation) => usage.reserve(reservation),
    release: (eventId) => usage.release(eventId),
    async record(record) {
      if (!isAway) return usage.record(record);
      failures += 1;
      throw unavailable();
    },
  };
  const plugin = new ExperiencesPlugin({ client: { usage: recording, costs }, logger: SILENT });
  await pay(plugin, {});
  // The pause after it is two seconds at least.
  await waitUntil('it has failed four times', () => (failures === 4 ? true : undefined));
  isAway = false;
  await pay(plugin, {});
  await waitUntil('all is settled', () => (plugin.outbox.size === 0 ? true : undefined), 1_500);
  expect(plugin.outbox.lostCount).toBe(0);
});

test('a full outbox gives up a release, which may never have been reserved, for a call that was paid', async () => {
  let isAway = true;
  const recorded: string[] = [];
  const { usage } = service.client;
  const port: UsagePort = {
    reserve: (reservation) => usage.reserve(reservation),
    async release(eventId) {
      if (isAway) throw unavailable();
      return usage.release(eventId);
    },
    async record(record) {
      if (isAway) throw unavailable();
      recorded.push(record.eventId ?? '');
      return usage.record(record);
    },
  };
  const outbox = new UsageOutbox(SILENT, { itemsMax: 2 });
  const paid = [randomUUID(), randomUUID(), randomUUID()];
  const add = (eventId = '') =>
    outbox.add(
      {
        kind: 'record',
        record: { eventId, provider: 'openai', model: 'gpt-4o-mini', units: UNITS },
      },
      port,
    );
  outbox.add({ kind: 'release', eventId: randomUUID() }, port);
  add(paid[0]);
  expect(outbox.isFull).toBe(true);
  add(paid[1]);
  expect([outbox.size, outbox.lostCount]).toEqual([2, 1]);
  // Of paid calls the one that comes last is given up.
  add(paid[2]);
  expect([outbox.size, outbox.lostCount]).toEqual([2, 2]);
  isAway = false;
  await outbox.drain(5_000);
  expect(recorded.sort()).toEqual(paid.slice(0, 2).sort());
});

test('a logger that throws costs no activity its result', async () => {
  const fails = () => {
    throw new TypeError('Do not know how to serialize a BigInt');
  };
  const plugin = new ExperiencesPlugin({
    client: service.client,
    settleDelayMs: 0,
    logger: { warn: fails, error: fails },
  });
  // The workflow bundle lacks the plugin, and nobody says what the call has used: both are logged.
  expect(await pay(plugin, { isTold: false })).toBe('paid');
});

interface Paid {
  readonly experienceId?: string;
  readonly attempt?: number;
  readonly outputTokens?: number;
  readonly isTold?: boolean;
}

/** One attempt of one activity with one paid call, as the worker runs it. */
async function pay(plugin: ExperiencesPlugin, paid: Paid): Promise<unknown> {
  const { experienceId = randomUUID(), attempt = 1, outputTokens = 1, isTold = true } = paid;
  const { interceptors } = plugin.configureWorker({ taskQueue: 'any', activities: {} });
  const workflowExecution = { workflowId: `order/${experienceId}`, runId: experienceId };
  const environment = new MockActivityEnvironment(
    { workflowExecution, attempt, activityId: '1', workflowType: 'any', startToCloseTimeoutMs: 60_000 },
    { interceptors: [...(interceptors?.activity ?? [])] },
  );
  return environment.run(() =>
    metered({ provider: 'openai', model: 'gpt-4o-mini' }, undefined, async (report) => {
      if (isTold) report({ units: { text: { input: 10, output: outputTokens } } });
      return 'paid';
    }),
  );
}

async function settled(plugin: ExperiencesPlugin): Promise<void> {
  await waitUntil('all is settled', () => (plugin.outbox.size === 0 ? true : undefined));
}

function unavailable(): ExperiencesError {
  const nothing = { reason: undefined, metadata: {}, violations: [], retryAfterMs: undefined };
  return new ExperiencesError('the service is away', { code: 'UNAVAILABLE', ...nothing });
}

const UNITS = { text: { input: 10, output: 1 } };
const SILENT = { warn: () => undefined, error: () => undefined };
