import type { Logger } from '../runtime/logger.js';

export interface GatewayOptions {
  /** Where to listen, `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** `host:port` of the gRPC service. */
  readonly serviceAddress: string;
  /** The gateway's own key; absent: none, which a service takes on loopback as long as it knows no key. */
  readonly apiKey?: string;
  /** Where records wait that the ledger could not take. */
  readonly outboxFolder: string;
  /** Base URIs of the providers, without the path: `https://api.openai.com`. */
  readonly providers: { readonly openai: string; readonly anthropic: string };
  /** Further hosts that `xProxy-Provider-BaseUri` may name, `host` or `host:port`. */
  readonly providerHosts: readonly string[];
  /** Whether hosts that resolve to private ranges may be called. */
  readonly privateProviderHosts: boolean;
  /** How long a provider may take, in milliseconds; absent: as `upstreams.ts` says. */
  readonly providerTimes?: {
    /** Until an answer begins. */
    readonly answerMaxMs: number;
    /** Between two parts of an answer. */
    readonly silenceMaxMs: number;
  };
  /** How long a stop waits for calls in flight; absent: as `gateway.ts` says. */
  readonly inFlightTimeMaxMs?: number;
  readonly logger: Logger;
}
