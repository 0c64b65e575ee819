import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { freePort } from './free-port.js';
import { LineTail } from './line-tail.js';
import { describeExit, type ProcessExit, spawnOwned } from './owned-process.js';
import type { LineLog } from './progress.js';
import { assertPortFree, waitForPort } from './wait-for-port.js';

export interface TemporalOptions {
  readonly executable: string;
  /** Ours when absent. */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /** Any free one when absent. */
  readonly port?: number | undefined;
  /** Keeps the runs in this SQLite file, whose folder is created when missing; absent keeps them in memory only. */
  readonly databaseFile?: string | undefined;
  /** Created at the start beside `default`. */
  readonly namespace?: string | undefined;
  readonly log?: LineLog;
}

export interface TemporalProcess {
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  readonly exited: Promise<ProcessExit>;
  kill(signal: NodeJS.Signals): void;
  /** Ends it in order, or by force after a grace; safe to call again. */
  stop(): Promise<void>;
}

const START_DEADLINE_MS = 60_000;
const CONNECT_TIMEOUT_MS = 5_000;
const STOP_GRACE_MS = 10_000;
const START_ATTEMPTS_MAX = 3;
const LOG_LINES_MAX = 20;
const POLL_MS = 50;
const DEFAULT_NAMESPACE = 'default';

/**
 * Polls a second for each shard, of which this server has one. Its default of 20 adds 50 ms to every step of every
 * workflow.
 */
const POLLS_PER_SECOND_MAX = 500;
const POLL_LIMITS = [
  'history.transferProcessorMaxPollRPS',
  'history.timerProcessorMaxPollRPS',
  'history.visibilityProcessorMaxPollRPS',
] as const;

/**
 * Starts Temporal's development server on the loopback interface and waits until its namespaces are there. It takes a
 * number of further ports for itself, whichever are free when it looks; where another process gets one of them first it
 * ends, and is started again.
 */
export async function startTemporal(options: TemporalOptions): Promise<TemporalProcess> {
  if (options.databaseFile !== undefined) await mkdir(dirname(options.databaseFile), { recursive: true });
  if (options.port !== undefined) await assertPortFree(options.port);
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const started = await tryStart(options, port);
    if (!('failure' in started)) return started;
    if (!PORT_TAKEN.test(started.failure.message) || attempt === START_ATTEMPTS_MAX) throw started.failure;
    options.log?.('a port was taken in the meantime, trying again');
  }
}

const PORT_TAKEN = /address already in use|can't bind|only one usage of each socket/i;

async function tryStart(
  options: TemporalOptions,
  port: number,
): Promise<TemporalProcess | { readonly failure: Error }> {
  const child = await spawnOwned({
    command: options.executable,
    args: temporalArguments(options, port),
    environment: options.environment,
  });
  const tail = new LineTail(LOG_LINES_MAX);
  tail.follow(child.stdout);
  tail.follow(child.stderr);

  const abort = new AbortController();
  let exit: ProcessExit | undefined;
  const exited = child.exited.then((result) => {
    exit = result;
    abort.abort();
  });
  const address = `127.0.0.1:${port}`;
  try {
    await waitForPort(port, START_DEADLINE_MS, abort.signal);
    await waitForNamespaces(
      address,
      [DEFAULT_NAMESPACE, options.namespace ?? DEFAULT_NAMESPACE],
      abort.signal,
    );
  } catch (error) {
    const reason = exit === undefined ? 'did not start' : describeExit(exit);
    child.kill('SIGKILL');
    await exited;
    return { failure: new Error(`temporal on port ${port} ${reason}\n${tail.text()}`, { cause: error }) };
  }
  return {
    address,
    port,
    pid: child.pid,
    exited: child.exited,
    kill: child.kill,
    stop: async () => {
      await child.stop(STOP_GRACE_MS);
    },
  };
}

/** The port answers before the namespaces exist; a worker that is started in between fails. */
async function waitForNamespaces(
  address: string,
  namespaces: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const giveUpAt = performance.now() + START_DEADLINE_MS;
  for (;;) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: CONNECT_TIMEOUT_MS });
      try {
        const deadline = Date.now() + CONNECT_TIMEOUT_MS;
        for (const namespace of namespaces) {
          await connection.withDeadline(deadline, () =>
            connection.workflowService.describeNamespace({ namespace }),
          );
        }
        return;
      } finally {
        await connection.close();
      }
    } catch (error) {
      if (performance.now() > giveUpAt) {
        throw new Error(`Temporal does not answer after ${START_DEADLINE_MS} ms`, { cause: error });
      }
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

function temporalArguments(options: TemporalOptions, port: number): string[] {
  return [
    ...['server', 'start-dev', '--headless', '--ip', '127.0.0.1', '--port', String(port)],
    ...['--log-level', 'error'],
    ...POLL_LIMITS.flatMap((name) => ['--dynamic-config-value', `${name}=${POLLS_PER_SECOND_MAX}`]),
    ...(options.namespace === undefined ? [] : ['--namespace', options.namespace]),
    ...(options.databaseFile === undefined ? [] : databaseArguments(options.databaseFile)),
  ];
}

/** With a write-ahead log a commit does not wait for the disk, and a process that is killed loses nothing. */
function databaseArguments(file: string): string[] {
  return [
    ...['--db-filename', file],
    ...['--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'],
  ];
}
