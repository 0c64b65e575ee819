import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runCommandLine } from '../services/cli/command-line.js';
import { DOCUMENT_CHATBOT } from '../services/stack/reference-types.js';
import type { RunningWorker } from '../workflows/worker.js';
import { ISLAND_DOCUMENT } from './support/conversation.js';
import { startTestProvider, type TestProvider } from './support/provider.js';
import { startTestService, type TestService } from './support/service.js';
import { startTestWorker } from './support/worker.js';

let service: TestService;
let provider: TestProvider;
let worker: RunningWorker;
let documentId: string;

beforeAll(async () => {
  [service, provider] = await Promise.all([startTestService(), startTestProvider()]);
  worker = await startTestWorker(service, provider);
  await service.client.types.create(DOCUMENT_CHATBOT);
  ({ documentId } = await service.client.documents.upload(ISLAND_DOCUMENT));
});
afterAll(async () => {
  await worker.stop();
  await service.stop();
  await provider.stop();
});
afterEach(() => provider.reset());

describe('ask', () => {
  const question = 'How many boats have room in the harbour?';
  const answer = 'The harbour of Småvik has room for 240 boats.';

  test('prints the answer and the places it rests on; the same turn again costs nothing', async () => {
    const line = ['ask', randomUUID(), question, '--turn', randomUUID()];
    const first = await experiences([...line, '--type', 'Document_Chatbot', '--document', documentId]);
    const offset = Buffer.from(ISLAND_DOCUMENT).indexOf('The harbour of');
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(
      new RegExp(`^${answer}\n\nIt rests on:\n  bytes ${offset}-\\d+: The harbour of Småvik .*…\n$`),
    );
    const { calls } = await provider.served();
    const again = await experiences(line);
    expect(again).toMatchObject({ code: 0, stdout: first.stdout, stderr: 'It was answered before.\n' });
    expect((await provider.served()).calls).toHaveLength(calls.length);
  });

  test('on a terminal shows the answer while it is written, once', async () => {
    await provider.fail({ kind: 'token-delay', ms: 60 });
    const line = ['ask', randomUUID(), question, '--type', 'Document_Chatbot', '--document', documentId];
    const { stdout, writes } = await experiences(line, { isTTY: true });
    expect(stdout.startsWith(`${answer}\n`)).toBe(true);
    expect(stdout.split('It rests on:')[0]).toBe(`${answer}\n\n`);
    const pieces = writes.filter((piece) => answer.includes(piece));
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join('')).toBe(answer);
  });

  test('with --json prints the turn as one document', async () => {
    const line = [
      'ask',
      randomUUID(),
      question,
      '--type',
      'Document_Chatbot',
      '--document',
      documentId,
      '--json',
    ];
    const { stdout } = await experiences(line, { isTTY: true });
    expect(JSON.parse(stdout)).toMatchObject({ turn: { number: 1, answer }, alreadyExisted: false });
  });

  test('of an experience that is no conversation fails and says so', async () => {
    const { code, stderr } = await experiences(['ask', randomUUID(), question]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('is no conversation yet');
  });
});

async function experiences(line: readonly string[], terminal: { readonly isTTY?: boolean } = {}) {
  const [writes, errors]: [string[], string[]] = [[], []];
  const code = await runCommandLine([...line, '--address', service.address], {
    environment: {},
    stdin: Readable.from([]),
    stdout: { ...terminal, write: (text) => writes.push(text) },
    stderr: { write: (text) => errors.push(text) },
    onInterrupt: () => () => undefined,
  });
  return { code, stdout: writes.join(''), stderr: errors.join(''), writes };
}
