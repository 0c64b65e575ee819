import { inject } from 'vitest';
import { createLogger } from '../../services/runtime/logger.js';
import { type RunningWorker, startWorker, type WorkerOptions } from '../../workflows/worker.js';
import type { TestProvider } from './provider.js';
import type { TestService } from './service.js';

/** A worker in this process for the task queue of a test's service. */
export async function startTestWorker(
  service: TestService,
  provider: Pick<TestProvider, 'apiUrl'>,
  overrides: {
    /** Of the provider. */
    readonly apiKey?: string;
    /** Of the service. */
    readonly serviceKey?: string;
  } & Partial<Pick<WorkerOptions, 'role' | 'providerCallsMax' | 'housekeeping' | 'deployment'>> = {},
): Promise<RunningWorker> {
  const { apiKey, serviceKey, ...options } = overrides;
  const openai = { baseUrl: provider.apiUrl, apiKey, provider: 'openai' };
  return startWorker({
    ...options,
    temporalAddress: inject('temporalAddress'),
    temporalNamespace: 'default',
    taskQueue: service.options.defaultTaskQueue,
    serviceAddress: service.address,
    apiKey: serviceKey,
    model: { ...openai, model: 'gpt-4o-mini' },
    embeddingModel: { ...openai, model: 'text-embedding-3-small' },
    logger: createLogger('test-worker', 'error'),
  });
}
