import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { UsageEvent } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { startTestGateway } from './support/gateway.js';
import { type GatewayProcess, startGatewayProcess } from './support/gateway-process.js';
import { type OwnMongod, startOwnMongod } from './support/own-mongod.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';
import { type ServiceLine, startServiceLine } from './support/service-line.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';

/** What callers and the ledger see while the service, its store, or the disk of the gateway's outbox fails. */

let mongod: OwnMongod;
let service: TestService;
const folders: string[] = [];
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  mongod = await startOwnMongod();
  service = await startTestService({ mongodbUri: mongod.uri });
}, 60_000);

afterAll(async () => {
  for (const stop of stops.toReversed()) await stop();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
  await service?.stop();
  await mongod?.stop();
});

/** A gateway with a line to the service and a provider of its own. */
interface Way {
  readonly url: string;
  readonly line: ServiceLine;
  readonly provider: TestProvider;
  readonly folder: string;
}

async function openWay(prepare?: (folder: string) => Promise<void>): Promise<Way> {
  const { line, provider, folder } = await openParts();
  await prepare?.(folder);
  const gateway = await startTestGateway({
    serviceAddress: line.address,
    providers: { openai: provider.url, anthropic: provider.url },
    outboxFolder: folder,
  });
  stops.push(() => gateway.stop());
  return { url: gateway.url, line, provider, folder };
}

async function openParts(): Promise<Omit<Way, 'url'>> {
  const [line, provider, folder] = await Promise.all([
    startServiceLine(service.address),
    startTestProvider({ promptCache: false }),
    mkdtemp(join(tmpdir(), 'experiences-outage-')),
  ]);
  folders.push(folder);
  stops.push(
    () => line.stop(),
    () => provider.stop(),
  );
  return { line, provider, folder };
}

const QUESTION = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'How are you today?' }] };
const PROPERTIES = { where: 'outage' };

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function ask(way: Pick<Way, 'url'>, experienceId: string, stream = false): Promise<Answer> {
  const response = await fetch(`${way.url}/api/v1/proxy/openai/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'xProxy-Experience-ID': experienceId,
      'xProxy-Request-Properties': JSON.stringify(PROPERTIES),
    },
    body: JSON.stringify({ ...QUESTION, stream }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** The provider works for so long that something can fail meanwhile. */
async function askSlowly(
  way: Way,
  experienceId: string,
  meanwhile: () => Promise<void> | void,
  stream = false,
) {
  await way.provider.fail({ kind: 'latency', ms: 800, times: 1 });
  const answer = ask(way, experienceId, stream);
  await waitUntil(
    'the provider works',
    async () => (await way.provider.served()).inFlight === 1 || undefined,
  );
  await meanwhile();
  return answer;
}

async function eventsOf(experienceId: string): Promise<readonly UsageEvent[]> {
  return readAll(service.client.usage.list(experienceId)).catch(() => []);
}

async function expectServedOnce({ provider }: Pick<Way, 'provider'>, experienceId: string): Promise<void> {
  const events = await waitUntil('the call is in the ledger', async () => {
    const found = await eventsOf(experienceId);
    return found.length > 0 ? found : undefined;
  });
  const { calls } = await provider.served();
  expect(events).toMatchObject([{ settlement: 'SETTLED', outcome: 'SUCCEEDED', properties: PROPERTIES }]);
  expect(
    events.map(({ providerResponseId, units }) => [
      providerResponseId,
      Number(units.text?.input),
      Number(units.text?.output),
    ]),
  ).toEqual(
    calls
      .filter(({ responseId }) => responseId === events[0]?.providerResponseId)
      .map(({ responseId, promptTokens, completionTokens }) => [responseId, promptTokens, completionTokens]),
  );
  const { totals } = await service.client.costs.get(experienceId);
  expect(totals).toMatchObject({ eventCount: 1n, openReservationCount: 0n, heldCost: '0' });
}

function expectQueued({ status, text }: Answer): void {
  expect(status).toBe(200);
  expect(text).toContain('"queued":true');
  expect(text).not.toContain('"cost"');
  expect(text).toContain('"finish_reason":"stop"');
}

async function expectUnrecorded(way: Way, meanwhile: () => Promise<void> | void): Promise<void> {
  const experienceId = newUuid();
  const { status, text } = await askSlowly(way, experienceId, meanwhile);
  expect(status).toBe(200);
  expect(text).toContain('"finish_reason":"stop"');
  expect(text).toContain('"request_id"');
  expect(text).not.toContain('"queued"');
  expect(text).not.toContain('"cost"');
  const { totals } = await service.client.costs.get(experienceId);
  expect(totals).toMatchObject({ eventCount: 0n, openReservationCount: 1n });
}

describe.concurrent('while the service is away or the gateway stops', () => {
  test('no provider is called, and callers are told when to come again', async () => {
    const [way, stranger] = await Promise.all([openWay(), openWay()]);
    expect((await ask(way, newUuid())).status).toBe(200); // Who calls is known for a moment.
    const experienceId = newUuid();
    way.line.cut();
    stranger.line.cut();
    const answers = await Promise.all([
      ask(way, experienceId),
      ask(way, newUuid(), true),
      ask(stranger, newUuid()),
      ask(stranger, newUuid(), true),
    ]);
    for (const { status, headers, text } of answers) {
      expect(status).toBe(503);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      expect(JSON.parse(text)).toMatchObject({ statusCode: 503 });
    }
    expect((await way.provider.served()).calls).toHaveLength(1);
    expect((await stranger.provider.served()).calls).toEqual([]);
    way.line.restore();
    expect((await ask(way, experienceId)).status).toBe(200);
    await expectServedOnce(way, experienceId);
  });

  test('a reservation whose answer is lost is released once it is back, for nothing was called', async () => {
    const way = await openWay();
    const experienceId = newUuid();
    way.line.holdAnswers(experienceId);
    expect((await ask(way, experienceId)).status).toBe(503);
    expect((await service.client.costs.get(experienceId)).totals.openReservationCount).toBe(1n);
    way.line.cut();
    await waitUntil(
      'the release is on disk',
      async () => (await readdir(way.folder)).some((name) => name.endsWith('.journal')) || undefined,
    );
    way.line.restore();
    await waitUntil('it is released', async () => {
      const { totals } = await service.client.costs.get(experienceId);
      return totals.openReservationCount === 0n || undefined;
    });
    expect(await eventsOf(experienceId)).toEqual([]);
    expect((await way.provider.served()).calls).toEqual([]);
  });

  test.each([false, true])(
    'an answer reaches its caller, and the ledger once it is back (stream: %s)',
    async (stream) => {
      const way = await openWay();
      const experienceId = newUuid();
      expectQueued(await askSlowly(way, experienceId, () => way.line.cut(), stream));
      expect(await eventsOf(experienceId)).toEqual([]);
      way.line.restore();
      await expectServedOnce(way, experienceId);
    },
  );

  test('no provider is called where the outbox has no room', async () => {
    // What was refused counts: 65 MiB of it leave no room.
    const way = await openWay(async (folder) => {
      await writeFile(join(folder, 'refused.journal'), '');
      await truncate(join(folder, 'refused.journal'), 65 * 1024 * 1024);
    });
    const experienceId = newUuid();
    const { status, headers, text } = await ask(way, experienceId);
    expect([status, headers.get('retry-after')]).toEqual([503, '5']);
    expect(JSON.parse(text)).toMatchObject({ xproxy_error: { code: 'request_processing_error' } });
    expect((await way.provider.served()).calls).toEqual([]);
    await expect(service.client.costs.get(experienceId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('a failing disk stops no answer, and the estimate stands for the call; no other is made until it may work again', async () => {
    const way = await openWay();
    await expectUnrecorded(way, async () => {
      way.line.cut();
      await rm(way.folder, { recursive: true, force: true });
    });
    await mkdir(way.folder);
    way.line.restore();
    expect((await ask(way, newUuid())).status).toBe(503);
    await waitUntil('calls are made again', async () =>
      (await ask(way, newUuid())).status === 200 ? true : undefined,
    );
    const experienceId = newUuid();
    expectQueued(await askSlowly(way, experienceId, () => way.line.cut()));
    way.line.restore();
    await expectServedOnce(way, experienceId);
  });

  test('a gateway that is told to stop finishes its streams, and keeps what the ledger cannot take for the next one', async () => {
    const { parts, gateway } = await openProcess();
    const way = { ...parts, url: gateway.url };
    const experienceId = newUuid();
    const answer = await askSlowly(
      way,
      experienceId,
      () => {
        parts.line.cut();
        gateway.kill('SIGTERM');
      },
      true,
    );
    expectQueued(answer);
    expect(answer.text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(await gateway.exited).toMatchObject({ code: 0 });
    expect(await eventsOf(experienceId)).toEqual([]);
    parts.line.restore();
    const next = await openGateway(parts);
    await expectServedOnce(way, experienceId);
    await next.stop();
  });

  test('a gateway that is told to stop twice ends at once, and the reservation stands for what was in flight', async () => {
    const { parts, gateway } = await openProcess();
    const experienceId = newUuid();
    await parts.provider.fail({ kind: 'latency', ms: 60_000, times: 1 });
    const answer = ask({ url: gateway.url }, experienceId).catch(() => 'cut');
    await waitUntil(
      'the provider works',
      async () => (await parts.provider.served()).inFlight === 1 || undefined,
    );
    gateway.kill('SIGTERM');
    await waitUntil(
      'it is stopping',
      () => gateway.lines().some((line) => line.includes('"stopping"')) || undefined,
    );
    gateway.kill('SIGTERM');
    expect(await gateway.exited).toMatchObject({ code: 143 });
    expect(await answer).toBe('cut');
    const { totals } = await service.client.costs.get(experienceId);
    expect(totals).toMatchObject({ eventCount: 0n, openReservationCount: 1n, heldCost: '0' });
  });
});

async function openProcess(): Promise<{ parts: Omit<Way, 'url'>; gateway: GatewayProcess }> {
  const parts = await openParts();
  return { parts, gateway: await openGateway(parts) };
}

async function openGateway({ line, provider, folder }: Omit<Way, 'url'>): Promise<GatewayProcess> {
  const gateway = await startGatewayProcess({
    serviceAddress: line.address,
    providerUrl: provider.url,
    outboxFolder: folder,
  });
  stops.push(() => gateway.stop());
  return gateway;
}

test('when the store is killed in the middle of a call the answer comes, and is in the ledger once it is back', async () => {
  const way = await openWay();
  const experienceId = newUuid();
  const answer = await askSlowly(way, experienceId, () => mongod.kill());
  await mongod.restart();
  expectQueued(answer);
  await expectServedOnce(way, experienceId);
});

describe('two gateways before one service', () => {
  test('count what is ingested under one key once, and answer alike', async () => {
    const ways = await Promise.all([openWay(), openWay()]);
    const experienceId = newUuid();
    const event = {
      category: 'system.openai',
      resource: 'gpt-4o-mini',
      units: { text: { input: 1000, output: 500 } },
    };
    const ingest = async ({ url }: Way, key: string) => {
      const response = await fetch(`${url}/api/v1/ingest`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'idempotency-key': key,
          'xProxy-Experience-ID': experienceId,
        },
        body: JSON.stringify(event),
      });
      return {
        status: response.status,
        body: INGESTED.parse(await response.json()),
      };
    };
    const keys = Array.from({ length: 20 }, () => newUuid());
    const answers = await Promise.all(
      keys.map((key) => Promise.all([...ways, ...ways].map((way) => ingest(way, key)))),
    );
    for (const ofKey of answers) {
      expect(ofKey.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      // The first one, at either gateway, is told nothing of repeats.
      expect(ofKey.filter(({ body }) => body.duplicate_request === undefined)).toHaveLength(1);
      expect(new Set(ofKey.map(({ body }) => JSON.stringify(withoutRepeats(body)))).size).toBe(1);
    }
    expect((await service.client.costs.get(experienceId)).totals).toMatchObject({
      eventCount: 20n,
      cost: { total: '0.009' },
    });
  });

  test('do not share an outbox', async () => {
    const way = await openWay();
    await expect(
      startTestGateway({ serviceAddress: service.address, outboxFolder: way.folder }),
    ).rejects.toThrow(/is held by the process/);
  });
});

test('the books balance after all that', async () => {
  await expectVerified(service.client);
});

const INGESTED = z.looseObject({
  duplicate_request: z.literal(true).optional(),
  xproxy_result: z.looseObject({ duplicate_request: z.literal(true).optional() }),
});

function withoutRepeats({ duplicate_request: _repeat, ...body }: z.output<typeof INGESTED>): object {
  const { duplicate_request: _again, ...result } = body.xproxy_result;
  return { ...body, xproxy_result: result };
}
