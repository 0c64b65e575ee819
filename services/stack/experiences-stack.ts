import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKAGE_ROOT } from '../runtime/package-root.js';
import { type NodeProcess, startNodeProcess } from './node-process.js';
import type { LineLog } from './progress.js';
import { whenAborted } from './run-until-signal.js';
import { type Stack, startStack } from './stack.js';

export interface ExperiencesStackOptions {
  /** A provider is used instead of the simulator when it holds OPENAI_API_KEY or OPENAI_BASE_URL. */
  readonly environment: NodeJS.ProcessEnv;
  readonly log: LineLog;
  /** Keeps the data for the next start; absent: a temporary folder that goes with the stack. */
  readonly dataFolder?: string;
  /** `host:port` of the service; absent: a free port on loopback. */
  readonly listen?: string;
  /** Settings of the simulator, e.g. SIMULATOR_LATENCY_MS, where the environment has none. */
  readonly simulator?: NodeJS.ProcessEnv;
  /** Gets each log line of the service and the worker, a JSON object. */
  readonly onLogLine?: (line: string) => void;
  /** Ends the start: it rejects once what has started by then is ended, or at the latest after a short grace. */
  readonly signal: AbortSignal;
}

/** Everything a person needs to try Experiences: the servers, the service, the worker and a provider. */
export interface ExperiencesStack {
  /** `host:port` of the gRPC service. */
  readonly serviceAddress: string;
  /** Base URL of the simulator's OpenAI API; undefined: a real provider is used. */
  readonly simulatorUrl: string | undefined;
  readonly servers: Stack;
  readonly service: NodeProcess;
  readonly worker: NodeProcess;
  /** Ends everything in the opposite order of its start; safe to call again. */
  stop(): Promise<void>;
}

/** Starts our processes from the build. What cannot start takes down what has started before it. */
export async function startExperiencesStack(options: ExperiencesStackOptions): Promise<ExperiencesStack> {
  const starting = startAll(options);
  try {
    return await Promise.race([starting, whenAborted(options.signal)]);
  } catch (error) {
    if (options.signal.aborted) await Promise.race([endOf(starting), sleep(ABORT_GRACE_MS)]);
    throw error;
  }
}

async function endOf(starting: Promise<ExperiencesStack>): Promise<void> {
  await starting.then(
    (stack) => stack.stop(),
    () => undefined,
  );
}

async function startAll(options: ExperiencesStackOptions): Promise<ExperiencesStack> {
  const { environment, log, signal } = options;
  const started: { stop(): Promise<void> }[] = [];
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      for (const running of started.reverse()) await running.stop();
    })();
    return stopped;
  };
  try {
    const servers = await startStack({ environment, log, dataFolder: options.dataFolder });
    started.push(servers);
    signal.throwIfAborted();
    const simulator = usesProvider(environment)
      ? undefined
      : await startOwn('simulator', SIMULATOR, { ...options.simulator, ...environment }, /"url":"([^"]+)"/);
    if (simulator !== undefined) {
      started.push(simulator);
      signal.throwIfAborted();
      log(`provider simulator: ${simulator.ready[1]}`);
    }

    const shared = {
      ...environment,
      MONGODB_URI: servers.mongodbUri,
      TEMPORAL_ADDRESS: servers.temporalAddress,
      LOG_LEVEL: 'info', // The ready lines are of this level.
    };
    const listen = { EXPERIENCES_LISTEN: options.listen ?? '127.0.0.1:0' };
    const serviceReady = /"address":"([^"]+)".*"msg":"service ready"/;
    const service = await startOwn(
      'service',
      SERVICE,
      { ...shared, ...listen },
      serviceReady,
      options.onLogLine,
    );
    started.push(service);
    signal.throwIfAborted();
    const serviceAddress = service.ready[1] ?? '';
    log(`gRPC service: ${serviceAddress}`);

    const provider = simulator?.ready[1] === undefined ? {} : { OPENAI_BASE_URL: simulator.ready[1] };
    const forWorker = { ...shared, ...provider, EXPERIENCES_ADDRESS: serviceAddress };
    const worker = await startOwn('worker', WORKER, forWorker, /"msg":"worker ready"/, options.onLogLine);
    started.push(worker);
    log('worker: takes experiences from Temporal');
    return { serviceAddress, simulatorUrl: simulator?.ready[1], servers, service, worker, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** With a key or another address the simulator would be in the way. */
export function usesProvider(environment: NodeJS.ProcessEnv): boolean {
  return Boolean(environment.OPENAI_API_KEY) || Boolean(environment.OPENAI_BASE_URL);
}

async function startOwn(
  name: string,
  file: string,
  environment: NodeJS.ProcessEnv,
  readyLine: RegExp,
  onLine?: (line: string) => void,
): Promise<NodeProcess> {
  const script = join(PACKAGE_ROOT, 'dist', file);
  return startNodeProcess({
    name,
    script,
    environment,
    readyLine,
    ...(STOP_GRACE_MS[file] === undefined ? {} : { stopGraceMs: STOP_GRACE_MS[file] }),
    ...(onLine === undefined ? {} : { onLine }),
  });
}

/** A server is started within it; one that must be fetched first is not waited for. */
const ABORT_GRACE_MS = 10_000;
/** Longer than each takes itself: a worker lets its paid calls end, because one that is cut would be paid again. */
const STOP_GRACE_MS: Readonly<Record<string, number>> = {
  'services/server/main.js': 25_000,
  'workflows/main.js': 155_000,
};
const SIMULATOR = 'services/simulator/main.js';
const SERVICE = 'services/server/main.js';
const WORKER = 'workflows/main.js';
