import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { runInNewContext } from 'node:vm';
import { type Document, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { ExperiencesClient } from '../services/client/index.js';
import { IN_FLIGHT_TIME_MAX_MS } from '../services/gateway/gateway.js';
import { PACKAGE_ROOT } from '../services/runtime/package-root.js';
import { cacheFolder } from '../services/stack/cache-folder.js';
import { findMongod } from '../services/stack/find-mongod.js';
import { findTemporal } from '../services/stack/find-temporal.js';
import { freePort } from '../services/stack/free-port.js';
import { type NodeProcess, startNodeProcess } from '../services/stack/node-process.js';
import { type OwnedProcess, spawnOwned } from '../services/stack/owned-process.js';
import { paragraphs } from './support/texts.js';
import { waitUntil } from './support/wait-until.js';

/**
 * The image and the compose file, as far as they can be tried without a container engine: the files that the image
 * copies are copied into a folder, and what the compose file starts is started from there with its own commands,
 * environment and health checks. Only host names and ports are others, for all of it runs on this machine.
 */

const START_TIMEOUT_MS = 90_000;
const BOOTSTRAP_KEY = 'a-bootstrap-key-of-at-least-32-characters';
const execute = promisify(execFile);

const Service = z.strictObject({
  image: z.string(),
  build: z.literal('.').optional(),
  init: z.boolean().optional(),
  restart: z.string(),
  command: z.array(z.string()),
  profiles: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.coerce.string()).default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.string() })).default({}),
  stop_grace_period: z.string().optional(),
  healthcheck: z
    .strictObject({
      test: z.tuple([z.literal('CMD')], z.string()),
      interval: z.string(),
      timeout: z.string(),
      retries: z.number(),
    })
    .optional(),
});

const compose = z
  .strictObject({
    name: z.string(),
    'x-experiences': z.unknown(),
    services: z.strictObject({
      mongodb: Service,
      temporal: Service,
      service: Service,
      gateway: Service,
      worker: Service,
      simulator: Service,
    }),
    volumes: z.record(z.string(), z.null()),
  })
  .parse(parse(textOf('docker-compose.yml'), { merge: true }));
const { mongodb, temporal, service, gateway, worker, simulator } = compose.services;
const ownServices = { service, gateway, worker, simulator };
const stages = readStages(textOf('Dockerfile'));
const finalStage = stages.at(-1) ?? [];

describe('the image', () => {
  test('is of Debian, with the major version of Node that the packages ask for', () => {
    const bases = stages.map(([from]) => from?.rest.split(' ')[0]);
    expect(bases).toEqual(['node:20-bookworm-slim', 'node:20-bookworm-slim']);
    expect(manifest().engines.node).toBe('>=20.19.0');
  });

  test('is built from files that are there and that the build context holds', () => {
    const sources = (stages[0] ?? [])
      .filter(({ name }) => name === 'COPY')
      .flatMap(({ rest }) => rest.split(' ').slice(0, -1));
    expect(sources).toContain('services');
    expect(sources.filter((source) => !existsSync(join(PACKAGE_ROOT, source)))).toEqual([]);
    expect(sources.filter((source) => !isInBuildContext(source))).toEqual([]);
  });

  test.each([
    '.env',
    '.git',
    '.experiences',
    'node_modules',
    'dist',
    'test/deployment.test.ts',
    'services/contract/generated/descriptors.binpb',
  ])('is not built from %s of the machine that builds it', (path) => {
    expect(isInBuildContext(path)).toBe(false);
  });

  test('runs commands that the package has as scripts', () => {
    const { scripts } = manifest();
    expect(scripts.build).toBeDefined();
    for (const [name, { command }] of Object.entries({ service, gateway, worker })) {
      expect(scripts[name]).toContain(command.join(' '));
    }
  });

  test('starts the service by default, and nothing as root', () => {
    const last = (name: string) => finalStage.findLast((instruction) => instruction.name === name)?.rest;
    expect(JSON.parse(last('CMD') ?? '')).toEqual(service.command);
    expect(last('USER')).toBe('node');
  });

  test.runIf(process.platform === 'linux')(
    "keeps of Temporal's native parts the one for its own platform",
    async () => {
      const command = stages[0]?.find(({ rest }) => rest.startsWith('find '))?.rest ?? '';
      const releases = 'node_modules/@temporalio/core-bridge/releases';
      const folder = await temporaryFolder();
      for (const name of await readdir(join(PACKAGE_ROOT, releases))) {
        await mkdir(join(folder, releases, name, 'inner'), { recursive: true });
      }
      expect((await readdir(join(folder, releases))).length).toBeGreaterThan(1);
      await execute('sh', ['-c', command], { cwd: folder });
      const own = process.arch === 'arm64' ? 'aarch64-unknown-linux-gnu' : 'x86_64-unknown-linux-gnu';
      expect(await readdir(join(folder, releases))).toEqual([own]);
    },
  );
});

describe('docker-compose.yml', () => {
  test('names a version for every image, and builds only ours', () => {
    const images = Object.values(compose.services).map(({ image, build }) => `${image}${build ?? ''}`);
    const ours = `experiences:${manifest().version}.`;
    expect(images).toEqual(['mongo:7.0', 'temporalio/temporal:1.5.1', ours, ours, ours, ours]);
  });

  test.each([
    ['service', 'services/server/main.ts'],
    ['gateway', 'services/gateway/main.ts'],
    ['worker', 'workflows/main.ts'],
    ['simulator', 'services/simulator/main.ts'],
  ] as const)('sets for the %s only what the process reads', (name, entryPoint) => {
    // An entry point lists its variables as the keys of a schema, one a line or in shorthand.
    const known = [...textOf(entryPoint).matchAll(/^ {2,4}([A-Z][A-Z_]+)(?::|,$)/gm)].map(([, key]) => key);
    expect(known.length).toBeGreaterThan(5);
    expect(known).toEqual(expect.arrayContaining(Object.keys(ownServices[name].environment)));
  });

  test('takes the key of the provider from the environment and holds none', () => {
    expect(worker.environment.OPENAI_API_KEY).toBe(`\${OPENAI_API_KEY:-}`);
    expect(textOf('docker-compose.yml')).not.toMatch(/sk-|exp_|password:|secret/i);
  });

  test.each(['service', 'worker'] as const)('starts no %s without a key', (name) => {
    expect(() => resolved(ownServices[name].environment, {})).toThrow(
      'EXPERIENCES_BOOTSTRAP_KEY must be set, in .env or the environment',
    );
  });

  test('uses the provider itself unless told otherwise', () => {
    expect(resolved(worker.environment, { EXPERIENCES_BOOTSTRAP_KEY: BOOTSTRAP_KEY })).toMatchObject({
      OPENAI_API_KEY: '',
      OPENAI_BASE_URL: 'https://api.openai.com/v1',
      EXPERIENCES_MODEL: 'gpt-4o-mini',
    });
    expect(simulator.profiles).toEqual(['simulator']);
  });

  test('waits only for services that tell their health', () => {
    for (const { depends_on } of Object.values(compose.services)) {
      for (const [name, { condition }] of Object.entries(depends_on)) {
        expect(condition).toBe('service_healthy');
        expect(compose.services).toHaveProperty([name, 'healthcheck', 'test']);
      }
    }
    expect(Object.keys(worker.depends_on).sort()).toEqual(['service', 'temporal']);
    expect(Object.keys(service.depends_on)).toEqual(['mongodb']);
  });

  test('publishes the ports of the service and the gateway alone, and to this machine alone', () => {
    const ports = Object.values(compose.services).flatMap((each) => each.ports);
    expect(ports).toEqual([
      `127.0.0.1:\${EXPERIENCES_PORT:-50051}:50051`,
      `127.0.0.1:\${GATEWAY_PORT:-8080}:8081`,
    ]);
  });

  test('keeps data in volumes that it declares', () => {
    const mounted = Object.values(compose.services).flatMap(({ volumes }) => volumes);
    expect(mounted).toEqual([
      'mongodb-data:/data/db',
      'temporal-data:/home/temporal',
      'gateway-outbox:/var/lib/experiences',
    ]);
    expect(Object.keys(compose.volumes)).toEqual(['mongodb-data', 'temporal-data', 'gateway-outbox']);
    expect(gateway.environment.GATEWAY_OUTBOX).toMatch(/^\/var\/lib\/experiences\//);
    expect(temporal.command).toContain('--db-filename=/home/temporal/temporal.db');
  });

  test.each([
    ['service', 'services/server/main.ts', 0],
    ['gateway', 'services/gateway/main.ts', IN_FLIGHT_TIME_MAX_MS],
    ['worker', 'workflows/main.ts', 0],
  ] as const)('gives the %s longer to stop than it may take', (name, entryPoint, inFlightMs) => {
    const ofProcess = /stopTimeMaxMs: (?:configuration\.GATEWAY_STOP_MS \+ )?([\d_]+)/;
    const [, restMs] = ofProcess.exec(textOf(entryPoint)) ?? [];
    const [, graceS] = /^(\d+)s$/.exec(ownServices[name].stop_grace_period ?? '') ?? [];
    expect(Number(graceS) * 1_000).toBeGreaterThan(inFlightMs + Number(restMs?.replaceAll('_', '')));
  });
});

describe('what docker-compose.yml starts', { timeout: START_TIMEOUT_MS }, () => {
  /** Every service has a port of its own inside its container; here they share one machine. */
  const ports = new Map<string, number>();
  const servers: OwnedProcess[] = [];
  const processes = new Map<keyof typeof ownServices, NodeProcess>();
  let image: string;
  let temporalExecutable: string;
  let shell: MongoClient;

  const onThisMachine = (text: string): string => {
    const loopback = text
      .replaceAll(/\b(?:mongodb|temporal|service|simulator):(?=\d)/g, '127.0.0.1:')
      .replaceAll('0.0.0.0', '127.0.0.1')
      .replaceAll('/var/lib/experiences', join(image, 'outbox'));
    return [...ports].reduce((result, [port, free]) => result.replaceAll(port, String(free)), loopback);
  };
  const environmentOf = (name: keyof typeof ownServices): NodeJS.ProcessEnv => {
    const given = {
      OPENAI_BASE_URL: 'http://simulator:8080/v1',
      EXPERIENCES_BOOTSTRAP_KEY: BOOTSTRAP_KEY,
    };
    const own = Object.entries(resolved(ownServices[name].environment, given));
    const fromImage = finalStage.filter((each) => each.name === 'ENV').map(({ rest }) => rest.split('='));
    return {
      PATH: process.env.PATH,
      ...Object.fromEntries(fromImage),
      ...Object.fromEntries(own.map(([key, value]) => [key, onThisMachine(value)])),
    };
  };
  const start = async (name: keyof typeof ownServices, readyLine: RegExp): Promise<void> => {
    const { command } = ownServices[name];
    expect(command[0]).toBe('node');
    const started = await startNodeProcess({
      name,
      script: join(image, command[1] ?? ''),
      environment: environmentOf(name),
      cwd: image,
      readyLine,
    });
    processes.set(name, started);
  };

  beforeAll(async () => {
    for (const port of ['27017', '7233', '50051', '8080', '8081']) ports.set(port, await freePort());
    image = await temporaryFolder();
    await copyAsImage(image);

    // Temporal and MongoDB as somebody else runs them would not be started by these commands.
    const { MONGODB_URI: _uri, TEMPORAL_ADDRESS: _address, ...environment } = process.env;
    const search = { environment, cache: cacheFolder(environment), log: () => undefined };
    const [foundMongod, foundTemporal] = await Promise.all([findMongod(search), findTemporal(search)]);
    if (foundMongod.kind !== 'executable' || foundTemporal.kind !== 'executable')
      throw new Error('no servers');
    temporalExecutable = foundTemporal.path;

    const data = await temporaryFolder();
    const mongodArguments = mongodb.command.slice(1).filter((argument) => argument !== '--bind_ip_all');
    const mongodPlace = [...['--bind_ip', '127.0.0.1', '--dbpath', data], '--port', onThisMachine('27017')];
    const temporalArguments = temporal.command.map((argument) =>
      onThisMachine(argument).replace('/home/temporal', data),
    );
    servers.push(
      await spawnOwned({
        command: foundMongod.path,
        args: [...mongodArguments, ...mongodPlace, '--logpath', join(data, 'log')],
      }),
      await spawnOwned({
        command: temporalExecutable,
        args: [...temporalArguments, '--port', onThisMachine('7233')],
      }),
    );
    shell = new MongoClient(onThisMachine('mongodb://127.0.0.1:27017/?directConnection=true'));
    await start('simulator', /"msg":"simulator ready"/);
  }, START_TIMEOUT_MS);

  afterAll(async () => {
    await shell?.close();
    for (const running of [...processes.values(), ...servers]) running.kill('SIGKILL');
    await Promise.all([...processes.values(), ...servers].map(({ exited }) => exited));
  });

  test('MongoDB becomes a replica set that takes writes by its health check alone', async () => {
    const [, program, ...rest] = mongodb.healthcheck?.test ?? [];
    expect([program, ...rest.slice(0, -1)]).toEqual(['mongosh', '--quiet', '--eval']);
    const check = () => runInShell(shell, onThisMachine(rest.at(-1) ?? ''));
    await waitUntil('the health check succeeds', async () => ((await check()) === 0 ? true : undefined));
    const config = await shell.db('admin').command({ replSetGetConfig: 1 });
    const members = [expect.objectContaining({ host: onThisMachine('mongodb:27017') })];
    expect(config.config).toMatchObject({ _id: 'rs0', members });
    // It goes on to be asked, and then changes nothing.
    expect(await check()).toBe(0);
    expect((await shell.db('admin').command({ replSetGetConfig: 1 })).config).toEqual(config.config);
  });

  test('Temporal is healthy once its namespace is there', async () => {
    const [, program, ...rest] = temporal.healthcheck?.test ?? [];
    expect(program).toBe('temporal');
    const check = async (...added: string[]) => {
      const env = { HOME: await temporaryFolder(), TEMPORAL_ADDRESS: onThisMachine('temporal:7233') };
      return exitCodeOf(execute(temporalExecutable, [...rest, ...added], { env }));
    };
    await waitUntil('the health check succeeds', async () => ((await check()) === 0 ? true : undefined));
    expect(await check('--namespace', 'another')).not.toBe(0);
  });

  test('the service is ready, from the files of the image alone, and says so to its health check', async () => {
    await start('service', /"msg":"service ready"/);
    const [, , ...checkArguments] = service.healthcheck?.test ?? [];
    const env = environmentOf('service');
    const check = (environment: NodeJS.ProcessEnv) =>
      exitCodeOf(execute(process.execPath, checkArguments, { cwd: image, env: environment }));
    expect(await check(env)).toBe(0);
    expect(await check({ ...env, EXPERIENCES_LISTEN: `127.0.0.1:${await freePort()}` })).toBe(1);
  });

  test('the gateway is ready, says so to its health check, and answers for the service', async () => {
    await start('gateway', /"msg":"gateway ready"/);
    const [, , ...checkArguments] = gateway.healthcheck?.test ?? [];
    const env = environmentOf('gateway');
    const check = (environment: NodeJS.ProcessEnv) =>
      exitCodeOf(execute(process.execPath, checkArguments, { cwd: image, env: environment }));
    expect(await check(env)).toBe(0);
    expect(await check({ ...env, GATEWAY_LISTEN: `127.0.0.1:${await freePort()}` })).toBe(1);
    const url = `http://${env.GATEWAY_LISTEN}/api/v1/experiences/types`;
    expect((await fetch(url)).status).toBe(401);
    const types = await fetch(url, { headers: { 'xProxy-api-key': env.EXPERIENCES_API_KEY ?? '' } });
    expect([types.status, await types.json()]).toMatchObject([200, { items: [] }]);
  });

  test('a worker runs an experience to its end, and the service knows what it cost', async () => {
    await start('worker', /"msg":"worker ready"/);
    const address = onThisMachine('service:50051');
    const stranger = new ExperiencesClient({ address });
    await expect(stranger.admin.caller()).rejects.toMatchObject({ reason: 'INVALID_API_KEY' });
    stranger.close();
    const client = new ExperiencesClient({ address, caller: { apiKey: BOOTSTRAP_KEY } });
    const name = 'Document_Summarization';
    await client.types.create({ name, description: 'Summarises', workflowType: 'documentSummarization' });
    const document = { name: 'harbours.txt', content: Buffer.from(paragraphs(2)) };
    const { run } = await client.runs.start({ experienceType: name, document });
    const ended = await waitUntil('the run has ended', async () => {
      const state = await client.runs.get(run.experienceId);
      return state.state === 'RUNNING' ? undefined : state;
    });
    expect(ended).toMatchObject({ state: 'COMPLETED', result: { summary: expect.any(String) } });
    const { totals } = await client.costs.get(run.experienceId);
    expect(totals).toMatchObject({ eventCount: 1n, unpricedEventCount: 0n, wastedCost: '0' });
    expect(totals.cost.total).toMatch(/^0\.000\d+$/);
    client.close();
  });

  test.each(['worker', 'gateway', 'service', 'simulator'] as const)(
    'the %s ends in order when asked to',
    async (name) => {
      const running = processes.get(name);
      running?.kill('SIGTERM');
      expect(await running?.exited).toEqual({ code: 0, signal: undefined });
    },
  );
});

describe('a process', () => {
  test.each<[file: string, environment: NodeJS.ProcessEnv, lines: string[]]>([
    [
      'services/server/main.js',
      {
        EXPERIENCES_LISTEN: 'everywhere',
        EXPERIENCES_STRICT_IDS: 'perhaps',
        EXPERIENCES_BOOTSTRAP_KEY: 'too short',
        MONGODB_DATABASE: 'a.b',
      },
      [
        'EXPERIENCES_LISTEN: must be host:port',
        'EXPERIENCES_STRICT_IDS: ',
        'EXPERIENCES_BOOTSTRAP_KEY: must be 32 to 256 visible ASCII characters',
        'MONGODB_DATABASE: ',
      ],
    ],
    [
      'workflows/main.js',
      { OPENAI_BASE_URL: 'everywhere', LOG_LEVEL: 'loud' },
      ['OPENAI_BASE_URL: Invalid URL', 'LOG_LEVEL: '],
    ],
  ])('%s refuses to start with bad variables and names them all', async (file, environment, lines) => {
    const { code, output } = await runToEnd(file, environment);
    expect(code).toBe(1);
    expect(output).toContain('The environment is not as it must be:');
    for (const line of lines) expect(output).toContain(`\n  ${line}`);
  });

  test('that serves listens on loopback unless told otherwise', async () => {
    // The default port may be taken by somebody who develops on this machine; then the refusal names the address.
    const environment = { MONGODB_URI: inject('mongodbUri'), MONGODB_DATABASE: 'test_listen_default' };
    const started = startNodeProcess({
      name: 'service',
      script: join(PACKAGE_ROOT, 'dist/services/server/main.js'),
      environment: { PATH: process.env.PATH, ...environment },
      readyLine: /"address":"([^"]+)".*"msg":"service ready"/,
    });
    const address = await started.then(
      async (running) => {
        await running.stop();
        return running.ready[1];
      },
      (error: unknown) => /EADDRINUSE: address already in use (\S+)/.exec(String(error))?.[1],
    );
    expect(address).toBe('127.0.0.1:50051');
  });
});

// The image

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** The instructions of each stage, the first of them FROM. */
function readStages(dockerfile: string): readonly (readonly Instruction[])[] {
  const lines = dockerfile
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll('\\\n', ' ')
    .split('\n');
  const stages: Instruction[][] = [];
  for (const line of lines.map((each) => each.trim().replaceAll(/\s+/g, ' '))) {
    if (line === '') continue;
    const [name = '', ...words] = line.split(' ');
    if (name === 'FROM') stages.push([]);
    stages.at(-1)?.push({ name, rest: words.join(' ') });
  }
  return stages;
}

/** As the container engine decides it: the last line that matches the path or a folder above it. */
function isInBuildContext(path: string): boolean {
  let included = true;
  for (const line of textOf('.dockerignore').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const pattern = line.replace(/^!/, '');
    if (pattern === '*' || path === pattern || path.startsWith(`${pattern}/`))
      included = line.startsWith('!');
  }
  return included;
}

/** Copies what the last stage copies; of the packages it takes those that a pruned installation has. */
async function copyAsImage(folder: string): Promise<void> {
  const copies = finalStage.filter(({ name }) => name === 'COPY').map(({ rest }) => rest.split(' '));
  for (const [from, source = '', target = '', ...more] of copies) {
    expect([from, more]).toEqual(['--from=build', []]);
    const path = source.replace('/app/', '');
    const destination = join(folder, target, target.endsWith('/') ? basename(path) : '');
    await mkdir(dirname(destination), { recursive: true });
    if (path === 'node_modules') await linkPackages(folder);
    else await cp(join(PACKAGE_ROOT, path), destination, { recursive: true });
  }
}

/** Links, because they are many. What they need themselves they find where they are: only our imports are tried. */
async function linkPackages(folder: string): Promise<void> {
  const lockfile = z
    .object({ packages: z.record(z.string(), z.object({ dev: z.boolean().optional() })) })
    .parse(JSON.parse(textOf('package-lock.json')));
  for (const [path, { dev }] of Object.entries(lockfile.packages)) {
    const isDirect = path.lastIndexOf('node_modules/') === 0;
    if (!isDirect || dev === true || !existsSync(join(PACKAGE_ROOT, path))) continue;
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await symlink(join(PACKAGE_ROOT, path), join(folder, path), 'junction');
  }
}

// The compose file

/** Puts in the variables as the compose file's `${NAME:-default}` and `${NAME:?why}` say; nothing else may follow a `$`. */
function resolved(
  values: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>>,
): Record<string, string> {
  const entries = Object.entries(values).map(([key, value]) => {
    const text = value.replaceAll(
      /\$\{([A-Z_]+):([-?])([^}$]*)\}/g,
      (_, name: string, rule: string, rest: string) => {
        if (given[name]) return given[name];
        if (rule === '?') throw new Error(`${name} ${rest}`);
        return rest;
      },
    );
    expect(text).not.toContain('$');
    return [key, text] as const;
  });
  return Object.fromEntries(entries);
}

/** MongoDB's shell as far as the health check uses it: it waits for every command, and `quit` gives the exit code. */
async function runInShell(client: MongoClient, script: string): Promise<number> {
  class Quit extends Error {
    readonly code: number;
    constructor(code: number) {
      super('quit');
      this.code = code;
    }
  }
  const db = { adminCommand: (command: Document) => client.db('admin').command(command) };
  const quit = (code: number): never => {
    throw new Quit(code);
  };
  const waiting = script.replaceAll('db.adminCommand(', 'await db.adminCommand(');
  try {
    await runInNewContext(`(async () => {\n${waiting}\n})()`, { db, quit });
    return 0;
  } catch (error) {
    return error instanceof Quit ? error.code : 1;
  }
}

// Processes and files

async function runToEnd(
  file: string,
  environment: NodeJS.ProcessEnv,
): Promise<{ readonly code: number; readonly output: string }> {
  const script = join(PACKAGE_ROOT, 'dist', file);
  const env = { PATH: process.env.PATH, ...environment };
  try {
    const { stdout, stderr } = await execute(process.execPath, [script], { env });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = ENDED.parse(error);
    return { code, output: stdout + stderr };
  }
}

async function exitCodeOf(running: Promise<unknown>): Promise<number> {
  return running.then(
    () => 0,
    (error: unknown) => ENDED.parse(error).code,
  );
}

const ENDED = z.object({ code: z.number(), stdout: z.string(), stderr: z.string() });
const MANIFEST = z.object({
  version: z.string(),
  engines: z.object({ node: z.string() }),
  scripts: z.record(z.string(), z.string()),
});

function manifest(): z.infer<typeof MANIFEST> {
  return MANIFEST.parse(JSON.parse(textOf('package.json')));
}

function textOf(path: string): string {
  return readFileSync(join(PACKAGE_ROOT, path), 'utf8');
}

const folders: string[] = [];
async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'deployment-test-'));
  folders.push(folder);
  return folder;
}
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});
