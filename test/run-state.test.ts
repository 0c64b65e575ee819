import { Connection, WorkflowClient } from '@temporalio/client';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { ExperiencesClient, type RunOutput } from '../services/client/index.js';
import { contract } from '../services/contract/contract.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { RawClient, readPages } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { startTestService, type TestService } from './support/service.js';
import { type ServiceProcess, startServiceProcess } from './support/service-process.js';
import { waitUntil } from './support/wait-until.js';

const state = contract.RunStateService.service;

let service: TestService;
let client: ExperiencesClient;
/** A second service on the same database, in a process of its own. */
let process: ServiceProcess;
let other: ExperiencesClient;
let raw: RawClient;
const mongo = new MongoClient(inject('mongodbUri'));
beforeAll(async () => {
  service = await startTestService();
  ({ client } = service);
  raw = new RawClient(service.address);
  const { mongodbUri, databaseName } = service.options;
  process = await startServiceProcess({ mongodbUri, databaseName });
  other = new ExperiencesClient({ address: process.address });
  await client.types.create({ name: 'Runnable', description: 'Nobody runs it', workflowType: 'nobody' });
}, 90_000);
afterAll(async () => {
  raw.close();
  other.close();
  process.kill('SIGKILL');
  await service.stop();
  await mongo.close();
});

describe('an answer', () => {
  test('that was put first stays, whoever puts another one, on any process', async () => {
    const experienceId = newUuid();
    const key = 'summarise/17';
    expect(await client.runState.getAnswer(experienceId, key)).toBeUndefined();
    const first = await client.runState.putAnswer(experienceId, key, 'first');
    expect({ ...first, content: String(first.content) }).toEqual({ content: 'first', alreadyExisted: false });
    for (const again of ['first', 'second']) {
      const { content, alreadyExisted } = await other.runState.putAnswer(experienceId, key, again);
      expect({ content: String(content), alreadyExisted }).toEqual({
        content: 'first',
        alreadyExisted: true,
      });
    }
    expect(String(await other.runState.getAnswer(experienceId, key))).toBe('first');
    expect(await client.runState.getAnswer(experienceId, 'summarise/18')).toBeUndefined();
    expect(await client.runState.getAnswer(newUuid(), key)).toBeUndefined();
  });

  test('of many that are put at once is the same for all', async () => {
    const experienceId = newUuid();
    const puts = Array.from({ length: 20 }, (_, index) =>
      (index % 2 === 0 ? client : other).runState.putAnswer(experienceId, 'key', `answer ${index}`),
    );
    const kept = await Promise.all(puts);
    expect(new Set(kept.map(({ content }) => String(content))).size).toBe(1);
    expect(kept.filter(({ alreadyExisted }) => !alreadyExisted)).toHaveLength(1);
  });

  test('has 256 KiB at most, under a key of 512 characters, and is over after 30 days', async () => {
    const experienceId = newUuid();
    const key = 'k'.repeat(512);
    await client.runState.putAnswer(experienceId, key, Buffer.alloc(262_144, 1));
    expect((await client.runState.getAnswer(experienceId, key))?.length).toBe(262_144);
    const kept = mongo.db(service.options.databaseName).collection('answers');
    const [answer] = await kept.find({}).sort({ u: -1 }).limit(1).toArray();
    const leftMs = Number(answer?.u) - Date.now();
    expect(leftMs).toBeGreaterThan(29.9 * 86_400_000);
    expect(leftMs).toBeLessThanOrEqual(30 * 86_400_000);
    await kept.updateMany({}, { $set: { u: new Date() } });
    expect(await client.runState.getAnswer(experienceId, key)).toBeUndefined();
    const put = await client.runState.putAnswer(experienceId, key, 'new');
    expect({ ...put, content: String(put.content) }).toEqual({ content: 'new', alreadyExisted: false });
  });
});

describe('a turn', () => {
  test('that was appended first stays, with what it rests on', async () => {
    const experienceId = newUuid();
    const turnId = newUuid();
    const turn = {
      turnId,
      number: 1,
      question: 'Why?',
      answer: 'Because.\u0007',
      passages: [{ offset: 5, length: 4, text: 'text' }],
    };
    const first = await client.runState.appendTurn(experienceId, turn);
    expect(first).toEqual({ turn: { ...turn, createTime: expect.any(Date) }, alreadyExisted: false });
    const again = await other.runState.appendTurn(experienceId, { ...turn, number: 2, answer: 'Another.' });
    expect(again).toEqual({ turn: first.turn, alreadyExisted: true });
    expect(await readAll(client.runState.listTurns(experienceId, { turnId }))).toEqual([first.turn]);
    expect(await readAll(client.runState.listTurns(newUuid(), { turnId }))).toEqual([]);
  });

  test('has the next number, and no other', async () => {
    const experienceId = newUuid();
    const append = (number: number) =>
      client.runState.appendTurn(experienceId, { turnId: newUuid(), number, question: 'q', answer: 'a' });
    for (const number of [2, 10_000]) {
      await expect(append(number)).rejects.toMatchObject({
        reason: 'INVALID_FIELDS',
        violations: [{ field: 'turn.number', description: 'must be 1, the next one' }],
      });
    }
    expect((await append(1)).turn.number).toBe(1);
    await expect(append(1)).rejects.toMatchObject({ violations: [{ field: 'turn.number' }] });
    expect((await append(0)).turn.number).toBe(2);
    const together = Array.from({ length: 8 }, (_, index) =>
      (index % 2 === 0 ? client : other).runState.appendTurn(experienceId, {
        turnId: newUuid(),
        question: `question ${index}`,
        answer: '',
      }),
    );
    const numbers = (await Promise.all(together)).map(({ turn }) => turn.number);
    expect(numbers.sort((a, b) => a - b)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('is kept for a year from its answer', async () => {
    const experienceId = newUuid();
    await client.runState.appendTurn(experienceId, { turnId: newUuid(), question: 'q', answer: 'a' });
    const turns = mongo.db(service.options.databaseName).collection('turns');
    const [turn] = await turns.find({}).sort({ c: -1 }).limit(1).toArray();
    expect(Math.abs(Number(turn?.c) - Date.now())).toBeLessThan(60_000);
    const expiry = (await turns.indexes()).find(({ name }) => name === 'expiry');
    expect(expiry).toMatchObject({ key: { c: 1 }, expireAfterSeconds: 31_536_000 });
  });

  test('is listed by its number, page by page, from either end', async () => {
    const experienceId = newUuid();
    for (let number = 1; number <= 7; number += 1) {
      await client.runState.appendTurn(experienceId, {
        turnId: newUuid(),
        question: 'q',
        answer: `${number}`,
      });
    }
    const pagesOf = async (request: object) => {
      const pages = await readPages(async (pageToken) => {
        const answer = await raw.call(state.ListTurns, { experienceId, pageSize: 3, pageToken, ...request });
        return { items: answer.turns, nextPageToken: answer.nextPageToken };
      });
      return pages.map((page) => page.map(({ number }) => number));
    };
    expect(await pagesOf({})).toEqual([[1, 2, 3], [4, 5, 6], [7]]);
    expect(await pagesOf({ descending: true })).toEqual([[7, 6, 5], [4, 3, 2], [1]]);
    expect(await pagesOf({ afterNumber: 4 })).toEqual([[5, 6, 7]]);
    expect(await pagesOf({ afterNumber: 3, descending: true })).toEqual([[7, 6, 5], [4]]);
    expect(await pagesOf({ afterNumber: 7 })).toEqual([[]]);
  });
});

describe('the watcher of a run', () => {
  test('gets what was written before, then what comes from another process, each part once and in order', async () => {
    const run = await started();
    await other.runState.publishOutput(run, part('a', 1, 1));
    await other.runState.publishOutput(run, part('a', 1, 2));
    const watch = watched(run);
    await watch.until('the two parts before', 2);
    for (let sequence = 3; sequence <= 20; sequence += 1) {
      await other.runState.publishOutput(run, part('a', 1, sequence));
      if (sequence % 5 === 0) await client.runState.publishOutput(run, part('a', 1, sequence)); // Sent again.
    }
    await client.runState.publishOutput(newUuid(), part('a', 1, 21)); // Of another run, which nobody has started.
    await other.runState.publishOutput(run, { ...part('a', 2, 1), final: true });
    await watch.until('all parts', 21);
    await watch.end(run);
    const attempt = Array.from({ length: 20 }, (_, index) => part('a', 1, index + 1));
    expect(watch.outputs).toEqual([...attempt, { ...part('a', 2, 1), final: true }]);
  });

  test('that begins while parts are written misses none and gets none twice', async () => {
    const run = await started();
    const publishing = (async () => {
      for (let sequence = 1; sequence <= 120; sequence += 1) {
        await other.runState.publishOutput(run, part('a', 1, sequence));
      }
    })();
    const watches: ReturnType<typeof watched>[] = [];
    for (let index = 0; index < 6; index += 1) {
      watches.push(watched(run));
      await waitUntil('the watcher before has begun', () => watches.at(-1)?.outputs.length || undefined);
    }
    await publishing;
    for (const watch of watches) {
      await watch.until('all parts', 120);
      expect(watch.outputs.map(({ sequence }) => sequence)).toEqual(
        Array.from({ length: 120 }, (_, i) => i + 1),
      );
    }
    await watches[0]?.end(run);
    await Promise.all(watches.map(({ done }) => done));
  });

  test('is not told again what a lower attempt writes once a higher one has begun', async () => {
    const run = await started();
    const watch = watched(run);
    await client.runState.publishOutput(run, part('a', 1, 1));
    await watch.until('the first attempt', 1);
    await client.runState.publishOutput(run, part('a', 2, 1));
    await watch.until('the second attempt', 2);
    await client.runState.publishOutput(run, part('a', 1, 2));
    await client.runState.publishOutput(run, part('b', 1, 1));
    await watch.until('another key', 3);
    await watch.end(run);
    expect(watch.outputs).toEqual([part('a', 1, 1), part('a', 2, 1), part('b', 1, 1)]);
  });

  test('who takes slowly gets all in the end', async () => {
    const run = await started();
    const taken: number[] = [];
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = (async () => {
      for await (const { sequence } of client.runs.watchOutput(run)) {
        taken.push(sequence);
        await held;
      }
    })();
    await client.runState.publishOutput(run, { ...part('a', 1, 1), text: 'x'.repeat(16_384) });
    await waitUntil('it has begun', () => taken.length || undefined);
    // More than the connection and the watcher's room together hold.
    for (let sequence = 2; sequence <= 120; sequence += 1) {
      await client.runState.publishOutput(run, { ...part('a', 1, sequence), text: 'x'.repeat(16_384) });
    }
    release();
    await waitUntil('it has all', () => (taken.length >= 120 ? true : undefined));
    await terminated(run);
    await slow;
    expect(taken).toEqual(Array.from({ length: 120 }, (_, index) => index + 1));
  });

  test('goes on over a restart of the service, without a gap or a repeat', async () => {
    const { temporalAddress, databaseName } = service.options;
    let moved = await startTestService({ databaseName, temporalAddress });
    const { address } = moved;
    const watcher = new ExperiencesClient({ address, timeoutMs: 30_000 });
    const run = await started();
    const watch = watched(run, watcher);
    await other.runState.publishOutput(run, part('a', 1, 1));
    await watch.until('the part before', 1);
    await moved.stop();
    await other.runState.publishOutput(run, part('a', 1, 2));
    moved = await startTestService({ databaseName, temporalAddress, listen: address });
    await watch.until('the part in between', 2);
    await other.runState.publishOutput(run, part('a', 1, 3));
    await watch.until('the part after', 3);
    await watch.end(run);
    watcher.close();
    await moved.stop();
    expect(watch.outputs.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  });

  test('without output is told of the run only', async () => {
    const run = await started();
    await client.runState.publishOutput(run, part('a', 1, 1));
    for await (const view of client.runs.watch(run)) {
      expect(view.experienceId).toBe(run);
      break;
    }
    await terminated(run);
  });
});

function part(outputKey: string, attempt: number, sequence: number): RunOutput {
  return { outputKey, attempt, sequence, text: `${outputKey}${attempt}.${sequence} `, final: false };
}

/** A run that goes on until it is ended: nobody carries it out. */
async function started(): Promise<string> {
  const { run } = await client.runs.start({ experienceType: 'Runnable', document: { content: 'text' } });
  return run.experienceId;
}

function watched(run: string, watcher = client) {
  const outputs: RunOutput[] = [];
  const done = (async () => {
    for await (const output of watcher.runs.watchOutput(run)) outputs.push(output);
  })();
  let failure: unknown;
  done.catch((error: unknown) => {
    failure = error;
  });
  return {
    outputs,
    done,
    async until(what: string, count: number): Promise<void> {
      await waitUntil(what, () => {
        if (failure !== undefined) throw failure;
        return outputs.length >= count ? true : undefined;
      });
    },
    /** Ends the run, and with it the watch. */
    async end(id: string): Promise<void> {
      await terminated(id);
      await done;
    },
  };
}

/** A cancellation would wait for a worker. */
async function terminated(run: string): Promise<void> {
  const connection = await Connection.connect({ address: service.options.temporalAddress });
  const { workflowId } = await client.runs.get(run);
  await new WorkflowClient({ connection }).getHandle(workflowId).terminate();
  await connection.close();
}
