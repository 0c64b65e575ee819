import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { ExperienceRun } from '../services/client/index.js';
import { DOCUMENT_SUMMARIZATION } from '../services/stack/reference-types.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { startTestService, type TestService } from './support/service.js';
import { paragraphs } from './support/texts.js';
import { waitUntil } from './support/wait-until.js';
import { startTestWorker } from './support/worker.js';

let service: TestService;
let provider: TestProvider;
let temporal: Client;
const workers: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  [service, provider] = await Promise.all([startTestService(), startTestProvider()]);
  await service.client.types.create(DOCUMENT_SUMMARIZATION);
  temporal = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }) });
  workers.push(await startTestWorker(service, provider, { role: 'workflows' }));
  workers.push(await startTestWorker(service, provider, { role: 'provider' }));
});
afterAll(async () => {
  for (const worker of workers) await worker.stop();
  await temporal.connection.close();
  await service.stop();
  await provider.stop();
});
afterEach(() => provider.reset());

/**
 * A call holds about 0.0003 while it is under way, most of it for the 400 tokens it may write, and costs less.
 * One history, and sections with histories of their own: 50 chunks are the most that one takes.
 */
const SIZES = [
  { name: 'one history', count: 24, budget: '0.0005', parameters: { chunkTokens: 300, parallelCalls: 4 } },
  { name: 'sections', count: 110, budget: '0.0005', parameters: { chunkTokens: 100, parallelCalls: 4 } },
] as const;

describe.each(SIZES)('when the budget of a run in $name is used up', ({ count, budget, parameters }) => {
  test('it pauses without a call, and goes on when it is raised', async () => {
    const run = await start(count, budget, parameters);
    await paused(run);
    const { calls, inFlight } = await provider.served();
    expect(inFlight).toBe(0);
    expect(calls.length).toBeGreaterThan(0);
    const { totals, budget: limit } = await service.client.runs.get(run.experienceId);
    expect(limit).toMatchObject({ heldCost: '0' });
    // All of it, that of sections which go on included.
    const shown = `**$${totals.cost.total}** · paused: budget`;
    expect(shown).toMatch(/^\*\*\$0\.\d+\*\*/);
    await waitUntil('the details show what the run has cost', async () =>
      (await details(run)).startsWith(shown) ? true : undefined,
    );

    const raised = await service.client.runs.raiseBudget(run.experienceId, '5');
    expect(raised).toMatchObject({ runTold: true, limit: { maxCost: '5', type: 'BLOCK' } });
    const ended = await end(run);
    expect(ended).toMatchObject({ state: 'COMPLETED', budget: { maxCost: '5', state: 'OK' } });
    expect(ended.result).not.toHaveProperty('partial');
    // Repeated, as a client does that lost the answer: nobody is there to be told.
    expect(await service.client.runs.raiseBudget(run.experienceId, '5')).toMatchObject({ runTold: false });
  }, 90_000);

  test('and nobody raises it in time, it returns what it has, marked partial', async () => {
    const run = await start(count, budget, { ...parameters, pauseTimeoutSeconds: 3 });
    const ended = await end(run);
    expect(ended.state).toBe('COMPLETED');
    const { calls } = await provider.served();
    expect(calls.length).toBeGreaterThan(0);
    const { summary, partial } = ended.result as { summary: string; partial?: boolean };
    expect(partial).toBe(true);
    expect(summary).toContain('harbour');
  }, 90_000);
});

const [{ count, budget, parameters }] = SIZES;

test('a run that is paused goes on when its limit is reset, and when its maximum is changed', async () => {
  const run = await start(count, budget, parameters);
  await paused(run);
  const { calls } = await provider.served();
  await service.client.limits.reset(run.experienceId);
  await waitUntil(
    'it goes on',
    async () => (await provider.served()).calls.length > calls.length || undefined,
  );
  await paused(run);
  await service.client.limits.update(run.experienceId, { maxCost: '5' });
  expect(await end(run)).toMatchObject({ state: 'COMPLETED', budget: { maxCost: '5' } });

  const away = await startTestService({
    databaseName: service.options.databaseName,
    temporalAddress: '127.0.0.1:1',
  });
  const changed = await away.client.limits.update(run.experienceId, { maxCost: '6' });
  expect(changed.maxCost).toBe('6');
  expect((await away.client.limits.reset(run.experienceId)).limit.period.number).toBe(3);
  await away.stop();
}, 120_000);

test('a start repeated is the same run, though its budget was raised since', async () => {
  const wanted = {
    experienceType: 'Document_Summarization',
    experienceId: randomUUID(),
    document: { content: paragraphs(3) },
    budget: '1',
  };
  const first = await service.client.runs.start(wanted);
  await service.client.runs.raiseBudget(wanted.experienceId, '2');
  const again = await service.client.runs.start(wanted);
  expect(again).toMatchObject({
    alreadyExisted: true,
    run: { runId: first.run.runId, budget: { maxCost: '2' } },
  });
  const other = service.client.runs.start({ ...wanted, budget: '3' });
  await expect(other).rejects.toMatchObject({ reason: 'EXPERIENCE_RUN_ALREADY_EXISTS' });
}, 60_000);

test('an experience that exists is not started, nor asked, with a budget that it does not own', async () => {
  const experienceType = 'Document_Summarization';
  const limitConfig = { maxCost: '5', type: 'BLOCK' } as const;
  const { experiences, runs, documents } = service.client;
  const unlimited = (await experiences.create({ experienceType })).experience.experienceId;
  const limited = (await experiences.create({ experienceType, limitConfig })).experience.experienceId;
  const { documentId } = await documents.upload(Buffer.from(paragraphs(3)), { name: 'text' });
  for (const [experienceId, reason] of [
    [unlimited, 'EXPERIENCE_HAS_NO_BUDGET'],
    [limited, 'EXPERIENCE_ALREADY_EXISTS'],
  ] as const) {
    const named = { experienceType, experienceId, documentId, budget: '1' };
    await expect(runs.start(named)).rejects.toMatchObject({ reason });
    const ask = runs.ask({ ...named, turnId: randomUUID(), question: 'Where?' });
    await expect(ask).rejects.toMatchObject({ reason });
    await expect(runs.get(experienceId)).rejects.toMatchObject({ reason: 'EXPERIENCE_RUN_NOT_FOUND' });
  }
  const started = await runs.start({ experienceType, experienceId: limited, documentId, budget: '5' });
  expect(started).toMatchObject({ alreadyExisted: false, run: { budget: { maxCost: '5' } } });
}, 60_000);

async function paused(run: ExperienceRun): Promise<void> {
  await waitUntil(
    'the run is paused',
    async () => {
      const { progress } = await service.client.runs.get(run.experienceId);
      return progress?.phase === 'paused: budget' ? true : undefined;
    },
    45_000,
  );
}

async function start(
  count: number,
  budget: string,
  parameters: Record<string, unknown>,
): Promise<ExperienceRun> {
  const { run } = await service.client.runs.start({
    experienceType: 'Document_Summarization',
    document: { content: paragraphs(count) },
    budget,
    parameters,
  });
  return run;
}

async function end(run: ExperienceRun): Promise<ExperienceRun> {
  let last = run;
  for await (const state of service.client.runs.watch(run.experienceId)) last = state;
  return last;
}

/** What the Temporal UI shows. */
async function details({ workflowId }: ExperienceRun): Promise<string> {
  const metadata = await temporal.workflow
    .getHandle(workflowId)
    .query<{ currentDetails?: string }>('__temporal_workflow_metadata');
  return metadata.currentDetails ?? '';
}
