import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Connection } from '@temporalio/client';
import { MongoClient } from 'mongodb';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { cachedExecutable, cacheFolder, withPartialFolder } from '../services/stack/cache-folder.js';
import { probeDownload } from '../services/stack/download-probe.js';
import { findMongod } from '../services/stack/find-mongod.js';
import { findServer, type ServerRecipe, type ServerSource } from '../services/stack/find-server.js';
import { findTemporal } from '../services/stack/find-temporal.js';
import { freePort } from '../services/stack/free-port.js';
import { LineTail } from '../services/stack/line-tail.js';
import { type MongodOptions, type MongodProcess, startMongod } from '../services/stack/mongod-process.js';
import { type NodeProcessOptions, startNodeProcess } from '../services/stack/node-process.js';
import { type OwnedProcess, spawnOwned } from '../services/stack/owned-process.js';
import { runCommand } from '../services/stack/run-command.js';
import { startStack } from '../services/stack/stack.js';
import { startTemporal, type TemporalProcess } from '../services/stack/temporal-process.js';
import { assertPortFree } from '../services/stack/wait-for-port.js';
import { watchDownload } from '../services/stack/watched-download.js';

/** Long enough for the first fetch of both servers, which is a build of minutes on a machine that has neither. */
const FETCH_TIMEOUT_MS = 30 * 60_000;
const SERVER_TEST_TIMEOUT_MS = 60_000;
const GONE_DEADLINE_MS = 5_000;
const POLL_MS = 20;

const ignoreLog = () => undefined;
let folder: string;
/** What the running test started; it is ended by force, because what it holds is thrown away. */
const started: Pick<OwnedProcess, 'kill' | 'exited'>[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stack-test-'));
});

afterEach(async () => {
  const ended = started.splice(0).map((process) => {
    process.kill('SIGKILL');
    return process.exited;
  });
  await Promise.all(ended);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('mongod', { timeout: SERVER_TEST_TIMEOUT_MS }, () => {
  let executable: string;
  beforeAll(async () => {
    executable = await executableOf(findMongod);
  }, FETCH_TIMEOUT_MS);

  it('takes a transaction as soon as it has started', async () => {
    const mongod = await start();
    await withClient(mongod.uri, async (client) => {
      await client.withSession((session) =>
        session.withTransaction(() => client.db('test').collection('items').insertOne({ a: 1 }, { session })),
      );
    });
  });

  it('has every acknowledged document after kill -9 and a restart on the same port', async () => {
    const first = await start();
    await insert(first.uri, 'kept');
    first.kill('SIGKILL');
    expect(await first.exited).toEqual({ code: undefined, signal: 'SIGKILL' });

    const second = await start({ dataFolder: first.dataFolder, port: first.port });
    expect(second.uri).toBe(first.uri);
    expect(await namesIn(second.uri)).toEqual(['kept']);
  });

  it('continues a data folder on another port', async () => {
    const first = await start();
    await insert(first.uri, 'kept');
    await first.stop();

    const second = await start({ dataFolder: first.dataFolder });
    expect(second.port).not.toBe(first.port);
    expect(await namesIn(second.uri)).toEqual(['kept']);
    await insert(second.uri, 'more');
    expect(await namesIn(second.uri)).toEqual(['kept', 'more']);
  });

  it('has no replica set when started without one', async () => {
    const mongod = await start({ replicaSet: false });
    await withClient(mongod.uri, async (client) => {
      const hello = await client.db('admin').command({ hello: 1 });
      expect(hello).toMatchObject({ isWritablePrimary: true });
      expect(hello).not.toHaveProperty('setName');
    });
  });

  it('takes fail points only when test commands are asked for', async () => {
    const [without, withThem] = await Promise.all([start(), start({ testCommands: true })]);
    const failPoint = { configureFailPoint: 'failCommand', mode: 'off' };
    await withClient(without.uri, (client) =>
      expect(client.db('admin').command(failPoint)).rejects.toThrow(/no such command/),
    );
    await withClient(withThem.uri, async (client) => {
      expect(await client.db('admin').command(failPoint)).toMatchObject({ ok: 1 });
    });
  });

  it('rejects with its own words when it cannot start', async () => {
    const running = await start();
    await expect(start({ dataFolder: running.dataFolder })).rejects.toThrow(/ended with code.*DBPathInUse/s);
    await expect(start({ extraArguments: ['--nonsense'] })).rejects.toThrow(
      /unrecognised option '--nonsense'/,
    );
    await expect(start({ port: running.port })).rejects.toThrow(/is already in use/);
  });

  it('is gone after stop, which may be called again', async () => {
    const mongod = await start();
    await mongod.stop();
    expect(isAlive(mongod.pid)).toBe(false);
    await mongod.stop();
    expect(await mongod.exited).toEqual({ code: 0, signal: undefined });
  });

  async function start(options: Partial<MongodOptions> = {}): Promise<MongodProcess> {
    const dataFolder = options.dataFolder ?? (await mkdtemp(join(folder, 'mongod-')));
    const mongod = await startMongod({ ...options, executable, dataFolder });
    started.push(mongod);
    return mongod;
  }
});

describe('temporal', { timeout: SERVER_TEST_TIMEOUT_MS }, () => {
  let executable: string;
  beforeAll(async () => {
    executable = await executableOf(findTemporal);
  }, FETCH_TIMEOUT_MS);

  it('answers with the namespaces that were asked for as soon as it has started', async () => {
    const temporal = await start({ namespace: 'another' });
    expect(await namespacesOf(temporal.address)).toEqual(expect.arrayContaining(['default', 'another']));
    await temporal.stop();
    expect(isAlive(temporal.pid)).toBe(false);
    await temporal.stop();
  });

  it('keeps what it knows in the database file, also after kill -9', async () => {
    const databaseFile = join(folder, 'temporal', 'temporal.db');
    const first = await start({ databaseFile, namespace: 'kept' });
    first.kill('SIGKILL');
    await first.exited;

    const second = await start({ databaseFile });
    expect(await namespacesOf(second.address)).toContain('kept');
  });

  it('starts several times at once', async () => {
    const servers = await Promise.all([start(), start(), start()]);
    expect(new Set(servers.map((server) => server.address)).size).toBe(3);
  });

  it('rejects when its port is taken', async () => {
    const running = await start();
    await expect(start({ port: running.port })).rejects.toThrow(/is already in use/);
  });

  async function start(
    options: { port?: number; databaseFile?: string; namespace?: string } = {},
  ): Promise<TemporalProcess> {
    const temporal = await startTemporal({ ...options, executable });
    started.push(temporal);
    return temporal;
  }
});

describe('the stack', { timeout: SERVER_TEST_TIMEOUT_MS }, () => {
  it('starts both servers and ends both', { timeout: FETCH_TIMEOUT_MS }, async () => {
    const stack = await startStack({ environment: withoutAddresses(), log: ignoreLog });
    await insert(stack.mongodbUri, 'one');
    expect(await namespacesOf(stack.temporalAddress)).toContain('default');
    const pids = [stack.mongod?.pid, stack.temporal?.pid];
    await Promise.all([stack.stop(), stack.stop()]);
    expect(pids.map((pid) => pid !== undefined && isAlive(pid))).toEqual([false, false]);
  });

  it('keeps documents in a data folder that it is given', { timeout: FETCH_TIMEOUT_MS }, async () => {
    const options = { environment: withoutAddresses(), log: ignoreLog, dataFolder: join(folder, 'data') };
    const first = await startStack(options);
    await insert(first.mongodbUri, 'kept');
    await first.stop();
    const second = await startStack(options);
    expect(await namesIn(second.mongodbUri)).toEqual(['kept']);
    await second.stop();
  });

  it('starts nothing where MONGODB_URI and TEMPORAL_ADDRESS are given, and logs no password', async () => {
    const lines: string[] = [];
    const environment = {
      MONGODB_URI: 'mongodb://user:secret@db.test/',
      TEMPORAL_ADDRESS: 'temporal.test:7233',
    };
    const stack = await startStack({ environment, log: (line) => lines.push(line) });
    expect(stack).toMatchObject({
      mongodbUri: 'mongodb://user:secret@db.test/',
      temporalAddress: 'temporal.test:7233',
      mongod: undefined,
      temporal: undefined,
    });
    expect(lines).toEqual([
      'MongoDB: MONGODB_URI is set, nothing is started',
      'Temporal: TEMPORAL_ADDRESS is set, nothing is started',
    ]);
    await stack.stop();
  });
});

describe('looking for a server', () => {
  it('takes the first source that works and finds it in the cache the next time', async () => {
    const cache = await mkdtemp(join(folder, 'cache-'));
    const port = await freePort();
    const recipe = recipeOf([
      source('an unreachable download', async () => {
        const problem = await probeDownload({ url: `https://127.0.0.1:${port}`, environment: {} });
        throw new Error(problem);
      }),
      source('a fine one', (partial) => fakeServer(partial, 'version 2.1')),
    ]);
    const startedAt = performance.now();
    const options = { environment: {}, cache, log: ignoreLog };
    expect(await findServer(recipe, options)).toEqual({
      kind: 'executable',
      path: join(cache, 'fake-1.0', 'fake'),
      version: '2.1',
      fetched: true,
    });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(await findServer(recipe, options)).toMatchObject({ version: '2.1', fetched: false });
    expect(await readdir(cache)).toEqual(['fake-1.0']);
  });

  it('prefers PATH to the cache, and the cache to what is too old on PATH', async () => {
    const cache = await mkdtemp(join(folder, 'cache-'));
    const path = await mkdtemp(join(folder, 'path-'));
    const recipe = recipeOf([source('a fine one', (partial) => fakeServer(partial, 'version 2.1'))]);
    const options = { environment: { PATH: path }, cache, log: ignoreLog };
    await findServer(recipe, options);

    await fakeServer(path, 'version 2.2');
    expect(await findServer(recipe, options)).toMatchObject({ path: join(path, 'fake'), version: '2.2' });
    await fakeServer(path, 'version 1.9');
    expect(await findServer(recipe, options)).toMatchObject({ path: join(cache, 'fake-1.0', 'fake') });
  });

  it('tells what was tried and what to set when nothing works', async () => {
    const cache = await mkdtemp(join(folder, 'cache-'));
    const recipe = recipeOf([
      source('a broken one', (partial) => fakeServer(partial, 'nonsense')),
      source('a dead one', () => Promise.reject(new Error('the host is away'))),
    ]);
    const search = findServer(recipe, { environment: { PATH: folder }, cache, log: ignoreLog });
    await expect(search).rejects.toThrow(
      [
        'Fake was not found. Set FAKE_ADDRESS to a server that is running, or put fake on PATH. What was tried:',
        '  - FAKE_ADDRESS is not set',
        '  - no fake on PATH',
        `  - no usable fake in the cache ${cache}`,
        '  - a broken one: what it gave does not tell its version: nonsense',
        '  - a dead one: the host is away',
      ].join('\n'),
    );
    expect(await readdir(cache)).toEqual([]);
  });

  it('removes what a killed fetch left in the cache a day ago, and nothing younger', async () => {
    const cache = await mkdtemp(join(folder, 'cache-'));
    await mkdir(join(cache, 'partial-old'));
    await mkdir(join(cache, 'partial-young'));
    const twoDaysAgo = new Date(Date.now() - 48 * 60 * 60 * 1000);
    await utimes(join(cache, 'partial-old'), twoDaysAgo, twoDaysAgo);
    await withPartialFolder(cache, async () => undefined);
    expect(await readdir(cache)).toEqual(['partial-young']);
  });

  it('keeps the cache where the user wants it', () => {
    expect(cacheFolder({ XDG_CACHE_HOME: '/elsewhere' })).toBe(join('/elsewhere', 'experiences'));
    expect(cachedExecutable('/cache', 'mongod-6.0.5')).toMatch(/mongod-6\.0\.5.mongod(\.exe)?$/);
  });

  function recipeOf(sources: readonly ServerSource[]): ServerRecipe {
    return {
      title: 'Fake',
      executable: 'fake',
      addressVariable: 'FAKE_ADDRESS',
      versionPattern: /version ([\d.]+)/,
      versionMin: [2, 0],
      sources,
    };
  }

  function source(what: string, fetch: ServerSource['fetch']): ServerSource {
    return { what, cacheEntry: 'fake-1.0', fetch };
  }

  async function fakeServer(into: string, output: string): Promise<string> {
    const path = join(into, 'fake');
    await writeFile(path, `#!/bin/sh\necho ${output}\n`);
    await chmod(path, 0o755);
    return path;
  }
});

describe('the download probe', () => {
  it('says at once that nobody listens', async () => {
    const port = await freePort();
    const problem = await probeDownload({ url: `https://127.0.0.1:${port}/file`, environment: {} });
    expect(problem).toMatch(/127\.0\.0\.1 cannot be reached: .*ECONNREFUSED/);
  });

  it('does not wait for a host that accepts and stays silent', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const probe = { url: `https://127.0.0.1:${port}`, environment: {}, timeoutMs: 200 };
    expect(await probeDownload(probe)).toBe('no answer from 127.0.0.1 in 200 ms');
    // A proxy is asked for a connection and no more.
    const viaProxy = {
      ...probe,
      url: 'https://unreachable.test',
      environment: { HTTPS_PROXY: `http://127.0.0.1:${port}` },
    };
    expect(await probeDownload(viaProxy)).toBeUndefined();
    server.close();
  });
});

describe('a watched download', () => {
  it('is over as soon as the whole file is there, even if the process goes on', async () => {
    const into = await mkdtemp(join(folder, 'download-'));
    await watch(into, `require('node:fs').writeFileSync(process.argv[1], 'x'); setInterval(() => {}, 1000);`);
    expect((await stat(join(into, 'file'))).size).toBe(1);
  });

  it('fails with the words of a process that ends without the file', async () => {
    const into = await mkdtemp(join(folder, 'download-'));
    const download = watch(into, `console.error('no such version'); process.exitCode = 3;`);
    await expect(download).rejects.toThrow('the download ended with code 3\nno such version');
  });

  function watch(into: string, script: string): Promise<void> {
    return watchDownload({
      what: 'downloading',
      script,
      scriptArguments: ['file'],
      environment: process.env,
      folder: into,
      completeWhen: 'file',
      log: ignoreLog,
    });
  }
});

describe('a process of our own', () => {
  it('is ready with the groups of its line, and ends in order on stop', async () => {
    const service = await start(`
      process.on('SIGTERM', () => { console.log('bye'); process.exit(0); });
      console.log('{"msg":"listening","port":4711}');
      setInterval(() => {}, 1000);`);
    expect(service.ready[1]).toBe('4711');
    await service.stop();
    expect(await service.exited).toEqual({ code: 0, signal: undefined });
    expect(service.lines()).toEqual(['{"msg":"listening","port":4711}', 'bye']);
  });

  it('is killed when it does not end within the grace', async () => {
    const service = await start(
      `process.on('SIGTERM', () => {}); console.log('"port":1'); setInterval(() => {}, 1000);`,
      { stopGraceMs: 100 },
    );
    await service.stop();
    expect(await service.exited).toEqual({ code: undefined, signal: 'SIGKILL' });
    expect(isAlive(service.pid)).toBe(false);
  });

  it('rejects with its last lines when it ends or stays silent before it is ready', async () => {
    const broken = start(`console.error('no database'); process.exit(7);`);
    await expect(broken).rejects.toThrow('the service ended with code 7\nno database');
    const silent = start(`console.log('hm'); setInterval(() => {}, 1000);`, { readyDeadlineMs: 1_000 });
    await expect(silent).rejects.toThrow('the service was not ready after 1000 ms\nhm');
  });

  it('does not outlive us, however we end', { timeout: SERVER_TEST_TIMEOUT_MS }, async () => {
    const module = fileURLToPath(new URL('../services/stack/owned-process.ts', import.meta.url));
    // The grandchild says its port. Its id would not do: an orphan may stay in the process table for a while.
    const grandchild = `const server = require('node:net').createServer();
      server.listen(0, '127.0.0.1', () => console.log(server.address().port));`;
    const code = `
      import { spawnOwned } from ${JSON.stringify(module)};
      const args = ['-e', ${JSON.stringify(grandchild)}];
      const child = await spawnOwned({ command: process.execPath, args, environment: process.env });
      child.stdout.on('data', (port) => console.log('"port":' + port));`;
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
      const parent = await start(code, { nodeArguments: ['--import', 'tsx'] });
      const port = Number(parent.ready[1]);
      await expect(assertPortFree(port)).rejects.toThrow('already in use');
      parent.kill(signal);
      expect(await parent.exited).toEqual({ code: undefined, signal });
      await eventually(() => assertPortFree(port));
    }
  });

  it('names the command that cannot be started, fails or takes too long', async () => {
    const command = { command: 'sh', environment: process.env, timeoutMs: 5_000 };
    expect(await runCommand({ ...command, args: ['-c', 'echo one; echo two'] })).toBe('one\ntwo');
    await expect(runCommand({ ...command, args: ['-c', 'echo three; exit 4'] })).rejects.toThrow(
      'sh -c ended with code 4\nthree',
    );
    await expect(runCommand({ ...command, args: ['-c', 'sleep 60'], timeoutMs: 100 })).rejects.toThrow(
      'sh -c took more than 100 ms',
    );
    const missing = spawnOwned({ command: join(folder, 'missing'), args: [], environment: {} });
    await expect(missing).rejects.toThrow(/ENOENT/);
  });

  let scripts = 0;

  async function start(code: string, options: Partial<NodeProcessOptions> = {}) {
    scripts += 1;
    const script = join(folder, `script-${scripts}.mjs`);
    await writeFile(script, code);
    const service = await startNodeProcess({
      name: 'service',
      script,
      environment: process.env,
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      readyLine: /"port":(\d+)/,
      ...options,
    });
    started.push(service);
    return service;
  }
});

describe('preparing a clone', { timeout: SERVER_TEST_TIMEOUT_MS }, () => {
  const script = join('services', 'stack', 'prepare.mjs');

  it('builds once, and then again only when an input has changed', async () => {
    const clone = await makeClone();
    expect(await prepare(clone)).toEqual({ code: 0, lines: [expect.stringMatching(/^built /)] });
    expect(await prepare(clone)).toEqual({ code: 0, lines: [] });
    await writeFile(join(clone, 'services', 'more.ts'), 'export {};');
    expect(await prepare(clone)).toEqual({ code: 0, lines: [expect.stringMatching(/^built /)] });
    await writeFile(join(clone, 'services', 'contract', 'generated', 'made.ts'), 'export {};');
    expect(await prepare(clone, '--quiet')).toEqual({ code: 0, lines: [] });
    expect(await buildsOf(clone)).toBe(2);
  });

  it('builds once when two commands start at the same time', async () => {
    const clone = await makeClone();
    const [first, second] = await Promise.all([prepare(clone), prepare(clone)]);
    expect([first.code, second.code]).toEqual([0, 0]);
    expect(await buildsOf(clone)).toBe(1);
  });

  it('goes on where a killed command left its lock', async () => {
    const clone = await makeClone();
    const lock = join(clone, '.experiences', 'prepare.lock');
    await mkdir(lock, { recursive: true });
    // More than the largest process id there is.
    await writeFile(join(lock, 'pids'), '2000000000\n');
    const results = await Promise.all([prepare(clone), prepare(clone), prepare(clone)]);
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(await buildsOf(clone)).toBe(1);
    expect(await readdir(join(clone, '.experiences'))).toEqual([]);
  });

  it('passes on the code and the words of a build that fails, and fails again the next time', async () => {
    const clone = await makeClone(`console.error('a.ts:1 is wrong'); process.exit(3);`);
    for (const _attempt of [1, 2]) {
      const { code, lines } = await prepare(clone);
      expect(code).toBe(3);
      expect(lines).toEqual(
        expect.arrayContaining(['a.ts:1 is wrong', expect.stringMatching(/^building: ended with code 3 /)]),
      );
    }
  });

  /** A clone with its packages installed by hand, and a build that counts. */
  async function makeClone(
    build = `require('node:fs').appendFileSync('builds', 'x'); setTimeout(() => {}, 200);`,
  ): Promise<string> {
    const clone = await mkdtemp(join(folder, 'clone-'));
    await mkdir(join(clone, 'services', 'stack'), { recursive: true });
    await mkdir(join(clone, 'services', 'contract', 'generated'), { recursive: true });
    await mkdir(join(clone, 'node_modules'));
    await copyFile(fileURLToPath(new URL(`../${script}`, import.meta.url)), join(clone, script));
    await writeFile(join(clone, 'build.cjs'), build);
    await writeFile(join(clone, 'package.json'), '{ "scripts": { "build": "node build.cjs" } }');
    const packages = { packages: { 'node_modules/one': { version: '1.0.0' } } };
    await writeFile(join(clone, 'package-lock.json'), JSON.stringify(packages));
    await writeFile(join(clone, 'node_modules', '.package-lock.json'), JSON.stringify(packages));
    return clone;
  }

  async function prepare(
    clone: string,
    ...args: string[]
  ): Promise<{ readonly code: number | undefined; readonly lines: readonly string[] }> {
    const child = await spawnOwned({ command: process.execPath, args: [join(clone, script), ...args] });
    const tail = new LineTail();
    tail.follow(child.stdout);
    tail.follow(child.stderr);
    const { code } = await child.exited;
    return { code, lines: tail.lines() };
  }

  async function buildsOf(clone: string): Promise<number> {
    return (await readFile(join(clone, 'builds'), 'utf8')).length;
  }
});

async function executableOf(find: typeof findMongod): Promise<string> {
  const environment = withoutAddresses();
  const found = await find({ environment, cache: cacheFolder(environment), log: ignoreLog });
  if (found.kind === 'address') throw new Error('there is no address in this environment');
  return found.path;
}

/** These tests kill and restart servers, so they never use one that somebody else runs. */
function withoutAddresses(): NodeJS.ProcessEnv {
  const { MONGODB_URI: _uri, TEMPORAL_ADDRESS: _address, ...rest } = process.env;
  return rest;
}

async function withClient<Result>(
  uri: string,
  work: (client: MongoClient) => Promise<Result>,
): Promise<Result> {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 5_000 });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

async function insert(uri: string, name: string): Promise<void> {
  await withClient(uri, (client) =>
    client
      .db('test')
      .collection('items')
      .insertOne({ name }, { writeConcern: { w: 'majority', journal: true } }),
  );
}

async function namesIn(uri: string): Promise<readonly unknown[]> {
  return withClient(uri, async (client) => {
    const documents = await client.db('test').collection('items').find().sort({ name: 1 }).toArray();
    return documents.map((document): unknown => document.name);
  });
}

async function namespacesOf(address: string): Promise<readonly unknown[]> {
  const connection = await Connection.connect({ address, connectTimeout: 5_000 });
  try {
    const { namespaces } = await connection.workflowService.listNamespaces({});
    return namespaces.map(({ namespaceInfo }) => namespaceInfo?.name);
  } finally {
    await connection.close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function eventually(assertion: () => Promise<void>): Promise<void> {
  await vi.waitFor(assertion, { timeout: GONE_DEADLINE_MS, interval: POLL_MS });
}
