import type { ExperiencesError } from '../client/index.js';
import type { FaultReason } from '../domain/fault.js';
import { HttpFault } from './http-fault.js';

/** The status and the documented code that a reason is answered with. */
export interface ErrorRow {
  readonly statusCode: number;
  readonly code: string;
}

/** What a group of routes answers otherwise: ingest has 400 where the management paths have 404. */
export type ErrorRows = Readonly<Partial<Record<FaultReason, ErrorRow>>>;

/**
 * The one place where the service's reasons become HTTP. Never 409: clients of that API repeat it. What does not pass by
 * waiting is a 4xx that they do not repeat.
 */
export const ERROR_TABLE = {
  INVALID_FIELDS: { statusCode: 400, code: 'request_processing_error' },
  ATTRIBUTION_CONFLICT: { statusCode: 400, code: 'request_processing_error' },
  EXPERIENCE_TYPE_NOT_FOUND: { statusCode: 404, code: 'experience_type_not_found' },
  EXPERIENCE_TYPE_VERSION_NOT_FOUND: { statusCode: 400, code: 'request_processing_error' },
  EXPERIENCE_NOT_FOUND: { statusCode: 404, code: 'experience_instance_not_found' },
  EXPERIENCE_RUN_NOT_FOUND: { statusCode: 404, code: 'experience_instance_not_found' },
  PRICE_NOT_FOUND: { statusCode: 404, code: 'category_resource_not_found' },
  LIMIT_NOT_FOUND: { statusCode: 404, code: 'limit_not_found' },
  USAGE_NOT_FOUND: { statusCode: 404, code: 'request_processing_error' },
  BLOCKING_LIMIT_NOT_ALLOWED: { statusCode: 400, code: 'blocking_limit_not_allowed' },
  DOCUMENT_NOT_FOUND: { statusCode: 404, code: 'request_processing_error' },
  EXPERIENCE_TYPE_ALREADY_EXISTS: { statusCode: 400, code: 'experience_type_already_exists' },
  EXPERIENCE_ALREADY_EXISTS: { statusCode: 400, code: 'request_processing_error' },
  EXPERIENCE_RUN_ALREADY_EXISTS: { statusCode: 400, code: 'request_processing_error' },
  LIMIT_ALREADY_EXISTS: { statusCode: 400, code: 'limit_name_already_exist' },
  EVENT_ID_CONFLICT: { statusCode: 400, code: 'request_processing_error' },
  TURN_ALREADY_EXISTS: { statusCode: 400, code: 'request_processing_error' },
  REPRICING_ALREADY_EXISTS: { statusCode: 400, code: 'request_processing_error' },
  DOCUMENT_ALREADY_EXISTS: { statusCode: 400, code: 'request_processing_error' },
  ETAG_MISMATCH: { statusCode: 400, code: 'request_processing_error' },
  LIMIT_REACHED: { statusCode: 400, code: 'limit_reached' },
  EXPERIENCE_TYPE_HAS_NO_WORKFLOW: { statusCode: 400, code: 'request_processing_error' },
  LIMIT_MAX_BELOW_SPEND: { statusCode: 400, code: 'invalid_max_limit_update' },
  EXPERIENCE_HAS_NO_BUDGET: { statusCode: 400, code: 'request_processing_error' },
  EXPERIENCE_RUN_NOT_RUNNING: { statusCode: 400, code: 'request_processing_error' },
  TURN_REFUSED: { statusCode: 400, code: 'request_processing_error' },
  REPAIR_RUNNING: { statusCode: 400, code: 'request_processing_error' },
  DOCUMENT_COMMITTED: { statusCode: 400, code: 'request_processing_error' },
  DOCUMENT_MISMATCH: { statusCode: 400, code: 'request_processing_error' },
  DOCUMENT_NOT_COMMITTED: { statusCode: 400, code: 'request_processing_error' },
  APPLICATION_FULL: { statusCode: 400, code: 'request_processing_error' },
  QUERY_TOO_LARGE: { statusCode: 400, code: 'request_processing_error' },
  TOO_MANY_WATCHERS: { statusCode: 429, code: 'request_processing_error' },
  BOOK_CHECK_RUNNING: { statusCode: 429, code: 'request_processing_error' },
  OVERLOADED: { statusCode: 429, code: 'request_processing_error' },
  DEADLINE_EXCEEDED: { statusCode: 503, code: 'request_processing_error' },
  STORE_UNAVAILABLE: { statusCode: 503, code: 'request_processing_error' },
  WORKFLOW_ENGINE_UNAVAILABLE: { statusCode: 503, code: 'request_processing_error' },
  SHUTTING_DOWN: { statusCode: 503, code: 'request_processing_error' },
  INVALID_API_KEY: { statusCode: 401, code: 'invalid_api_key' },
  SCOPE_MISSING: { statusCode: 403, code: 'request_processing_error' },
  BOOTSTRAP_KEY_REQUIRED: { statusCode: 403, code: 'request_processing_error' },
  APPLICATION_NOT_FOUND: { statusCode: 404, code: 'request_processing_error' },
  APPLICATION_ALREADY_EXISTS: { statusCode: 400, code: 'request_processing_error' },
  API_KEY_NOT_FOUND: { statusCode: 404, code: 'request_processing_error' },
  API_KEY_ALREADY_EXISTS: { statusCode: 400, code: 'request_processing_error' },
  INTERNAL: { statusCode: 500, code: 'unexpected_error' },
} as const satisfies Record<FaultReason, ErrorRow>;

/** The codes of bad fields, by the names that the service gives them. */
export type FieldCodes = Readonly<Record<string, string>>;

/** What the service has refused, as this protocol says it. */
export function httpFaultOf(
  error: ExperiencesError,
  own: { readonly errorRows?: ErrorRows; readonly fieldCodes?: FieldCodes } = {},
): HttpFault {
  const { statusCode, code } = rowOf(error, own.errorRows ?? {}, own.fieldCodes ?? {});
  const waitMs =
    error.retryAfterMs ?? (statusCode === 503 || statusCode === 429 ? RETRY_AFTER_MS : undefined);
  // Without a reason it is a text of gRPC itself, with addresses and such.
  const message = error.reason === undefined ? MESSAGE_OF_STATUS[statusCode] : messageOf(error);
  return new HttpFault(statusCode, code, message ?? 'The request could not be processed.', {
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    cause: error,
  });
}

/** Bad fields under the names that callers of this protocol know: `record.event_time` is `event_timestamp`. */
function messageOf({ reason, message, violations }: ExperiencesError): string {
  if (reason !== 'INVALID_FIELDS' || violations.length === 0) return message;
  return violations.map(({ field, description }) => `${fieldName(field)}: ${description}`).join('; ');
}

function fieldName(field: string): string {
  const [first = '', ...others] = field.split('.');
  const path = others.length > 0 && UNSAID.has(first) ? others : [first, ...others];
  return path.map((name) => NAME_OF_FIELD[name] ?? name).join('.');
}

function rowOf(error: ExperiencesError, rows: ErrorRows, fieldCodes: FieldCodes): ErrorRow {
  const { reason } = error;
  if (reason !== undefined && isKnown(reason)) {
    const row = rows[reason] ?? ERROR_TABLE[reason];
    if (reason !== 'INVALID_FIELDS' || rows[reason] !== undefined) return row;
    return { ...row, code: codeOfFields(error, fieldCodes) ?? row.code };
  }
  return ROW_OF_CODE[error.code] ?? ERROR_TABLE.INTERNAL;
}

function isKnown(reason: string): reason is FaultReason {
  return Object.hasOwn(ERROR_TABLE, reason);
}

/** The first bad field decides; undefined: its code is the general one. */
function codeOfFields({ violations }: ExperiencesError, fieldCodes: FieldCodes): string | undefined {
  const [first] = violations;
  if (first === undefined) return undefined;
  if (first.description === 'is required') return 'required_field_missing';
  const codes: FieldCodes = { ...CODE_OF_FIELD, ...fieldCodes };
  // Of `records[3].limit_ids` and `limit_config.max_cost`; what is in brackets is the caller's.
  const names = first.field.replace(/\[.*?\]/g, '').split('.');
  const name = names.find((each) => Object.hasOwn(codes, each));
  return name === undefined ? undefined : codes[name];
}

const CODE_OF_FIELD: FieldCodes = {
  user_id: 'invalid_user_id',
  request_tags: 'invalid_tags',
  limit_ids: 'invalid_limit_ids',
  event_time: 'invalid_ingest_event_timestamp',
  max_cost: 'invalid_max_limit',
};

/** What holds the fields of a request, and has no name here. */
const UNSAID: ReadonlySet<string> = new Set(['record', 'config']);
const NAME_OF_FIELD: Readonly<Record<string, string>> = {
  event_time: 'event_timestamp',
  max_cost: 'max',
  page_token: 'cursor',
  page_size: 'limit',
};

/** Of what is not the service's own word: nothing listens there, a call took too long, a key is refused by a balancer. */
const ROW_OF_CODE: Readonly<Record<string, ErrorRow>> = {
  UNAUTHENTICATED: { statusCode: 401, code: 'invalid_api_key' },
  PERMISSION_DENIED: { statusCode: 403, code: 'request_processing_error' },
  INVALID_ARGUMENT: { statusCode: 400, code: 'request_processing_error' },
  RESOURCE_EXHAUSTED: { statusCode: 429, code: 'request_processing_error' },
  DEADLINE_EXCEEDED: { statusCode: 503, code: 'request_processing_error' },
  UNAVAILABLE: { statusCode: 503, code: 'request_processing_error' },
};

const MESSAGE_OF_STATUS: Readonly<Record<number, string>> = {
  400: 'The request is not valid.',
  401: 'The API key is not valid.',
  403: 'The API key may not do this.',
  429: 'There is too much to do just now.',
  500: 'The service failed.',
  503: 'The service cannot be reached just now.',
};

const RETRY_AFTER_MS = 1_000;
