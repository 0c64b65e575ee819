import { join } from 'node:path';
import { inject } from 'vitest';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';
import { type NodeProcess, startNodeProcess } from '../../services/stack/node-process.js';
import type { TestProvider } from './provider.js';
import type { TestService } from './service.js';

/** A worker in a process of its own, from the build, to be killed. */
export async function startWorkerProcess(
  service: TestService,
  provider: Pick<TestProvider, 'apiUrl'>,
): Promise<NodeProcess> {
  return startNodeProcess({
    name: 'worker',
    script: join(PACKAGE_ROOT, 'dist', 'workflows', 'main.js'),
    cwd: PACKAGE_ROOT,
    environment: {
      ...process.env,
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      EXPERIENCES_TASK_QUEUE: service.options.defaultTaskQueue,
      EXPERIENCES_ADDRESS: service.address,
      OPENAI_BASE_URL: provider.apiUrl,
      OPENAI_API_KEY: '',
      EXPERIENCES_HOUSEKEEPING: 'false',
      LOG_LEVEL: 'info',
    },
    readyLine: /"msg":"worker ready"/,
    readyDeadlineMs: 60_000,
  });
}
