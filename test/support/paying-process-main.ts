import { DefaultLogger, Runtime } from '@temporalio/worker';
import { type PayingWorkerOptions, startPayingWorker } from './paying-worker.js';

/** Entry point of a paying worker that is killed. */

Runtime.install({ logger: new DefaultLogger('ERROR') });
await startPayingWorker(JSON.parse(process.argv[2] ?? '') as PayingWorkerOptions);
process.stdout.write('paying worker ready\n');
