import { z } from 'zod';
import { configurationOrExit, FLAG, LOG_LEVEL } from '../services/runtime/configuration.js';
import { createLogger } from '../services/runtime/logger.js';
import { runProcess } from '../services/runtime/process.js';
import { startWorker } from './worker.js';

/** Entry point of the worker: `npm run worker`. */

const configuration = configurationOrExit(
  {
    TEMPORAL_ADDRESS: z.string().default('127.0.0.1:7233'),
    TEMPORAL_NAMESPACE: z.string().default('default'),
    EXPERIENCES_TASK_QUEUE: z.string().default('experiences'),
    EXPERIENCES_ADDRESS: z.string().default('127.0.0.1:50051'),
    EXPERIENCES_API_KEY: z.string().optional(),
    OPENAI_BASE_URL: z.url().default('https://api.openai.com/v1'),
    OPENAI_API_KEY: z.string().optional(),
    EXPERIENCES_MODEL: z.string().default('gpt-4o-mini'),
    EXPERIENCES_EMBEDDING_MODEL: z.string().default('text-embedding-3-small'),
    EXPERIENCES_PROVIDER: z.string().default('openai'),
    EXPERIENCES_WORKER_ROLE: z.enum(['all', 'workflows', 'provider']).default('all'),
    EXPERIENCES_PROVIDER_CALLS_MAX: z.coerce.number().int().min(1).max(1_000).default(200),
    EXPERIENCES_HOUSEKEEPING: FLAG.default(true),
    EXPERIENCES_DEPLOYMENT: z.string().default('experiences'),
    EXPERIENCES_BUILD_ID: z.string().optional(),
    LOG_LEVEL,
  },
  process.env,
);
const logger = createLogger('worker', configuration.LOG_LEVEL);

await runProcess(
  logger,
  async () => {
    const provider = {
      baseUrl: configuration.OPENAI_BASE_URL,
      apiKey: configuration.OPENAI_API_KEY,
      provider: configuration.EXPERIENCES_PROVIDER,
    };
    const worker = await startWorker({
      temporalAddress: configuration.TEMPORAL_ADDRESS,
      temporalNamespace: configuration.TEMPORAL_NAMESPACE,
      taskQueue: configuration.EXPERIENCES_TASK_QUEUE,
      serviceAddress: configuration.EXPERIENCES_ADDRESS,
      apiKey: configuration.EXPERIENCES_API_KEY,
      model: { ...provider, model: configuration.EXPERIENCES_MODEL },
      embeddingModel: { ...provider, model: configuration.EXPERIENCES_EMBEDDING_MODEL },
      role: configuration.EXPERIENCES_WORKER_ROLE,
      providerCallsMax: configuration.EXPERIENCES_PROVIDER_CALLS_MAX,
      housekeeping: configuration.EXPERIENCES_HOUSEKEEPING,
      ...(configuration.EXPERIENCES_BUILD_ID === undefined
        ? {}
        : {
            deployment: {
              name: configuration.EXPERIENCES_DEPLOYMENT,
              buildId: configuration.EXPERIENCES_BUILD_ID,
            },
          }),
      logger,
    });
    worker.ended.catch((error: unknown) => {
      logger.fatal({ err: error }, 'the worker ended by itself');
      process.exit(1);
    });
    logger.info({ taskQueue: configuration.EXPERIENCES_TASK_QUEUE }, 'worker ready');
    return worker;
  },
  { stopTimeMaxMs: 150_000 },
);
