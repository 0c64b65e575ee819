import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';
import type { MongodProcess } from '../../services/stack/mongod-process.js';
import { type NodeProcess, startNodeProcess } from '../../services/stack/node-process.js';
import {
  type BenchServer,
  createBenchType,
  startBenchMongod,
  startBenchService,
  withAddress,
} from './bench-stack.js';
import type { Side } from './gateway-sizes.js';
import { Loader } from './loader.js';

/** All that a call through the gateway meets, each a process of its own. */
export interface GatewayStack {
  readonly mongod: MongodProcess;
  readonly service: BenchServer;
  readonly gateway: BenchServer;
  readonly provider: BenchServer;
  readonly loader: Loader;
  /** Where the load calls. */
  readonly origins: Readonly<Record<Side, string>>;
  /** What the gateway's log told of reservations since it was asked last, in milliseconds. */
  takeReservationTimes(): readonly number[];
  stop(): Promise<void>;
}

export const GATEWAY_DATABASE = 'bench';

export async function startGatewayStack(options: {
  readonly executable: string;
  readonly folder: string;
  /** Of node, for the gateway and for the service. */
  readonly nodeArguments?: { readonly gateway: readonly string[]; readonly service: readonly string[] };
}): Promise<GatewayStack> {
  const { executable, folder, nodeArguments } = options;
  const mongod = await startBenchMongod(executable, join(folder, 'mongodb'));
  const [service, provider, loader] = await Promise.all([
    startBenchService({
      mongodbUri: mongod.uri,
      databaseName: GATEWAY_DATABASE,
      nodeArguments: nodeArguments?.service ?? [],
    }),
    startScript('quick provider', 'quick-provider.ts', process.env),
    Loader.start(),
  ]);
  const providerUrl = `http://${provider.address}`;
  let reservationsMs: number[] = [];
  const [passThrough, gateway] = await Promise.all([
    startScript('pass-through', 'pass-through.ts', { ...process.env, BENCH_PROVIDER_URL: providerUrl }),
    startBenchGateway({
      serviceAddress: service.address,
      providerUrl,
      outboxFolder: join(folder, 'outbox'),
      nodeArguments: nodeArguments?.gateway ?? [],
      onLine(line) {
        const told = RESERVATION_TIME.exec(line)?.groups?.ms;
        if (told !== undefined) reservationsMs.push(Number(told));
      },
    }),
  ]);
  await createBenchType(service.address);
  return {
    mongod,
    service,
    gateway,
    provider,
    loader,
    origins: {
      direct: providerUrl,
      passThrough: `http://${passThrough.address}`,
      gateway: `http://${gateway.address}`,
    },
    takeReservationTimes() {
      const taken = reservationsMs;
      reservationsMs = [];
      return taken;
    },
    async stop() {
      loader.stop();
      await Promise.all([gateway.stop(), passThrough.stop()]);
      await Promise.all([service.stop(), provider.stop()]);
      mongod.kill('SIGKILL'); // What it holds is thrown away.
      await mongod.exited;
    },
  };
}

/** The gateway from the build, as `npm run gateway` starts it. */
async function startBenchGateway(options: {
  readonly serviceAddress: string;
  readonly providerUrl: string;
  readonly outboxFolder: string;
  readonly nodeArguments: readonly string[];
  readonly onLine: (line: string) => void;
}): Promise<BenchServer> {
  const { EXPERIENCES_API_KEY: _key, ...environment } = process.env;
  const child = await startNodeProcess({
    name: 'gateway',
    script: join(PACKAGE_ROOT, 'dist', 'services', 'gateway', 'main.js'),
    nodeArguments: options.nodeArguments,
    onLine: options.onLine,
    stopGraceMs: 55_000,
    environment: {
      ...environment,
      GATEWAY_LISTEN: '127.0.0.1:0',
      EXPERIENCES_ADDRESS: options.serviceAddress,
      GATEWAY_OUTBOX: options.outboxFolder,
      GATEWAY_OPENAI_URL: options.providerUrl,
      GATEWAY_ANTHROPIC_URL: options.providerUrl,
      LOG_LEVEL: 'info',
    },
    readyLine: /"address":"(?<address>[^"]+)".*"msg":"gateway ready"/,
  });
  return withAddress(child);
}

async function startScript(
  name: string,
  script: string,
  environment: NodeJS.ProcessEnv,
): Promise<BenchServer> {
  const child: NodeProcess = await startNodeProcess({
    name,
    script: fileURLToPath(new URL(`./${script}`, import.meta.url)),
    nodeArguments: ['--import', 'tsx'],
    cwd: PACKAGE_ROOT,
    environment,
    readyLine: new RegExp(`"address":"(?<address>[^"]+)","msg":"${name} ready"`),
  });
  return withAddress(child);
}

/** Of the line that the gateway writes of each call. */
const RESERVATION_TIME = /"reserveMs":(?<ms>[\d.]+)/;
