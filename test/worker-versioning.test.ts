import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ExperienceRun } from '../services/client/index.js';
import { DOCUMENT_CHATBOT, DOCUMENT_SUMMARIZATION } from '../services/stack/reference-types.js';
import type { RunningWorker } from '../workflows/worker.js';
import { newConversation } from './support/conversation.js';
import { temporalClient } from './support/metered-worker.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { startTestService, type TestService } from './support/service.js';
import { paragraphs } from './support/texts.js';
import { waitUntil } from './support/wait-until.js';
import { startTestWorker } from './support/worker.js';

/** Two versions of one deployment of our workers, side by side, as while a release is rolled out. */

const DEPLOYMENT = `experiences-${randomUUID().slice(0, 8)}`;
let service: TestService;
let provider: TestProvider;
let temporal: Awaited<ReturnType<typeof temporalClient>>;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  [service, provider, temporal] = await Promise.all([
    startTestService(),
    startTestProvider(),
    temporalClient(),
  ]);
  for (const type of [DOCUMENT_SUMMARIZATION, DOCUMENT_CHATBOT]) await service.client.types.create(type);
  for (const buildId of ['one', 'two']) {
    for (const role of ['workflows', 'provider'] as const) {
      const deployment = { name: DEPLOYMENT, buildId };
      workers.push(await startTestWorker(service, provider, { role, deployment }));
    }
  }
});
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await temporal.close();
  await service.stop();
  await provider.stop();
});
afterEach(() => provider.reset());

test('a summary and its sections end on the version that began it, later ones go to the current', async () => {
  await makeCurrent('one');
  await provider.fail({ kind: 'latency', ms: 300, times: 8 });
  // So many chunks that they are cut into sections, which are runs of their own.
  const begun = await startSummary(110);
  await waitUntil('a worker has it', async () => (await buildIdsOf(begun.workflowId))[0]);
  await makeCurrent('two');
  const later = await startSummary(4);
  expect([await end(begun), await end(later)]).toEqual(['COMPLETED', 'COMPLETED']);

  expect(distinct(await buildIdsOf(begun.workflowId))).toEqual(['one']);
  expect(distinct(await buildIdsOf(later.workflowId))).toEqual(['two']);
  const sections = await waitUntil('its sections can be found', () => sectionsOf(begun));
  for (const section of sections) expect(distinct(await buildIdsOf(section))).toEqual(['one']);
  expect((await service.client.runs.get(begun.experienceId)).totals.wastedCost).toBe('0');
}, 120_000);

test('a conversation stays with the version that began it, and wakes on the current one', async () => {
  await makeCurrent('one');
  const conversation = await newConversation(service, {
    parameters: { turnsPerRunMax: 2, idleTimeoutSeconds: 2 },
  });
  const workflowId = `default/${conversation.experienceId}`;
  await conversation.ask('How tall is the lighthouse?');
  const { runId } = await temporal.workflow.getHandle(workflowId).describe();
  await makeCurrent('two');
  await conversation.ask('What does rye bread cost?');
  expect(distinct(await buildIdsOf(workflowId, runId))).toEqual(['one']);

  await waitUntil('it rests', async () =>
    (await service.client.runs.get(conversation.experienceId)).state === 'COMPLETED' ? true : undefined,
  );
  const woken = await conversation.ask('How tall is the lighthouse?');
  expect(woken).toMatchObject({ number: 3 });
  expect(woken.answer).toContain('31');
  expect(distinct(await buildIdsOf(workflowId))).toEqual(['two']);
});

/** New runs go to this version; those that run already stay where they are. */
async function makeCurrent(buildId: string): Promise<void> {
  const request = { namespace: 'default', deploymentName: DEPLOYMENT, identity: 'test' };
  await waitUntil(
    `Temporal knows version ${buildId}`,
    () =>
      temporal.workflowService
        // Servers take it in the old field or in the new one.
        .setWorkerDeploymentCurrentVersion({ ...request, buildId, version: `${DEPLOYMENT}.${buildId}` })
        .then(() => true)
        .catch(() => undefined), // A version is known a moment after its worker has come.
  );
}

async function startSummary(paragraphCount: number): Promise<ExperienceRun> {
  const { run } = await service.client.runs.start({
    experienceType: 'Document_Summarization',
    document: { name: 'notes.txt', content: paragraphs(paragraphCount) },
    parameters: { chunkTokens: 100 },
  });
  return run;
}

async function end({ experienceId }: ExperienceRun): Promise<string> {
  return waitUntil(
    'it has ended',
    async () => {
      const { state } = await service.client.runs.get(experienceId);
      return state === 'RUNNING' ? undefined : state;
    },
    90_000,
  );
}

async function sectionsOf({ workflowId }: ExperienceRun): Promise<readonly string[] | undefined> {
  const query = `WorkflowType = 'documentSection' AND WorkflowId STARTS_WITH '${workflowId}/'`;
  const ids: string[] = [];
  for await (const section of temporal.workflow.list({ query })) ids.push(section.workflowId);
  return ids.length === 0 ? undefined : ids;
}

/** Of the workers that carried out the workflow's tasks and activities, in order; absent: its latest run. */
async function buildIdsOf(workflowId: string, runId?: string): Promise<readonly string[]> {
  const { events } = await temporal.workflow.getHandle(workflowId, runId).fetchHistory();
  return (events ?? []).flatMap((event) => {
    const { workflowTaskCompletedEventAttributes: task, activityTaskStartedEventAttributes: step } = event;
    if (task) return [task.deploymentVersion?.buildId ?? 'none'];
    return step ? [step.workerVersion?.buildId ?? 'none'] : [];
  });
}

function distinct(buildIds: readonly string[]): readonly string[] {
  return [...new Set(buildIds)];
}
