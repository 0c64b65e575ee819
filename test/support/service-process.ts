import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';
import { type NodeProcess, startNodeProcess } from '../../services/stack/node-process.js';

/** A service in a process of its own, from the sources, to be killed or asked to stop. */
export interface ServiceProcess extends NodeProcess {
  /** `host:port`. */
  readonly address: string;
}

/** Rejects with what the service logged when it does not start. */
export async function startServiceProcess(options: {
  readonly mongodbUri: string;
  readonly databaseName: string;
  /** Absent: a free port. */
  readonly listen?: string;
  /** The folder that holds `services`; absent: the package's own. */
  readonly root?: string;
}): Promise<ServiceProcess> {
  const child = await startNodeProcess({
    name: 'service',
    script: join(options.root ?? PACKAGE_ROOT, 'services', 'server', 'main.ts'),
    nodeArguments: ['--import', 'tsx'],
    cwd: PACKAGE_ROOT,
    environment: {
      ...process.env,
      MONGODB_URI: options.mongodbUri,
      MONGODB_DATABASE: options.databaseName,
      // Nothing here starts a run: the service needs no Temporal for the rest.
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      EXPERIENCES_LISTEN: options.listen ?? '127.0.0.1:0',
      LOG_LEVEL: 'info',
    },
    readyLine: /"address":"(?<address>[^"]+)".*"msg":"service ready"/,
    readyDeadlineMs: 60_000,
  });
  const address = child.ready.groups?.address;
  if (address === undefined) throw new Error('the ready line names the address');
  return { ...child, address };
}
