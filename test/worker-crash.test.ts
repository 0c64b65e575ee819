import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ExperienceRun, ExperiencesClient, type UsageEvent } from '../services/client/index.js';
import { parseMoney } from '../services/domain/money.js';
import type { NodeProcess } from '../services/stack/node-process.js';
import { DOCUMENT_SUMMARIZATION } from '../services/stack/reference-types.js';
import { type ServedCall, startTestProvider, type TestProvider } from './support/provider.js';
import { startTestService, type TestService } from './support/service.js';
import { startServiceProcess } from './support/service-process.js';
import { paragraphs } from './support/texts.js';
import { expectVerified } from './support/verified.js';
import { waitUntil } from './support/wait-until.js';
import { startWorkerProcess } from './support/worker-process.js';

let service: TestService;
let provider: TestProvider;
let worker: NodeProcess | undefined;

beforeAll(async () => {
  [service, provider] = await Promise.all([
    startTestService(),
    startTestProvider({ latencyMs: CALL_LATENCY_MS, promptCache: false }),
  ]);
  await service.client.types.create(DOCUMENT_SUMMARIZATION);
});
afterAll(async () => {
  await worker?.stop();
  await service.stop();
  await provider.stop();
});

test('a run whose worker is killed in the middle of it ends with a new worker; the calls in flight at the kill are reservations, and an hour later events at their estimates', async () => {
  worker = await startWorkerProcess(service, provider);
  const { run } = await service.client.runs.start({
    experienceType: 'Document_Summarization',
    document: { content: paragraphs(12) },
    parameters: { chunkTokens: 300, parallelCalls: 2 },
  });

  // Of six parts two are summarised at a time: killed when two are recorded and the next two are with the provider.
  await waitUntil('two calls are recorded and two are in flight', async () => {
    const { inFlight, calls } = await provider.served();
    const recorded = (await eventsOf(run)).length;
    return inFlight === 2 && recorded === 2 && calls.length === 2 ? true : undefined;
  });
  worker.kill('SIGKILL');
  await worker.exited;
  const { heldCost } = await totalsOf(run);
  worker = await startWorkerProcess(service, provider);

  const ended = await end(run);
  expect(ended.state).toBe('COMPLETED');
  const events = await eventsOf(run);
  const { calls } = await provider.served();
  const recordedIds = new Set(events.map(({ providerResponseId }) => providerResponseId));
  const lost = calls.filter(({ responseId }) => !recordedIds.has(responseId));
  expect(lost.map(({ outcome, billed }) => ({ outcome, billed }))).toEqual([
    { outcome: 'dropped', billed: true },
    { outcome: 'dropped', billed: true },
  ]);
  expect(calls).toHaveLength(7 + lost.length);
  expect(events).toHaveLength(7);
  expect(events.map(({ workflowSource }) => workflowSource?.attempt).sort()).toEqual([1, 1, 1, 1, 1, 2, 2]);
  expect(events.every(({ settlement }) => settlement === 'SETTLED')).toBe(true);
  const settledCost = costOf(calls) - costOf(lost);
  expect(parseMoney(ended.totals.cost.total)).toBe(settledCost);
  // At most 400 tokens may be written; the prompt is known.
  const estimates = costOf(lost.map(({ promptTokens }) => ({ promptTokens, completionTokens: 400 })));
  expect(await totalsOf(run)).toMatchObject({ heldCost, openReservationCount: 2n, unsettledEventCount: 0n });
  expect(parseMoney(heldCost)).toBe(estimates);

  expect(await sweepAnHourLater()).toBe(2);
  const later = await totalsOf(run);
  expect(later).toMatchObject({ heldCost: '0', openReservationCount: 0n, unsettledEventCount: 2n });
  expect(later.unsettledCost).toBe(heldCost);
  expect(later.wastedCost).toBe(heldCost);
  expect(parseMoney(later.cost.total)).toBe(settledCost + estimates);
  const unsettled = (await eventsOf(run)).filter(({ settlement }) => settlement === 'UNSETTLED');
  expect(unsettled.map(({ outcome, workflowSource }) => [outcome, workflowSource?.attempt])).toEqual([
    ['UNKNOWN', 1],
    ['UNKNOWN', 1],
  ]);
  await expectVerified(service.client);
}, 120_000);

/** By a second service on the same database, whose clock is an hour ahead: how many reservations it has closed. */
async function sweepAnHourLater(): Promise<number> {
  const { mongodbUri, databaseName } = service.options;
  const ahead = await startServiceProcess({ mongodbUri, databaseName, clockCanBeSet: true });
  const client = new ExperiencesClient({ address: ahead.address });
  try {
    await ahead.setClock(3_600_000);
    return (await client.admin.sweepReservations()).unsettledCount;
  } finally {
    client.close();
    await ahead.stop();
  }
}

async function totalsOf(run: ExperienceRun) {
  return (await service.client.costs.get(run.experienceId)).totals;
}

async function end(run: ExperienceRun): Promise<ExperienceRun> {
  let last = run;
  for await (const state of service.client.runs.watch(run.experienceId)) last = state;
  return last;
}

async function eventsOf(run: ExperienceRun): Promise<readonly UsageEvent[]> {
  const events: UsageEvent[] = [];
  for await (const event of service.client.usage.list(run.experienceId)) events.push(event);
  return events;
}

/** gpt-4o-mini: 0.15 and 0.60 dollars a million tokens, in units of 10^-18. */
function costOf(calls: readonly Pick<ServedCall, 'promptTokens' | 'completionTokens'>[]): bigint {
  const nanos = calls.reduce(
    (sum, { promptTokens, completionTokens }) =>
      sum + BigInt(promptTokens) * 150n + BigInt(completionTokens) * 600n,
    0n,
  );
  return nanos * 10n ** 9n;
}

const CALL_LATENCY_MS = 3_000;
