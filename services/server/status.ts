import { randomUUID } from 'node:crypto';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { ERROR_DOMAIN, type ErrorMessageName, errorMessageType } from '../contract/contract.js';
import type { Any } from '../contract/generated/google/protobuf/Any.js';
import type { Status as WireStatus } from '../contract/generated/google/rpc/Status.js';
import { Fault, type FaultKind, type FieldViolation } from '../domain/fault.js';
import type { Logger } from '../runtime/logger.js';

/**
 * The one place where an exception becomes a status. A fault says what the caller can do; anything else is a bug of
 * ours: the caller gets an incident id, the log gets the stack.
 */
export function toStatus(error: unknown, logger: Logger, method: string): StatusAnswer {
  if (error instanceof Fault) return faultStatus(error);
  return faultStatus(incidentFault(error, logger, method));
}

/** What became of one of many records, as a message: what a call about it alone would have been answered. */
export function toWireStatus(fault: Fault): WireStatus {
  return statusMessage(fault, CODE_OF_KIND[fault.kind], ITEM_LIMITS);
}

/** What a caller hears of a bug of ours; the log has the rest. */
export function incidentFault(error: unknown, logger: Logger, method: string): Fault {
  const incidentId = randomUUID();
  logger.error({ err: error, incidentId, method }, 'a call failed by a fault of the service');
  return new Fault('INTERNAL', `The service failed; the incident is ${incidentId}.`, {
    metadata: { incident_id: incidentId },
  });
}

/** What grpc-js takes, by a callback or as an emitted error. */
export type StatusAnswer = Pick<ServiceError, 'code' | 'details' | 'metadata'> & Error;

function faultStatus(fault: Fault): StatusAnswer {
  const code = CODE_OF_KIND[fault.kind];
  const message = statusMessage(fault, code, CALL_LIMITS);
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', errorMessageType('Status').serialize(message));
  return Object.assign(new Error(message.message), { code, details: message.message, metadata });
}

function statusMessage(
  fault: Fault,
  code: number,
  limits: StatusLimits,
): WireStatus & { readonly message: string } {
  const details = [
    any('ErrorInfo', { reason: fault.reason, domain: ERROR_DOMAIN, metadata: fault.metadata }),
  ];
  const fieldViolations = sendableViolations(fault.violations, limits.violationsBytes);
  if (fieldViolations.length > 0) details.push(any('BadRequest', { fieldViolations }));
  if (fault.retryAfterMs !== undefined) {
    const seconds = Math.floor(fault.retryAfterMs / 1_000);
    const retryDelay = { seconds, nanos: (fault.retryAfterMs % 1_000) * 1_000_000 };
    details.push(any('RetryInfo', { retryDelay }));
  }
  return { code, message: sendableMessage(fault.message, limits.messageBytes), details };
}

/** Short, and well formed: half a character makes grpc-js throw where nobody catches it. */
function sendableMessage(message: string, bytesMax: number): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= bytesMax) return bytes.toString();
  return `${bytes.subarray(0, bytesMax).toString()} …`;
}

/** As many as fit, from the first on. */
function sendableViolations(
  violations: readonly FieldViolation[],
  bytesMax: number,
): readonly FieldViolation[] {
  let bytes = 0;
  const tooMany = violations.findIndex(({ field, description }) => {
    bytes += Buffer.byteLength(field) + Buffer.byteLength(description);
    return bytes > bytesMax;
  });
  return tooMany < 0 ? violations : violations.slice(0, tooMany);
}

function any(name: ErrorMessageName, message: object): Any {
  return {
    type_url: `type.googleapis.com/google.rpc.${name}`,
    value: errorMessageType(name).serialize(message),
  };
}

const CODE_OF_KIND = {
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  NOT_FOUND: status.NOT_FOUND,
  ALREADY_EXISTS: status.ALREADY_EXISTS,
  ABORTED: status.ABORTED,
  FAILED_PRECONDITION: status.FAILED_PRECONDITION,
  RESOURCE_EXHAUSTED: status.RESOURCE_EXHAUSTED,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  UNAVAILABLE: status.UNAVAILABLE,
  INTERNAL: status.INTERNAL,
} as const satisfies Record<FaultKind, status>;

interface StatusLimits {
  readonly messageBytes: number;
  readonly violationsBytes: number;
}

/**
 * A status travels in headers, of which other gRPC implementations take 8 KiB in all: the message in one, up to three
 * times as long for its encoding, and with the details again in another, by a third longer.
 */
const CALL_LIMITS: StatusLimits = { messageBytes: 768, violationsBytes: 3_072 };
/** A thousand of them travel in one answer, of which a client takes 4 MiB. */
const ITEM_LIMITS: StatusLimits = { messageBytes: 512, violationsBytes: 1_536 };
