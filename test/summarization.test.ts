import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ExperienceRun, UsageEvent } from '../services/client/index.js';
import { formatMoney, parseMoney, sumMoney } from '../services/domain/money.js';
import { DOCUMENT_SUMMARIZATION } from '../services/stack/reference-types.js';
import type { RunningWorker } from '../workflows/worker.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { startTestService, type TestService } from './support/service.js';
import { paragraphs } from './support/texts.js';
import { waitUntil } from './support/wait-until.js';
import { startTestWorker } from './support/worker.js';

let service: TestService;
let provider: TestProvider;
let worker: RunningWorker;

beforeAll(async () => {
  [service, provider] = await Promise.all([startTestService(), startTestProvider()]);
  worker = await startTestWorker(service, provider);
  await service.client.types.create(DOCUMENT_SUMMARIZATION);
});
afterAll(async () => {
  await worker.stop();
  await service.stop();
  await provider.stop();
});
afterEach(() => provider.reset());

describe('a run of Document_Summarization', () => {
  test('summarises the parts, combines the summaries, and costs what the provider served', async () => {
    const { run } = await start(paragraphs(12), { chunkTokens: 300 });
    const ended = await end(run);
    expect(ended.state).toBe('COMPLETED');
    expect(ended.result).toMatchObject({ chunkCount: 6, levelCount: 1 });
    expect(JSON.stringify(ended.result)).toContain('harbour');

    const events = await eventsOf(run);
    const { calls } = await provider.served();
    expect(events).toHaveLength(7);
    expect(events.map(({ step }) => step).sort()).toEqual([
      'combine, final',
      ...[1, 2, 3, 4, 5, 6].map((part) => `summarise ${part} of 6`),
    ]);
    expect(tokensOf(events)).toEqual(
      calls
        .map(({ responseId, promptTokens, cachedTokens, completionTokens }) => [
          responseId,
          promptTokens - cachedTokens,
          cachedTokens,
          completionTokens,
        ])
        .sort(),
    );
    expect(
      events.every(({ useful, outcome, costsMoney }) => useful && outcome === 'SUCCEEDED' && costsMoney),
    ).toBe(true);

    // gpt-4o-mini: 0.15, 0.075 (cached) and 0.60 dollars a million tokens.
    const expected = calls.reduce(
      (sum, call) =>
        sum +
        BigInt(call.promptTokens - call.cachedTokens) * 150n +
        BigInt(call.cachedTokens) * 75n +
        BigInt(call.completionTokens) * 600n,
      0n,
    );
    const { totals } = await service.client.costs.get(run.experienceId);
    expect(parseMoney(totals.cost.total)).toBe(expected * 10n ** 9n);
    expect(totals.cost.total).toBe(totalOf(events));
    expect(totals.usefulCost).toBe(totals.cost.total);
    expect(totals.wastedCost).toBe('0');
  });

  test('attributes every call to the workflow, activity and attempt that made it', async () => {
    const { run } = await start(paragraphs(4), { chunkTokens: 300 });
    await end(run);
    const events = await eventsOf(run);
    for (const event of events) {
      expect(event.experienceId).toBe(run.experienceId);
      expect(event.experienceType).toBe('Document_Summarization');
      expect(event.workflowSource).toMatchObject({
        namespace: 'default',
        workflowId: `default/${run.experienceId}`,
        runId: run.runId,
        workflowType: 'documentSummarization',
        attempt: 1,
        taskQueue: service.options.defaultTaskQueue,
        isLocal: false,
      });
      expect(event.operationKey).toBe(
        `default/default/${run.experienceId}/${run.runId}/${event.workflowSource?.activityId}/0`,
      );
    }
    expect(new Set(events.map(({ operationKey }) => operationKey)).size).toBe(events.length);
  });

  test('of a short document makes one call', async () => {
    const { run } = await start('The meeting was moved to Friday. Bring the figures.');
    expect(await end(run)).toMatchObject({ state: 'COMPLETED', result: { chunkCount: 1, levelCount: 0 } });
    expect(await eventsOf(run)).toHaveLength(1);
  });

  test('tells how far it is while it is watched, and ends the watch when it ends', async () => {
    await provider.fail({ kind: 'latency', ms: 400 });
    const { run } = await start(paragraphs(12), { chunkTokens: 300, parallelCalls: 2 });
    const seen: ExperienceRun[] = [];
    for await (const state of service.client.runs.watch(run.experienceId)) seen.push(state);
    expect(seen.at(-1)?.state).toBe('COMPLETED');
    expect(seen.some(({ state, progress }) => state === 'RUNNING' && progress?.totalSteps === 7)).toBe(true);
    const counts = seen.map(({ totals }) => totals.eventCount);
    expect(counts).toEqual([...counts].sort((a, b) => Number(a - b)));
    expect(counts.at(-1)).toBe(7n);
  });
});

describe('a provider that fails', () => {
  const passing = [
    {
      name: 'a rate limit',
      fault: { kind: 'rate-limit', retryAfterMs: 50, times: 2 },
      attempts: 2,
      status: 429,
    },
    {
      name: 'an error 503',
      fault: { kind: 'server-error', status: 503, times: 1 },
      attempts: 1,
      status: 503,
    },
  ] as const;

  test.each(passing)(
    'with $name is asked again, and every attempt is in the ledger',
    async ({ fault, attempts, status }) => {
      await provider.fail(fault);
      const { run } = await start('The meeting was moved to Friday. Bring the figures.');
      expect((await end(run)).state).toBe('COMPLETED');
      const events = await eventsOf(run);
      const failed = events.filter(({ outcome }) => outcome === 'FAILED');
      expect(failed).toHaveLength(attempts);
      for (const event of failed) {
        expect(event.httpStatusCode).toBe(status);
        expect(event.useful).toBe(false);
        expect(event.costsMoney).toBe(false);
        expect(event.properties.units).toBeUndefined();
      }
      expect(new Set(events.map(({ operationKey }) => operationKey)).size).toBe(1);
      expect(events.map(({ workflowSource }) => workflowSource?.attempt)).toEqual(
        Array.from({ length: attempts + 1 }, (_, index) => index + 1),
      );
      const { totals } = await service.client.costs.get(run.experienceId);
      expect(totals.wastedCost).toBe(totalOf(failed));
      expect(totals.usefulCost).toBe(totalOf(events.filter(({ useful }) => useful)));
    },
  );

  const unknown = {
    'a dropped connection': { kind: 'drop', at: 'before-work', times: 1 },
    'a cut answer': { kind: 'drop', at: 'mid-body', times: 1 },
    'broken JSON': { kind: 'broken-json', times: 1 },
  } as const;

  test.each(Object.entries(unknown))(
    'with %s is asked again; what the first call has cost stays open at its estimate',
    async (_name, fault) => {
      await provider.fail(fault);
      const { run } = await start('The meeting was moved to Friday. Bring the figures.');
      expect((await end(run)).state).toBe('COMPLETED');
      expect(
        (await eventsOf(run)).map(({ outcome, workflowSource }) => [outcome, workflowSource?.attempt]),
      ).toEqual([['SUCCEEDED', 2]]);
      const { totals } = await service.client.costs.get(run.experienceId);
      expect(totals).toMatchObject({ openReservationCount: 1n, wastedCost: '0' });
      expect(totals.heldCost).not.toBe('0');
    },
  );

  test('by refusing the key ends the run at once, with the reason, and is not asked again', async () => {
    await provider.fail({ kind: 'unauthorized' });
    const { run } = await start(paragraphs(12), { chunkTokens: 300, parallelCalls: 1 });
    const ended = await end(run);
    expect(ended.state).toBe('FAILED');
    expect(ended.failure).toEqual({
      type: 'ProviderRefused',
      message: 'The provider answered HTTP 401: the API key is missing or wrong (OPENAI_API_KEY).',
    });
    expect((await provider.served()).calls).toHaveLength(1);
    expect(ended.totals).toMatchObject({ eventCount: 1n, cost: { total: '0' } });
  });

  test('for good ends the run with the reason, and what was spent before is in the ledger', async () => {
    const { run } = await start(
      paragraphs(4),
      { chunkTokens: 300, parallelCalls: 1, callAttempts: 2 },
      async () => {
        await provider.fail({ kind: 'latency', ms: 300, times: 1 });
      },
    );
    await waitUntil('the first call is recorded', async () => {
      const { totals } = await service.client.costs.get(run.experienceId);
      return totals.eventCount >= 1n ? true : undefined;
    });
    await provider.fail({ kind: 'server-error', status: 500 });
    const ended = await end(run);
    expect(ended.state).toBe('FAILED');
    expect(ended.failure).toEqual({
      type: 'ProviderUnavailable',
      message: 'The provider answered HTTP 500.',
    });
    const events = await eventsOf(run);
    expect(events.filter(({ outcome }) => outcome === 'SUCCEEDED').length).toBeGreaterThanOrEqual(1);
    expect(events.filter(({ outcome }) => outcome === 'FAILED')).toHaveLength(2);
    expect(ended.totals.cost.total).toBe(totalOf(events));
    expect(ended.totals.cost.total).not.toBe('0');
  });
});

describe('starting a run', () => {
  const refused = [
    { name: 'an empty document', content: '', says: /document.content: is empty/ },
    { name: 'a document of white space', content: ' \n\t ', says: /document.content: is empty/ },
    {
      name: 'a binary document',
      content: Uint8Array.of(0x25, 0x50, 0x44, 0x46, 0xff, 0xfe, 0x00),
      says: /is not UTF-8 text/,
    },
    { name: 'text with control characters', content: 'a\u0001b', says: /is not UTF-8 text/ },
    { name: 'text with a NUL', content: 'a\u0000b', says: /is not UTF-8 text/ },
    {
      name: 'a document over 512 KiB',
      content: 'x'.repeat(512 * 1024 + 1),
      says: /has 524289 bytes, more than 524288/,
    },
  ];
  test.each(refused)('with $name is refused before anything is spent', async ({ content, says }) => {
    await expect(
      service.client.runs.start({ experienceType: 'Document_Summarization', document: { content } }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(says) });
    expect((await provider.served()).calls).toHaveLength(0);
  });

  test('twice with the same id and request answers the same run; with another request it is refused', async () => {
    const request = { experienceType: 'Document_Summarization', document: { content: 'One. Two. Three.' } };
    const first = await service.client.runs.start(request);
    const again = await service.client.runs.start({ ...request, experienceId: first.run.experienceId });
    expect(again.alreadyExisted).toBe(true);
    expect(again.run.runId).toBe(first.run.runId);
    await expect(
      service.client.runs.start({
        ...request,
        experienceId: first.run.experienceId,
        document: { content: 'Something else.' },
      }),
    ).rejects.toMatchObject({ code: 'ALREADY_EXISTS', reason: 'EXPERIENCE_RUN_ALREADY_EXISTS' });
    await end(first.run);
    expect((await provider.served()).calls).toHaveLength(1);
    const after = await service.client.runs.start({ ...request, experienceId: first.run.experienceId });
    expect(after).toMatchObject({
      alreadyExisted: true,
      run: { state: 'COMPLETED', runId: first.run.runId },
    });
    expect((await provider.served()).calls).toHaveLength(1);
  });

  test('of a type without a workflow, of an unknown type, and of a deleted type is refused', async () => {
    await service.client.types.create({ name: 'Recorded_Only', description: 'Has no workflow' });
    await service.client.types.create({
      name: 'Gone',
      description: 'Is deleted',
      workflowType: 'documentSummarization',
    });
    await service.client.types.delete('Gone');
    const document = { content: 'One. Two.' };
    const cases = [
      ['Recorded_Only', 'FAILED_PRECONDITION', 'EXPERIENCE_TYPE_HAS_NO_WORKFLOW'],
      ['Nowhere', 'NOT_FOUND', 'EXPERIENCE_TYPE_NOT_FOUND'],
      ['Gone', 'NOT_FOUND', 'EXPERIENCE_TYPE_NOT_FOUND'],
    ] as const;
    for (const [experienceType, code, reason] of cases) {
      await expect(service.client.runs.start({ experienceType, document })).rejects.toMatchObject({
        code,
        reason,
      });
    }
  });

  test('with parameters that the workflow refuses ends the run before it spends', async () => {
    const { run } = await start('One. Two.', { chunkTokens: 1 });
    const ended = await end(run);
    expect(ended.failure).toEqual({
      type: 'BadParameter',
      message: 'The parameter chunkTokens must be a whole number from 100 to 100000.',
    });
    expect((await provider.served()).calls).toHaveLength(0);
  });
});

describe('cancelling a run', () => {
  test('stops it in the middle of a call, and what it may have spent stays held', async () => {
    await provider.fail({ kind: 'latency', ms: 3_000 });
    const { run } = await start(paragraphs(12), { chunkTokens: 300, parallelCalls: 2 });
    await waitUntil('two calls are under way', async () =>
      (await provider.served()).inFlight === 2 ? true : undefined,
    );
    await service.client.runs.cancel(run.experienceId, { reason: 'the test is over' });
    const ended = await end(run);
    expect(ended.state).toBe('CANCELLED');
    // What they have used is not known: they stay open, at what they may have cost at most.
    expect(await eventsOf(run)).toEqual([]);
    const { totals } = await service.client.costs.get(run.experienceId);
    expect(totals).toMatchObject({ openReservationCount: 2n });
    expect(totals.heldCost).not.toBe('0');
    // Repeated, as a client does that lost the answer.
    expect((await service.client.runs.cancel(run.experienceId)).state).toBe('CANCELLED');
  });

  test('that has ended otherwise is refused', async () => {
    const { run } = await start('One. Two.');
    await end(run);
    await expect(service.client.runs.cancel(run.experienceId)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'EXPERIENCE_RUN_NOT_RUNNING',
    });
  });

  test('works for an experience that was deleted meanwhile', async () => {
    await provider.fail({ kind: 'latency', ms: 1_500 });
    const { run } = await start(paragraphs(12), { chunkTokens: 300, parallelCalls: 1 });
    await waitUntil('a call is under way', async () =>
      (await provider.served()).inFlight === 1 ? true : undefined,
    );
    await service.client.experiences.delete(run.experienceId);
    await service.client.runs.cancel(run.experienceId);
    expect((await end(run)).state).toBe('CANCELLED');
    expect(await eventsOf(run)).toHaveLength(0);
  });

  test('that was never started is NOT_FOUND', async () => {
    const { experience } = await service.client.experiences.create({
      experienceType: 'Document_Summarization',
    });
    for (const id of [experience.experienceId, '0192f000-0000-7000-8000-000000000000']) {
      await expect(service.client.runs.cancel(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(service.client.runs.get(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    await expect(service.client.runs.get(experience.experienceId)).rejects.toMatchObject({
      reason: 'EXPERIENCE_RUN_NOT_FOUND',
    });
  });
});

async function start(
  content: string,
  parameters: Record<string, unknown> = {},
  before: () => Promise<void> = async () => undefined,
): Promise<{ run: ExperienceRun }> {
  await before();
  return service.client.runs.start({
    experienceType: 'Document_Summarization',
    document: { content },
    parameters,
  });
}

async function end(run: ExperienceRun): Promise<ExperienceRun> {
  let last = run;
  for await (const state of service.client.runs.watch(run.experienceId)) last = state;
  return last;
}

interface PaidEvent extends UsageEvent {
  readonly costsMoney: boolean;
}

async function eventsOf(run: ExperienceRun): Promise<readonly PaidEvent[]> {
  const events: PaidEvent[] = [];
  for await (const event of service.client.usage.list(run.experienceId)) {
    events.push({ ...event, costsMoney: event.cost.total !== '0' });
  }
  return events;
}

function tokensOf(events: readonly UsageEvent[]): unknown[][] {
  return events
    .map(({ providerResponseId, units }) => [
      providerResponseId,
      Number(units.text?.input ?? 0n),
      Number(units.text_cache_read?.input ?? 0n),
      Number(units.text?.output ?? 0n),
    ])
    .sort();
}

function totalOf(events: readonly UsageEvent[]): string {
  return formatMoney(sumMoney(events.map(({ cost }) => parseMoney(cost.total) ?? fail(cost.total))));
}

function fail(text: string): never {
  throw new Error(`'${text}' is no amount`);
}
