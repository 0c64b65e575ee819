import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { ExperiencesClient } from '../../services/client/index.js';
import { newUuid } from '../../services/domain/new-uuid.js';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';
import { type NodeProcess, startNodeProcess } from '../../services/stack/node-process.js';
import type { LineLog } from '../../services/stack/progress.js';
import { ExperiencesClientPlugin, withExperience } from '../../workflows/plugin/client.js';
import { BENCH_TYPE } from './bench-record.js';
import { processUsage } from './process-usage.js';
import { median } from './statistics.js';
import type { WorkflowSizes } from './workflow-sizes.js';

/** The same workflow with the plugin and without, in turn. */
export interface PluginRounds {
  readonly withPlugin: readonly PluginLeg[];
  readonly withoutPlugin: readonly PluginLeg[];
  /** Events of a run's history, the median of all runs: a task that timed out on a busy machine adds some. */
  readonly historyEvents: { readonly withPlugin: number; readonly withoutPlugin: number };
  readonly books: PluginBooks;
}

/** Some runs, one after the other. */
export interface PluginLeg {
  readonly latenciesMs: readonly number[];
  /** Of the worker; NaN where the system does not say. */
  readonly workerCpuMs: number;
  readonly activities: number;
}

/** Whether the service has recorded each paid call: a plugin that does nothing is fast. */
export interface PluginBooks {
  readonly expectedEvents: number;
  readonly events: number;
  readonly openReservations: number;
}

export async function measurePluginRounds(
  addresses: { readonly temporal: string; readonly service: string },
  sizes: WorkflowSizes,
  log: LineLog,
): Promise<PluginRounds> {
  const connection = await Connection.connect({ address: addresses.temporal });
  const [plugged, bare] = await Promise.all([
    startPaidWorker(addresses.temporal, 'with-plugin', addresses.service),
    startPaidWorker(addresses.temporal, 'without-plugin'),
  ]);
  const service = new ExperiencesClient({ address: addresses.service });
  try {
    const plugins = [new ExperiencesClientPlugin()];
    const sides = {
      withPlugin: new Side(new Client({ connection, plugins }), plugged, 'with-plugin', sizes),
      withoutPlugin: new Side(new Client({ connection }), bare, 'without-plugin', sizes),
    };
    for (const side of Object.values(sides)) await side.warmUp();
    const rounds = { withPlugin: [] as PluginLeg[], withoutPlugin: [] as PluginLeg[] };
    for (let round = 1; round <= sizes.rounds; round += 1) {
      if (round % LOGGED_ROUNDS === 1) log(`round ${round} of ${sizes.rounds}`);
      // What drifts in a round must not always meet the same of the two.
      const order = ['withoutPlugin', 'withPlugin'] as const;
      for (const name of round % 2 === 1 ? order : order.toReversed())
        rounds[name].push(await sides[name].leg());
    }
    log('comparing histories and books');
    const historyEvents = {
      withPlugin: await sides.withPlugin.historyEvents(),
      withoutPlugin: await sides.withoutPlugin.historyEvents(),
    };
    return { ...rounds, historyEvents, books: await booksOf(service, sides.withPlugin.runIds, sizes) };
  } finally {
    service.close();
    await connection.close();
    await Promise.all([plugged.stop(), bare.stop()]);
  }
}

/** A worker and a client that starts its runs. */
class Side {
  readonly runIds: string[] = [];
  readonly #client: Client;
  readonly #worker: Pick<NodeProcess, 'pid'>;
  readonly #taskQueue: string;
  readonly #sizes: WorkflowSizes;

  constructor(client: Client, worker: Pick<NodeProcess, 'pid'>, taskQueue: string, sizes: WorkflowSizes) {
    this.#client = client;
    this.#worker = worker;
    this.#taskQueue = taskQueue;
    this.#sizes = sizes;
  }

  async warmUp(): Promise<void> {
    for (let run = 0; run < this.#sizes.warmUpRuns; run += 1) await this.#run();
    this.runIds.length = 0;
  }

  async leg(): Promise<PluginLeg> {
    const { runsOfLeg, activitiesOfRun } = this.#sizes;
    const before = processUsage(this.#worker.pid).cpuMs;
    const latenciesMs: number[] = [];
    for (let run = 0; run < runsOfLeg; run += 1) latenciesMs.push(await this.#run());
    const workerCpuMs = processUsage(this.#worker.pid).cpuMs - before;
    return { latenciesMs, workerCpuMs, activities: runsOfLeg * activitiesOfRun };
  }

  async historyEvents(): Promise<number> {
    const counts: number[] = [];
    for (const workflowId of this.runIds) {
      const { events } = await this.#client.workflow.getHandle(workflowId).fetchHistory();
      counts.push(events?.length ?? 0);
    }
    return median(counts);
  }

  /** Milliseconds until its caller has the result. The name of an experience means nothing without the plugin. */
  async #run(): Promise<number> {
    const workflowId = newUuid();
    this.runIds.push(workflowId);
    const options = { workflowId, taskQueue: this.#taskQueue, args: [this.#sizes.activitiesOfRun] };
    const start = performance.now();
    await withExperience({ experienceType: BENCH_TYPE, experienceId: workflowId }, () =>
      this.#client.workflow.execute('paidSteps', options),
    );
    return performance.now() - start;
  }
}

async function booksOf(
  service: ExperiencesClient,
  experienceIds: readonly string[],
  { activitiesOfRun }: WorkflowSizes,
): Promise<PluginBooks> {
  let events = 0;
  let openReservations = 0;
  for (const experienceId of experienceIds) {
    const { totals } = await service.costs.get(experienceId);
    events += Number(totals.eventCount);
    openReservations += Number(totals.openReservationCount);
  }
  return { expectedEvents: experienceIds.length * activitiesOfRun, events, openReservations };
}

function startPaidWorker(
  temporalAddress: string,
  taskQueue: string,
  serviceAddress?: string,
): Promise<NodeProcess> {
  return startNodeProcess({
    name: `worker ${taskQueue}`,
    script: fileURLToPath(new URL('./paid-worker-process.ts', import.meta.url)),
    nodeArguments: ['--import', 'tsx'],
    cwd: PACKAGE_ROOT,
    environment: {
      ...process.env,
      TEMPORAL_ADDRESS: temporalAddress,
      BENCH_TASK_QUEUE: taskQueue,
      EXPERIENCES_ADDRESS: serviceAddress ?? '',
    },
    readyLine: /"msg":"paid worker ready"/,
    readyDeadlineMs: WORKER_READY_MS,
  });
}

const LOGGED_ROUNDS = 5;
/** It bundles the workflow first. */
const WORKER_READY_MS = 90_000;
