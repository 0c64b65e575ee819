import { randomUUID } from 'node:crypto';
import { Connection, WorkflowClient } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { RunOutput } from '../services/client/index.js';
import { DOCUMENT_CHATBOT } from '../services/stack/reference-types.js';
import type { RunningWorker } from '../workflows/worker.js';
import {
  eventsOf,
  ISLAND_DOCUMENT,
  newConversation,
  recordedTokens,
  servedTokens,
} from './support/conversation.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { startTestService, type TestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';
import { startTestWorker } from './support/worker.js';

let service: TestService;
let provider: TestProvider;
let worker: RunningWorker;
let temporal: WorkflowClient;

beforeAll(async () => {
  [service, provider] = await Promise.all([startTestService(), startTestProvider()]);
  worker = await startTestWorker(service, provider);
  temporal = new WorkflowClient({ connection: Connection.lazy({ address: inject('temporalAddress') }) });
  await service.client.types.create(DOCUMENT_CHATBOT);
});
afterAll(async () => {
  await worker.stop();
  await service.stop();
  await provider.stop();
  await temporal.connection.close();
});
afterEach(() => provider.reset());

describe('a question', () => {
  test('begins the conversation, and its answer quotes what stands in the document at its place', async () => {
    const conversation = await newConversation(service);
    const turn = await conversation.ask('How many boats have room in the harbour?');
    expect(turn.number).toBe(1);
    expect(turn.answer).toContain('240 boats');
    expect(turn.passages).toHaveLength(1);
    for (const { offset, length, text } of turn.passages) {
      expect(text).toContain('240 boats');
      expect(
        Buffer.from(ISLAND_DOCUMENT)
          .subarray(offset, offset + length)
          .toString(),
      ).toBe(text);
    }
    const events = await eventsOf(service, conversation.experienceId);
    expect(events.map(({ step }) => step).sort()).toEqual([
      'answer, turn 1',
      'index part 1',
      'retrieve, turn 1',
    ]);
    expect(events.every(({ useful, outcome }) => useful && outcome === 'SUCCEEDED')).toBe(true);
    expect(recordedTokens(events)).toEqual(await servedTokens(provider));
    const run = await service.client.runs.get(conversation.experienceId);
    expect(run).toMatchObject({ state: 'RUNNING', workflowType: 'documentChatbot' });
  });

  test('is understood by the one before it, and the document is indexed only once', async () => {
    const conversation = await newConversation(service, { parameters: { passageCount: 1 } });
    await conversation.ask('How tall is the lighthouse at Kapp Nord?');
    const turn = await conversation.ask('Who is the keeper there?');
    expect(turn.number).toBe(2);
    expect(turn.answer).toContain('Solveig Aas');
    const steps = (await eventsOf(service, conversation.experienceId)).map(({ step }) => step);
    expect(steps.filter((step) => step?.startsWith('index'))).toHaveLength(1);
  });

  test('sent again under its turn id is answered from what is kept, for nothing', async () => {
    const conversation = await newConversation(service);
    const turnId = randomUUID();
    const first = await conversation.ask('When does the bakery open?', { turnId });
    const { calls } = await provider.served();
    const again = await service.client.runs.ask({
      experienceId: conversation.experienceId,
      turnId,
      question: 'When does the bakery open?',
    });
    expect(again).toMatchObject({ alreadyExisted: true, turn: first });
    expect((await provider.served()).calls).toHaveLength(calls.length);
    await expect(conversation.ask('When does it close?', { turnId })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      reason: 'TURN_ALREADY_EXISTS',
    });
  });

  test('sent twice at once under one turn id is one turn', async () => {
    const conversation = await newConversation(service);
    const turnId = randomUUID();
    const question = 'Who is the captain of the ferry?';
    const [one, other] = await Promise.all([
      conversation.ask(question, { turnId }),
      conversation.ask(question, { turnId }),
    ]);
    expect(one).toEqual(other);
    expect((await eventsOf(service, conversation.experienceId)).length).toBe(3);
  });

  test('that is empty, or names no document that is there, is refused before anything is spent', async () => {
    const conversation = await newConversation(service);
    await expect(conversation.ask(' \n ')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(
      service.client.runs.ask({
        experienceId: randomUUID(),
        experienceType: 'Document_Chatbot',
        documentId: randomUUID(),
        question: 'What?',
      }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'DOCUMENT_NOT_FOUND' });
    const withoutDocument = {
      experienceId: randomUUID(),
      experienceType: 'Document_Chatbot',
      question: 'What?',
    };
    await expect(service.client.runs.ask(withoutDocument)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('document_id: is required for the first question'),
    });
    expect((await provider.served()).calls).toHaveLength(0);
  });

  test('about another document than the conversation is refused', async () => {
    const conversation = await newConversation(service);
    await conversation.ask('Who was the last foreman?');
    const other = await newConversation(service, { content: 'Another document.' });
    await expect(
      service.client.runs.ask({
        experienceId: conversation.experienceId,
        documentId: other.documentId,
        question: 'What?',
      }),
    ).rejects.toMatchObject({ code: 'ALREADY_EXISTS', reason: 'EXPERIENCE_RUN_ALREADY_EXISTS' });
  });
});

describe('a conversation', () => {
  test('answers questions asked at once one after another, without gaps, and counts each call once', async () => {
    const conversation = await newConversation(service);
    await provider.fail({ kind: 'latency', ms: 100 });
    const turns = await Promise.all(
      [
        'How tall is the lighthouse?',
        'What does rye bread cost?',
        'How many pupils are taught?',
        'Who was foreman?',
      ].map((question) => conversation.ask(question)),
    );
    expect(turns.map(({ number }) => number).sort()).toEqual([1, 2, 3, 4]);
    const times = [...turns]
      .sort((one, other) => one.number - other.number)
      .map(({ createTime }) => createTime);
    expect([...times].sort((one, other) => one.getTime() - other.getTime())).toEqual(times);
    const { calls } = await provider.served();
    const events = await eventsOf(service, conversation.experienceId);
    expect(calls).toHaveLength(9);
    expect(recordedTokens(events)).toEqual(await servedTokens(provider));
  });

  test('refuses a question when too many wait, and costs nothing for it', async () => {
    const conversation = await newConversation(service, { parameters: { waitingTurnsMax: 1 } });
    await conversation.ask('How tall is the lighthouse?');
    await provider.fail({ kind: 'latency', ms: 1_500 });
    const slow = conversation.ask('What does rye bread cost?');
    await waitUntil('it is being answered', async () =>
      (await provider.served()).inFlight > 0 ? true : undefined,
    );
    await expect(
      service.client.runs.ask(
        { experienceId: conversation.experienceId, question: 'How many pupils?' },
        { timeoutMs: 1_000 },
      ),
    ).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'TURN_REFUSED',
      metadata: { why: 'busy' },
    });
    await slow;
    expect((await eventsOf(service, conversation.experienceId)).length).toBe(5);
  });

  test('goes on in new runs with nothing lost', async () => {
    const conversation = await newConversation(service, { parameters: { turnsPerRunMax: 2 } });
    const firstId = randomUUID();
    const first = await conversation.ask('How tall is the lighthouse?', { turnId: firstId });
    const firstRun = await temporal.getHandle(`default/${conversation.experienceId}`).describe();
    const rest = await Promise.all(
      [
        'What does rye bread cost?',
        'How many pupils?',
        'Who was foreman?',
        'Who is captain of the ferry?',
      ].map((question) => conversation.ask(question)),
    );
    expect(rest.map(({ number }) => number).sort()).toEqual([2, 3, 4, 5]);
    const last = await conversation.ask('How many boats have room?');
    expect(last.number).toBe(6);
    const lastRun = await temporal.getHandle(`default/${conversation.experienceId}`).describe();
    expect(lastRun.runId).not.toBe(firstRun.runId);
    const { calls } = await provider.served();
    expect(await conversation.ask('How tall is the lighthouse?', { turnId: firstId })).toEqual(first);
    expect((await provider.served()).calls).toHaveLength(calls.length);
    const kept: number[] = [];
    for await (const { number } of service.client.runState.listTurns(conversation.experienceId))
      kept.push(number);
    expect(kept).toEqual([1, 2, 3, 4, 5, 6]);
    expect(recordedTokens(await eventsOf(service, conversation.experienceId))).toEqual(
      await servedTokens(provider),
    );
  });

  test('at rest whose history grew long is handed on by itself, and takes the next question', async () => {
    const conversation = await newConversation(service);
    await conversation.ask('How tall is the lighthouse?');
    const handle = temporal.getHandle(`default/${conversation.experienceId}`);
    const { runId } = await handle.describe();
    // Temporal suggests a new run from 4 MiB on; the workflow takes no such signal, and nothing else stirs it.
    for (let count = 1; count <= 12; count += 1) await handle.signal('noise', 'x'.repeat(800_000));
    await waitUntil('it is handed on', async () =>
      (await handle.describe()).runId === runId ? undefined : true,
    );
    expect(await conversation.ask('What does rye bread cost?')).toMatchObject({ number: 2 });
  });

  test('comes to rest when it is quiet, and the next question wakes it with all it knew', async () => {
    const conversation = await newConversation(service, {
      parameters: { idleTimeoutSeconds: 1, passageCount: 1 },
    });
    await conversation.ask('How tall is the lighthouse at Kapp Nord?');
    await waitUntil('it rests', async () =>
      (await service.client.runs.get(conversation.experienceId)).state === 'COMPLETED' ? true : undefined,
    );
    const { turn } = await service.client.runs.ask({
      experienceId: conversation.experienceId,
      question: 'Who is the keeper there?',
    });
    expect(turn).toMatchObject({ number: 2, answer: expect.stringContaining('Solveig Aas') });
    // One for the index, then two a turn.
    expect((await provider.served()).calls).toHaveLength(5);
  });

  test('whose parameters the workflow does not take is closed, with the reason, before it spends', async () => {
    const conversation = await newConversation(service, { parameters: { passageCount: 99 } });
    await expect(conversation.ask('How tall is the lighthouse?')).rejects.toMatchObject({
      reason: 'TURN_REFUSED',
      message: 'The parameter passageCount must be a whole number from 1 to 16.',
      metadata: { why: 'closed', failure_type: 'BadParameter' },
    });
    expect((await provider.served()).calls).toHaveLength(0);
  });

  test('answers a turn that failed when it is asked again under its id, and counts every attempt', async () => {
    const conversation = await newConversation(service, { parameters: { callAttempts: 1 } });
    await conversation.ask('How tall is the lighthouse?');
    await provider.fail(
      { kind: 'no-usage', times: 1, endpoint: 'embeddings' },
      { kind: 'truncate-stream', times: 2, endpoint: 'chat.completions' },
    );
    const turnId = randomUUID();
    const question = 'What does rye bread cost?';
    for (let time = 1; time <= 2; time += 1) {
      await expect(conversation.ask(question, { turnId })).rejects.toMatchObject({
        reason: 'TURN_REFUSED',
        metadata: { why: 'failed', failure_type: 'ProviderUnavailable' },
      });
    }
    expect(await conversation.ask(question, { turnId })).toMatchObject({ number: 2 });
    const { calls } = await provider.served();
    expect(calls).toHaveLength(9);
    expect(await eventsOf(service, conversation.experienceId)).toHaveLength(9);
  });

  test('that was cancelled is closed for good', async () => {
    const conversation = await newConversation(service);
    await conversation.ask('How tall is the lighthouse?');
    await service.client.runs.cancel(conversation.experienceId);
    await waitUntil('it has ended', async () =>
      (await service.client.runs.get(conversation.experienceId)).state === 'CANCELLED' ? true : undefined,
    );
    await expect(conversation.ask('What does rye bread cost?')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'TURN_REFUSED',
      metadata: { why: 'closed' },
    });
    expect((await provider.served()).calls).toHaveLength(3);
  });

  test('over its budget pauses: questions are refused for nothing until the budget is raised', async () => {
    // Indexing the document and finding passages fit into it, answering does not.
    const conversation = await newConversation(service, { budget: '0.0005' });
    const question = 'How tall is the lighthouse?';
    const turnId = randomUUID();
    const refused = { code: 'FAILED_PRECONDITION', reason: 'TURN_REFUSED', metadata: { why: 'over_budget' } };
    await expect(conversation.ask(question, { turnId })).rejects.toMatchObject(refused);
    expect((await provider.served()).calls).toHaveLength(2);
    await expect(conversation.ask(question)).rejects.toMatchObject(refused);
    expect((await provider.served()).calls).toHaveLength(2);
    expect(await service.client.runs.get(conversation.experienceId)).toMatchObject({
      progress: { phase: 'paused: budget' },
      budget: { maxCost: '0.0005' },
    });
    await service.client.runs.raiseBudget(conversation.experienceId, '1');
    expect(await conversation.ask(question, { turnId })).toMatchObject({ number: 1 });
    const events = await eventsOf(service, conversation.experienceId);
    expect(recordedTokens(events)).toEqual(await servedTokens(provider));
    expect(events.every(({ settlement }) => settlement === 'SETTLED')).toBe(true);
  });
});

describe('the text of an answer', () => {
  test('streams to a watcher at another process as it is written, and is the durable answer', async () => {
    const other = await startTestService({
      databaseName: service.options.databaseName,
      defaultTaskQueue: service.options.defaultTaskQueue,
    });
    try {
      const conversation = await newConversation(service);
      await conversation.ask('How tall is the lighthouse?');
      await provider.fail({ kind: 'token-delay', ms: 40 });
      const turnId = randomUUID();
      const parts: RunOutput[] = [];
      const arrivals: number[] = [];
      const watching = (async () => {
        for await (const output of other.client.runs.watchOutput(conversation.experienceId)) {
          if (output.outputKey !== turnId) continue;
          parts.push(output);
          arrivals.push(Date.now());
          if (output.final) return;
        }
      })();
      const turn = await conversation.ask('How many boats have room in the harbour?', { turnId });
      const answeredAt = Date.now();
      await watching;
      expect(parts.map(({ text }) => text).join('')).toBe(turn.answer);
      expect(parts.map(({ sequence }) => sequence)).toEqual(parts.map((_, index) => index + 1));
      expect(parts.length).toBeGreaterThan(2);
      expect(arrivals[0]).toBeLessThan(answeredAt - 100);
    } finally {
      await other.stop();
    }
  });

  test('that is cut on its way is written anew, and both attempts are paid for and counted', async () => {
    const conversation = await newConversation(service);
    await conversation.ask('How tall is the lighthouse?');
    await provider.fail({ kind: 'truncate-stream', times: 1, endpoint: 'chat.completions' });
    const turn = await conversation.ask('How many boats have room in the harbour?');
    expect(turn.answer).toContain('240 boats');
    const events = await eventsOf(service, conversation.experienceId);
    const cut = events.filter(({ outcome }) => outcome === 'FAILED');
    expect(cut).toHaveLength(1);
    expect(cut[0]).toMatchObject({
      step: 'answer, turn 2',
      useful: false,
      properties: { units: 'estimated' },
    });
    const { calls } = await provider.served();
    expect(events).toHaveLength(calls.filter(({ billed }) => billed).length);
  });
});
