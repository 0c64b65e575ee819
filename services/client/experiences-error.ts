import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { type ErrorMessageName, errorMessageType } from '../contract/contract.js';

/** What the service answered instead of a result, or that it could not be reached. */
export class ExperiencesError extends Error {
  override readonly name = 'ExperiencesError';
  /** gRPC's status name, e.g. `NOT_FOUND`; `UNAVAILABLE` also when nothing listens at the address. */
  readonly code: string;
  /** The service's reason, e.g. `EXPERIENCE_TYPE_NOT_FOUND`; undefined: the answer is not the service's own. */
  readonly reason: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  /** The bad fields of an INVALID_ARGUMENT. */
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  /** After how long the same call may succeed. */
  readonly retryAfterMs: number | undefined;
  /** Whether the call may have been carried out all the same: by this try, or by one before it that was not answered. */
  readonly mayBeDone: boolean;

  constructor(
    message: string,
    fields: Omit<ExperiencesErrorFields, 'message'> & { readonly mayBeDone?: boolean },
    cause?: unknown,
  ) {
    super(message, { cause });
    this.code = fields.code;
    this.reason = fields.reason;
    this.metadata = fields.metadata;
    this.violations = fields.violations;
    this.retryAfterMs = fields.retryAfterMs;
    this.mayBeDone = fields.mayBeDone ?? UNCERTAIN_CODES.has(fields.code);
  }

  /** The same, of a call that an earlier try may have carried out: a later try that is shed tells nothing of it. */
  afterUncertainTry(): ExperiencesError {
    return new ExperiencesError(this.message, { ...this, mayBeDone: true }, this.cause);
  }
}

type ExperiencesErrorFields = Pick<
  ExperiencesError,
  'message' | 'code' | 'reason' | 'metadata' | 'violations' | 'retryAfterMs'
>;

/** Errors that are not a gRPC status come back as they are. */
export function fromServiceError(error: unknown): unknown {
  if (!isServiceError(error)) return error;
  return fromStatus({ code: error.code, message: error.details, details: statusDetails(error) }, error);
}

/** A status as a message: what became of one of many records. */
export function fromStatus(
  { code, message, details }: { readonly code: number; readonly message: string; readonly details: Details },
  cause?: unknown,
): ExperiencesError {
  const found = new Map<string, unknown>();
  for (const { type_url, value } of details) {
    const name = DETAIL_NAMES.find((candidate) => type_url === `type.googleapis.com/google.rpc.${candidate}`);
    if (name !== undefined) found.set(name, errorMessageType(name).deserialize(value));
  }
  const info = found.get('ErrorInfo') as { reason: string; metadata: Record<string, string> } | undefined;
  const bad = found.get('BadRequest') as { fieldViolations: ExperiencesError['violations'] } | undefined;
  const retry = found.get('RetryInfo') as
    | { retryDelay: { seconds: string; nanos: number } | null }
    | undefined;
  const delay = retry?.retryDelay ?? undefined;
  return new ExperiencesError(
    message,
    {
      code: status[code] ?? 'UNKNOWN',
      reason: info?.reason,
      metadata: info?.metadata ?? {},
      violations: (bad?.fieldViolations ?? []).map(({ field, description }) => ({ field, description })),
      retryAfterMs:
        delay === undefined ? undefined : Number(delay.seconds) * 1_000 + Math.round(delay.nanos / 1e6),
    },
    cause,
  );
}

/** What the client itself refuses, or stops waiting for. */
export function ownError(
  code:
    | 'INVALID_ARGUMENT'
    | 'FAILED_PRECONDITION'
    | 'RESOURCE_EXHAUSTED'
    | 'DEADLINE_EXCEEDED'
    | 'UNAVAILABLE',
  message: string,
): ExperiencesError {
  const none = { reason: undefined, metadata: {}, violations: [], retryAfterMs: undefined };
  return new ExperiencesError(message, { code, ...none });
}

/** With these nobody knows how far a call has come. */
const UNCERTAIN_CODES: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'INTERNAL',
  'UNKNOWN',
]);

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

type Details = readonly { readonly type_url: string; readonly value: Buffer }[];

function statusDetails(error: ServiceError): Details {
  const metadata = error.metadata instanceof Metadata ? error.metadata : new Metadata();
  const [encoded] = metadata.get('grpc-status-details-bin');
  if (!Buffer.isBuffer(encoded)) return [];
  const decoded = errorMessageType('Status').deserialize(encoded) as {
    details?: { type_url: string; value: Buffer }[];
  };
  return decoded.details ?? [];
}

const DETAIL_NAMES = ['ErrorInfo', 'BadRequest', 'RetryInfo'] as const satisfies readonly ErrorMessageName[];
