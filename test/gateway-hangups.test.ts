import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UsageEvent } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { createSeededRandom } from '../services/simulator/seeded-random.js';
import { type GatewayProcess, startGatewayProcess } from './support/gateway-process.js';
import { type ServedCall, startTestProvider, type TestProvider } from './support/provider.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

/**
 * Streams under load of which a tenth lose their caller in the middle and others their provider: what the provider counts
 * is what the ledger has, call by call, and nothing is left of any of them.
 */

/** How a call goes, and the share of calls that go so. */
const WAYS = {
  'caller leaves': { share: 0.1 },
  'provider cuts': { share: 0.04, fault: 'drop=mid-body' },
  'provider ends early': { share: 0.03, fault: 'truncate-stream' },
  'provider says no usage': { share: 0.03, fault: 'no-usage' },
  'provider refuses': { share: 0.03, fault: 'server-error=503' },
  'provider vanishes': { share: 0.02, fault: 'drop=before-answer' },
  'provider hangs': { share: 0.01, fault: 'hang' },
  'provider falls silent': { share: 0.01, fault: 'token-delay=60000' },
  'all is well': { share: 1 },
} as const satisfies Readonly<Record<string, { readonly share: number; readonly fault?: string }>>;
type Way = keyof typeof WAYS;

interface Call {
  readonly number: number;
  readonly way: Way;
  /** After so many deltas the caller leaves. */
  readonly leavesAfter: number | undefined;
}

/** As it went: what both sides say of it. */
interface Ended {
  readonly event: UsageEvent;
  readonly served: ServedCall;
}

const CALLS = 200;
const AT_ONCE = 16;
const TOKEN_DELAY_MS = 4;
/** An answer has 65. */
const LEAVES_AFTER_MAX = 40;
/** Tokens that a provider has sent and the gateway, which had just hung up, has not read; and the cut of the last word. */
const ON_THEIR_WAY_MAX = 8;
const PROMPT_TOKENS = 78;
const CARGO =
  'The river carries water and sand and stones and leaves and boats and fish and light and cold and noise and mud and wood and ice and salt and seeds and letters and songs and stories and names and years from the hills in the north through the old towns and the wide fields and the quiet woods to the harbour and the sea.';
const QUESTION = {
  model: 'gpt-4o-mini',
  stream: true,
  messages: [{ role: 'user', content: `${CARGO} What does the river carry?` }],
};

let service: TestService;
let provider: TestProvider;
let gateway: GatewayProcess;
const experienceId = newUuid();
let calls: readonly Call[] = [];
let ended: ReadonlyMap<number, Ended>;
let before: { readonly memory: number; readonly sockets: number };

beforeAll(async () => {
  [service, provider] = await Promise.all([
    startTestService(),
    startTestProvider({ promptCache: false, tokenDelayMs: TOKEN_DELAY_MS }),
  ]);
  gateway = await startGatewayProcess({
    serviceAddress: service.address,
    providerUrl: provider.url,
    environment: {
      GATEWAY_PROVIDER_ANSWER_MS: '4000',
      GATEWAY_PROVIDER_SILENCE_MS: '4000',
    },
  });
  calls = plannedCalls();
  // What is loaded once and stays, the tokenizer above all.
  const warmUp = newUuid();
  await inTurns(calls.slice(0, 48), (call) => ask(call, warmUp));
  await waitUntil('the warm-up is over', async () => (await isQuiet(warmUp, 48)) || undefined);
  before = { memory: await gateway.liveMemory(), sockets: await idleSockets() };
  await provider.reset();

  await inTurns(calls, (call) => ask(call, experienceId));
  await waitUntil(
    'all calls have ended, and are in the books',
    async () => (await isQuiet(experienceId, CALLS)) || undefined,
  );
  ended = await endedCalls();
}, 180_000);

afterAll(async () => {
  await gateway?.stop();
  await provider?.stop();
  await service?.stop();
});

describe('of streams under load', () => {
  test('each call is in the ledger once, settled', async () => {
    expect([...ended.keys()].toSorted((a, b) => a - b)).toEqual(calls.map(({ number }) => number));
    for (const { event } of ended.values()) expect(event.settlement).toBe('SETTLED');
  });

  test('those that came whole have the provider’s own count', () => {
    for (const { event, served } of of('all is well')) {
      expect(event).toMatchObject({ outcome: 'SUCCEEDED', httpStatusCode: 200 });
      expect(event.properties.units).toBeUndefined();
      expect(tokensOf(event)).toEqual([served.promptTokens, served.completionTokens]);
    }
    expect(of('all is well').length).toBeGreaterThan(CALLS / 2);
  });

  test('those whose caller left ended at the provider too, at what it had sent', () => {
    const left = of('caller leaves');
    expect(left.length).toBeGreaterThan(CALLS / 20);
    for (const { event, served } of left) {
      expect(served).toMatchObject({ outcome: 'dropped', billed: true });
      expect(event).toMatchObject({ outcome: 'CANCELLED', properties: { units: 'estimated' } });
      expectEstimate(event, served);
    }
  });

  test.each<[Way, string]>([
    ['provider cuts', 'dropped'],
    ['provider ends early', 'truncated'],
    ['provider falls silent', 'dropped'],
  ])('those whose %s failed, at what had come', (way, outcome) => {
    expect(of(way)).not.toEqual([]);
    for (const { event, served } of of(way)) {
      expect(served).toMatchObject({ outcome, billed: true });
      expect(event).toMatchObject({ outcome: 'FAILED', properties: { units: 'estimated' } });
      expectEstimate(event, served);
    }
  });

  test('those whose provider says no usage are counted, and marked', () => {
    for (const { event, served } of of('provider says no usage')) {
      expect(event).toMatchObject({ outcome: 'SUCCEEDED', properties: { units: 'estimated' } });
      expectEstimate(event, served);
    }
  });

  test('those that were refused cost nothing', () => {
    for (const { event, served } of of('provider refuses')) {
      expect(served).toMatchObject({ outcome: 'refused', billed: false });
      expect(event).toMatchObject({ outcome: 'FAILED', httpStatusCode: 503, cost: { total: '0' } });
    }
  });

  test.each<Way>(['provider vanishes', 'provider hangs'])(
    'those whose %s are charged for the prompt: nothing is known of an answer',
    (way) => {
      expect(of(way)).not.toEqual([]);
      for (const { event } of of(way)) {
        expect(event).toMatchObject({ outcome: 'FAILED', properties: { units: 'estimated' } });
        expect(tokensOf(event)).toEqual([PROMPT_TOKENS, 0]);
      }
    },
  );

  test('nothing is open, in books that balance', async () => {
    const { totals } = await service.client.costs.get(experienceId);
    expect(totals).toMatchObject({ openReservationCount: 0n, heldCost: '0', unsettledEventCount: 0n });
    await expectVerified(service.client);
  });

  test('no connection and no memory is left', async () => {
    // Connections to the provider are kept for some seconds.
    await waitUntil(
      'the connections are closed',
      async () => (await idleSockets()) <= before.sockets || undefined,
    );
    expect((await gateway.liveMemory()) - before.memory).toBeLessThan(4 * 1024 * 1024);
  });

  test('no timer is left: the gateway stops at once', async () => {
    const start = performance.now();
    await gateway.stop();
    expect(await gateway.exited).toMatchObject({ code: 0 });
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});

function plannedCalls(): readonly Call[] {
  const random = createSeededRandom(7);
  return Array.from({ length: CALLS }, (_, number) => {
    let left = random();
    const way = waysInOrder().find(([, { share }]) => {
      left -= share;
      return left < 0;
    })?.[0];
    if (way === undefined) throw new Error('the last way takes all that are left');
    const leavesAfter = 1 + Math.floor(random() * LEAVES_AFTER_MAX);
    return { number, way, leavesAfter: way === 'caller leaves' ? leavesAfter : undefined };
  });
}

function waysInOrder(): readonly (readonly [Way, { readonly share: number }])[] {
  return Object.entries(WAYS) as readonly [Way, { readonly share: number }][]; // Its own keys.
}

async function inTurns(planned: readonly Call[], ask: (call: Call) => Promise<void>): Promise<void> {
  const waiting = [...planned];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let call = waiting.shift(); call !== undefined; call = waiting.shift()) await ask(call);
    }),
  );
}

/** Reads to the end, to the cut, or until it leaves. */
async function ask({ number, way, leavesAfter }: Call, ofExperience: string): Promise<void> {
  const { fault } = WAYS[way] as { readonly fault?: string };
  const leaving = new AbortController();
  try {
    const answer = await fetch(`${gateway.url}/api/v1/proxy/openai/v1/chat/completions`, {
      method: 'POST',
      signal: leaving.signal,
      headers: {
        'content-type': 'application/json',
        'xProxy-Experience-ID': ofExperience,
        'xProxy-Request-Properties': JSON.stringify({ number: String(number) }),
        'x-simulator-tag': String(number),
        ...(fault === undefined ? {} : { 'x-simulator-fault': fault }),
      },
      body: JSON.stringify(QUESTION),
    });
    const decoder = new TextDecoder();
    let text = '';
    for await (const bytes of answer.body ?? []) {
      text += decoder.decode(bytes as Uint8Array, { stream: true });
      if (leavesAfter !== undefined && text.split('"delta":{"content"').length > leavesAfter) leaving.abort();
    }
  } catch {
    // It left, or was cut.
  }
}

async function isQuiet(ofExperience: string, count: number): Promise<boolean> {
  const { inFlight } = await provider.served();
  const { totals } = await service.client.costs.get(ofExperience);
  return inFlight === 0 && totals.eventCount === BigInt(count) && totals.openReservationCount === 0n;
}

async function endedCalls(): Promise<ReadonlyMap<number, Ended>> {
  const events = await readAll(service.client.usage.list(experienceId));
  const { calls: served } = await provider.served();
  expect(served).toHaveLength(CALLS);
  expect(events).toHaveLength(CALLS);
  const byNumber = new Map(served.map((call) => [Number(call.tag), call]));
  return new Map(
    events.map((event) => {
      const number = Number(event.properties.number);
      const call = byNumber.get(number);
      if (call === undefined) throw new Error(`the provider has not served call ${number}`);
      return [number, { event, served: call }];
    }),
  );
}

function of(way: Way): readonly Ended[] {
  const numbers = calls.filter((call) => call.way === way).map(({ number }) => number);
  return numbers.flatMap((number) => ended.get(number) ?? []);
}

function tokensOf({ units }: UsageEvent): readonly [number, number] {
  return [Number(units.text?.input ?? 0), Number(units.text?.output ?? 0)];
}

function expectEstimate(event: UsageEvent, { promptTokens, completionTokens }: ServedCall): void {
  const [input, output] = tokensOf(event);
  expect(input).toBe(promptTokens);
  expect(Math.abs(output - completionTokens)).toBeLessThanOrEqual(ON_THEIR_WAY_MAX);
}

/** Open sockets of the gateway; those of callers of this process are kept alive. */
async function idleSockets(): Promise<number> {
  return (await readdir(`/proc/${gateway.pid}/fd`)).length;
}
