import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  DefaultLogger,
  NativeConnection,
  Runtime,
  type WorkerOptions as TemporalWorkerOptions,
  Worker,
} from '@temporalio/worker';
import { ExperiencesClient } from '../services/client/index.js';
import type { Logger } from '../services/runtime/logger.js';
import type { Running } from '../services/runtime/process.js';
import { createChatbotActivities } from './chatbot-activities.js';
import { createDocumentActivities } from './document-activities.js';
import { createHousekeepingActivities } from './housekeeping-activities.js';
import { createHousekeepingSchedules } from './housekeeping-schedules.js';
import { ModelClient, type ModelClientOptions } from './model-client.js';
import { ExperiencesPlugin } from './plugin/worker.js';
import { RunClients } from './run-clients.js';
import { createSummarizationActivities } from './summarization-activities.js';

export interface WorkerOptions {
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  readonly taskQueue: string;
  /** `host:port` of the Experiences service, where usage is recorded. */
  readonly serviceAddress: string;
  /**
   * The worker's key. The bootstrap key serves runs and keeps the books of every application, any other of its own; absent:
   * none, for a service that asks for none.
   */
  readonly apiKey?: string | undefined;
  readonly model: ModelClientOptions;
  /** By which documents are searched. */
  readonly embeddingModel: ModelClientOptions;
  /** Absent: `all`. */
  readonly role?: WorkerRole;
  /** How many calls to the provider this worker has under way at most; absent: 200. */
  readonly providerCallsMax?: number;
  /** Whether it creates the schedules of the housekeeping where they are missing; absent: it does not. */
  readonly housekeeping?: boolean;
  /** Under which version of which deployment Temporal knows it; absent: none, and it takes runs of any version. */
  readonly deployment?: { readonly name: string; readonly buildId: string };
  readonly logger: Logger;
}

/**
 * What a worker takes. `all`: everything, from one task queue. `workflows`: workflows and what costs nothing; the calls go to
 * the provider's own queue. `provider`: only those. So calls to a provider can be bounded, and given processes of their own.
 */
export type WorkerRole = 'all' | 'workflows' | 'provider';

/** The task queue of the calls to a provider. */
export function providerTaskQueue(taskQueue: string, provider: string): string {
  return `${taskQueue}-${provider}`;
}

export interface RunningWorker extends Running {
  /** Resolves or rejects when the worker has ended by itself. */
  readonly ended: Promise<void>;
}

/** Takes workflows and activities from a task queue until it is stopped. */
export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  installRuntime(options.logger);
  const connection = await NativeConnection.connect({ address: options.temporalAddress }).catch(
    (cause: unknown) => {
      throw new Error(`Temporal cannot be reached at ${options.temporalAddress} (TEMPORAL_ADDRESS)`, {
        cause,
      });
    },
  );
  const { apiKey } = options;
  const client = new ExperiencesClient({
    address: options.serviceAddress,
    caller: apiKey === undefined ? {} : { apiKey },
  });
  const runClients = new RunClients(client, apiKey);
  const identity = `${process.pid}@experiences-worker`;
  const { role = 'all', taskQueue, model, logger } = options;
  const providerQueue = providerTaskQueue(taskQueue, model.provider);
  const calls = { model: new ModelClient(model) };
  const worker = await Worker.create({
    connection,
    namespace: options.temporalNamespace,
    taskQueue: role === 'provider' ? providerQueue : taskQueue,
    identity,
    ...(role === 'provider' ? {} : { workflowsPath: sibling('workflows') }),
    activities: {
      ...createSummarizationActivities(calls),
      ...createDocumentActivities({
        ...calls,
        client: runClients,
        providerTaskQueue: role === 'all' ? undefined : providerQueue,
      }),
      ...createChatbotActivities({
        client: runClients,
        chatModel: model,
        embeddingModel: options.embeddingModel,
        providerTaskQueue: role === 'all' ? undefined : providerQueue,
      }),
      ...createHousekeepingActivities({
        applications: () => client.admin.listApplications(),
        clientOf: (application) => runClients.ofApplication(application),
        logger,
      }),
    },
    // Its calls take seconds: to settle each at once costs nothing, and whoever waits for a run reads all it has cost.
    plugins: [
      new ExperiencesPlugin({
        client: (workflowId) => runClients.ofWorkflow(workflowId),
        logger,
        heartbeat: true,
        settleDelayMs: 0,
      }),
    ],
    maxConcurrentActivityTaskExecutions: options.providerCallsMax ?? ACTIVITIES_MAX,
    // A cancellation reaches an activity with the answer to a heartbeat.
    maxHeartbeatThrottleInterval: HEARTBEAT_INTERVAL_MS,
    // Longer than the longest call: a call that is cut by a restart would be paid again.
    shutdownGraceTime: SHUTDOWN_GRACE_MS,
    ...deploymentOptions(options.deployment),
  });
  if (options.housekeeping === true && role !== 'provider') await createHousekeepingSchedules(options);
  const ended = worker.run().finally(async () => {
    client.close();
    await connection.close();
  });
  return {
    ended,
    async stop() {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await ended;
    },
  };
}

/** A run stays with the version that began it: a summary takes minutes, and its workers can be kept so long. */
function deploymentOptions(
  deployment: WorkerOptions['deployment'],
): Pick<TemporalWorkerOptions, 'workerDeploymentOptions'> {
  if (deployment === undefined) return {};
  return {
    workerDeploymentOptions: {
      version: { deploymentName: deployment.name, buildId: deployment.buildId },
      useWorkerVersioning: true,
      defaultVersioningBehavior: 'PINNED',
    },
  };
}

/** Sources under a test runner, JavaScript in the build. */
function sibling(name: string): string {
  return fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url));
}

let installed = false;

/** Temporal's runtime is one a process; its logs go where ours go. */
function installRuntime(logger: Logger): void {
  if (installed) return;
  installed = true;
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
      const { error, ...fields } = meta ?? {};
      const write = level === 'ERROR' ? logger.error.bind(logger) : logger.warn.bind(logger);
      write({ ...fields, err: error }, message);
    }),
    shutdownSignals: [],
  });
}

const ACTIVITIES_MAX = 200;
const HEARTBEAT_INTERVAL_MS = 1_000;
const SHUTDOWN_GRACE_MS = 120_000;
