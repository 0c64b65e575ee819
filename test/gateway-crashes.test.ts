import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Document, MongoClient, UUID } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { UsageEvent } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { type GatewayProcess, startGatewayProcess } from './support/gateway-process.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';
import { type ServiceLine, startServiceLine } from './support/service-line.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

/**
 * Gateways that are killed, each while its one call is at another point. Each has a provider of its own, which counts what
 * it serves: the ledger has exactly that, and what it cannot know is an open reservation, which is closed at the estimate
 * of the prompt.
 */
interface Crash {
  readonly stream?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Before the call. */
  prepare?(run: Run): Promise<void> | void;
  /** Resolves when the gateway is to be killed. */
  reached(run: Run): Promise<void>;
  /** Calls that the provider has billed. */
  readonly billed: number;
  /** Where the call stands in the ledger, before and after what the outbox has is delivered. */
  readonly before: 'open' | 'settled';
  readonly after: 'open' | 'settled';
  /** Its reservation runs out before the outbox is delivered. */
  readonly isLate?: boolean;
  /** Before the gateway that takes the folder over is started. */
  restore?(run: Run): void;
}

interface Run {
  readonly experienceId: string;
  readonly provider: TestProvider;
  readonly line: ServiceLine;
  readonly folder: string;
  gateway: GatewayProcess;
  /** The answer's text as far as it came. */
  answer: Promise<string>;
}

/** 120 characters with the model's name are taken for 30 tokens: 30 × 0.00000015 dollars. */
const QUESTION = {
  model: 'gpt-4o-mini',
  messages: [
    { role: 'user', content: 'Rivers carry water from the hills to the sea. '.repeat(2).padEnd(109, '.') },
  ],
};
const ESTIMATE = '0.0000045';
const RECORD = 'chatcmpl-';

const CRASHES: Readonly<Record<string, Crash>> = {
  'before the reservation is answered': {
    prepare: ({ line, experienceId }) => line.holdAnswers(experienceId),
    reached: async (run) => {
      await isHeld(run);
      await waitUntil('the call is reserved', async () => (await isOpen(run)) || undefined);
    },
    billed: 0,
    before: 'open',
    after: 'open',
  },
  'while properties of its experience are on their way': {
    headers: { 'xProxy-Experience-Properties': '{"where":"on their way"}' },
    prepare: ({ line }) => line.holdMessages('on their way'),
    reached: async (run) => {
      await isHeld(run);
      // The provider does not wait for them.
      await waitUntil(
        'the provider has answered',
        async () => (await run.provider.served()).calls.length === 1 || undefined,
      );
    },
    billed: 1,
    before: 'open',
    after: 'open',
  },
  'while the provider works': {
    prepare: ({ provider }) => provider.fail({ kind: 'latency', ms: 600_000 }),
    reached: async ({ provider }) => {
      await waitUntil(
        'the provider works',
        async () => (await provider.served()).inFlight === 1 || undefined,
      );
    },
    billed: 1,
    before: 'open',
    after: 'open',
  },
  'in the middle of a stream': {
    stream: true,
    prepare: ({ provider }) => provider.fail({ kind: 'token-delay', ms: 400 }),
    reached: async (run) => {
      await waitUntil('a part of the answer came', () => received.get(run)?.includes('delta') || undefined);
    },
    billed: 1,
    before: 'open',
    after: 'open',
  },
  'between answer and settling': {
    prepare: ({ line }) => line.holdMessages(RECORD),
    reached: isHeld,
    billed: 1,
    before: 'open',
    after: 'open',
  },
  'after settling and before the answer': {
    prepare: ({ line }) => line.holdAnswers(RECORD),
    reached: isHeldAndRecorded,
    billed: 1,
    before: 'settled',
    after: 'settled',
  },
  'between settling and the end of a stream': {
    stream: true,
    prepare: ({ line }) => line.holdAnswers(RECORD),
    reached: isHeldAndRecorded,
    billed: 1,
    before: 'settled',
    after: 'settled',
  },
  'while the call waits in the outbox': {
    prepare: ({ provider }) => provider.fail({ kind: 'latency', ms: 500 }),
    reached: async (run) => {
      await isAwayAfterCall(run);
      expect(await run.answer).toContain('"queued":true');
    },
    billed: 1,
    before: 'open',
    after: 'settled',
    restore: ({ line }) => line.restore(),
  },
  'while the call waits in the outbox, for longer than its reservation': {
    prepare: ({ provider }) => provider.fail({ kind: 'latency', ms: 500 }),
    reached: async (run) => {
      await isAwayAfterCall(run);
      expect(await run.answer).toContain('"queued":true');
    },
    billed: 1,
    before: 'open',
    after: 'settled',
    isLate: true,
    restore: ({ line }) => line.restore(),
  },
  'while the outbox delivers': {
    prepare: ({ provider }) => provider.fail({ kind: 'latency', ms: 500 }),
    reached: async (run) => {
      await isAwayAfterCall(run);
      expect(await run.answer).toContain('"queued":true');
      run.line.restore();
      run.line.holdAnswers(RECORD);
      await waitUntil('it is delivered', async () => (await eventsOf(run)).length === 1 || undefined);
      await isHeld(run);
    },
    billed: 1,
    before: 'settled',
    after: 'settled',
    restore: ({ line }) => line.restore(),
  },
};
const NAMES = Object.entries(CRASHES);

let service: TestService;
const mongo = new MongoClient(inject('mongodbUri'));
const runs = new Map<string, Run>();
const received = new WeakMap<Run, string>();

beforeAll(async () => {
  service = await startTestService();
  await Promise.all(NAMES.map(async ([name]) => runs.set(name, await start())));
  await Promise.all(NAMES.map(([name, crash]) => crashed(runOf(name), crash)));
}, 180_000);

afterAll(async () => {
  for (const { gateway, provider, line, folder } of runs.values()) {
    await gateway.stop();
    await provider.stop();
    await line.stop();
    await rm(folder, { recursive: true, force: true });
  }
  await mongo.close();
  await service.stop();
});

describe('a gateway that is killed', () => {
  test.each(NAMES)('%s leaves in the ledger what was served, or a reservation', async (name, crash) => {
    await expectBooks(runOf(name), { ...crash, state: crash.before });
  });

  describe('and started again', () => {
    beforeAll(async () => {
      const late = NAMES.filter(([, { isLate }]) => isLate === true).map(([name]) => runOf(name));
      await expire({ x: { $in: late.map(({ experienceId }) => new UUID(experienceId)) } }, late.length);
      for (const run of late) expect(await eventsOf(run)).toMatchObject([{ settlement: 'UNSETTLED' }]);
      await Promise.all(
        NAMES.map(async ([name, { restore, after }]) => {
          const run = runOf(name);
          if (restore === undefined) return;
          restore(run);
          run.gateway = await gatewayOf(run);
          if (after !== 'settled') return;
          await waitUntil('the outbox is delivered', async () => {
            const [event] = await eventsOf(run);
            return event?.settlement === 'SETTLED' || undefined;
          });
        }),
      );
      await expire({}, NAMES.filter(([, { after }]) => after === 'open').length);
    }, 120_000);

    test.each(NAMES)('%s has each served call once, or the estimate of its prompt', async (name, crash) => {
      const state = crash.after === 'open' ? 'unsettled' : 'settled';
      await expectBooks(runOf(name), { ...crash, state });
    });

    test('has the books in agreement', () => expectVerified(service.client));
  });
});

async function start(): Promise<Run> {
  const [provider, line, folder] = await Promise.all([
    startTestProvider({ promptCache: false }),
    startServiceLine(service.address),
    mkdtemp(join(tmpdir(), 'experiences-crash-')),
  ]);
  const run = { experienceId: newUuid(), provider, line, folder };
  return { ...run, gateway: await gatewayOf(run), answer: Promise.resolve('') };
}

/** As if the time of so many open reservations were over: an estimate takes the place of each. */
async function expire(filter: Document, count: number): Promise<void> {
  const reservations = mongo.db(service.options.databaseName).collection('reservations');
  await reservations.updateMany({ ...filter, s: 'o' }, { $set: { u: new Date(Date.now() - 1) } });
  expect(await service.client.admin.sweepReservations()).toMatchObject({ unsettledCount: count });
}

function gatewayOf({ line, provider, folder }: Omit<Run, 'gateway' | 'answer'>): Promise<GatewayProcess> {
  return startGatewayProcess({
    serviceAddress: line.address,
    providerUrl: provider.url,
    outboxFolder: folder,
  });
}

async function crashed(run: Run, crash: Crash): Promise<void> {
  await crash.prepare?.(run);
  run.answer = ask(run, crash);
  await crash.reached(run);
  run.gateway.kill('SIGKILL');
  await run.gateway.exited;
  await run.answer;
  await waitUntil(
    'the provider has ended',
    async () => (await run.provider.served()).inFlight === 0 || undefined,
  );
}

async function ask(run: Run, { stream = false, headers }: Crash): Promise<string> {
  let text = '';
  try {
    const response = await fetch(`${run.gateway.url}/api/v1/proxy/openai/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'xProxy-Experience-ID': run.experienceId, ...headers },
      body: JSON.stringify({ ...QUESTION, stream }),
    });
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) {
      text += decoder.decode(bytes as Uint8Array, { stream: true });
      received.set(run, text);
    }
  } catch {
    // The gateway is killed.
  }
  return text;
}

interface Books extends Pick<Crash, 'billed'> {
  readonly state: 'open' | 'settled' | 'unsettled';
}

async function expectBooks(run: Run, { billed, state }: Books): Promise<void> {
  const served = (await run.provider.served()).calls.filter((call) => call.billed);
  expect(served).toHaveLength(billed);
  const { totals } = await service.client.costs.get(run.experienceId);
  const events = await eventsOf(run);
  expect(totals).toMatchObject({
    heldCost: '0',
    openReservationCount: state === 'open' ? 1n : 0n,
    unsettledEventCount: state === 'unsettled' ? 1n : 0n,
    unsettledCost: state === 'unsettled' ? ESTIMATE : '0',
  });
  if (state === 'open') {
    expect(events).toEqual([]);
  } else if (state === 'unsettled') {
    expect(events).toMatchObject([
      { settlement: 'UNSETTLED', outcome: 'UNKNOWN', units: { text: { input: 30n, output: 0n } } },
    ]);
    expect(totals.cost.total).toBe(ESTIMATE);
  } else {
    expect(events).toMatchObject([{ settlement: 'SETTLED', outcome: 'SUCCEEDED', properties: {} }]);
    expect(events.map(asCall)).toEqual(
      served.map((call) => [call.responseId, call.promptTokens, call.completionTokens]),
    );
  }
}

function asCall({ providerResponseId, units }: UsageEvent) {
  return [providerResponseId, Number(units.text?.input), Number(units.text?.output)];
}

async function eventsOf({ experienceId }: Run): Promise<readonly UsageEvent[]> {
  return readAll(service.client.usage.list(experienceId)).catch(() => []);
}

async function isOpen({ experienceId }: Run): Promise<boolean> {
  const found = await service.client.costs.get(experienceId).catch(() => undefined);
  return found?.totals.openReservationCount === 1n;
}

async function isHeldAndRecorded(run: Run): Promise<void> {
  await isHeld(run);
  await waitUntil('the call is recorded', async () => (await eventsOf(run)).length === 1 || undefined);
}

async function isHeld({ line }: Run): Promise<void> {
  await waitUntil('the line is held', () => line.held() === 1 || undefined);
}

async function isAwayAfterCall({ provider, line }: Run): Promise<void> {
  await waitUntil('the provider works', async () => (await provider.served()).inFlight === 1 || undefined);
  line.cut();
}

function runOf(name: string): Run {
  const run = runs.get(name);
  if (run === undefined) throw new Error(`there is no run '${name}'`);
  return run;
}
