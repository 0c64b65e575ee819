import { afterAll, beforeAll, expect, test } from 'vitest';
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
beforeAll(async () => {
  [service, provider] = await Promise.all([startTestService(), startTestProvider()]);
  await service.client.types.create(DOCUMENT_SUMMARIZATION);
});
afterAll(async () => {
  await service.stop();
  await provider.stop();
});

test('a worker that is told to end ends its calls first, and none of them is paid again', async () => {
  const first = await startWorkerProcess(service, provider);
  await provider.fail({ kind: 'latency', ms: 2_500, times: 2 });
  const { run } = await service.client.runs.start({
    experienceType: 'Document_Summarization',
    document: { name: 'notes.txt', content: paragraphs(6) },
    parameters: { chunkTokens: 200, parallelCalls: 2 },
  });
  await waitUntil('two calls are with the provider', async () =>
    (await provider.served()).inFlight === 2 ? true : undefined,
  );
  await first.stop();
  expect(await first.exited).toMatchObject({ code: 0 });
  // What it had begun it has ended and settled before it was gone.
  const { inFlight, calls } = await provider.served();
  expect([inFlight, calls.map(({ outcome }) => outcome)]).toEqual([0, ['answered', 'answered']]);
  const { totals } = await service.client.costs.get(run.experienceId);
  expect(totals).toMatchObject({ eventCount: 2n, openReservationCount: 0n });

  const second = await startTestWorker(service, provider);
  try {
    await waitUntil('the run has ended', async () =>
      (await service.client.runs.get(run.experienceId)).state === 'COMPLETED' ? true : undefined,
    );
    const events = await readAll(service.client.usage.list(run.experienceId));
    const served = (await provider.served()).calls.map(({ responseId }) => responseId);
    expect(events.map(({ providerResponseId }) => providerResponseId).sort()).toEqual(served.sort());
    expect(events.every(({ useful, workflowSource }) => useful && workflowSource?.attempt === 1)).toBe(true);
  } finally {
    await second.stop();
  }
}, 120_000);
