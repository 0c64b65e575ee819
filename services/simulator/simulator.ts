import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { checkKey } from './api-key.js';
import { createChatCompletions } from './chat-completions.js';
import { ClientLeft } from './client-connection.js';
import { createControl, type Handler } from './control.js';
import { EMBEDDINGS } from './embeddings.js';
import { createFaultRules } from './fault-rules.js';
import { FAULT_RULE, type FaultRuleInput } from './faults.js';
import { createImageGenerations } from './image-generations.js';
import { createMarkedPrefixCache, NO_MARKED_PREFIX_CACHE } from './marked-prefix-cache.js';
import { createMessages } from './messages.js';
import { type Endpoint, serveModelCall } from './model-call.js';
import { LISTED_MODELS } from './models.js';
import { createPrefixCache, NO_PREFIX_CACHE } from './prefix-cache.js';
import { Refusal, serverError, unknownPath, wrongMethod } from './refusal.js';
import { createResponses } from './responses.js';
import { sendJson, sendRefusal } from './send-json.js';
import { createServedCalls, SERVED_CALLS_MAX } from './served-calls.js';

export interface SimulatorOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number | undefined;
  /** Where to listen; the loopback address by default. The control paths have no key. */
  readonly host?: string | undefined;
  /** The one key that is taken; without it any request is. */
  readonly apiKey?: string | undefined;
  /** What the first byte of every answer waits, and up to how much more by chance. */
  readonly latencyMs?: number | undefined;
  readonly latencyJitterMs?: number | undefined;
  /** What each piece of a streamed text waits. */
  readonly tokenDelayMs?: number | undefined;
  /** Whether repeated prompt prefixes are counted as cached; they are by default. */
  readonly promptCache?: boolean | undefined;
  /** Decides about faults with a probability and about jitter. */
  readonly seed?: number | undefined;
  readonly faults?: readonly FaultRuleInput[] | undefined;
  /** How many served calls are kept one by one, at most and by default {@link SERVED_CALLS_MAX}; all are in the sums. */
  readonly servedCallsMax?: number | undefined;
  readonly now?: (() => number) | undefined;
  /** Told of errors that are the simulator's own; the caller gets a 500. */
  readonly reportBug?: ((error: unknown) => void) | undefined;
}

export interface Simulator {
  /** Without a path: `/health` and `/simulator/…` are under it. */
  readonly url: string;
  /** What a client of the provider takes as its base URL; ends in `/v1`. */
  readonly apiUrl: string;
  readonly port: number;
  /** Lets calls finish for {@link STOP_GRACE_MS}, then closes every connection. */
  stop(): Promise<void>;
}

export const STOP_GRACE_MS = 1_000;
/** Longer than clients keep idle connections, so that none sends into one that is just being closed. */
const KEEP_ALIVE_MS = 75_000;
const CONNECTIONS_MAX = 4_096;
const SEED = 1;

/** A provider that needs no key: it speaks OpenAI's and Anthropic's HTTP APIs and answers the same to the same question. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = '127.0.0.1', port = 0, reportBug = writeBug } = options;
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS });
  const route = createRoutes(options);
  server.maxConnections = CONNECTIONS_MAX;
  server.on('request', (request, response) => {
    void answer(request, response, route, reportBug);
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new Error('a TCP server has an address and a port');
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
  let stopped: Promise<void> | undefined;
  return {
    url,
    apiUrl: `${url}/v1`,
    port: address.port,
    stop() {
      stopped ??= stopServer(server);
      return stopped;
    },
  };
}

type Route = (path: string) => Readonly<Record<string, Handler>> | undefined;

function createRoutes(options: SimulatorOptions): Route {
  const { apiKey, promptCache = true, seed = SEED, now = Date.now } = options;
  const served = createServedCalls(
    now,
    Math.min(options.servedCallsMax ?? SERVED_CALLS_MAX, SERVED_CALLS_MAX),
  );
  const faults = createFaultRules(
    {
      latencyMs: options.latencyMs ?? 0,
      latencyJitterMs: options.latencyJitterMs ?? 0,
      tokenDelayMs: options.tokenDelayMs ?? 0,
    },
    seed,
  );
  faults.add((options.faults ?? []).map((rule) => FAULT_RULE.parse(rule)));
  const callWorld = { apiKey, faults, served, now, newRequestId: () => `req_${hexadecimalId()}` };
  function modelCall(endpoint: Endpoint): Readonly<Record<string, Handler>> {
    return { POST: (request, response) => serveModelCall(endpoint, request, response, callWorld) };
  }
  const world = {
    prefixes: promptCache ? createPrefixCache() : NO_PREFIX_CACHE,
    now,
    markedPrefixes: promptCache ? createMarkedPrefixCache() : NO_MARKED_PREFIX_CACHE,
    newId: (prefix: string) => `${prefix}${hexadecimalId()}`,
  };
  const paths = new Map<string, Readonly<Record<string, Handler>>>([
    ['/v1/chat/completions', modelCall(createChatCompletions(world))],
    ['/v1/responses', modelCall(createResponses(world))],
    ['/v1/messages', modelCall(createMessages(world))],
    ['/v1/images/generations', modelCall(createImageGenerations(world))],
    ['/v1/embeddings', modelCall(EMBEDDINGS)],
    [
      '/v1/models',
      {
        GET: (request, response) => {
          checkKey(request, apiKey, 'openai');
          sendJson(response, 200, toWireModels());
        },
      },
    ],
    ['/health', { GET: (_request, response) => sendJson(response, 200, { status: 'ok' }) }],
    ...Object.entries(createControl({ faults, served })),
  ]);
  return (path) => paths.get(path);
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  route: Route,
  reportBug: (error: unknown) => void,
): Promise<void> {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  try {
    const methods = route(path);
    if (methods === undefined) throw unknownPath();
    const handler = Object.hasOwn(methods, request.method ?? '') ? methods[request.method ?? ''] : undefined;
    if (handler === undefined) throw wrongMethod(Object.keys(methods));
    await handler(request, response, query);
  } catch (error) {
    if (error instanceof Refusal) {
      sendRefusal(response, error);
    } else if (!(error instanceof ClientLeft)) {
      reportBug(error);
      if (response.headersSent) response.destroy();
      else sendRefusal(response, serverError(500));
    }
  }
}

/** The release days of the models are not known here; the provider's clients do not read `created`. */
const MODEL_CREATED_SECONDS = 1_700_000_000;

function toWireModels(): object {
  return {
    object: 'list',
    data: LISTED_MODELS.map((id) => ({
      id,
      object: 'model',
      created: MODEL_CREATED_SECONDS,
      owned_by: 'simulator',
    })),
  };
}

function hexadecimalId(): string {
  return randomUUID().replaceAll('-', '');
}

const IDLE_CHECK_MS = 20;

async function stopServer(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  // A connection that was busy when the server closed stays open after its answer.
  const closeIdle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  const closeAll = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS);
  await closed;
  clearInterval(closeIdle);
  clearTimeout(closeAll);
}

function writeBug(error: unknown): void {
  const stack = error instanceof Error ? error.stack : String(error);
  console.error(JSON.stringify({ level: 'error', time: Date.now(), msg: 'simulator bug', stack }));
}
