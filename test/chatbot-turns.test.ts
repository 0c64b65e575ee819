import { randomUUID } from 'node:crypto';
import { Binary, MongoClient } from 'mongodb';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { ExperiencesError, type RunOutput } from '../services/client/index.js';
import { DOCUMENT_CHATBOT } from '../services/stack/reference-types.js';
import { keepPaid } from '../workflows/keep-paid.js';
import { outputAttempt } from '../workflows/output-attempt.js';
import type { RunningWorker } from '../workflows/worker.js';
import { type Conversation, eventsOf, newConversation } from './support/conversation.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { startTestService, type TestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';
import { startTestWorker } from './support/worker.js';

/** What becomes of turns that fail, are asked again, or cannot be kept. */

let service: TestService;
let provider: TestProvider;
let worker: RunningWorker;
const mongo = new MongoClient(inject('mongodbUri'));

beforeAll(async () => {
  [service, provider] = await Promise.all([startTestService(), startTestProvider()]);
  worker = await startTestWorker(service, provider);
  await service.client.types.create(DOCUMENT_CHATBOT);
});
afterAll(async () => {
  await worker.stop();
  await service.stop();
  await provider.stop();
  await mongo.close();
});
afterEach(() => provider.reset());

describe('a conversation with all the turns it may have', () => {
  const full = { code: 'FAILED_PRECONDITION', reason: 'TURN_REFUSED', metadata: { why: 'full' } };

  test('refuses a question before it spends, awake or woken', async () => {
    const conversation = await newConversation(service, { parameters: { idleTimeoutSeconds: 1 } });
    await conversation.ask('How tall is the lighthouse?');
    await rested(conversation);
    await copyTurnAs(conversation, 9_999);
    expect(await conversation.ask('What does rye bread cost?')).toMatchObject({ number: 10_000 });
    const { calls } = await provider.served();
    await expect(conversation.ask('How many pupils?')).rejects.toMatchObject(full);
    await rested(conversation);
    await expect(conversation.ask('How many pupils?')).rejects.toMatchObject(full);
    expect((await provider.served()).calls).toHaveLength(calls.length);
  });

  test('pays once for an answer that the service does not keep', async () => {
    const conversation = await newConversation(service);
    await conversation.ask('How tall is the lighthouse?');
    await copyTurnAs(conversation, 10_000);
    await expect(conversation.ask('What does rye bread cost?')).rejects.toMatchObject(full);
    const steps = (await eventsOf(service, conversation.experienceId)).map(({ step }) => step);
    expect(steps.filter((step) => step === 'answer, turn 2')).toHaveLength(1);
  });
});

describe('what was paid for', () => {
  const attempt = (startedAgoMs: number) => Date.now() - startedAgoMs + 180_000;
  const refused = (code: string, reason?: string) =>
    new ExperiencesError('no', { code, reason, metadata: {}, violations: [], retryAfterMs: undefined });
  /** Fails the first times, then is kept. */
  const keeping = (...failures: readonly Error[]) => {
    const left = [...failures];
    let calls = 0;
    const keep = async () => {
      calls += 1;
      const failure = left.shift();
      if (failure !== undefined) throw failure;
      return `kept by call ${calls}`;
    };
    return keep;
  };

  test('is kept as soon as the service is there again', async () => {
    const keep = keeping(refused('UNAVAILABLE'), refused('RESOURCE_EXHAUSTED'));
    expect(await keepPaid(keep, attempt(0))).toBe('kept by call 3');
  });

  test.each([
    ['the service refuses it for good', refused('INVALID_ARGUMENT', 'INVALID_FIELDS'), 0],
    ['there is no room for it', refused('RESOURCE_EXHAUSTED', 'APPLICATION_FULL'), 0],
    ['the attempt comes to its end', refused('UNAVAILABLE'), 160_000],
  ])('is not tried again when %s', async (_, failure, startedAgoMs) => {
    await expect(keepPaid(keeping(failure), attempt(startedAgoMs))).rejects.toBe(failure);
  });
});

describe('a turn asked again after it failed', () => {
  test('streams the text of the answer that is kept, behind what its first try had written', async () => {
    const conversation = await newConversation(service, { parameters: { callAttempts: 1 } });
    await conversation.ask('How tall is the lighthouse?');
    const turnId = randomUUID();
    const parts: RunOutput[] = [];
    const watching = (async () => {
      for await (const output of service.client.runs.watchOutput(conversation.experienceId)) {
        if (output.outputKey !== turnId) continue;
        parts.push(output);
        if (output.final) return;
      }
    })();
    await provider.fail(
      { kind: 'token-delay', ms: 60 },
      { kind: 'truncate-stream', times: 1, endpoint: 'chat.completions' },
    );
    const question = 'How many boats have room in the harbour?';
    await expect(conversation.ask(question, { turnId })).rejects.toMatchObject({ reason: 'TURN_REFUSED' });
    await waitUntil('the first try is seen', () => parts.length || undefined);
    const firstTry = parts[0]?.attempt ?? Number.NaN;
    await provider.reset();
    const turn = await conversation.ask(question, { turnId });
    await watching;
    const latest = parts.filter(({ attempt }) => attempt > firstTry);
    expect(latest.map(({ text }) => text).join('')).toBe(turn.answer);
    expect(latest.map(({ sequence }) => sequence)).toEqual(latest.map((_, index) => index + 1));
    expect(new Set(latest.map(({ attempt }) => attempt)).size).toBe(1);
  });

  test('has a higher number than every attempt before it, whatever began anew', () => {
    const at = (seconds: number, attempt: number, tries: number) =>
      outputAttempt(
        { attempt, currentAttemptScheduledTimestampMs: Date.UTC(2026, 10, 24) + seconds * 1_000 },
        tries,
      );
    const rising = [
      at(0, 1, 0),
      at(1, 2, 0), // Temporal tries again.
      at(1.1, 1, 2), // Asked again.
      at(4, 1, 2), // The step was reset.
      at(8, 1, 0), // The run was reset.
    ];
    expect(rising).toEqual([...rising].sort((one, other) => one - other));
    expect(new Set(rising).size).toBe(5);
    const end = { attempt: 100, currentAttemptScheduledTimestampMs: Date.UTC(2043, 0, 1) };
    expect(outputAttempt(end, 1_000)).toBeLessThan(2 ** 31);
  });
});

describe('a document whose index costs more than may be spent', () => {
  test('keeps the parts that were paid for: none is ended by the refusal of another', async () => {
    // Two parts of about 60,000 tokens, at $0.02 a million; there is money for one.
    const line = 'A boat was beside another boat in the harbour of the island that year. ';
    const content = line.repeat(Math.floor((490 * 1_024) / line.length));
    const conversation = await newConversation(service, { content, budget: '0.0018' });
    await provider.fail({ kind: 'latency', ms: 1_500, endpoint: 'embeddings' });
    const question = 'Where was a boat?';
    const overBudget = { reason: 'TURN_REFUSED', metadata: { why: 'over_budget' } };
    await expect(conversation.ask(question)).rejects.toMatchObject(overBudget);
    const events = await eventsOf(service, conversation.experienceId);
    expect(events.map(({ outcome }) => outcome)).toEqual(['SUCCEEDED']);
    await service.client.runs.raiseBudget(conversation.experienceId, '1');
    await conversation.ask(question);
    const steps = (await eventsOf(service, conversation.experienceId)).map(({ step }) => step);
    expect(steps.filter((step) => step?.startsWith('index')).sort()).toEqual([
      'index part 1',
      'index part 2',
    ]);
  }, 60_000);
});

async function rested({ experienceId }: Conversation): Promise<void> {
  await waitUntil('it rests', async () =>
    (await service.client.runs.get(experienceId)).state === 'COMPLETED' ? true : undefined,
  );
}

/** As if the conversation had so many turns. */
async function copyTurnAs({ experienceId }: Conversation, number: number): Promise<void> {
  const turns = mongo
    .db(service.options.databaseName)
    .collection<{ _id: { a: string; x: Binary; t: Binary } }>('turns');
  const x = new Binary(Buffer.from(experienceId.replaceAll('-', ''), 'hex'), Binary.SUBTYPE_UUID);
  const turn = await turns.findOne({ '_id.x': x });
  if (turn === null) throw new Error('the conversation has a turn');
  const t = new Binary(Buffer.from(randomUUID().replaceAll('-', ''), 'hex'), Binary.SUBTYPE_UUID);
  await turns.insertOne({ ...turn, _id: { ...turn._id, t }, n: number } as typeof turn);
}
