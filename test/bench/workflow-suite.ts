import { loadavg } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, withPartialFolder } from '../../services/stack/cache-folder.js';
import { findTemporal } from '../../services/stack/find-temporal.js';
import type { LineLog } from '../../services/stack/progress.js';
import { startTemporal } from '../../services/stack/temporal-process.js';
import {
  benchMongodExecutable,
  createBenchType,
  type Machine,
  machineOf,
  startBenchMongod,
  startBenchService,
} from './bench-stack.js';
import { measurePluginRounds, type PluginRounds } from './plugin-rounds.js';
import { measureSummaries, type SummaryRounds } from './summary-rounds.js';
import { FULL, QUICK, type WorkflowSizes } from './workflow-sizes.js';

/** Everything that was measured, before anything is made of it. */
export interface WorkflowMeasurement {
  readonly quick: boolean;
  readonly machine: Machine;
  readonly sizes: WorkflowSizes;
  /** Of one minute, before and after: what else the machine did is in all times. */
  readonly loadAverage: { readonly before: number; readonly after: number };
  readonly plugin: PluginRounds;
  readonly summary: SummaryRounds;
}

export async function measureWorkflow(options: {
  readonly quick: boolean;
  readonly log: LineLog;
}): Promise<WorkflowMeasurement> {
  const { quick, log } = options;
  const sizes = quick ? QUICK : FULL;
  const [before = Number.NaN] = loadavg();
  const [mongodExecutable, temporalExecutable] = await Promise.all([
    benchMongodExecutable(log),
    benchTemporalExecutable(log),
  ]);
  return withPartialFolder(cacheFolder(process.env), async (folder) => {
    // Temporal keeps its runs in memory: so the workflow without the plugin is as fast as it gets.
    const [mongod, temporal] = await Promise.all([
      startBenchMongod(mongodExecutable, join(folder, 'mongodb')),
      startTemporal({ executable: temporalExecutable, log }),
    ]);
    const service = await startBenchService({
      mongodbUri: mongod.uri,
      databaseName: 'bench',
      temporalAddress: temporal.address,
    });
    try {
      await createBenchType(service.address);
      const machine = await machineOf(mongod);
      const addresses = { temporal: temporal.address, service: service.address };
      const plugin = await measurePluginRounds(addresses, sizes, log);
      const pids = { service: service.pid, mongod: mongod.pid, temporal: temporal.pid };
      const stack = { temporalAddress: temporal.address, serviceAddress: service.address, pids };
      const summary = await measureSummaries(stack, sizes, log);
      const [after = Number.NaN] = loadavg();
      return { quick, machine, sizes, loadAverage: { before, after }, plugin, summary };
    } finally {
      await service.stop();
      for (const server of [temporal, mongod]) {
        server.kill('SIGKILL'); // What it holds is thrown away.
        await server.exited;
      }
    }
  });
}

/** A server that somebody else runs is never loaded, whatever TEMPORAL_ADDRESS says. */
async function benchTemporalExecutable(log: LineLog): Promise<string> {
  const { TEMPORAL_ADDRESS: _address, ...environment } = process.env;
  const found = await findTemporal({ environment, cache: cacheFolder(environment), log });
  if (found.kind === 'address') throw new Error('without TEMPORAL_ADDRESS there is no address');
  return found.path;
}
