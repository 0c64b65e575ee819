import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ExperienceRun, UsageEvent } from '../services/client/index.js';
import { parseMoney } from '../services/domain/money.js';
import type { NodeProcess } from '../services/stack/node-process.js';
import { DOCUMENT_SUMMARIZATION } from '../services/stack/reference-types.js';
import { type ServedCall, startTestProvider, type TestProvider } from './support/provider.js';
import { startTestService, type TestService } from './support/service.js';
import { paragraphs } from './support/texts.js';
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

test('a run whose worker is killed in the middle of it ends with a new worker, and costs what was served less the calls in flight at the kill', async () => {
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
  expect(parseMoney(ended.totals.cost.total)).toBe(costOf(calls) - costOf(lost));
}, 90_000);

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
function costOf(calls: readonly ServedCall[]): bigint {
  const nanos = calls.reduce(
    (sum, { promptTokens, completionTokens }) =>
      sum + BigInt(promptTokens) * 150n + BigInt(completionTokens) * 600n,
    0n,
  );
  return nanos * 10n ** 9n;
}

const CALL_LATENCY_MS = 1_500;
