import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createHeaders, ExperiencesClient, openaiUrl } from '../services/client/index.js';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';
import { freePort } from '../services/stack/free-port.js';
import { readAll } from './support/read-all.js';
import { paragraphs } from './support/texts.js';
import { waitUntil } from './support/wait-until.js';

/** What `npm run demo` and `npm start` run once everything is built, as a person runs it: with all its servers. */
const DEMO = 'dist/services/stack/demo.js';
const START = 'dist/services/stack/start.js';
const RUN_TIMEOUT_MS = 90_000;

/** Nothing but what the test puts there itself may be in it afterwards. */
let temporaryFolder: string;
let folder: string;
const running: Running[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-test-'));
  temporaryFolder = join(folder, 'temporary');
  await mkdir(temporaryFolder);
});
afterEach(async () => {
  for (const { child, ended } of running.splice(0)) {
    child.kill('SIGKILL');
    await ended;
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the demo', { timeout: RUN_TIMEOUT_MS }, () => {
  describe('of a document', () => {
    let output: string;
    beforeAll(async () => {
      const file = await written('harbours.txt', paragraphs(16));
      const demo = run(DEMO, [file]);
      expect(await demo.ended).toBe(0);
      output = demo.stdout();
    }, RUN_TIMEOUT_MS);

    test('shows a summary of the text, in the words of the text', () => {
      const summary = section(output, 'The summary of harbours.txt').replaceAll(/\s+/g, ' ').trim();
      const sentences = summary.split(/(?<=\.) /);
      expect(sentences.length).toBeGreaterThan(1);
      const text = paragraphs(16);
      expect(sentences.filter((sentence) => !text.includes(sentence))).toEqual([]);
    });

    test('lists the calls of one experience at the prices of the catalogue', () => {
      const calls = readCalls(output);
      expect(calls.map(({ step }) => step).sort()).toEqual([
        'combine, final',
        ...['1 of 4', '2 of 4', '3 of 4', '4 of 4'].map((part) => `summarise ${part}`),
      ]);
      for (const { input, output: written, cost } of calls) {
        // gpt-4o-mini: 0.15 and 0.60 dollars for a million tokens.
        expect(cost).toBe(input * 150_000_000_000n + written * 600_000_000_000n);
      }
    });

    test('shows a total that is the sum of the calls to the last digit', () => {
      const sum = readCalls(output).reduce((total, { cost }) => total + cost, 0n);
      expect(sum).toBeGreaterThan(0n);
      const paid = section(output, 'What experience');
      expect(amountAfter(paid, /^5 calls .*? /m)).toBe(sum);
      expect(amountAfter(paid, /^Cost +/m)).toBe(sum);
      expect(amountAfter(section(output, 'The 3 experiences'), /^ *harbours\.txt +5 calls +/m)).toBe(sum);
    });

    test('shows a call of a stock client through the gateway, at the cost that is in the books', () => {
      const lines = section(output, 'The same feature called through the HTTP gateway');
      expect(lines).toMatch(/^ {2}baseURL +http:\/\/127\.0\.0\.1:\d+\/api\/v1\/proxy\/openai\/v1$/m);
      const [, answer = ''] = /^ {2}gpt-4o-mini answered +(.{20})/m.exec(lines) ?? [];
      expect(paragraphs(16)).toContain(answer);
      const [, toldId, told] = /^ {2}xproxy_result +experience (\S+), \$([\d.]+)$/m.exec(lines) ?? [];
      const [, keptId, kept] = /^ {2}the service +experience (\S+), \$([\d.]+) in 1 call$/m.exec(lines) ?? [];
      expect(toldId).toMatch(/^[\da-f-]{36}$/);
      expect(keptId).toBe(toldId);
      expect(exact(told)).toBeGreaterThan(0n);
      expect(exact(kept)).toBe(exact(told));
    });

    test('leaves nothing behind', async () => {
      expect(output).toMatch(/Everything is stopped \(\d+ s in all\)\.\n$/);
      expect(await readdir(temporaryFolder)).toEqual([]);
    });
  });

  test('of its own documents shows three totals with their minimum, median and maximum', async () => {
    const demo = run(DEMO, []);
    expect(await demo.ended).toBe(0);
    const lines = section(demo.stdout(), 'The 3 experiences');
    const rows = [...lines.matchAll(/^ {2}(\S+\.md) +\d+ calls +\$([\d.]+)$/gm)];
    expect(rows.map(([, name]) => name)).toEqual(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md']);
    const [least, middle, most] = rows.map(([, , amount]) => exact(amount)).sort((a, b) => (a < b ? -1 : 1));
    expect(least).toBeLessThan(most ?? 0n);
    expect(amountAfter(lines, /^ *minimum +/m)).toBe(least);
    expect(amountAfter(lines, /^ *median +/m)).toBe(middle);
    expect(amountAfter(lines, /^ *maximum +/m)).toBe(most);
  });

  test.each<[what: string, name: string, content: Uint8Array | string | undefined, message: string]>([
    ['that there is not', 'missing.txt', undefined, 'there is no such file'],
    ['that is binary', 'picture.png', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0xff]), 'is not UTF-8 text'],
    ['with a zero byte', 'zero.txt', 'a\u0000b', 'is not UTF-8 text'],
    ['that is empty', 'empty.txt', ' \n', 'is empty'],
    ['that is too large', 'large.txt', 'x'.repeat(512 * 1024 + 1), 'more than 524288'],
  ])('refuses a file %s by its name, before it starts anything', async (_what, name, content, message) => {
    const path = content === undefined ? join(folder, name) : await written(name, content);
    const demo = run(DEMO, [path]);
    expect(await demo.ended).toBe(1);
    expect(demo.stdout()).toBe('');
    expect(demo.stderr()).toContain(path);
    expect(demo.stderr()).toContain(message);
    expect(demo.stderr().trim().split('\n')).toHaveLength(1);
  });

  test('takes a path from where the person is, not from where npm runs its scripts', async () => {
    await written('picture.bin', Buffer.from([0xff]));
    const demo = run(DEMO, ['picture.bin'], { INIT_CWD: folder });
    expect(await demo.ended).toBe(1);
    expect(demo.stderr()).toContain(join(folder, 'picture.bin'));
  });

  test.each<[when: string, signal: NodeJS.Signals, line: RegExp, least: number]>([
    ['while its servers start', 'SIGINT', /MongoDB: listening/, 1],
    ['during the runs', 'SIGINT', /long\.txt +summarise/, 5],
  ])('stops everything when it is interrupted %s', async (_when, signal, line, least) => {
    const demo = run(DEMO, [await written('long.txt', paragraphs(80))]);
    await demo.printed(line);
    const started = descendants(demo.child.pid);
    expect(started.filter(isServer).length).toBeGreaterThanOrEqual(least);
    demo.child.kill(signal);
    expect(await demo.ended).toBe(130);
    expect(demo.stderr()).toContain(`${signal}: stopping everything`);
    await waitUntil('all that it started is gone', () => (alive(started).length === 0 ? true : undefined));
    expect(await readdir(temporaryFolder)).toEqual([]);
  });

  test('fails, says why and stops everything when one of its processes ends in the middle', async () => {
    const demo = run(DEMO, [await written('long.txt', paragraphs(80))]);
    await demo.printed(/long\.txt +summarise/);
    const started = descendants(demo.child.pid);
    const worker = started.find(({ command }) => command.includes('workflows/main.js'));
    process.kill(worker?.pid ?? 0, 'SIGKILL');
    expect(await demo.ended).toBe(1);
    expect(demo.stderr()).toContain('the worker ended:\n');
    await waitUntil('all that it started is gone', () => (alive(started).length === 0 ? true : undefined));
    expect(await readdir(temporaryFolder)).toEqual([]);
  });
});

describe('npm start', { timeout: RUN_TIMEOUT_MS }, () => {
  test('serves until Ctrl-C, leaves no process, and has its data the next time', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const environment = { EXPERIENCES_LISTEN: address, EXPERIENCES_DATA: join(folder, 'data') };
    const [experienceId, proxiedId] = await whileStarted(environment, async (client, gatewayUrl) => {
      await client.types.create({ name: 'Kept', description: 'Is there after a restart' });
      const document = { name: 'short.txt', content: Buffer.from(paragraphs(2)) };
      const { run: started } = await client.runs.start({
        experienceType: 'Document_Summarization',
        document,
      });
      await waitUntil('the run has completed', async () => {
        const { state } = await client.runs.get(started.experienceId);
        return state === 'COMPLETED' ? true : undefined;
      });
      return [started.experienceId, await callThrough(gatewayUrl)] as const;
    });
    await whileStarted(environment, async (client) => {
      const types = await readAll(client.types.list());
      expect(types.map(({ name }) => name).sort()).toEqual([
        'Document_Chatbot',
        'Document_Summarization',
        'Kept',
      ]);
      // What Temporal knows of the run, and what the service has recorded of it.
      expect(await client.runs.get(experienceId)).toMatchObject({
        state: 'COMPLETED',
        totals: { eventCount: 1n },
      });
      expect(await client.costs.get(proxiedId)).toMatchObject({
        experienceType: 'Kept',
        totals: { eventCount: 1n },
      });
    });
  });

  /** Answers the experience that the call became. */
  async function callThrough(gatewayUrl: string): Promise<string> {
    const openai = new OpenAI({
      baseURL: openaiUrl(gatewayUrl),
      apiKey: 'none',
      defaultHeaders: createHeaders({ experienceName: 'Kept' }),
    });
    const messages = [{ role: 'user' as const, content: 'What is kept?' }];
    const answer = await openai.chat.completions.create({ model: 'gpt-4o-mini', messages });
    return z.object({ xproxy_result: z.object({ experience_id: z.string() }) }).parse(answer).xproxy_result
      .experience_id;
  }

  async function whileStarted<Result>(
    environment: NodeJS.ProcessEnv,
    work: (client: ExperiencesClient, gatewayUrl: string) => Promise<Result>,
  ): Promise<Result> {
    const start = run(START, [], environment);
    await start.printed(/Experiences is running; Ctrl-C stops it/);
    expect(start.stdout()).toContain(`http://${environment.EXPERIENCES_LISTEN}`);
    const client = new ExperiencesClient({ address: environment.EXPERIENCES_LISTEN ?? '' });
    const [, gatewayUrl = ''] = /^HTTP gateway: (\S+)$/m.exec(start.stdout()) ?? [];
    expect(start.stdout()).toContain(`${gatewayUrl}/api/v1/proxy/openai/v1`);
    const result = await work(client, gatewayUrl);
    client.close();
    const started = descendants(start.child.pid);
    expect(started.filter(isServer)).toHaveLength(6);
    start.child.kill('SIGINT');
    expect(await start.ended).toBe(0);
    await waitUntil('all that it started is gone', () => (alive(started).length === 0 ? true : undefined));
    return result;
  }
});

// Running

interface Running {
  readonly child: ChildProcess;
  /** The exit code; undefined when a signal ended it. */
  readonly ended: Promise<number | undefined>;
  stdout(): string;
  stderr(): string;
  /** Waits until it has written a line to its standard output; fails when it ends before. */
  printed(line: RegExp): Promise<void>;
}

/** With the servers that it starts itself, and a folder of its own for what it does not keep. */
function run(script: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Running {
  const { MONGODB_URI, TEMPORAL_ADDRESS, OPENAI_API_KEY, OPENAI_BASE_URL, INIT_CWD, ...rest } = process.env;
  const child = spawn(process.execPath, [join(PACKAGE_ROOT, script), ...args], {
    env: { ...rest, TMPDIR: temporaryFolder, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  let hasEnded = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | undefined>((resolve) => {
    child.on('close', (code) => {
      hasEnded = true;
      resolve(code ?? undefined);
    });
  });
  const started: Running = {
    child,
    ended,
    stdout: () => stdout,
    stderr: () => stderr,
    async printed(line) {
      const isThere = (): true | undefined => {
        if (line.test(stdout)) return true;
        if (hasEnded) throw new Error(`it ended without ${line}:\n${stdout}\n${stderr}`);
        return undefined;
      };
      await waitUntil(`${line} is printed`, isThere, RUN_TIMEOUT_MS);
    },
  };
  running.push(started);
  return started;
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

function processes(): readonly Process[] {
  if (!existsSync('/proc/self/stat')) {
    const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
    return lines.flatMap((line) => {
      const [, pid, parent, command = ''] = /^ *(\d+) +(\d+) (.*)$/.exec(line) ?? [];
      return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), command }];
    });
  }
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
      // "pid (name) state parent …"; the name may hold anything.
      const [state, parent] = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
      // A zombie has ended; only its parent has not asked yet.
      return state === 'Z' ? [] : [{ pid: Number(name), parent: Number(parent), command }];
    } catch {
      return []; // It has ended since.
    }
  });
}

function descendants(pid: number | undefined): readonly Process[] {
  const all = processes();
  const below = (parent: number | undefined): readonly Process[] =>
    all.filter((each) => each.parent === parent).flatMap((each) => [each, ...below(each.pid)]);
  return below(pid);
}

function isServer({ command }: Process): boolean {
  const file = /mongod |temporal |simulator\/main\.js|server\/main\.js|workflows\/main\.js|gateway\/main\.js/;
  return file.test(command) && !command.startsWith('sh ');
}

function alive(of: readonly Process[]): readonly Process[] {
  const now = processes();
  return of.filter(({ pid, command }) => now.some((each) => each.pid === pid && each.command === command));
}

// Reading what was printed

/** From a heading to the next one: headings alone begin at the margin and stand between empty lines. */
function section(output: string, heading: string): string {
  const parts = output.split(/\n(?=\n[A-Z][^\n]*\n\n)/);
  const found = parts.find((part) => part.trim().startsWith(heading)) ?? '';
  expect(found, `the section "${heading}" of:\n${output}`).not.toBe('');
  return found.trim().split('\n').slice(1).join('\n');
}

/** The rows of the table between its rules. */
function readCalls(output: string) {
  const [, rows = ''] = section(output, 'What experience').split(/^─+$/m);
  return rows
    .trim()
    .split('\n')
    .map((row) => {
      const [, step, input, written, cost] =
        /^(.+?) {2,}\S+ +text +([\d,]+) +([\d,]+) +\$([\d.]+) /.exec(row) ?? [];
      expect(step, row).toBeDefined();
      return { step, input: count(input), output: count(written), cost: exact(cost) };
    });
}

function count(text: string | undefined): bigint {
  return BigInt((text ?? '').replaceAll(',', ''));
}

function amountAfter(text: string, label: RegExp): bigint {
  const [, amount] = new RegExp(`${label.source}\\$([\\d.]+)`, label.flags).exec(text) ?? [];
  expect(amount, `an amount after ${label} in:\n${text}`).toBeDefined();
  return exact(amount);
}

/** An amount in units of 10⁻¹⁸, read without the code under test. */
function exact(amount: string | undefined): bigint {
  const [whole = '', fraction = ''] = (amount ?? '').split('.');
  return BigInt(whole + fraction.padEnd(18, '0'));
}

async function written(name: string, content: Uint8Array | string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}
