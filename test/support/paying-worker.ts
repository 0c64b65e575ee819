import { fileURLToPath } from 'node:url';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Worker,
  type WorkerOptions,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { ExperiencesClient } from '../../services/client/index.js';
import { ExperiencesPlugin, type ExperiencesPluginOptions } from '../../workflows/plugin/worker.js';
import { createPayingActivities, PAYING_EXTRACTORS, type PaymentCounts } from './paying-activities.js';

/** A worker with the plugin whose activities pay for calls; in this process, or alone in one that is killed. */
export interface PayingWorker {
  readonly taskQueue: string;
  readonly plugin: ExperiencesPlugin;
  readonly counts: PaymentCounts;
  /** Safe to call again. */
  stop(): Promise<void>;
}

export interface PayingWorkerOptions {
  readonly temporalAddress: string;
  readonly serviceAddress: string;
  readonly taskQueue: string;
  /** By experience: where its calls stop for good, for the test to kill the worker. */
  readonly halts?: Halts;
  /** Absent: the plugin's own. */
  readonly settleDelayMs?: number;
  /** Absent: one. */
  readonly pluginsOf?: (options: ExperiencesPluginOptions) => readonly ExperiencesPlugin[];
  readonly worker?: Partial<WorkerOptions>;
}

/** Of an activity's one call: before it, after its answer and before it is settled, and after that. */
export type HaltPoint = 'reserved' | 'answered' | 'settled';
export type Halts = Readonly<Record<string, HaltPoint>>;

export async function startPayingWorker(options: PayingWorkerOptions): Promise<PayingWorker> {
  const { taskQueue, halts, settleDelayMs } = options;
  const client = new ExperiencesClient({ address: options.serviceAddress, timeoutMs: SERVICE_TIME_MAX_MS });
  const connection = await NativeConnection.connect({ address: options.temporalAddress });
  const counts: PaymentCounts = { executions: new Map(), texts: new Map() };
  const pluginOptions: ExperiencesPluginOptions = {
    client: halts === undefined ? client : halting(client, halts),
    logger: { warn: () => undefined, error: () => undefined },
    extractors: PAYING_EXTRACTORS,
    // A worker that was killed is missed by its heartbeats, and a cancellation comes by them.
    heartbeat: true,
    // So short that a test can wait until it is over; nothing is swept but by the tests.
    reservationTtlMs: RESERVATION_TTL_MS,
    ...(settleDelayMs === undefined ? {} : { settleDelayMs }),
  };
  const plugins = options.pluginsOf?.(pluginOptions) ?? [new ExperiencesPlugin(pluginOptions)];
  const [plugin] = plugins;
  if (plugin === undefined) throw new Error('a paying worker has a plugin');
  const worker = await Worker.create({
    connection,
    taskQueue,
    activities: createPayingActivities(counts),
    plugins: [...plugins],
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    // Who has been killed must not be waited for, and every task is a replay.
    maxCachedWorkflows: 0,
    ...(options.worker?.workflowBundle === undefined ? { workflowsPath: PAYING_WORKFLOWS } : {}),
    ...options.worker,
  });
  const ended = worker.run();
  return {
    taskQueue,
    plugin,
    counts,
    async stop() {
      if (worker.getState() === 'STOPPED') return;
      worker.shutdown();
      await ended;
      client.close();
      await connection.close();
    },
  };
}

export async function bundlePaying(
  plugins: readonly ExperiencesPlugin[],
): Promise<WorkflowBundleWithSourceMap> {
  const logger = new DefaultLogger('ERROR');
  return bundleWorkflowCode({ workflowsPath: PAYING_WORKFLOWS, plugins: [...plugins], logger });
}

/** The client, which stops for good where it is told to, and says so on standard output. */
function halting({ usage, costs }: ExperiencesClient, halts: Halts): ExperiencesPluginOptions['client'] {
  const haltAt = async (point: HaltPoint, experienceId = ''): Promise<void> => {
    if (halts[experienceId] !== point) return;
    process.stdout.write(`halted ${experienceId}\n`);
    await new Promise(() => undefined);
  };
  return {
    costs,
    usage: {
      async reserve(reservation) {
        const reserved = await usage.reserve(reservation);
        await haltAt('reserved', reservation.experienceId);
        return reserved;
      },
      async record(record) {
        await haltAt('answered', record.experienceId);
        const recorded = await usage.record(record);
        await haltAt('settled', record.experienceId);
        return recorded;
      },
      release: (eventId) => usage.release(eventId),
    },
  };
}

const PAYING_WORKFLOWS = fileURLToPath(new URL('../fixtures/paying-workflows.ts', import.meta.url));
export const RESERVATION_TTL_MS = 1_000;
const SERVICE_TIME_MAX_MS = 2_000;
const HEARTBEAT_THROTTLE_MS = 400;
