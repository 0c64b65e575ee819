import type { IncomingHttpHeaders } from 'node:http';
import { HttpFault } from '../http-fault.js';

/** Headers as they stood on the wire: names and values by turns. */
export type RawHeaders = readonly string[];

/**
 * What of a caller's headers goes to the provider, in their order: all but those that belong to one connection, those of
 * ours, those that are made anew, and those that tell who the caller is. `xProxy-Forward-<Name>` goes as `<Name>` and takes
 * the place of a plain one. Throws HttpFault for a key of this service in what would go: `ownKey` is the gateway's.
 */
export function upstreamHeaders(raw: RawHeaders, ownKey?: string): string[] {
  const dropped = connectionHeaders(raw);
  const forwarded: string[] = [];
  const replaced = new Set<string>();
  for (const [name, value] of pairsOf(raw)) {
    const bare = forwardedName(name);
    if (bare === undefined) continue;
    refuseOwnKey(name, value, ownKey);
    replaced.add(bare.toLowerCase());
    forwarded.push(bare, value);
  }
  const kept: string[] = [];
  for (const [name, value] of pairsOf(raw)) {
    const lower = name.toLowerCase();
    const isDropped = HOP_BY_HOP.has(lower) || dropped.has(lower) || replaced.has(lower);
    const isOurs = MADE_ANEW.has(lower) || lower.startsWith(OWN_PREFIX);
    if (isDropped || isOurs || OF_CALLER.has(lower) || OF_CALLER_PREFIX.test(lower)) continue;
    refuseOwnKey(name, value, ownKey);
    kept.push(name, value);
  }
  // What is compressed could not be read on its way.
  return [...kept, ...forwarded, 'accept-encoding', 'identity'];
}

/** What of a provider's headers goes to the caller. */
export function answerHeaders(answered: IncomingHttpHeaders): Record<string, string | string[]> {
  const dropped = connectionHeaders(['connection', answered.connection ?? '']);
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(answered)) {
    const lower = name.toLowerCase();
    const isDropped = HOP_BY_HOP.has(lower) || dropped.has(lower) || OF_ORIGIN.has(lower);
    if (!isDropped && value !== undefined) kept[lower] = value;
  }
  return kept;
}

/** As what a header is to be forwarded; undefined: it is not. */
function forwardedName(name: string): string | undefined {
  if (!name.toLowerCase().startsWith(FORWARD_PREFIX)) return undefined;
  const bare = name.slice(FORWARD_PREFIX.length);
  const lower = bare.toLowerCase();
  const isRefused = HOP_BY_HOP.has(lower) || MADE_ANEW.has(lower) || lower.startsWith(OWN_PREFIX);
  if (bare === '' || isRefused) {
    throw new HttpFault(
      400,
      'request_processing_error',
      `The header ${FORWARD_NAME}<Name> cannot forward '${bare.slice(0, SHOWN_LENGTH_MAX)}'.`,
    );
  }
  return bare;
}

/** Clients that were given one key for both would hand ours to the provider. */
function refuseOwnKey(name: string, value: string, ownKey: string | undefined): void {
  if (!KEY_OF_SERVICE.test(value) && (ownKey === undefined || !value.includes(ownKey))) return;
  throw new HttpFault(
    400,
    'request_processing_error',
    `The header '${name.slice(0, SHOWN_LENGTH_MAX)}' would hand a key of this service to the provider; send it as xProxy-api-key only.`,
  );
}

/** RFC 9110, section 7.6.1: an intermediary removes `Connection`, each header that it names, and the known ones. */
function connectionHeaders(raw: RawHeaders): ReadonlySet<string> {
  const named = new Set<string>();
  for (const [name, value] of pairsOf(raw)) {
    if (name.toLowerCase() !== 'connection') continue;
    for (const each of value.split(',')) named.add(each.trim().toLowerCase());
  }
  return named;
}

function* pairsOf(raw: RawHeaders): Generator<readonly [name: string, value: string]> {
  for (let index = 0; index + 1 < raw.length; index += 2) yield [raw[index] ?? '', raw[index + 1] ?? ''];
}

const OWN_PREFIX = 'xproxy-';
const FORWARD_NAME = 'xProxy-Forward-';
const FORWARD_PREFIX = FORWARD_NAME.toLowerCase();
const SHOWN_LENGTH_MAX = 64;
/** RFC 9110, section 7.6.1, and `Proxy-Authenticate`, `Proxy-Authorization` and `Trailer` of RFC 7230. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** `Expect` was answered by this server (RFC 9110, section 10.1.1). */
const MADE_ANEW: ReadonlySet<string> = new Set(['host', 'content-length', 'accept-encoding', 'expect']);
/** What a browser keeps for this host, and what a proxy in front of it says of the caller. */
const OF_CALLER: ReadonlySet<string> = new Set([
  'cookie',
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'fastly-client-ip',
  'x-original-url',
  'x-rewrite-url',
  'remote-user',
]);
const OF_CALLER_PREFIX =
  /^(?:x-forwarded-|x-original-(?:forwarded|host|proto)|x-envoy-|x-auth-request-|x-amzn-oidc-|x-ms-client-principal|x-ms-token-|x-goog-iap-|x-goog-authenticated-user-|cf-)/;
/** As the service writes its keys: `exp_<id>_<secret>`. */
const KEY_OF_SERVICE = /\bexp_[0-9a-f]{24}_[A-Za-z0-9_-]{43}/;
/** They are about the provider's own origin (RFC 7838, RFC 6797), or about a body that becomes longer. */
const OF_ORIGIN: ReadonlySet<string> = new Set([
  'alt-svc',
  'content-length',
  'content-md5',
  'digest',
  'strict-transport-security',
]);
