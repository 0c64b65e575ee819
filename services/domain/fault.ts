/**
 * The one error type for what a caller can cause or must handle. Anything else that is thrown is a bug and is
 * answered as INTERNAL by the gRPC edge. The kinds are gRPC's canonical status names.
 */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly kind: FaultKind;
  readonly reason: FaultReason;
  /** Everything dynamic that the message says, by name; travels as ErrorInfo.metadata. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The bad fields of a request; only with kind INVALID_ARGUMENT. */
  readonly violations: readonly FieldViolation[];
  /** After how long the same call may succeed; absent where waiting does not help. */
  readonly retryAfterMs: number | undefined;

  constructor(reason: FaultReason, message: string, details: FaultDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = KIND_OF_REASON[reason];
    this.reason = reason;
    this.metadata = details.metadata ?? {};
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Every reason and the kind it always has. The wire enum `ErrorReason` lists the same names. */
const KIND_OF_REASON = {
  INVALID_FIELDS: 'INVALID_ARGUMENT',
  ATTRIBUTION_CONFLICT: 'INVALID_ARGUMENT',
  INVALID_API_KEY: 'UNAUTHENTICATED',
  SCOPE_MISSING: 'PERMISSION_DENIED',
  BOOTSTRAP_KEY_REQUIRED: 'PERMISSION_DENIED',
  APPLICATION_NOT_FOUND: 'NOT_FOUND',
  API_KEY_NOT_FOUND: 'NOT_FOUND',
  EXPERIENCE_TYPE_NOT_FOUND: 'NOT_FOUND',
  EXPERIENCE_TYPE_VERSION_NOT_FOUND: 'NOT_FOUND',
  EXPERIENCE_NOT_FOUND: 'NOT_FOUND',
  EXPERIENCE_RUN_NOT_FOUND: 'NOT_FOUND',
  PRICE_NOT_FOUND: 'NOT_FOUND',
  LIMIT_NOT_FOUND: 'NOT_FOUND',
  USAGE_NOT_FOUND: 'NOT_FOUND',
  DOCUMENT_NOT_FOUND: 'NOT_FOUND',
  APPLICATION_ALREADY_EXISTS: 'ALREADY_EXISTS',
  API_KEY_ALREADY_EXISTS: 'ALREADY_EXISTS',
  EXPERIENCE_TYPE_ALREADY_EXISTS: 'ALREADY_EXISTS',
  EXPERIENCE_ALREADY_EXISTS: 'ALREADY_EXISTS',
  EXPERIENCE_RUN_ALREADY_EXISTS: 'ALREADY_EXISTS',
  LIMIT_ALREADY_EXISTS: 'ALREADY_EXISTS',
  EVENT_ID_CONFLICT: 'ALREADY_EXISTS',
  TURN_ALREADY_EXISTS: 'ALREADY_EXISTS',
  REPRICING_ALREADY_EXISTS: 'ALREADY_EXISTS',
  DOCUMENT_ALREADY_EXISTS: 'ALREADY_EXISTS',
  ETAG_MISMATCH: 'ABORTED',
  LIMIT_REACHED: 'FAILED_PRECONDITION',
  BLOCKING_LIMIT_NOT_ALLOWED: 'FAILED_PRECONDITION',
  EXPERIENCE_TYPE_HAS_NO_WORKFLOW: 'FAILED_PRECONDITION',
  LIMIT_MAX_BELOW_SPEND: 'FAILED_PRECONDITION',
  EXPERIENCE_HAS_NO_BUDGET: 'FAILED_PRECONDITION',
  EXPERIENCE_RUN_NOT_RUNNING: 'FAILED_PRECONDITION',
  TURN_REFUSED: 'FAILED_PRECONDITION',
  REPAIR_RUNNING: 'FAILED_PRECONDITION',
  DOCUMENT_COMMITTED: 'FAILED_PRECONDITION',
  DOCUMENT_MISMATCH: 'FAILED_PRECONDITION',
  DOCUMENT_NOT_COMMITTED: 'FAILED_PRECONDITION',
  APPLICATION_FULL: 'RESOURCE_EXHAUSTED',
  QUERY_TOO_LARGE: 'RESOURCE_EXHAUSTED',
  TOO_MANY_WATCHERS: 'RESOURCE_EXHAUSTED',
  BOOK_CHECK_RUNNING: 'RESOURCE_EXHAUSTED',
  OVERLOADED: 'RESOURCE_EXHAUSTED',
  DEADLINE_EXCEEDED: 'DEADLINE_EXCEEDED',
  STORE_UNAVAILABLE: 'UNAVAILABLE',
  WORKFLOW_ENGINE_UNAVAILABLE: 'UNAVAILABLE',
  SHUTTING_DOWN: 'UNAVAILABLE',
  INTERNAL: 'INTERNAL',
} as const satisfies Record<string, FaultKind>;

export type FaultKind =
  | 'INVALID_ARGUMENT'
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'ABORTED'
  | 'FAILED_PRECONDITION'
  | 'RESOURCE_EXHAUSTED'
  | 'DEADLINE_EXCEEDED'
  | 'UNAVAILABLE'
  | 'INTERNAL';

export type FaultReason = keyof typeof KIND_OF_REASON;

export const FAULT_REASONS = Object.keys(KIND_OF_REASON) as readonly FaultReason[];

/** One bad field: its path as the request spells it (`record.units[text].input`) and what is wrong with it. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface FaultDetails {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly violations?: readonly FieldViolation[];
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** The fault for a request with bad fields; the message names them all. */
export function invalidFields(violations: readonly FieldViolation[]): Fault {
  const text = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return new Fault('INVALID_FIELDS', text, { violations });
}
