import { inject } from 'vitest';
import { createLogger } from '../../services/runtime/logger.js';
import { type RunningWorker, startWorker } from '../../workflows/worker.js';
import type { TestProvider } from './provider.js';
import type { TestService } from './service.js';

/** A worker in this process for the task queue of a test's service. */
export async function startTestWorker(
  service: TestService,
  provider: Pick<TestProvider, 'apiUrl'>,
  overrides: { readonly apiKey?: string } = {},
): Promise<RunningWorker> {
  return startWorker({
    temporalAddress: inject('temporalAddress'),
    temporalNamespace: 'default',
    taskQueue: service.options.defaultTaskQueue,
    serviceAddress: service.address,
    model: { baseUrl: provider.apiUrl, apiKey: overrides.apiKey, model: 'gpt-4o-mini', provider: 'openai' },
    logger: createLogger('test-worker', 'error'),
  });
}
