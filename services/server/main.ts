import { z } from 'zod';
import { configurationOrExit, FLAG, LOG_LEVEL } from '../runtime/configuration.js';
import { createLogger } from '../runtime/logger.js';
import { runProcess } from '../runtime/process.js';
import { startServer } from './server.js';

/** Entry point of the gRPC service: `npm run service`. */

const configuration = configurationOrExit(
  {
    MONGODB_URI: z.string().default('mongodb://127.0.0.1:27017/?replicaSet=rs0'),
    MONGODB_DATABASE: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,38}$/)
      .default('experiences'),
    TEMPORAL_ADDRESS: z.string().default('127.0.0.1:7233'),
    TEMPORAL_NAMESPACE: z.string().default('default'),
    EXPERIENCES_LISTEN: z.string().regex(/:\d+$/, 'must be host:port').default('127.0.0.1:50051'),
    EXPERIENCES_TASK_QUEUE: z.string().default('experiences'),
    EXPERIENCES_BOOTSTRAP_KEY: z
      .string()
      .regex(/^[\x21-\x7e]{32,256}$/, 'must be 32 to 256 visible ASCII characters')
      .optional(),
    EXPERIENCES_STRICT_IDS: FLAG.default(false),
    EXPERIENCES_REFLECTION: FLAG.default(true),
    LOG_LEVEL,
  },
  process.env,
);
const logger = createLogger('service', configuration.LOG_LEVEL);

await runProcess(
  logger,
  async () => {
    const server = await startServer({
      listen: configuration.EXPERIENCES_LISTEN,
      mongodbUri: configuration.MONGODB_URI,
      databaseName: configuration.MONGODB_DATABASE,
      temporalAddress: configuration.TEMPORAL_ADDRESS,
      temporalNamespace: configuration.TEMPORAL_NAMESPACE,
      defaultTaskQueue: configuration.EXPERIENCES_TASK_QUEUE,
      bootstrapKey: configuration.EXPERIENCES_BOOTSTRAP_KEY,
      strictIds: configuration.EXPERIENCES_STRICT_IDS,
      reflection: configuration.EXPERIENCES_REFLECTION,
      logger,
    });
    logger.info({ address: server.address }, 'service ready');
    return server;
  },
  { stopTimeMaxMs: 20_000 },
);
