import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { ExperiencesClient } from '../services/client/index.js';
import type { Logger } from '../services/runtime/logger.js';
import type { Running } from '../services/runtime/process.js';
import { ModelClient, type ModelClientOptions } from './model-client.js';
import { meteringInterceptor } from './plugin/activity-interceptor.js';
import { createSummarizationActivities } from './summarization-activities.js';

export interface WorkerOptions {
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  readonly taskQueue: string;
  /** `host:port` of the Experiences service, where usage is recorded. */
  readonly serviceAddress: string;
  readonly model: ModelClientOptions;
  readonly logger: Logger;
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
  const client = new ExperiencesClient({ address: options.serviceAddress });
  const identity = `${process.pid}@experiences-worker`;
  const worker = await Worker.create({
    connection,
    namespace: options.temporalNamespace,
    taskQueue: options.taskQueue,
    identity,
    workflowsPath: sibling('workflows'),
    activities: createSummarizationActivities({ model: new ModelClient(options.model) }),
    interceptors: {
      workflowModules: [sibling('plugin/workflow-interceptors')],
      activity: [
        meteringInterceptor({ usage: client.usage, logger: options.logger, workerIdentity: identity }),
      ],
    },
    maxConcurrentActivityTaskExecutions: ACTIVITIES_MAX,
    // A cancellation reaches an activity with the answer to a heartbeat.
    maxHeartbeatThrottleInterval: HEARTBEAT_INTERVAL_MS,
    // Longer than the longest call: a call that is cut by a restart would be paid again.
    shutdownGraceTime: SHUTDOWN_GRACE_MS,
  });
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
