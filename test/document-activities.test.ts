import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExperiencesError } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import {
  createDocumentActivities,
  type DocumentActivities,
  type DocumentDependencies,
} from '../workflows/document-activities.js';
import { parseParameters } from '../workflows/summarization-parameters.js';
import { startTestService, type TestService } from './support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

const CHUNK = { key: 'summary/0/0-7', range: { offset: 0, length: 7 }, step: 'summarise 1 of 1' };

test('a summary that was paid is kept after a short outage, however long the call had waited in its queue', async () => {
  const experienceId = newUuid();
  const { documentId } = await service.client.documents.upload('harbour', { name: 'harbour.txt' });
  let refusals = 2;
  const { runState } = service.client;
  const activities = activitiesOf({
    getAnswer: (id, key) => runState.getAnswer(id, key),
    async putAnswer(id, key, content) {
      refusals -= 1;
      if (refusals >= 0) throw away();
      return runState.putAnswer(id, key, content);
    },
  });
  const waited = {
    currentAttemptScheduledTimestampMs: Date.now() - 600_000,
    startToCloseTimeoutMs: 120_000,
  };
  await inActivity(waited, () => activities.summarizeRange({ experienceId, documentId, ...CHUNK }));
  expect(refusals).toBe(-1);
  expect(String(await runState.getAnswer(experienceId, CHUNK.key))).toBe('a summary');
});

describe('a document that was deleted', () => {
  const DELETED: readonly [
    string,
    (activities: DocumentActivities, documentId: string) => Promise<unknown>,
  ][] = [
    [
      'planning the run',
      (activities, documentId) => activities.planDocument({ documentId, chunkTokens: 100, parallelCalls: 1 }),
    ],
    [
      'planning a section',
      (activities, documentId) =>
        activities.planSection({ documentId, range: CHUNK.range, chunkTokens: 100 }),
    ],
    [
      'summarising a part',
      (activities, documentId) =>
        activities.summarizeRange({ experienceId: newUuid(), documentId, ...CHUNK }),
    ],
  ];
  test.each(DELETED)('ends %s for good', async (_name, act) => {
    const { documentId } = await service.client.documents.upload('harbour', { name: 'harbour.txt' });
    await service.client.documents.delete(documentId);
    await expect(inActivity(QUICK, () => act(activitiesOf(), documentId))).rejects.toMatchObject({
      type: 'DocumentNotFound',
      nonRetryable: true,
    });
  });
});

test('a service that is away before the call is told as such, and no call is made', async () => {
  const activities = activitiesOf({
    getAnswer: () => Promise.reject(away()),
    putAnswer: () => Promise.reject(away()),
  });
  const { documentId } = await service.client.documents.upload('harbour', { name: 'harbour.txt' });
  await expect(
    inActivity(QUICK, () => activities.summarizeRange({ experienceId: newUuid(), documentId, ...CHUNK })),
  ).rejects.toMatchObject({ type: 'ExperiencesUnavailable', nonRetryable: false });
});

test('a partial result leaves out summaries that are lost; a whole one needs them all', async () => {
  const experienceId = newUuid();
  await service.client.runState.putAnswer(experienceId, 'first', 'one');
  await service.client.runState.putAnswer(experienceId, 'third', 'three');
  const input = { experienceId, keys: ['first', 'second', 'third'] };
  const read = (isPartial?: true) =>
    inActivity(QUICK, () =>
      activitiesOf().readSummaries({ ...input, ...(isPartial === undefined ? {} : { isPartial }) }),
    );
  expect(await read(true)).toBe('one\n\nthree');
  await expect(read()).rejects.toMatchObject({ type: 'SummaryLost', nonRetryable: true });
});

test('a run waits for a higher budget for 14 days at most, half as long as summaries are kept', () => {
  expect(parseParameters({ pauseTimeoutSeconds: 1_209_600 }).pauseTimeoutSeconds).toBe(1_209_600);
  expect(() => parseParameters({ pauseTimeoutSeconds: 1_209_601 })).toThrow(
    'The parameter pauseTimeoutSeconds must be a whole number from 0 to 1209600.',
  );
});

const QUICK = { startToCloseTimeoutMs: 120_000 };

function activitiesOf(runState: DocumentDependencies['client']['runState'] = service.client.runState) {
  const { documents, costs } = service.client;
  return createDocumentActivities({
    client: { documents, costs, runState },
    model: { chat: async () => 'a summary' },
    providerTaskQueue: undefined,
  });
}

function inActivity<T>(
  info: ConstructorParameters<typeof MockActivityEnvironment>[0],
  work: () => Promise<T>,
): Promise<T> {
  return new MockActivityEnvironment(info).run(work);
}

function away(): ExperiencesError {
  return new ExperiencesError('nobody listens', {
    code: 'UNAVAILABLE',
    reason: undefined,
    metadata: {},
    violations: [],
    retryAfterMs: undefined,
  });
}
