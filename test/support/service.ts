import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { ExperiencesClient } from '../../services/client/index.js';
import { createLogger } from '../../services/runtime/logger.js';
import { type ServerOptions, startServer } from '../../services/server/server.js';

/** A service in this process on a free port, with a database of its own, and a client to it. */
export interface TestService {
  readonly address: string;
  readonly client: ExperiencesClient;
  readonly options: ServerOptions;
  stop(): Promise<void>;
  /** The service alone; its client stays, and finds it again when it is back. */
  stopServer(): Promise<void>;
}

export async function startTestService(overrides: Partial<ServerOptions> = {}): Promise<TestService> {
  const options: ServerOptions = {
    listen: '127.0.0.1:0',
    mongodbUri: inject('mongodbUri'),
    databaseName: `test_${randomUUID().replaceAll('-', '').slice(0, 20)}`,
    temporalAddress: inject('temporalAddress'),
    temporalNamespace: 'default',
    defaultTaskQueue: `experiences-${randomUUID().slice(0, 8)}`,
    strictIds: false,
    reflection: true,
    logger: createLogger('test', 'error'),
    ...overrides,
  };
  const server = await startServer(options);
  const { bootstrapKey } = options;
  const client = new ExperiencesClient({
    address: server.address,
    caller: bootstrapKey === undefined ? {} : { apiKey: bootstrapKey },
  });
  return {
    address: server.address,
    client,
    options,
    stopServer: () => server.stop(),
    async stop() {
      client.close();
      await server.stop();
    },
  };
}
