import { isIP } from 'node:net';
import type { GatewayOptions } from '../gateway-options.js';
import { HttpFault } from '../http-fault.js';
import { isPrivateAddress } from './private-address.js';

/** A provider as routes name it. */
export type ProviderName = keyof GatewayOptions['providers'];

/** Where a provider's paths are. */
export interface ProviderBase {
  /** `https://api.openai.com`, with a port where it is not the scheme's own. */
  readonly origin: string;
  /** What comes before `/v1/…`; empty, or without a slash at its end. */
  readonly path: string;
  /** Whether its host may have an address that is not public. */
  readonly mayBePrivate: boolean;
}

type HostOptions = Pick<GatewayOptions, 'providers' | 'providerHosts' | 'privateProviderHosts'>;

/**
 * Which hosts the proxy calls: those of the configured providers, which are the operator's and may be anywhere, and those
 * that `xProxy-Provider-BaseUri` may name. The names are few and fixed, so that a caller can neither reach another host nor
 * make connection pools without end.
 */
export class ProviderHosts {
  readonly #defaults: Readonly<Record<ProviderName, ProviderBase>>;
  readonly #named: ReadonlySet<string>;
  readonly #options: HostOptions;

  constructor(options: HostOptions) {
    const { openai, anthropic } = options.providers;
    this.#options = options;
    this.#defaults = { openai: operatorsBase(openai), anthropic: operatorsBase(anthropic) };
    this.#named = new Set(options.providerHosts.map((host) => host.trim().toLowerCase()));
  }

  /** `baseUri` as the caller sent it; undefined: the provider's own. Throws HttpFault. */
  baseOf(provider: ProviderName, baseUri: string | undefined): ProviderBase {
    if (baseUri === undefined) return this.#defaults[provider];
    const url = parseBaseUri(baseUri);
    const path = pathOf(url);
    // The operator's own choice of an address covers its path too: beside it there may be what is nobody else's.
    const known = Object.values(this.#defaults).find(
      (base) => base.origin === url.origin && base.path === path,
    );
    if (known !== undefined) return known;
    const isNamed = this.#isNamed(url);
    if (!isNamed && !(PUBLIC_HOSTS.has(url.hostname) && url.port === '')) throw invalidHost('is not allowed');
    const mayBePrivate = isNamed && this.#options.privateProviderHosts;
    if (url.protocol !== 'https:' && !mayBePrivate) throw invalidUri('must begin with https://');
    // The name of a host is checked when it is resolved; an address is never resolved.
    const address = addressOf(url);
    if (!mayBePrivate && address !== undefined && isPrivateAddress(address)) throw privateHost();
    return { origin: url.origin, path, mayBePrivate };
  }

  /** A host that is listed without a port has its scheme's own. */
  #isNamed(url: URL): boolean {
    if (this.#named.has(url.host)) return true;
    return this.#named.has(`${url.hostname}:${url.port || PORT_OF_SCHEME[url.protocol]}`);
  }
}

/** The address is the host's own; undefined: it is a name. */
function addressOf({ hostname }: URL): string | undefined {
  const bare = hostname.replace(/^\[|\]$/g, '');
  return isIP(bare) === 0 ? undefined : bare;
}

function parseBaseUri(text: string): URL {
  if (text.length > URI_LENGTH_MAX || !URL.canParse(text)) throw invalidUri('is not a URI');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw invalidUri('must begin with https://');
  if (url.username !== '' || url.password !== '') throw invalidUri('must not have credentials');
  if (url.search !== '' || url.hash !== '' || /[?#]$/.test(text))
    throw invalidUri('must have neither a query nor a fragment');
  return url;
}

/** Clients give a base with the version at its end or without it. */
function pathOf({ pathname }: URL): string {
  return pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
}

function operatorsBase(uri: string): ProviderBase {
  const url = new URL(uri);
  return { origin: url.origin, path: pathOf(url), mayBePrivate: true };
}

export function privateHost(): HttpFault {
  return invalidHost('has an address that is not public');
}

function invalidHost(what: string): HttpFault {
  return new HttpFault(400, 'invalid_provider_host', `The host of xProxy-Provider-BaseUri ${what}.`);
}

function invalidUri(what: string): HttpFault {
  return new HttpFault(400, 'invalid_provider_uri', `xProxy-Provider-BaseUri ${what}.`);
}

/** The providers' own hosts, whichever hosts are configured. */
const PUBLIC_HOSTS: ReadonlySet<string> = new Set(['api.openai.com', 'api.anthropic.com']);
const PORT_OF_SCHEME: Readonly<Record<string, string>> = { 'https:': '443', 'http:': '80' };
const URI_LENGTH_MAX = 2_048;
