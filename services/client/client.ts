import { Client, credentials } from '@grpc/grpc-js';
import { CALLER_KEYS } from '../domain/caller-keys.js';
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
  readonly caller?: Caller;
}

/** In whose name calls are made. */
export interface Caller {
  /** Absent: none, which a service takes on loopback as long as it knows no key. */
  readonly apiKey?: string;
  /** Only the bootstrap key may name one; absent: the key's own, and for the bootstrap key `default`. */
  readonly application?: string;
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
  readonly #channel: Channel;

  constructor(options: ClientOptions | Channel) {
    const channel = 'client' in options ? options : channelOf(options);
    this.#channel = channel;
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

  /** The same channel in the name of another caller. Closing one closes both. */
  as(caller: Caller): ExperiencesClient {
    const metadata = this.#channel.metadata.clone();
    for (const key of Object.values(CALLER_KEYS)) metadata.remove(key);
    metadata.merge(metadataOf(callerMetadata(caller)));
    return new ExperiencesClient({ ...this.#channel, metadata });
  }

  close(): void {
    this.#channel.client.close();
  }
}

function channelOf({ address, timeoutMs, metadata, caller = {} }: ClientOptions): Channel {
  return {
    client: new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS),
    timeoutMs: timeoutMs ?? TIMEOUT_DEFAULT_MS,
    metadata: metadataOf({ ...metadata, ...callerMetadata(caller) }),
  };
}

function callerMetadata({ apiKey, application }: Caller): Record<string, string> {
  return {
    ...(apiKey === undefined ? {} : { [CALLER_KEYS.apiKey]: apiKey }),
    ...(application === undefined ? {} : { [CALLER_KEYS.application]: application }),
  };
}

const TIMEOUT_DEFAULT_MS = 15_000;
const CHANNEL_OPTIONS = {
  'grpc.enable_retries': 0,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
} as const;
