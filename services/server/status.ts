import { randomUUID } from 'node:crypto';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { ERROR_DOMAIN, type ErrorMessageName, errorMessageType } from '../contract/contract.js';
import { Fault, type FaultKind } from '../domain/fault.js';
import type { Logger } from '../runtime/logger.js';

/**
 * The one place where an exception becomes a status. A fault says what the caller can do; anything else is a bug of
 * ours: the caller gets an incident id, the log gets the stack.
 */
export function toStatus(error: unknown, logger: Logger, method: string): StatusAnswer {
  if (error instanceof Fault) return faultStatus(error);
  const incidentId = randomUUID();
  logger.error({ err: error, incidentId, method }, 'a call failed by a fault of the service');
  return faultStatus(
    new Fault('INTERNAL', `The service failed; the incident is ${incidentId}.`, {
      metadata: { incident_id: incidentId },
    }),
  );
}

/** What grpc-js takes, by a callback or as an emitted error. */
export type StatusAnswer = Pick<ServiceError, 'code' | 'details' | 'metadata'> & Error;

function faultStatus(fault: Fault): StatusAnswer {
  const code = CODE_OF_KIND[fault.kind];
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', detailsOf(fault, code));
  return Object.assign(new Error(fault.message), { code, details: fault.message, metadata });
}

function detailsOf(fault: Fault, code: number): Buffer {
  const details = [
    any('ErrorInfo', { reason: fault.reason, domain: ERROR_DOMAIN, metadata: fault.metadata }),
  ];
  if (fault.violations.length > 0) {
    details.push(any('BadRequest', { fieldViolations: fault.violations.slice(0, VIOLATIONS_SENT_MAX) }));
  }
  if (fault.retryAfterMs !== undefined) {
    const seconds = Math.floor(fault.retryAfterMs / 1_000);
    const retryDelay = { seconds, nanos: (fault.retryAfterMs % 1_000) * 1_000_000 };
    details.push(any('RetryInfo', { retryDelay }));
  }
  return errorMessageType('Status').serialize({ code, message: fault.message, details });
}

function any(name: ErrorMessageName, message: object): object {
  return {
    type_url: `type.googleapis.com/google.rpc.${name}`,
    value: errorMessageType(name).serialize(message),
  };
}

const CODE_OF_KIND = {
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  NOT_FOUND: status.NOT_FOUND,
  ALREADY_EXISTS: status.ALREADY_EXISTS,
  ABORTED: status.ABORTED,
  FAILED_PRECONDITION: status.FAILED_PRECONDITION,
  RESOURCE_EXHAUSTED: status.RESOURCE_EXHAUSTED,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  UNAVAILABLE: status.UNAVAILABLE,
  INTERNAL: status.INTERNAL,
} as const satisfies Record<FaultKind, status>;

/** Details travel as a header, which must stay small. */
const VIOLATIONS_SENT_MAX = 32;
