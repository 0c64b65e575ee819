import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Caller } from '../client/index.js';
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
  /** `host:port` of the HTTP gateway; absent: a free port on loopback. */
  readonly gatewayListen?: string;
  /** Settings of the simulator, e.g. SIMULATOR_LATENCY_MS, where the environment has none. */
  readonly simulator?: NodeJS.ProcessEnv;
  /** Gets each log line of the service, the worker and the gateway, a JSON object. */
  readonly onLogLine?: (line: string) => void;
  /** Ends the start: it rejects once what has started by then is ended, or at the latest after a short grace. */
  readonly signal: AbortSignal;
}

/** Everything a person needs to try Experiences: the servers, the service, the worker, the gateway and a provider. */
export interface ExperiencesStack {
  /** `host:port` of the gRPC service. */
  readonly serviceAddress: string;
  /** As a caller of the service: with the bootstrap key or the key that the environment has, if any. */
  readonly caller: Caller;
  /** URL of the HTTP gateway, without a path. */
  readonly gatewayUrl: string;
  /** Base URL of the simulator's OpenAI API; undefined: a real provider is used. */
  readonly simulatorUrl: string | undefined;
  readonly servers: Stack;
  readonly service: NodeProcess;
  readonly worker: NodeProcess;
  readonly gateway: NodeProcess;
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

    // That which may act for every application comes first: worker and gateway serve them all.
    const apiKey = environment.EXPERIENCES_BOOTSTRAP_KEY || environment.EXPERIENCES_API_KEY;
    const shared = {
      ...environment,
      ...(apiKey ? { EXPERIENCES_API_KEY: apiKey } : {}),
      MONGODB_URI: servers.mongodbUri,
      TEMPORAL_ADDRESS: servers.temporalAddress,
      LOG_LEVEL: 'info', // The ready lines are of this level.
    };
    const listen = { EXPERIENCES_LISTEN: options.listen ?? LISTEN_DEFAULT };
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

    const simulatorUrl = simulator?.ready[1];
    const provider = simulatorUrl === undefined ? {} : { OPENAI_BASE_URL: simulatorUrl };
    const forClients = { ...shared, ...provider, EXPERIENCES_ADDRESS: serviceAddress };
    const forGateway = {
      ...providerUrls(simulatorUrl, environment),
      ...forClients,
      GATEWAY_LISTEN: options.gatewayListen ?? LISTEN_DEFAULT,
      GATEWAY_OUTBOX: environment.GATEWAY_OUTBOX || join(servers.folder, 'outbox'),
    };
    const gatewayReady = /"address":"([^"]+)".*"msg":"gateway ready"/;
    // In this order, so that the gateway ends first: callers come through it.
    const [worker, gateway] = await startTogether(
      startOwn('worker', WORKER, forClients, /"msg":"worker ready"/, options.onLogLine),
      startOwn('gateway', GATEWAY, forGateway, gatewayReady, options.onLogLine),
      started,
    );
    const gatewayUrl = `http://${gateway.ready[1]}`;
    log('worker: takes experiences from Temporal');
    log(`HTTP gateway: ${gatewayUrl}`);
    const caller = apiKey ? { apiKey } : {};
    return { serviceAddress, caller, gatewayUrl, simulatorUrl, servers, service, worker, gateway, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits for both also when one fails, so that what has started is known and can be ended. */
async function startTogether(
  first: Promise<NodeProcess>,
  second: Promise<NodeProcess>,
  started: { stop(): Promise<void> }[],
): Promise<readonly [NodeProcess, NodeProcess]> {
  for (const outcome of await Promise.allSettled([first, second])) {
    if (outcome.status === 'fulfilled') started.push(outcome.value);
  }
  return Promise.all([first, second]);
}

/** Where the gateway finds the providers, unless the environment says so itself: the simulator plays both. */
function providerUrls(simulatorUrl: string | undefined, { OPENAI_BASE_URL }: NodeJS.ProcessEnv): object {
  const openai = (simulatorUrl ?? OPENAI_BASE_URL)?.replace(/\/v1\/*$/, '');
  return {
    ...(openai ? { GATEWAY_OPENAI_URL: openai } : {}),
    ...(simulatorUrl === undefined ? {} : { GATEWAY_ANTHROPIC_URL: openai }),
  };
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
  'services/gateway/main.js': 55_000,
};
const SIMULATOR = 'services/simulator/main.js';
const SERVICE = 'services/server/main.js';
const WORKER = 'workflows/main.js';
const GATEWAY = 'services/gateway/main.js';
const LISTEN_DEFAULT = '127.0.0.1:0';
