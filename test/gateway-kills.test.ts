import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
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
 * A gateway that is killed at random moments under load, and started again on its folder: whatever a caller saw whole is
 * in the ledger, and each call that the provider served is there once, or an estimate stands for it.
 */

const KILLS = 4;
const AT_ONCE = 16;
const LOAD_MS_MAX = 500;
const TOKEN_DELAY_MS = 2;

let service: TestService;
let provider: TestProvider;
let folder: string;
const mongo = new MongoClient(inject('mongodbUri'));
const experienceId = newUuid();
/** What callers were told: the call's id and, exactly, its cost. */
const seen: { readonly requestId: string; readonly total: string }[] = [];
let asked = 0;
let events: ReadonlyMap<number, UsageEvent>;
let served: ReadonlyMap<number, ServedCall>;

beforeAll(async () => {
  [service, provider, folder] = await Promise.all([
    startTestService(),
    startTestProvider({ promptCache: false, tokenDelayMs: TOKEN_DELAY_MS }),
    mkdtemp(join(tmpdir(), 'experiences-kills-')),
  ]);
  const random = createSeededRandom(11);
  for (let kill = 0; kill < KILLS; kill += 1) {
    const gateway = await openGateway();
    const before = seen.length;
    const load = new AbortController();
    const callers = Array.from({ length: AT_ONCE }, () => callOn(gateway, load.signal));
    await waitUntil('calls are answered', () => seen.length > before + AT_ONCE || undefined);
    await sleep(random() * LOAD_MS_MAX); // The moment is the matter of this test.
    load.abort();
    gateway.kill('SIGKILL');
    await gateway.exited;
    await Promise.all(callers);
  }
  const last = await openGateway();
  await last.stop();
  await waitUntil(
    'the provider has ended',
    async () => (await provider.served()).inFlight === 0 || undefined,
  );
  await mongo
    .db(service.options.databaseName)
    .collection('reservations')
    .updateMany({ s: 'o' }, { $set: { u: new Date(Date.now() - 1) } }); // As if their time were over.
  await service.client.admin.sweepReservations();
  const list = await readAll(service.client.usage.list(experienceId));
  events = new Map(list.map((event) => [Number(event.properties.number), event]));
  expect(events.size).toBe(list.length);
  served = new Map((await provider.served()).calls.map((call) => [Number(call.tag), call]));
}, 180_000);

afterAll(async () => {
  await mongo.close();
  await provider.stop();
  await service.stop();
  await rm(folder, { recursive: true, force: true });
});

test('what a caller saw is in the ledger, to the last digit', () => {
  const totals = new Map([...events.values()].map(({ eventId, cost }) => [eventId, cost.total]));
  expect(seen.length).toBeGreaterThan(KILLS * AT_ONCE);
  expect(seen.map(({ requestId }) => ({ requestId, total: totals.get(requestId) }))).toEqual(seen);
});

test('each call that was served is in the ledger once, or an estimate of its prompt stands for it', () => {
  expect(served.size).toBeGreaterThan(KILLS * AT_ONCE);
  for (const [number, call] of served) {
    const event = events.get(number);
    if (event?.settlement === 'SETTLED' && call.outcome === 'answered') {
      expect([Number(event.units.text?.input), Number(event.units.text?.output)]).toEqual([
        call.promptTokens,
        call.completionTokens,
      ]);
      expect(event.providerResponseId).toBe(call.responseId);
    } else {
      expect(event).toMatchObject({ settlement: 'UNSETTLED', outcome: 'UNKNOWN' });
      expect(Number(event?.cost.total)).toBeGreaterThan(0);
    }
  }
});

test('of the others there are no more estimates than calls that were cut', () => {
  const estimates = [...events.values()].filter(({ settlement }) => settlement === 'UNSETTLED');
  expect(estimates.length).toBeGreaterThan(0);
  expect(estimates.length).toBeLessThanOrEqual(KILLS * AT_ONCE);
  const unserved = [...events].filter(([number]) => !served.has(number));
  for (const [, event] of unserved) expect(event.settlement).toBe('UNSETTLED');
});

test('the books balance', () => expectVerified(service.client));

function openGateway(): Promise<GatewayProcess> {
  return startGatewayProcess({
    serviceAddress: service.address,
    providerUrl: provider.url,
    outboxFolder: folder,
  });
}

/** One call after the other, whole ones and streams by turns, until the load ends. */
async function callOn(gateway: GatewayProcess, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    asked += 1;
    await callOnce(gateway, asked).catch(() => undefined); // It was killed.
  }
}

async function callOnce(gateway: GatewayProcess, number: number): Promise<void> {
  const answer = await fetch(`${gateway.url}/api/v1/proxy/openai/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'xProxy-Experience-ID': experienceId,
      'xProxy-Request-Properties': JSON.stringify({ number: String(number) }),
      'x-simulator-tag': String(number),
    },
    body: JSON.stringify({
      model: 'gpt-4o-mini',
      stream: number % 2 === 0,
      messages: [{ role: 'user', content: 'Rivers carry water and sand to the sea. What do rivers carry?' }],
    }),
  });
  const text = await answer.text();
  expect(answer.status).toBe(200);
  const [, requestId] = /"request_id":"([^"]+)"/.exec(text) ?? [];
  const [, total] = /"total":\{"base":([0-9.]+)\}/.exec(text) ?? [];
  if (requestId !== undefined && total !== undefined) seen.push({ requestId, total });
}
