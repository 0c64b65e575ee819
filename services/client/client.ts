import { Client, credentials } from '@grpc/grpc-js';
import { AdminClient } from './admin-client.js';
import { type Channel, metadataOf } from './call.js';
import { CostsClient } from './costs-client.js';
import { DocumentsClient } from './documents-client.js';
import { ExperiencesOfTypeClient } from './experiences-client.js';
import { LimitsClient } from './limits-client.js';
import { PricesClient } from './prices-client.js';
import { RunStateClient } from './run-state-client.js';
import { RunsClient } from './runs-client.js';
import { TypesClient } from './types-client.js';
import { UsageClient } from './usage-client.js';

export interface ClientOptions {
  /** `host:port` of the service. */
  readonly address: string;
  /** For each call with all its retries, in milliseconds; absent: 15,000. */
  readonly timeoutMs?: number;
  /** gRPC metadata sent with every call; see `attributionMetadata`. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * The service's client: one channel, kept open; every method may be called concurrently. A call that fails throws
 * `ExperiencesError`. While the service is away or sheds load, calls are sent again by themselves until their time is
 * over, and none can count twice by that.
 */
export class ExperiencesClient {
  readonly types: TypesClient;
  readonly experiences: ExperiencesOfTypeClient;
  readonly usage: UsageClient;
  readonly costs: CostsClient;
  readonly documents: DocumentsClient;
  readonly runs: RunsClient;
  readonly runState: RunStateClient;
  readonly prices: PricesClient;
  readonly limits: LimitsClient;
  readonly admin: AdminClient;
  readonly #client: Client;

  constructor(options: ClientOptions) {
    this.#client = new Client(options.address, credentials.createInsecure(), CHANNEL_OPTIONS);
    const channel: Channel = {
      client: this.#client,
      timeoutMs: options.timeoutMs ?? TIMEOUT_DEFAULT_MS,
      metadata: metadataOf(options.metadata ?? {}),
    };
    this.types = new TypesClient(channel);
    this.experiences = new ExperiencesOfTypeClient(channel);
    this.usage = new UsageClient(channel);
    this.costs = new CostsClient(channel);
    this.documents = new DocumentsClient(channel);
    this.runs = new RunsClient(channel);
    this.runState = new RunStateClient(channel);
    this.prices = new PricesClient(channel);
    this.limits = new LimitsClient(channel);
    this.admin = new AdminClient(channel);
  }

  close(): void {
    this.#client.close();
  }
}

const TIMEOUT_DEFAULT_MS = 15_000;
const CHANNEL_OPTIONS = {
  'grpc.enable_retries': 0,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
} as const;
