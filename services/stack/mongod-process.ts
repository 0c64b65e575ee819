import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { LineTail } from './line-tail.js';
import { explainMongodLines, lastMongodLines } from './mongod-log.js';
import { describeExit, type ProcessExit, spawnOwned } from './owned-process.js';
import type { LineLog } from './progress.js';
import { REPLICA_SET_NAME, waitUntilWritable } from './replica-set.js';
import { assertPortFree, waitForPort } from './wait-for-port.js';

export interface MongodOptions {
  readonly executable: string;
  /** Created when missing; a folder that was used before is continued, on the same port or another. */
  readonly dataFolder: string;
  /** Ours when absent. */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /** Any free one when absent. */
  readonly port?: number | undefined;
  readonly cacheSizeGb?: number | undefined;
  /** False starts a server without a replica set, which has no transactions. */
  readonly replicaSet?: boolean;
  /** Allows fail points; for tests only. */
  readonly testCommands?: boolean;
  /** How long a transaction may stay open; 10 when absent. */
  readonly transactionLifetimeSeconds?: number;
  readonly extraArguments?: readonly string[];
  readonly log?: LineLog;
}

export interface MongodProcess {
  readonly uri: string;
  readonly port: number;
  readonly dataFolder: string;
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
  kill(signal: NodeJS.Signals): void;
  /** Ends it in order, or by force after a grace; safe to call again. */
  stop(): Promise<void>;
}

const CACHE_SIZE_GB = 0.25;
const OPLOG_SIZE_MB = 128;
const TTL_MONITOR_SLEEP_SECONDS = 1;
/** A primary waits this long for secondaries before it ends; there are none. */
const SHUTDOWN_WAIT_MS = 100;
/** What a killed service leaves open keeps its experiences locked for so long; mongod's default is a minute. */
const TRANSACTION_LIFETIME_SECONDS = 10;
const START_DEADLINE_MS = 60_000;
const STOP_GRACE_MS = 15_000;
const START_ATTEMPTS_MAX = 3;
const LOG_LINES_MAX = 20;
/** Exit code of mongod when its port is taken. */
const EXIT_PORT_TAKEN = 48;

/** Starts one mongod on the loopback interface and waits until it takes writes. */
export async function startMongod(options: MongodOptions): Promise<MongodProcess> {
  await mkdir(options.dataFolder, { recursive: true });
  if (options.port !== undefined) await assertPortFree(options.port);
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const started = await tryStart(options, port);
    if (!('failure' in started)) return started;
    const isRace = options.port === undefined && started.exit?.code === EXIT_PORT_TAKEN;
    if (!isRace || attempt === START_ATTEMPTS_MAX) throw started.failure;
    options.log?.(`port ${port} was taken in the meantime, trying another`);
  }
}

type FailedStart = { readonly failure: Error; readonly exit: ProcessExit | undefined };

async function tryStart(options: MongodOptions, port: number): Promise<MongodProcess | FailedStart> {
  const replicaSet = options.replicaSet ?? true;
  const child = await spawnOwned({
    command: options.executable,
    args: mongodArguments(options, port, replicaSet),
    environment: options.environment,
  });
  // Its log goes to a file, because a pipe that we are too busy to empty would make it wait; only a complaint about its
  // arguments comes here.
  const tail = new LineTail(LOG_LINES_MAX);
  tail.follow(child.stdout);
  tail.follow(child.stderr);

  const abort = new AbortController();
  let exit: ProcessExit | undefined;
  const exited = child.exited.then((result) => {
    exit = result;
    abort.abort();
    return result;
  });
  try {
    const { signal } = abort;
    await waitForPort(port, START_DEADLINE_MS, signal);
    await waitUntilWritable({ port, replicaSet, deadlineMs: START_DEADLINE_MS, signal });
  } catch (error) {
    const reason = exit === undefined ? 'did not start' : describeExit(exit);
    child.kill('SIGKILL');
    await exited;
    const lines = [...tail.lines(), ...(await lastMongodLines(logPath(options)))];
    const explanation = explainMongodLines(lines, LOG_LINES_MAX);
    const message = `mongod on port ${port} ${reason}\n${explanation}`;
    return { failure: new Error(message, { cause: error }), exit };
  }
  const query = replicaSet ? `?replicaSet=${REPLICA_SET_NAME}` : '';
  return {
    uri: `mongodb://127.0.0.1:${port}/${query}`,
    port,
    dataFolder: options.dataFolder,
    pid: child.pid,
    exited: child.exited,
    kill: child.kill,
    stop: async () => {
      await child.stop(STOP_GRACE_MS);
    },
  };
}

function mongodArguments(options: MongodOptions, port: number, replicaSet: boolean): string[] {
  const parameters = [
    'diagnosticDataCollectionEnabled=false',
    `ttlMonitorSleepSecs=${TTL_MONITOR_SLEEP_SECONDS}`,
    `shutdownTimeoutMillisForSignaledShutdown=${SHUTDOWN_WAIT_MS}`,
    `transactionLifetimeLimitSeconds=${options.transactionLifetimeSeconds ?? TRANSACTION_LIFETIME_SECONDS}`,
    ...(options.testCommands === true ? ['enableTestCommands=1'] : []),
  ];
  return [
    ...['--dbpath', options.dataFolder, '--port', String(port), '--bind_ip', '127.0.0.1'],
    ...(process.platform === 'win32' ? [] : ['--nounixsocket']),
    ...(replicaSet ? ['--replSet', REPLICA_SET_NAME, '--oplogSize', String(OPLOG_SIZE_MB)] : []),
    ...['--logpath', logPath(options), '--logappend'],
    ...['--wiredTigerCacheSizeGB', String(options.cacheSizeGb ?? CACHE_SIZE_GB), '--quiet'],
    ...parameters.flatMap((parameter) => ['--setParameter', parameter]),
    ...(options.extraArguments ?? []),
  ];
}

function logPath(options: MongodOptions): string {
  return join(options.dataFolder, 'mongod.log');
}
