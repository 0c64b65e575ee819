import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type ClientOptions, Connection, Client as TemporalClient } from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkerOptions,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { inject } from 'vitest';
import {
  ExperiencesClientPlugin,
  type ExperiencesClientPluginOptions,
} from '../../workflows/plugin/client.js';
import {
  aiSdkExtractors,
  ExperiencesPlugin,
  type ExperiencesPluginOptions,
  openAiAgentsExtractors,
} from '../../workflows/plugin/worker.js';
import { createMeteredActivities, Spendings } from './metered-activities.js';
import type { TestService } from './service.js';

export const WORKFLOWS = fileURLToPath(new URL('../fixtures/metered-workflows.ts', import.meta.url));

/** Somebody's worker with the plugin, on a task queue of its own. */
export interface MeteredWorker {
  readonly taskQueue: string;
  readonly plugin: ExperiencesPlugin;
  readonly spendings: Spendings;
  /** What the plugin has logged. */
  readonly logged: readonly string[];
  stop(): Promise<void>;
}

export async function startMeteredWorker(
  service: Pick<TestService, 'client'>,
  pluginOptions: Partial<ExperiencesPluginOptions> = {},
  workerOptions: Partial<WorkerOptions> = {},
): Promise<MeteredWorker> {
  const logged: string[] = [];
  const log = (_fields: object, message: string) => void logged.push(message);
  const plugin = new ExperiencesPlugin({
    client: service.client,
    logger: { warn: log, error: log },
    extractors: { ...aiSdkExtractors(), ...openAiAgentsExtractors() },
    ...pluginOptions,
  });
  const spendings = new Spendings();
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  const taskQueue = `metered-${randomUUID().slice(0, 8)}`;
  const worker = await Worker.create({
    connection,
    taskQueue,
    activities: createMeteredActivities(spendings),
    plugins: [plugin],
    maxHeartbeatThrottleInterval: 500,
    ...('workflowBundle' in workerOptions ? {} : { workflowsPath: WORKFLOWS }),
    ...workerOptions,
  });
  const ended = worker.run();
  return {
    taskQueue,
    plugin,
    spendings,
    logged,
    async stop() {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await ended;
      await connection.close();
    },
  };
}

/** A bundle made ahead, with the plugin or without. */
export async function bundleMetered(
  plugins: readonly ExperiencesPlugin[],
): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({ workflowsPath: WORKFLOWS, plugins: [...plugins], logger: QUIET });
}

export async function temporalClient(
  options: ExperiencesClientPluginOptions = {},
  clientOptions: Partial<ClientOptions> = {},
): Promise<TemporalClient & { close(): Promise<void> }> {
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  const plugins = [new ExperiencesClientPlugin(options)];
  const client = new TemporalClient({ connection, plugins, ...clientOptions });
  return Object.assign(client, { close: () => connection.close() });
}

export function quietTemporal(): void {
  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
}

const QUIET = new DefaultLogger('ERROR');
