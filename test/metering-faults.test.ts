import { WorkflowFailedError } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ExperiencesClient } from '../services/client/index.js';
import { startOwnMongod } from './support/own-mongod.js';
import { type PayingWorld, startPayingWorld } from './support/paying-world.js';
import { startReplyCutter } from './support/reply-cutter.js';
import { startTestService } from './support/service.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';
import { expectWitnessed, sweep, type WitnessedBooks } from './support/witnessed-books.js';

/**
 * What may go wrong around a paid call while its worker lives, with the provider as the witness. A call costs 0.00001725
 * dollars and is estimated at 0.00003045, as paying-activities.ts says.
 */
let world: PayingWorld;

beforeAll(async () => {
  world = await startPayingWorld();
});
afterAll(() => world.stop());
afterEach(() => world.provider.reset());

/** The last attempt alone was paid. */
const ONCE = { total: '0.00001725', useful: '0.00001725', wasted: '0' };

describe('a provider', () => {
  test('that refuses is in the books at nothing, once for each refusal', async () => {
    await world.provider.fail(
      { kind: 'rate-limit', retryAfterMs: 200, times: 2 },
      { kind: 'server-error', status: 503, times: 1 },
    );
    const { experienceId, handle } = await world.pay([{ name: 'refused' }]);
    expect(await handle.result()).toBe('attempt 4');
    await expectBooks(experienceId, {
      settled: ['1 FAILED 429', '2 FAILED 429', '3 FAILED 503', '4 SUCCEEDED'],
      ...ONCE,
    });
  });

  test('whose answer is lost, cut or broken leaves a reservation, whether it has billed the call or not', async () => {
    await world.provider.fail(
      { kind: 'drop', at: 'before-work', times: 1 },
      { kind: 'drop', at: 'before-answer', times: 1 },
      { kind: 'drop', at: 'mid-body', times: 1 },
      { kind: 'broken-json', times: 1 },
    );
    const { experienceId, handle } = await world.pay([{ name: 'lost' }]);
    expect(await handle.result()).toBe('attempt 5');
    await expectBooks(experienceId, {
      settled: ['5 SUCCEEDED'],
      lost: 3,
      open: 4,
      held: '0.0001218',
      ...ONCE,
    });
    await sweep(world.service.client, 4);
    await expectBooks(experienceId, {
      settled: ['5 SUCCEEDED'],
      lost: 3,
      unsettled: 4,
      estimated: '0.0001218',
      total: '0.00013905',
      useful: '0.00001725',
      wasted: '0.0001218',
    });
  });

  test('that does not tell the usage is recorded at what was read and written', async () => {
    await world.provider.fail({ kind: 'no-usage', times: 1 });
    const { experienceId, handle } = await world.pay([{ name: 'untold' }]);
    await handle.result();
    await expectBooks(experienceId, { settled: ['1 SUCCEEDED'], ...ONCE });
  });
});

describe('an attempt whose time is over', () => {
  test('while its call runs on stands in the books at its estimate, and at its cost when the answer comes', async () => {
    await world.provider.fail({ kind: 'latency', ms: 9_000, times: 1 });
    const { experienceId, handle } = await world.pay([{ name: 'overlapping', isStubborn: true }], {
      startToCloseMs: 4_000,
    });
    expect(await handle.result()).toBe('attempt 2');
    await sweep(world.service.client, 1);
    await expectBooks(experienceId, {
      settled: ['2 SUCCEEDED'],
      running: 1,
      unsettled: 1,
      estimated: '0.00003045',
      total: '0.0000477',
      useful: '0.00001725',
      wasted: '0.00003045',
    });
    // Of one operation the last that is recorded is the useful one.
    await expectBooks(experienceId, {
      settled: ['2 SUCCEEDED', '1 SUCCEEDED'],
      total: '0.0000345',
      useful: '0.00001725',
      wasted: '0.00001725',
    });
  });

  test('and whose call is cut leaves a reservation for what was served', async () => {
    await world.provider.fail({ kind: 'latency', ms: 600_000, times: 1 });
    const { experienceId, handle } = await world.pay([{ name: 'timed out' }], { startToCloseMs: 3_000 });
    expect(await handle.result()).toBe('attempt 2');
    const second = { settled: ['2 SUCCEEDED'], lost: 1 };
    await expectBooks(experienceId, { ...second, open: 1, held: '0.00003045', ...ONCE });
    await sweep(world.service.client, 1);
    await expectBooks(experienceId, {
      ...second,
      unsettled: 1,
      estimated: '0.00003045',
      total: '0.0000477',
      useful: '0.00001725',
      wasted: '0.00003045',
    });
  });
});

test('a stream that is cancelled in the middle costs its prompt and what had arrived', async () => {
  await world.provider.fail({ kind: 'token-delay', ms: 2_500, times: 1 });
  const { experienceId, handle } = await world.payForStream({ name: 'streamed' });
  await waitUntil('two tokens have arrived', () =>
    world.worker.counts.texts.get('streamed') === 'The capital' ? true : undefined,
  );
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
  // 43 tokens read and 2 written.
  await expectBooks(experienceId, {
    settled: ['1 CANCELLED'],
    total: '0.00000765',
    useful: '0',
    wasted: '0.00000765',
  });
});

describe('a service that is away', () => {
  test('before the call keeps it from being made, until it is back', async () => {
    const { own, worker, restart } = await ownService();
    await own.stopServer();
    const { experienceId, handle } = await world.pay([{ name: 'before' }], { worker });
    await waitUntil('an attempt was given up', async () => {
      const { raw } = await handle.describe();
      return (raw.pendingActivities?.[0]?.attempt ?? 0) >= 2 ? true : undefined;
    });
    expect((await world.provider.served()).calls).toEqual([]);
    const back = await restart();
    await handle.result();
    await worker.stop();
    const [attempt] = await attemptsOf(back.client, experienceId);
    await expectBooks(experienceId, { settled: [`${attempt} SUCCEEDED`], ...ONCE }, back.client);
    await back.stop();
  });

  test('after the call keeps neither its result nor, when it is back, its cost from being there', async () => {
    const { own, worker, restart } = await ownService();
    await world.provider.fail({ kind: 'latency', ms: 1_500, times: 1 });
    const { experienceId, handle } = await world.pay([{ name: 'after' }], { worker });
    await callUnderWay();
    await own.stopServer();
    expect(await handle.result()).toBe('attempt 1');
    expect(worker.plugin.outbox.size).toBe(1);
    const back = await restart();
    await expectBooks(experienceId, { settled: ['1 SUCCEEDED'], ...ONCE }, back.client);
    expect(worker.plugin.outbox).toMatchObject({ size: 0, lostCount: 0 });
    await worker.stop();
    await back.stop();
  });

  async function ownService() {
    const own = await startTestService();
    await own.client.types.create({ name: 'Paying', description: 'Pays for calls' });
    const worker = await world.startWorker({ serviceAddress: own.address });
    const restart = () => {
      own.client.close();
      return startTestService({ ...own.options, listen: own.address });
    };
    return { own, worker, restart };
  }
});

test('a mongod that is killed during the call costs neither the result nor a figure, and before it no call', async () => {
  const mongod = await startOwnMongod();
  const own = await startTestService({ mongodbUri: mongod.uri });
  await own.client.types.create({ name: 'Paying', description: 'Pays for calls' });
  const worker = await world.startWorker({ serviceAddress: own.address });
  try {
    await world.provider.fail({ kind: 'latency', ms: 1_500, times: 1 });
    const during = await world.pay([{ name: 'during' }], { worker });
    await callUnderWay();
    await mongod.kill();
    expect(await during.handle.result()).toBe('attempt 1');

    const before = await world.pay([{ name: 'before' }], { worker });
    await waitUntil('an attempt was given up', async () => {
      const { raw } = await before.handle.describe();
      return (raw.pendingActivities?.[0]?.attempt ?? 0) >= 2 ? true : undefined;
    });
    expect((await world.provider.served()).calls).toHaveLength(1);

    await mongod.restart();
    await before.handle.result();
    await worker.stop();
    // Of the two calls one is the other run's.
    await expectBooks(during.experienceId, { settled: ['1 SUCCEEDED'], lost: 1, ...ONCE }, own.client);
    const [attempt] = await attemptsOf(own.client, before.experienceId);
    const settled = [`${attempt} SUCCEEDED`];
    await expectBooks(before.experienceId, { settled, lost: 1, ...ONCE }, own.client);
    await expectVerified(own.client);
  } finally {
    await worker.stop();
    await own.stop();
    await mongod.stop();
  }
}, 90_000);

test('a call whose record is sent twice, because the first answer was lost, is in the books once', async () => {
  const cutter = await startReplyCutter(Number(world.service.address.split(':').at(-1)));
  const worker = await world.startWorker({ serviceAddress: `127.0.0.1:${cutter.port}` });
  try {
    cutter.cut('chatcmpl-', 1);
    const { experienceId, handle } = await world.pay([{ name: 'twice' }], { worker });
    expect(await handle.result()).toBe('attempt 1');
    await expectBooks(experienceId, { settled: ['1 SUCCEEDED'], ...ONCE });
    expect(cutter.left()).toBe(0);
  } finally {
    await worker.stop();
    await cutter.stop();
  }
});

test('all books agree', () => expectVerified(world.service.client));

async function callUnderWay(): Promise<void> {
  await waitUntil('the call is with the provider', async () =>
    (await world.provider.served()).inFlight === 1 ? true : undefined,
  );
}

async function attemptsOf(client: ExperiencesClient, experienceId: string): Promise<readonly number[]> {
  const attempts: number[] = [];
  for await (const { workflowSource } of client.usage.list(experienceId))
    attempts.push(workflowSource?.attempt ?? 0);
  return attempts;
}

function expectBooks(
  experienceId: string,
  books: WitnessedBooks,
  client: ExperiencesClient = world.service.client,
): Promise<void> {
  return expectWitnessed(client, world.provider, experienceId, books);
}
