import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExperiencesClient } from '../services/client/index.js';
import { expectBooks } from './support/books.js';
import { makeMutant } from './support/mutant.js';
import { createLoadType, LoadMaker, type LoadReport, p99 } from './support/open-loop.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { residentMemoryKb } from './support/resident-memory.js';
import { startServiceProcess } from './support/service-process.js';
import { expectVerified } from './support/verified.js';

const TIMES = 5;
const SMALL_QUEUE = 400;

let mongod: OwnMongod;
beforeAll(async () => {
  mongod = await startOwnMongod();
});
afterAll(() => mongod.stop());

/**
 * The store is made slow, so that it is what gives out, and not the processor that the load is made on: then the rate that
 * a service can take, and what five times of it are, are the same on any machine.
 */
describe('five times the load that a service can take costs only what is refused', () => {
  test('for half a minute, with a short queue', async () => {
    const small = await makeMutant({
      path: 'ledger/ledger.ts',
      from: 'const ENTRIES_WAITING_MAX_DEFAULT = 10_000;',
      to: `const ENTRIES_WAITING_MAX_DEFAULT = ${SMALL_QUEUE};`,
    });
    const load = { commitMs: 250, callers: 36, warmSeconds: 3, seconds: 30, slowdownMax: 4 };
    try {
      await expectUnharmed({ ...load, memoryGrowthMaxKb: 40_000, root: small.root });
    } finally {
      await small.remove();
    }
  }, 120_000);

  test('with the queue as it is', async () => {
    const load = { commitMs: 1_000, callers: 240, warmSeconds: 4, seconds: 10, slowdownMax: 8 };
    // It holds twenty-five times as much, and is filled only in the first seconds.
    await expectUnharmed({ ...load, memoryGrowthMaxKb: 120_000 });
  }, 120_000);
});

async function expectUnharmed(options: {
  readonly commitMs: number;
  /** How many calls at a time are as much as the service can take. */
  readonly callers: number;
  readonly warmSeconds: number;
  readonly seconds: number;
  /** How many times longer an accepted call may take than one at capacity: it may wait behind a full queue. */
  readonly slowdownMax: number;
  readonly memoryGrowthMaxKb: number;
  readonly root?: string;
}): Promise<void> {
  const { callers, root } = options;
  const databaseName = `test_${randomUUID().slice(0, 8)}`;
  const service = await startServiceProcess({ mongodbUri: mongod.uri, databaseName, ...(root && { root }) });
  const client = new ExperiencesClient({ address: service.address });
  const maker = new LoadMaker(service.address);
  try {
    await createLoadType(client);
    const slow = { blockConnection: true, blockTimeMS: options.commitMs };
    await mongod.fail({ failCommands: ['commitTransaction'], ...slow });
    await maker.closed(options.warmSeconds, callers);
    const atCapacity = await maker.closed(CAPACITY_SECONDS, callers);
    const capacity = atCapacity.accepted / atCapacity.seconds;
    const { memoryKb, result: overload } = await watchMemory(service.pid, () =>
      maker.open(options.seconds, TIMES * capacity),
    );
    const said = `${describeLoad('at capacity', atCapacity)}; ${describeLoad('overload', overload)}`;
    process.stderr.write(`${said}\n`);
    expect([...atCapacity.others, ...overload.others]).toEqual([]);
    expect(overload.offered, said).toBeGreaterThan(0.8 * TIMES * capacity * options.seconds);
    expect(overload.accepted, said).toBeGreaterThan(0.7 * capacity * options.seconds);
    expect(overload.accepted, said).toBeLessThan(overload.offered / 2);
    expect(p99(overload.refusedMs), said).toBeLessThan(p99(overload.acceptedMs) / 2);
    expect(p99(overload.acceptedMs), said).toBeLessThan(options.slowdownMax * p99(atCapacity.acceptedMs));
    // What is left after each collection of garbage: in the last third it is as in the one before.
    const third = Math.floor(memoryKb.length / 3);
    const growth = Math.min(...memoryKb.slice(-third)) - Math.min(...memoryKb.slice(third, 2 * third));
    expect(growth, `memory in kB: ${memoryKb}`).toBeLessThan(options.memoryGrowthMaxKb);
    await mongod.failNothing();
    await client.usage.record({ provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1 } } });
    await expectVerified(client);
  } finally {
    await mongod.failNothing();
    client.close();
    maker.close();
    await service.stop();
  }
  await expectAccepted(databaseName, maker);
}

/** Every accepted event is there as it was sent, no other was ever sent, and the books balance. */
async function expectAccepted(databaseName: string, { accepted }: LoadMaker): Promise<void> {
  const { events } = await expectBooks(mongod.client, databaseName);
  const ofLoad = events.filter(({ id }) => id.startsWith('load-'));
  expect(accepted.size).toBeGreaterThan(1_000);
  // What was refused was not recorded, so these are the same events, each once.
  expect(ofLoad.length).toBe(accepted.size);
  const wrong = ofLoad.filter(
    ({ id, experienceId, input, output }) =>
      accepted.get(id) !== experienceId || input !== INPUT_COST || output !== OUTPUT_COST,
  );
  expect(wrong).toEqual([]);
}

async function watchMemory<T>(
  pid: number,
  work: () => Promise<T>,
): Promise<{ readonly memoryKb: readonly number[]; readonly result: T }> {
  const memoryKb: number[] = [];
  const over = new AbortController();
  const watching = (async () => {
    while (!over.signal.aborted) {
      memoryKb.push(await residentMemoryKb(pid, 'VmRSS'));
      await sleep(250);
    }
  })();
  const result = await work();
  over.abort();
  await watching;
  return { memoryKb, result };
}

function describeLoad(
  name: string,
  { seconds, offered, accepted, acceptedMs, refusedMs }: LoadReport,
): string {
  const perSecond = (count: number) => Math.round(count / seconds);
  return `${name}: ${perSecond(offered)} events/s sent, ${perSecond(accepted)} recorded, p99 ${Math.round(p99(acceptedMs))} ms; p99 of refusals ${Math.round(p99(refusedMs))} ms`;
}

const CAPACITY_SECONDS = 6;
/** 1,000 tokens at 0.00000015 dollars and 500 at 0.0000006, in 10^-18. */
const INPUT_COST = 150_000_000_000_000n;
const OUTPUT_COST = 300_000_000_000_000n;
