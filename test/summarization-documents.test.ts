import { Client, Connection } from '@temporalio/client';
import { MongoClient, UUID } from 'mongodb';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { ExperienceRun, UsageEvent } from '../services/client/index.js';
import type { NodeProcess } from '../services/stack/node-process.js';
import { DOCUMENT_SUMMARIZATION } from '../services/stack/reference-types.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';
import { paragraphs } from './support/texts.js';
import { waitUntil } from './support/wait-until.js';
import { startTestWorker } from './support/worker.js';
import { startWorkerProcess } from './support/worker-process.js';

let service: TestService;
let provider: TestProvider;
let temporal: Client;

beforeAll(async () => {
  [service, provider] = await Promise.all([startTestService(), startTestProvider()]);
  await service.client.types.create(DOCUMENT_SUMMARIZATION);
  temporal = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }) });
});
afterAll(async () => {
  await temporal.connection.close();
  await service.stop();
  await provider.stop();
});
afterEach(() => provider.reset());

describe('with a worker', () => {
  let worker: { stop(): Promise<void> };
  beforeAll(async () => {
    worker = await startTestWorker(service, provider);
  });
  afterAll(() => worker.stop());

  test('a document of 10 MB is summarised with less than 200 kB of history in each run', async () => {
    const text = paragraphs(21_500);
    expect(Buffer.byteLength(text)).toBeGreaterThan(10_000_000);
    // With the default of 1,200 tokens it takes four times as many calls, and half as much history again.
    const run = await start(text, { chunkTokens: 3_000, parallelCalls: 16 });
    const ended = await end(run);
    expect(ended.state).toBe('COMPLETED');
    const { chunkCount } = ended.result as { chunkCount: number };
    expect(chunkCount).toBeGreaterThan(800);

    const sizes = await historySizes(run);
    console.log(
      'bytes of history',
      sizes.root,
      Math.max(...sizes.sections),
      sizes.sections.length,
      chunkCount,
    );
    expect(sizes.sections.length).toBeGreaterThan(15);
    expect(sizes.root).toBeLessThan(200_000);
    expect(Math.max(...sizes.sections)).toBeLessThan(200_000);
    const { calls } = await provider.served();
    expect(ended.totals.eventCount).toBe(BigInt(calls.length));
  }, 280_000);

  test('the first fatal error stops the siblings, in all sections', async () => {
    await provider.fail({ kind: 'latency', ms: 300 });
    const run = await start(paragraphs(400), { chunkTokens: 200, parallelCalls: 8 });
    await waitUntil('some calls are answered', async () =>
      (await provider.served()).calls.length >= 20 ? true : undefined,
    );
    await provider.fail({ kind: 'unauthorized' });
    const ended = await end(run);
    expect(ended.state).toBe('FAILED');
    expect(ended.failure?.type).toBe('ProviderRefused');
    const { calls, inFlight } = await provider.served();
    expect(inFlight).toBe(0);
    // Each of the eight that might be under way meets it once at most; the whole document is over 200 calls.
    expect(calls.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(8);
    expect(calls.length).toBeLessThan(60);
    for await (const { status } of temporal.workflow.list({ query: sectionsOf(run) })) {
      expect(['FAILED', 'CANCELLED']).toContain(status.name);
    }
    // What an activity paid may be recorded a moment after its result.
    await waitUntil('all calls are in the books', async () => {
      const { totals } = await service.client.costs.get(run.experienceId);
      return totals.eventCount === BigInt(calls.length) ? true : undefined;
    });
  });
});

test('a run whose worker is killed pays for no finished chunk again', async () => {
  let worker: NodeProcess | undefined = await startWorkerProcess(service, provider);
  try {
    await provider.fail({ kind: 'latency', ms: 100 });
    const run = await start(paragraphs(90), { chunkTokens: 150, parallelCalls: 8 });
    await waitUntil('twenty chunks are kept', async () =>
      (await keptAnswers(run)) >= 20 ? true : undefined,
    );
    worker.kill('SIGKILL');
    await worker.exited;
    await waitUntil('nothing is under way', async () =>
      (await provider.served()).inFlight === 0 ? true : undefined,
    );
    const kept = await keptAnswers(run);
    const before = (await provider.served()).calls.length;
    worker = await startWorkerProcess(service, provider);
    expect((await end(run)).state).toBe('COMPLETED');
    const after = (await provider.served()).calls.length - before;
    // A call for each answer that was not kept at the kill, and none besides.
    expect(after).toBe((await keptAnswers(run)) - kept);
    expect(after).toBeGreaterThan(10);
  } finally {
    await worker?.stop();
  }
}, 240_000);

test.each([
  { name: 'one history', count: 60, chunkTokens: 300 },
  { name: 'sections', count: 110, chunkTokens: 100 },
])(
  'an outage of the service during a run in $name delays it',
  async ({ count, chunkTokens }) => {
    let own = await startTestService();
    await own.client.types.create(DOCUMENT_SUMMARIZATION);
    const worker = await startTestWorker(own, provider);
    try {
      await provider.fail({ kind: 'latency', ms: 200 });
      const { run } = await own.client.runs.start({
        experienceType: 'Document_Summarization',
        document: { content: paragraphs(count) },
        parameters: { chunkTokens, parallelCalls: 4, callAttempts: 1 },
      });
      await waitUntil('some calls are answered', async () =>
        (await provider.served()).calls.length >= 8 ? true : undefined,
      );
      await own.stopServer();
      await waitUntil('a call was given up, and is to be made again', async () =>
        (await timersOf(run.workflowId)) > 0 ? true : undefined,
      );
      const listen = own.address;
      own.client.close();
      own = await startTestService({ ...own.options, listen });
      let last = run;
      for await (const state of own.client.runs.watch(run.experienceId)) last = state;
      expect(last).toMatchObject({ state: 'COMPLETED' });
      expect(last.result).not.toHaveProperty('partial');
      expect(last.totals.eventCount).toBe(BigInt((await provider.served()).calls.length));
    } finally {
      await worker.stop();
      await own.stop();
    }
  },
  120_000,
);

describe('with workers of their own for the provider', () => {
  test('the calls go to its queue, and no more are under way than its workers take', async () => {
    await provider.fail({ kind: 'latency', ms: 100 });
    const workflows = await startTestWorker(service, provider, { role: 'workflows' });
    const calls = await startTestWorker(service, provider, { role: 'provider', providerCallsMax: 3 });
    try {
      const run = await start(paragraphs(60), { chunkTokens: 200, parallelCalls: 16 });
      let underWayMax = 0;
      const watching = end(run);
      let isOver = false;
      void watching.finally(() => {
        isOver = true;
      });
      while (!isOver) {
        underWayMax = Math.max(underWayMax, (await provider.served()).inFlight);
      }
      expect((await watching).state).toBe('COMPLETED');
      expect(underWayMax).toBe(3);
      const events = await eventsOf(run);
      expect(new Set(events.map(({ workflowSource }) => workflowSource?.taskQueue))).toEqual(
        new Set([`${service.options.defaultTaskQueue}-openai`]),
      );
    } finally {
      await calls.stop();
      await workflows.stop();
    }
  }, 180_000);
});

async function start(content: string, parameters: Record<string, unknown> = {}): Promise<ExperienceRun> {
  const { documentId } = await service.client.documents.upload(content, { name: 'harbours.txt' });
  const { run } = await service.client.runs.start({
    experienceType: 'Document_Summarization',
    documentId,
    parameters,
  });
  return run;
}

async function end(run: ExperienceRun): Promise<ExperienceRun> {
  let last = run;
  for await (const state of service.client.runs.watch(run.experienceId)) last = state;
  return last;
}

async function eventsOf(run: ExperienceRun): Promise<readonly UsageEvent[]> {
  return readAll(service.client.usage.list(run.experienceId));
}

async function keptAnswers({ experienceId }: ExperienceRun): Promise<number> {
  const mongo = await MongoClient.connect(service.options.mongodbUri);
  try {
    const answers = mongo.db(service.options.databaseName).collection('answers');
    return await answers.countDocuments({ '_id.x': new UUID(experienceId) });
  } finally {
    await mongo.close();
  }
}

/** Of a run and its sections. */
async function timersOf(workflowId: string): Promise<number> {
  let count = 0;
  const query = `WorkflowId STARTS_WITH '${workflowId}'`;
  for await (const execution of temporal.workflow.list({ query })) {
    const { events } = await temporal.workflow.getHandle(execution.workflowId).fetchHistory();
    count += (events ?? []).filter((event) => event.timerStartedEventAttributes).length;
  }
  return count;
}

function sectionsOf({ workflowId }: ExperienceRun): string {
  return `WorkflowType = 'documentSection' AND WorkflowId STARTS_WITH '${workflowId}/'`;
}

async function historySizes(run: ExperienceRun): Promise<{ root: number; sections: readonly number[] }> {
  const sections: number[] = [];
  for await (const { historySize } of temporal.workflow.list({ query: sectionsOf(run) }))
    sections.push(historySize ?? 0);
  const { historySize } = await temporal.workflow.getHandle(run.workflowId).describe();
  return { root: historySize ?? 0, sections };
}
