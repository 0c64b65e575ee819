import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ExperienceRun, ExperiencesClient } from '../services/client/index.js';
import { cacheFolder } from '../services/stack/cache-folder.js';
import { findMongod } from '../services/stack/find-mongod.js';
import { freePort } from '../services/stack/free-port.js';
import { type MongodProcess, startMongod } from '../services/stack/mongod-process.js';
import { DOCUMENT_SUMMARIZATION } from '../services/stack/reference-types.js';
import type { RunningWorker } from '../workflows/worker.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { startTestService, type TestService } from './support/service.js';
import { paragraphs } from './support/texts.js';
import { waitUntil } from './support/wait-until.js';
import { startTestWorker } from './support/worker.js';

test('while Temporal is away only the calls about runs fail, at once, and recording goes on', async () => {
  const address = `127.0.0.1:${await freePort()}`;
  const service = await startTestService({ temporalAddress: address });
  try {
    const client = new ExperiencesClient({ address: service.address, timeoutMs: 4_000 });
    await client.types.create({
      name: 'Summary',
      description: 'A summary',
      workflowType: 'documentSummarization',
    });
    const away = { code: 'UNAVAILABLE', reason: 'WORKFLOW_ENGINE_UNAVAILABLE', retryAfterMs: 2_000 };
    const start = client.runs.start({ experienceType: 'Summary', document: { content: 'One. Two.' } });
    await expect(start).rejects.toMatchObject(away);
    const recorded = await client.usage.record({
      experienceType: 'Summary',
      provider: 'openai',
      model: 'gpt-4o-mini',
      units: { text: { input: 10, output: 10 } },
    });
    expect((await client.costs.get(recorded.event.experienceId ?? '')).totals.cost.total).toBe('0.0000075');
    // Nothing was created for the run that could not start.
    const experiences: string[] = [];
    for await (const { experienceId } of client.experiences.list()) experiences.push(experienceId);
    expect(experiences).toEqual([recorded.event.experienceId]);
    client.close();
  } finally {
    await service.stop();
  }
});

let dataFolder: string;
let mongod: MongodProcess;
let service: TestService;
let provider: TestProvider;
let worker: RunningWorker;

beforeAll(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'experiences-outage-'));
  mongod = await startMongod({ executable: await mongodExecutable(), dataFolder });
  [service, provider] = await Promise.all([
    startTestService({ mongodbUri: mongod.uri }),
    startTestProvider({ latencyMs: 1_000 }),
  ]);
  worker = await startTestWorker(service, provider);
  await service.client.types.create(DOCUMENT_SUMMARIZATION);
});
afterAll(async () => {
  await worker.stop();
  await service.stop();
  await provider.stop();
  await mongod.stop();
  await rm(dataFolder, { recursive: true, force: true });
});

test('a run during which MongoDB is killed and comes back records every paid call once and repeats none', async () => {
  const { run } = await service.client.runs.start({
    experienceType: 'Document_Summarization',
    document: { content: paragraphs(12) },
    parameters: { chunkTokens: 300, parallelCalls: 1 },
  });
  await waitUntil('two calls are recorded, and the third is with the provider', async () => {
    const { totals } = await service.client.costs.get(run.experienceId);
    const { inFlight } = await provider.served();
    return totals.eventCount === 2n && inFlight === 1 ? true : undefined;
  });
  const { port } = mongod;
  mongod.kill('SIGKILL');
  await mongod.exited;
  // A call is answered while the ledger is away: it waits for it, and is not made again.
  await waitUntil('a call was answered that could not be recorded', async () => {
    const { calls, inFlight } = await provider.served();
    return calls.length >= 3 && inFlight === 0 ? true : undefined;
  });
  mongod = await startMongod({ executable: await mongodExecutable(), dataFolder, port });

  const ended = await end(run);
  expect(ended.state).toBe('COMPLETED');
  const { calls } = await provider.served();
  expect(calls).toHaveLength(7);
  // What could not be settled while the activity ran is settled later.
  const recorded = await waitUntil('all is settled', async () => {
    const { totals } = await service.client.costs.get(run.experienceId);
    if (totals.openReservationCount > 0n) return undefined;
    const ids: unknown[] = [];
    for await (const event of service.client.usage.list(run.experienceId)) ids.push(event.providerResponseId);
    return ids;
  });
  expect(recorded.sort()).toEqual(calls.map(({ responseId }) => responseId).sort());
}, 90_000);

/** A watch ends with the service's error while the store is away; a caller watches again. */
async function end(run: ExperienceRun): Promise<ExperienceRun> {
  return waitUntil(
    'the run has ended',
    async () => {
      const state = await service.client.runs.get(run.experienceId);
      return state.state === 'RUNNING' ? undefined : state;
    },
    60_000,
  );
}

async function mongodExecutable(): Promise<string> {
  const found = await findMongod({
    environment: { ...process.env, MONGODB_URI: '' },
    cache: cacheFolder(process.env),
    log: () => undefined,
  });
  if (found.kind !== 'executable') throw new Error('this test kills mongod, so it needs one of its own');
  return found.path;
}
