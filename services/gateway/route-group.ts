import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ExperiencesClient } from '../client/index.js';
import type { Logger } from '../runtime/logger.js';
import type { GatewayOptions } from './gateway-options.js';
import type { CallerCache } from './proxy/caller-cache.js';

/** What a group of routes gets. */
export interface Gateway {
  /** In the gateway's own name; what a caller asks for goes by `clientOf`. */
  readonly client: ExperiencesClient;
  readonly logger: Logger;
  readonly options: GatewayOptions;
  /** Who calls by a key, as the service has said of late. */
  readonly callers: CallerCache;
  /** The service in the name of whoever sent the request: it decides what the key may do and whose data it sees. */
  clientOf(request: FastifyRequest): ExperiencesClient;
}

/** Each has an instance of Fastify of its own: its hooks and body parsers do not reach the others. */
export type RouteGroup = (app: FastifyInstance, gateway: Gateway) => void | Promise<void>;
