import type { FastifyInstance } from 'fastify';
import type { ExperiencesClient } from '../../client/index.js';
import { settle } from '../../client/settle.js';
import { wireOf } from '../../providers/provider-wire.js';
import { loadTokenizer } from '../../providers/token-count.js';
import type { ErrorRows } from '../error-table.js';
import { HttpFault } from '../http-fault.js';
import { DiskOutbox } from '../outbox/disk-outbox.js';
import { RequestBodies } from '../request-bodies.js';
import type { Gateway } from '../route-group.js';
import { withinTime } from '../within-time.js';
import { ApplicationRecorders } from './application-recorders.js';
import { freeCall } from './free-call.js';
import { ProviderHosts, type ProviderName } from './provider-host.js';
import { type ProxyRoute, type ProxyWorld, proxyCall } from './proxy-call.js';
import { Upstreams } from './upstreams.js';

/** The proxy: a client of a provider that has the gateway as its base URL. */
export async function proxyRoutes(app: FastifyInstance, gateway: Gateway): Promise<void> {
  const world = await openWorld(gateway);
  const underWay = new Set<Promise<void>>();
  app.removeAllContentTypeParsers();
  // Read by the call itself, once it is known who calls. The type is the provider's matter.
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  for (const route of routes()) {
    const url = `${PROXY_PATH}/${route.provider}${route.path}`;
    app.post(url, { config: { errorRows: ERROR_ROWS } }, async (request, reply) => {
      const call = proxyCall(world, route, request, reply);
      const over = call.catch(() => undefined).finally(() => underWay.delete(over));
      underWay.add(over);
      try {
        await call;
      } catch (error) {
        if (!reply.raw.headersSent) throw error;
        // A bug, when a part of the answer is out: the connection is broken already.
        gateway.logger.error(
          { err: error, requestId: request.id },
          'a stream failed by a fault of the gateway',
        );
      }
      return reply;
    });
  }
  modelRoutes(app, world);
  // Sums are made where a provider does not tell them: the first one would have to wait for it, and all calls with it.
  const whenIdle = setInterval(() => {
    if (underWay.size > 0) return;
    clearInterval(whenIdle);
    loadTokenizer();
  }, IDLE_CHECK_INTERVAL_MS).unref();
  // Connections are closed by now. What they were used for may still be on its way into the ledger.
  app.addHook('onClose', async () => {
    clearInterval(whenIdle);
    await withinTime(Promise.all(underWay), SETTLE_TIME_MAX_MS);
    await world.upstreams.close();
    await world.outbox.close({ drainTimeMaxMs: DRAIN_TIME_MAX_MS });
    await world.recorders.close();
  });
}

/** Which models there are: clients ask it on the same base URL, and it costs nothing. */
function modelRoutes(app: FastifyInstance, world: ProxyWorld): void {
  for (const provider of ['openai', 'anthropic'] as const) {
    const url = `${PROXY_PATH}/${provider}${MODELS_PATH}`;
    app.get(url, async (request, reply) => {
      await freeCall(world, { provider, path: MODELS_PATH }, request, reply);
      return reply;
    });
    app.get<{ Params: { model: string } }>(`${url}/:model`, async (request, reply) => {
      const { model } = request.params;
      // It would lead to another path of the provider's.
      if (/^\.*$/.test(model))
        throw new HttpFault(404, undefined, 'There is nothing at this path and method.');
      const path = `${MODELS_PATH}/${encodeURIComponent(model)}`;
      await freeCall(world, { provider, path }, request, reply);
      return reply;
    });
  }
}

async function openWorld({
  callers,
  client,
  logger,
  options,
}: Gateway): Promise<ProxyWorld & { outbox: DiskOutbox }> {
  const clientOf = (application: string): ExperiencesClient =>
    // Without a key of its own there is one application, and nobody may name another.
    options.apiKey === undefined ? client : client.as({ apiKey: options.apiKey, application });
  const recorders = new ApplicationRecorders(clientOf);
  const outbox = await DiskOutbox.open({
    folder: options.outboxFolder,
    logger,
    deliver: ({ application, settlement }) => settle(recorders.of(application), settlement),
  });
  return {
    callers,
    bodies: new RequestBodies({ heldBytesMax: BODIES_HELD_BYTES_MAX }),
    hosts: new ProviderHosts(options),
    upstreams: new Upstreams(options.providerTimes),
    ownKey: options.apiKey,
    recorders,
    outbox,
    logger,
    async setExperienceProperties(application, experienceId, set) {
      await clientOf(application).experiences.updateProperties(experienceId, { set });
    },
  };
}

function routes(): readonly ProxyRoute[] {
  return PATHS.map(([provider, path]) => {
    const wire = wireOf(provider, path);
    if (wire === undefined) throw new Error(`no wire speaks ${provider} ${path}`);
    return { provider, path: `/v1/${path}`, wire };
  });
}

const PROXY_PATH = '/api/v1/proxy';
const MODELS_PATH = '/v1/models';
const PATHS: readonly (readonly [ProviderName, string])[] = [
  ['openai', 'chat/completions'],
  ['openai', 'responses'],
  ['openai', 'embeddings'],
  ['openai', 'images/generations'],
  ['anthropic', 'messages'],
];
/** The calls that name what is not there are wrong calls; clients do not repeat a 400. */
const ERROR_ROWS = {
  EXPERIENCE_TYPE_NOT_FOUND: { statusCode: 400, code: 'experience_type_not_found' },
  EXPERIENCE_NOT_FOUND: { statusCode: 400, code: 'experience_instance_not_found' },
  LIMIT_NOT_FOUND: { statusCode: 400, code: 'invalid_limit_ids' },
} as const satisfies ErrorRows;
/** For all calls in flight. */
const BODIES_HELD_BYTES_MAX = 256 * 1024 * 1024;
const IDLE_CHECK_INTERVAL_MS = 5_000;
const SETTLE_TIME_MAX_MS = 6_000;
const DRAIN_TIME_MAX_MS = 3_000;
