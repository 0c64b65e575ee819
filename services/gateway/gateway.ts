import { type FastifyInstance, fastify } from 'fastify';
import { ExperiencesClient, ExperiencesError } from '../client/index.js';
import { newUuid } from '../domain/new-uuid.js';
import { isLoopback } from '../runtime/is-loopback.js';
import type { Logger } from '../runtime/logger.js';
import type { Running } from '../runtime/process.js';
import { callerKeyOf } from './caller-of.js';
import { answerClientError } from './client-errors.js';
import { closeIdle, openConnections } from './close-idle.js';
import { faultOf, sendFault } from './error-answer.js';
import type { GatewayOptions } from './gateway-options.js';
import { HttpFault } from './http-fault.js';
import { addJsonBodies } from './json-bodies.js';
import { jsonText } from './json-text.js';
import { keyGate } from './key-gate.js';
import { openApiRoutes } from './openapi/openapi-routes.js';
import { CallerCache } from './proxy/caller-cache.js';
import { proxyRoutes } from './proxy/proxy-routes.js';
import { requestLineFault } from './request-line.js';
import type { Gateway, RouteGroup } from './route-group.js';
import { categoriesRoutes } from './routes/categories-routes.js';
import { ingestRoutes } from './routes/ingest-routes.js';
import { instancesRoutes } from './routes/instances-routes.js';
import { limitsRoutes } from './routes/limits-routes.js';
import { readingRoutes } from './routes/reading-routes.js';
import { requestsRoutes } from './routes/requests-routes.js';
import { resourcesRoutes } from './routes/resources-routes.js';
import { typesRoutes } from './routes/types-routes.js';
import { useCasesRoutes } from './routes/use-cases-routes.js';
import { boundSlowReaders } from './slow-readers.js';

/** Who calls is looked at before anything else of a request. */
const KEYED_GROUPS: readonly RouteGroup[] = [
  typesRoutes,
  instancesRoutes,
  useCasesRoutes,
  ingestRoutes,
  requestsRoutes,
  categoriesRoutes,
  resourcesRoutes,
  limitsRoutes,
  readingRoutes,
];
/** What tells nothing, and what asks for the key itself. */
const OTHER_GROUPS: readonly RouteGroup[] = [openApiRoutes, proxyRoutes];

/** The gateway, listening. */
export interface RunningGateway extends Running {
  /** `host:port`, with the port that was taken. */
  readonly address: string;
  /** `GET /api/v1/health` and so on, as they were registered. */
  readonly routes: readonly string[];
}

export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { logger } = options;
  const client = new ExperiencesClient({
    address: options.serviceAddress,
    timeoutMs: SERVICE_CALL_TIME_MAX_MS,
    ...(options.apiKey === undefined ? {} : { caller: { apiKey: options.apiKey } }),
  });
  const stopping = new AbortController();
  const app = createApp(logger, stopping.signal);
  const connections = openConnections(app.server);
  const routes: string[] = [];
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.isOtherSpelling === true) return;
    for (const each of [method].flat()) routes.push(`${each} ${url}`);
  });
  const clientBy = (apiKey: string | undefined) => client.as(apiKey === undefined ? {} : { apiKey });
  const gateway: Gateway = {
    client,
    logger,
    options,
    callers: new CallerCache((apiKey) => clientBy(apiKey).admin.caller()),
    clientOf: (request) => clientBy(callerKeyOf(request.headers)),
  };
  try {
    if (!isLoopback(options.listen)) await demandKeys(client, options);
    for (const group of OTHER_GROUPS) await app.register(async (scope) => group(scope, gateway));
    for (const group of KEYED_GROUPS)
      await app.register(async (scope) => {
        scope.addHook('onRequest', keyGate(gateway.callers));
        await group(scope, gateway);
      });
    await app.listen(hostAndPort(options.listen));
  } catch (error) {
    await app.close();
    client.close();
    throw error;
  }
  return {
    address: addressOf(app, options.listen),
    routes,
    /** Nothing new is taken; what is in flight is answered, then the groups close what they hold, then the channel. */
    async stop(): Promise<void> {
      stopping.abort();
      const forced = setTimeout(
        () => app.server.closeAllConnections(),
        options.inFlightTimeMaxMs ?? IN_FLIGHT_TIME_MAX_MS,
      );
      const closed = closeIdle(app.server, connections);
      await app.close();
      closed();
      clearTimeout(forced);
      client.close();
    },
  };
}

function createApp(logger: Logger, stopping: AbortSignal): FastifyInstance {
  const app = fastify({
    http: {
      maxHeaderSize: HEADERS_BYTES_MAX,
      headersTimeout: HEADERS_TIME_MAX_MS,
      connectionsCheckingInterval: CONNECTION_CHECK_INTERVAL_MS,
      // Looked at in `request-line.ts`, which answers it with a body.
      requireHostHeader: false,
    },
    requestTimeout: REQUEST_TIME_MAX_MS,
    keepAliveTimeout: KEEP_ALIVE_TIME_MS,
    bodyLimit: BODY_BYTES_MAX,
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    requestIdHeader: false,
    genReqId: newUuid,
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      sendFault(reply, faultOf(error, request, logger));
    },
  });
  app.server.maxConnections = CONNECTIONS_MAX;
  // Node drops what is beyond its bound without a word; ours, in `request-line.ts`, refuses.
  app.server.maxHeadersCount = 0;
  addJsonBodies(app);
  app.setReplySerializer((payload) => jsonText(payload));
  app.setErrorHandler((error, request, reply) => sendFault(reply, faultOf(error, request, logger)));
  app.setNotFoundHandler((_request, reply) => sendFault(reply, nothingThere()));
  app.addHook('onRequest', (request, reply, done) => {
    const fault = stopping.aborted ? stoppingFault() : requestLineFault(request.raw);
    // Where the next request begins is not sure, or it would meet no one.
    if (fault !== undefined) reply.header('connection', 'close');
    // A body for a path that is none is not read.
    done(fault ?? (request.is404 ? nothingThere() : undefined));
  });
  boundSlowReaders(app);
  // Clients learn by it that the connection takes no further request.
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (stopping.aborted) reply.header('connection', 'close');
    done();
  });
  return app;
}

function nothingThere(): HttpFault {
  return new HttpFault(404, undefined, 'There is nothing at this path and method.');
}

function stoppingFault(): HttpFault {
  const message = 'This process is stopping; another one, or it again, will answer.';
  return new HttpFault(503, 'request_processing_error', message, { retryAfterMs: STOPPING_RETRY_AFTER_MS });
}

/** Beyond loopback anybody may call, so the service must ask for keys; it is tried, not believed. */
async function demandKeys(client: ExperiencesClient, options: GatewayOptions): Promise<void> {
  const where = `to listen at ${options.listen}, beyond loopback,`;
  if (options.apiKey === undefined) throw new Error(`${where} the gateway needs a key of its own`);
  if (await isCaller(client.as({}))) throw new Error(`${where} the service must demand keys`);
  if (!(await isCaller(client))) throw new Error(`${where} the gateway needs a key that the service knows`);
}

async function isCaller(client: ExperiencesClient): Promise<boolean> {
  try {
    await client.admin.caller();
    return true;
  } catch (error) {
    if (error instanceof ExperiencesError && error.code === 'UNAUTHENTICATED') return false;
    throw error;
  }
}

function hostAndPort(listen: string): { readonly host: string; readonly port: number } {
  const colon = listen.lastIndexOf(':');
  const host = listen.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(listen.slice(colon + 1)) };
}

function addressOf(app: FastifyInstance, listen: string): string {
  const [bound] = app.addresses();
  if (bound === undefined) throw new Error('a server that listens has no address');
  return `${listen.slice(0, listen.lastIndexOf(':'))}:${bound.port}`;
}

/** For a call to the service with all its retries: well below what HTTP clients wait for (60 s). */
const SERVICE_CALL_TIME_MAX_MS = 10_000;
const BODY_BYTES_MAX = 4 * 1024 * 1024;
const HEADERS_BYTES_MAX = 32 * 1024;
const PARAMETER_LENGTH_MAX = 512;
const HEADERS_TIME_MAX_MS = 10_000;
/** How often the two bounds of time are looked at. */
const CONNECTION_CHECK_INTERVAL_MS = 2_000;
/** Until the whole request has arrived. */
const REQUEST_TIME_MAX_MS = 60_000;
/** Longer than load balancers keep a connection, so that it is they who close it. */
const KEEP_ALIVE_TIME_MS = 75_000;
const CONNECTIONS_MAX = 4_096;
/** For calls in flight at a stop; then they are cut, and settled as cut. */
export const IN_FLIGHT_TIME_MAX_MS = 30_000;
const STOPPING_RETRY_AFTER_MS = 1_000;
