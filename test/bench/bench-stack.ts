import { cpus, release, type } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MongoClient } from 'mongodb';
import { ExperiencesClient } from '../../services/client/index.js';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';
import { cacheFolder } from '../../services/stack/cache-folder.js';
import { findMongod } from '../../services/stack/find-mongod.js';
import { type MongodProcess, startMongod } from '../../services/stack/mongod-process.js';
import { type NodeProcess, startNodeProcess } from '../../services/stack/node-process.js';
import type { LineLog } from '../../services/stack/progress.js';
import { BENCH_TYPE } from './bench-record.js';

/** The processes of a measurement, each of its own, as where the service runs. */

/** A server that somebody else runs is never loaded, whatever MONGODB_URI says; nor could its time be measured. */
export async function benchMongodExecutable(log: LineLog): Promise<string> {
  const { MONGODB_URI: _uri, ...environment } = process.env;
  const found = await findMongod({ environment, cache: cacheFolder(environment), log });
  if (found.kind === 'address') throw new Error('without MONGODB_URI there is no address');
  return found.path;
}

export async function startBenchMongod(executable: string, dataFolder: string): Promise<MongodProcess> {
  return startMongod({ executable, dataFolder, cacheSizeGb: MONGOD_CACHE_GB });
}

/** The service from the build, as `npm run service` starts it. */
export async function startBenchService(options: {
  readonly mongodbUri: string;
  readonly databaseName: string;
  /** Absent: none, where no run is started. */
  readonly temporalAddress?: string;
  readonly nodeArguments?: readonly string[];
}): Promise<BenchServer> {
  const child = await startNodeProcess({
    name: 'service',
    script: join(PACKAGE_ROOT, 'dist', 'services', 'server', 'main.js'),
    nodeArguments: options.nodeArguments ?? [],
    stopGraceMs: 25_000,
    environment: {
      ...process.env,
      MONGODB_URI: options.mongodbUri,
      MONGODB_DATABASE: options.databaseName,
      TEMPORAL_ADDRESS: options.temporalAddress ?? '127.0.0.1:1',
      EXPERIENCES_LISTEN: '127.0.0.1:0',
      LOG_LEVEL: 'info',
    },
    readyLine: /"address":"(?<address>[^"]+)".*"msg":"service ready"/,
  });
  return withAddress(child);
}

export async function startEmptyServer(): Promise<BenchServer> {
  const child = await startNodeProcess({
    name: 'empty server',
    script: fileURLToPath(new URL('./empty-server.ts', import.meta.url)),
    nodeArguments: ['--import', 'tsx'],
    cwd: PACKAGE_ROOT,
    environment: process.env,
    readyLine: /"address":"(?<address>[^"]+)","msg":"empty server ready"/,
  });
  return withAddress(child);
}

export interface BenchServer extends NodeProcess {
  /** `host:port`. */
  readonly address: string;
}

export async function createBenchType(address: string): Promise<void> {
  const client = new ExperiencesClient({ address });
  try {
    await client.types.create({ name: BENCH_TYPE, description: 'Records of the benchmark' });
  } finally {
    client.close();
  }
}

/** What figures can be compared with others by. */
export interface Machine {
  readonly node: string;
  readonly mongod: string;
  readonly mongodCacheGb: number;
  readonly cores: number;
  readonly processor: string;
  readonly system: string;
  readonly date: string;
}

export async function machineOf(mongod: Pick<MongodProcess, 'uri'>): Promise<Machine> {
  const client = new MongoClient(mongod.uri);
  try {
    const { version } = await client.db('admin').command({ buildInfo: 1 });
    return {
      node: process.versions.node,
      mongod: String(version),
      mongodCacheGb: MONGOD_CACHE_GB,
      cores: cpus().length,
      processor: cpus()[0]?.model ?? 'unknown',
      system: `${type()} ${release()}`,
      date: new Date().toISOString(),
    };
  } finally {
    await client.close();
  }
}

export function withAddress(child: NodeProcess): BenchServer {
  const address = child.ready.groups?.address;
  if (address === undefined) throw new Error('the ready line names the address');
  return { ...child, address };
}

/** Above the default of the development stack: what is measured is the service and not a cache of a quarter gigabyte. */
const MONGOD_CACHE_GB = 1;
