import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningGateway, startGateway } from '../../services/gateway/gateway.js';
import type { GatewayOptions } from '../../services/gateway/gateway-options.js';
import { createLogger } from '../../services/runtime/logger.js';

/** A gateway in this process on a free port, before a service; its outbox is removed with it. */
export async function startTestGateway(
  options: Partial<GatewayOptions> & { readonly serviceAddress: string },
): Promise<RunningGateway & { readonly url: string }> {
  const folder = options.outboxFolder ?? (await mkdtemp(join(tmpdir(), 'experiences-outbox-')));
  const gateway = await startGateway({
    listen: '127.0.0.1:0',
    outboxFolder: folder,
    // Nothing listens there: a test that calls a provider brings its own.
    providers: { openai: 'http://127.0.0.1:9', anthropic: 'http://127.0.0.1:9' },
    providerHosts: [],
    privateProviderHosts: false,
    logger: createLogger('test', 'error'),
    ...options,
  });
  return {
    address: gateway.address,
    routes: gateway.routes,
    url: `http://${gateway.address}`,
    async stop() {
      await gateway.stop();
      if (options.outboxFolder === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}
