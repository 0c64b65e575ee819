import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { ExperiencesClient } from '../../services/client/index.js';
import { ExperiencesPlugin } from '../../workflows/plugin/worker.js';
import { createPaidActivities } from './paid-activities.js';

/**
 * Somebody's worker in a process of its own: with the plugin where it is told of a service, without it where it is not.
 * Everything else is the same.
 */
Runtime.install({ logger: new DefaultLogger('WARN'), shutdownSignals: [] });
const { TEMPORAL_ADDRESS: address, EXPERIENCES_ADDRESS: serviceAddress, BENCH_TASK_QUEUE } = process.env;
if (address === undefined || BENCH_TASK_QUEUE === undefined) throw new Error('it is told where to work');

const client = serviceAddress ? new ExperiencesClient({ address: serviceAddress }) : undefined;
const connection = await NativeConnection.connect({ address });
const worker = await Worker.create({
  connection,
  taskQueue: BENCH_TASK_QUEUE,
  workflowsPath: fileURLToPath(new URL('./paid-steps.ts', import.meta.url)),
  activities: createPaidActivities(client !== undefined),
  plugins: client === undefined ? [] : [new ExperiencesPlugin({ client })],
});
process.once('SIGTERM', () => worker.shutdown());
const ended = worker.run();
process.stdout.write(`${JSON.stringify({ msg: 'paid worker ready' })}\n`);
await ended;
client?.close();
await connection.close();
