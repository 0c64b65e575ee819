import { PrivateAddress } from './checked-lookup.js';

/** Why a provider gave no whole answer. */
export type UpstreamFailure =
  /** No connection was made: the request never left. */
  | 'unreachable'
  /** It has a header that cannot be sent: the request never left. */
  | 'unsendable'
  /** The host's certificate is not accepted: the request never left. */
  | 'certificate'
  /** The host has an address that may not be called: the request never left. */
  | 'private address'
  /** It took too long, and the work may have been done. */
  | 'timeout'
  /** The connection ended, and the work may have been done. */
  | 'cut';

/** What became of a request to a provider that has no answer, or not all of it. The text of libraries stays in `cause`. */
export class UpstreamFault extends Error {
  override readonly name = 'UpstreamFault';
  readonly failure: UpstreamFailure;

  constructor(failure: UpstreamFailure, cause: unknown) {
    super(`the provider gave no whole answer: ${failure}`, { cause });
    this.failure = failure;
  }

  /** Whether the request cannot have reached the provider. */
  get isUnsent(): boolean {
    return this.failure !== 'timeout' && this.failure !== 'cut';
  }
}

/** `isSent`: whether the request was on a connection already; what a route that is lost then says of it is no proof. */
export function upstreamFaultOf(error: unknown, isSent: boolean): UpstreamFault {
  if (error instanceof UpstreamFault) return error;
  const isLate = TIMEOUT_CODES.has(codeOf(error));
  return new UpstreamFault(isSent ? (isLate ? 'timeout' : 'cut') : unsentFailureOf(error), error);
}

function unsentFailureOf(error: unknown): UpstreamFailure {
  if (error instanceof PrivateAddress) return 'private address';
  // Of a host with several addresses, Node tells the failure of each.
  if (error instanceof AggregateError && error.errors.length > 0) return unsentFailureOf(error.errors[0]);
  const code = codeOf(error);
  if (code === 'UND_ERR_INVALID_ARG') return 'unsendable';
  return CERTIFICATE_CODE.test(code) ? 'certificate' : 'unreachable';
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

const TIMEOUT_CODES: ReadonlySet<string> = new Set([
  'ETIMEDOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
]);
/** As Node names what OpenSSL finds wrong with a certificate. */
const CERTIFICATE_CODE = /^(?:CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_CERT_|HOSTNAME_MISMATCH)/;
