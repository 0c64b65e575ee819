import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { contract } from '../contract/contract.js';
import { APPLICATION_DEFAULT } from '../domain/application.js';
import { Ledger } from '../ledger/ledger.js';
import { loadCatalogue } from '../pricing/catalogue.js';
import { isLoopback } from '../runtime/is-loopback.js';
import type { Logger } from '../runtime/logger.js';
import type { Running } from '../runtime/process.js';
import { adminService } from './admin-service.js';
import { Authenticator } from './authenticator.js';
import { Conversations } from './conversations.js';
import { costService } from './cost-service.js';
import { documentService } from './document-service.js';
import { experienceRunService } from './experience-run-service.js';
import { experienceService } from './experience-service.js';
import { experienceTypeService } from './experience-type-service.js';
import { Handlers } from './handler.js';
import { USAGE_LIMITS } from './item-limits.js';
import { limitService } from './limit-service.js';
import { methodScopes } from './method-scopes.js';
import { PageTokens } from './page-token.js';
import { priceService } from './price-service.js';
import { Recorder } from './recorder.js';
import { addReflection } from './reflection.js';
import { RunOutputWatchers } from './run-outputs.js';
import { runStateService } from './run-state-service.js';
import { Runs } from './runs.js';
import { incidentFault } from './status.js';
import { withUnreadableRequests } from './unreadable-request.js';
import { usageService } from './usage-service.js';
import { WorkflowEngine } from './workflow-engine.js';

export interface ServerOptions {
  /** Where to listen, `host:port`; port 0 takes a free one. */
  readonly listen: string;
  readonly mongodbUri: string;
  readonly databaseName: string;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  /** The task queue of types that name none. */
  readonly defaultTaskQueue: string;
  /** Whether `default` refuses an experience id that is no UUID instead of replacing it, whatever is kept of it. */
  readonly strictIds: boolean;
  /** The key that may do everything for every application. Absent: none, and then it listens on loopback only. */
  readonly bootstrapKey?: string | undefined;
  readonly reflection: boolean;
  /** How many writes may wait for their turn before more are refused; absent: 10,000. */
  readonly writesWaitingMax?: number;
  readonly logger: Logger;
}

/** The gRPC service, listening. */
export interface RunningServer extends Running {
  /** `host:port`, with the port that was taken. */
  readonly address: string;
}

export async function startServer(options: ServerOptions): Promise<RunningServer> {
  checkKeyRules(options);
  const ledger = await Ledger.open({
    uri: options.mongodbUri,
    databaseName: options.databaseName,
    catalogue: loadCatalogue(),
    applications: [APPLICATION_DEFAULT],
    ...(options.writesWaitingMax === undefined ? {} : { entriesWaitingMax: options.writesWaitingMax }),
  });
  const engine = new WorkflowEngine({
    address: options.temporalAddress,
    namespace: options.temporalNamespace,
  });
  const authenticator = new Authenticator(ledger, methodScopes(), {
    bootstrapKey: options.bootstrapKey,
    strictDefault: options.strictIds,
  });
  await authenticator.prepare().catch(async (error: unknown) => {
    await ledger.close();
    throw error;
  });
  const handlers = new Handlers(options.logger, authenticator);
  const recorder = new Recorder(ledger, (error) => incidentFault(error, options.logger, 'RecordUsage'));
  const tokens = new PageTokens(ledger.pageTokenKey);
  const runs = new Runs(ledger, recorder, engine, { defaultTaskQueue: options.defaultTaskQueue });
  const conversations = new Conversations({ ledger, recorder, engine, runs });

  const outputs = new RunOutputWatchers(ledger);
  const server = new Server(SERVER_OPTIONS);
  const addService = (service: ServiceDefinition, implementation: UntypedServiceImplementation) =>
    server.addService(
      withUnreadableRequests(service, USAGE_LIMITS, (records, bytes) => ledger.checkRoom(records, bytes)),
      implementation,
    );
  addService(contract.ExperienceTypeService.service, experienceTypeService(ledger, tokens, handlers));
  addService(contract.ExperienceService.service, experienceService(ledger, recorder, tokens, handlers));
  addService(contract.UsageService.service, usageService(ledger, recorder, tokens, handlers));
  addService(contract.CostService.service, costService(ledger, handlers));
  addService(contract.PriceService.service, priceService(ledger, tokens, handlers));
  addService(
    contract.ExperienceRunService.service,
    experienceRunService(runs, conversations, outputs, handlers),
  );
  addService(contract.LimitService.service, limitService(ledger, runs, tokens, handlers));
  addService(contract.DocumentService.service, documentService(ledger, handlers));
  addService(contract.RunStateService.service, runStateService(ledger, tokens, handlers));
  addService(
    contract.AdminService.service,
    adminService(ledger, { recorder, authenticator, tokens }, handlers),
  );
  const health = new HealthImplementation(Object.fromEntries(HEALTH_NAMES.map((name) => [name, 'SERVING'])));
  health.addToServer(server);
  if (options.reflection) addReflection(server, { authenticator, logger: options.logger });

  const port = await bind(server, options.listen).catch(async (error: unknown) => {
    await ledger.close();
    await engine.close();
    throw error;
  });
  const address = `${options.listen.slice(0, options.listen.lastIndexOf(':'))}:${port}`;
  return {
    address,
    /** Health first, so that balancers turn away; then what is in flight is answered; then the stores are closed. */
    async stop(): Promise<void> {
      for (const name of HEALTH_NAMES) health.setStatus(name, 'NOT_SERVING');
      handlers.stopStreams();
      server.drain(options.listen.replace(/:\d+$/, `:${port}`), DRAIN_GRACE_MS);
      await new Promise<void>((resolve) => {
        const forced = setTimeout(() => server.forceShutdown(), SHUTDOWN_MAX_MS);
        server.tryShutdown(() => {
          clearTimeout(forced);
          resolve();
        });
      });
      await engine.close().catch(() => undefined); // A lazy connection that never was.
      await ledger.close();
    },
  };
}

/** Before anything is opened: no service is ever reached from elsewhere without a key. */
function checkKeyRules({ bootstrapKey, listen }: ServerOptions): void {
  if (bootstrapKey !== undefined && !BOOTSTRAP_KEY.test(bootstrapKey))
    throw new Error('EXPERIENCES_BOOTSTRAP_KEY must be 32 to 256 visible ASCII characters.');
  if (bootstrapKey === undefined && !isLoopback(listen)) {
    throw new Error(
      `To listen beyond loopback (${listen}) it needs a bootstrap key: set EXPERIENCES_BOOTSTRAP_KEY.`,
    );
  }
}

async function bind(server: Server, listen: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(listen, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

const HEALTH_NAMES = [
  '',
  ...[
    'ExperienceType',
    'Experience',
    'Usage',
    'Cost',
    'Price',
    'ExperienceRun',
    'Limit',
    'Admin',
    'Document',
    'RunState',
  ].map((name) => `experiences.v1.${name}Service`),
];
const BOOTSTRAP_KEY = /^[\x21-\x7e]{32,256}$/;
const MEBIBYTE = 1024 * 1024;
const SERVER_OPTIONS = {
  'grpc.max_receive_message_length': MEBIBYTE,
  'grpc.max_send_message_length': 4 * MEBIBYTE,
  'grpc.max_concurrent_streams': 1_000,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.max_connection_age_ms': 600_000,
  'grpc.max_connection_age_grace_ms': 60_000,
  'grpc.max_connection_idle_ms': 900_000,
} as const;
const DRAIN_GRACE_MS = 5_000;
const SHUTDOWN_MAX_MS = 10_000;
