import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';
import { startNodeProcess } from '../services/stack/node-process.js';
import { reviewContract } from './fixtures/readme-workflows.js';
import { temporalClient } from './support/metered-worker.js';
import { startTestService, type TestService } from './support/service.js';
import { waitUntil } from './support/wait-until.js';

/** The programs of README.md, word for word, in a package beside ours that has ours installed, from the sources. */

let folder: string;
let service: TestService;
beforeAll(async () => {
  service = await startTestService();
  folder = await mkdtemp(join(tmpdir(), 'experiences-readme-'));
  await symlink(join(PACKAGE_ROOT, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await service.stop();
});

test('the examples of the README type-check', async () => {
  const [client = '', recorder, gateway = '', reserving, plugin = ''] = await examples();
  await writeFile(join(folder, 'client.ts'), client);
  await writeFile(
    join(folder, 'many-calls.ts'),
    [CALLS, client.replace(CLOSE, ''), recorder, reserving].join('\n'),
  );
  await writeFile(join(folder, 'gateway.ts'), gateway);
  await writeFile(join(folder, 'plugin.ts'), [EXISTING_WORKER, plugin].join('\n'));
  expect(await typeErrors()).toBe('');
}, 60_000);

test('the plugin takes ten lines, and meters somebody’s worker', async () => {
  const plugin = (await examples()).at(4) ?? '';
  const lines = plugin.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('import '));
  expect(lines.filter((line) => !line.includes('Worker.create')).length).toBeLessThanOrEqual(10);

  await service.client.types.create({ name: 'Contract_Review', description: 'Reviews contracts' });
  const provider = await startResponsesProvider();
  const temporal = await temporalClient();
  const taskQueue = `readme-${randomUUID().slice(0, 8)}`;
  const script = join(folder, 'plugin.ts');
  await writeFile(script, [EXISTING_WORKER, plugin.replace(ADDRESS, service.address)].join('\n'));
  const worker = await startNodeProcess({
    name: 'worker of the README',
    script,
    nodeArguments: ['--import', 'tsx'],
    cwd: folder,
    environment: {
      ...process.env,
      OPENAI_API_KEY: 'none',
      OPENAI_BASE_URL: provider.url,
      README_TASK_QUEUE: taskQueue,
      README_TEMPORAL: inject('temporalAddress'),
      README_WORKFLOWS: join(PACKAGE_ROOT, 'test', 'fixtures', 'readme-workflows.ts'),
    },
    readyLine: /^begins$/,
  });
  try {
    const workflowId = `contract-7/${randomUUID()}`;
    const experienceId = workflowId.slice(-36);
    const options = { taskQueue, workflowId, args: ['Both parties agree.'] as [string] };
    expect(await temporal.workflow.execute(reviewContract, options)).toBe('They agree.');
    const { experienceType, totals } = await waitUntil('it is settled', async () => {
      const costs = await service.client.costs.get(experienceId);
      return costs.totals.openReservationCount === 0n ? costs : undefined;
    });
    expect(experienceType).toBe('Contract_Review');
    // Of gpt-4o-mini 200 tokens read anew, 1,024 from the cache, and 50 written: 0.15, 0.075 and 0.60 dollars a million.
    expect(totals).toMatchObject({ eventCount: 1n, usefulCost: '0.0001368', wastedCost: '0' });
    worker.kill('SIGTERM');
    expect(await worker.exited).toMatchObject({ code: 0 });
  } finally {
    await worker.stop();
    await temporal.close();
    await provider.stop();
  }
}, 60_000);

/** TypeScript of README.md, in its order. */
async function examples(): Promise<readonly string[]> {
  const text = await readFile(join(PACKAGE_ROOT, 'README.md'), 'utf8');
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);
}

/** As the compiler prints them; '': none. */
async function typeErrors(): Promise<string> {
  const compiler = join(PACKAGE_ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  return promisify(execFile)(process.execPath, [compiler, '-p', folder]).then(
    () => '',
    (error: { readonly stdout?: unknown }) => String(error.stdout),
  );
}

/** Answers as OpenAI's Responses API does. */
async function startResponsesProvider(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(RESPONSE));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const RESPONSE = {
  id: 'resp_1',
  object: 'response',
  created_at: 1_700_000_000,
  status: 'completed',
  model: 'gpt-4o-mini',
  output: [
    {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: 'They agree.', annotations: [] }],
    },
  ],
  usage: {
    input_tokens: 1_224,
    input_tokens_details: { cached_tokens: 1_024 },
    output_tokens: 50,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 1_274,
  },
};
const TSCONFIG = {
  extends: join(PACKAGE_ROOT, 'tsconfig.json'),
  compilerOptions: {
    noEmit: true,
    rootDir: '/',
    paths: {
      'experiences/client': [join(PACKAGE_ROOT, 'services', 'client', 'index.ts')],
      'experiences/plugin/*': [join(PACKAGE_ROOT, 'workflows', 'plugin', '*.ts')],
    },
  },
  include: ['*.ts'],
};
const ADDRESS = '127.0.0.1:50051';
const CLOSE = 'client.close();';
/** What the example about many calls takes as given. */
const CALLS = `import type { UsageRecord } from 'experiences/client';
declare const calls: readonly UsageRecord[];`;
/** What was there before the plugin was added. */
const EXISTING_WORKER = `import { NativeConnection, Worker } from '@temporalio/worker';
import OpenAI from 'openai';
const openai = new OpenAI();
const MODEL = 'gpt-4o-mini';
const connection = await NativeConnection.connect({ address: process.env['README_TEMPORAL'] ?? '' });
const taskQueue = process.env['README_TASK_QUEUE'] ?? '';
const workflowsPath = process.env['README_WORKFLOWS'] ?? '';
console.log('begins');`;
