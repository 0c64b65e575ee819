import { z } from 'zod';
import type { UsageRecord } from '../../client/index.js';
import {
  PROPERTIES_MAX,
  PROPERTY_KEY_LENGTH_MAX,
  PROPERTY_VALUE_LENGTH_MAX,
} from '../../domain/text-rules.js';
import { optional, wholeNumber } from '../body-fields.js';
import { providerOfCategory } from '../category.js';
import type { FieldCodes } from '../error-table.js';
import { HttpFault } from '../http-fault.js';
import { ASKED_MODEL, type CallAttribution } from '../proxy/attribution-headers.js';
import { parseTimestamp } from '../timestamp.js';

const UNKNOWN_MODEL = 'system.unknown_model';
/** 2147483647, as that API says. */
const WHOLE_MAX = 2 ** 31 - 1;
const COUNT = optional(wholeNumber(0, WHOLE_MAX));

/** Null is sent for what there is none of. */
const PROPERTIES = optional(
  z
    .record(
      z.string().min(1).max(PROPERTY_KEY_LENGTH_MAX),
      z.string().max(PROPERTY_VALUE_LENGTH_MAX).nullable(),
    )
    .transform((properties) =>
      Object.fromEntries(
        Object.entries(properties).flatMap(([key, value]) => (value === null ? [] : [[key, value]])),
      ),
    ),
);

/**
 * An event as it is reported. Members that are not named here are ignored; so are the bodies and headers of the call, which
 * are neither kept nor logged.
 */
export const INGEST_EVENT = z.object({
  category: z.string().min(1),
  /** Null where the client does not know it. */
  resource: z
    .string()
    .min(1)
    .nullable()
    .transform((resource) => resource ?? UNKNOWN_MODEL),
  units: z.record(z.string(), z.object({ input: COUNT, output: COUNT })),
  event_timestamp: optional(z.string()),
  end_to_end_latency_ms: COUNT,
  time_to_first_token_ms: COUNT,
  http_status_code: optional(wholeNumber(100, 599)),
  provider_response_id: optional(z.string()),
  properties: PROPERTIES,
  experience_properties: PROPERTIES,
  use_case_properties: PROPERTIES,
});

/** Of what is of another type than it must be. */
export const INGEST_FIELD_CODES: FieldCodes = {
  event_timestamp: 'invalid_ingest_event_timestamp',
  user_id: 'invalid_user_id',
  request_tags: 'invalid_tags',
  limit_ids: 'invalid_limit_ids',
};

export type IngestEvent = z.output<typeof INGEST_EVENT>;

export function toUsageRecord(
  event: IngestEvent,
  attribution: CallAttribution,
  eventId: string,
): UsageRecord & { readonly eventId: string } {
  const { priceAs, step, userId, experienceId, experienceType, experienceVersion } = attribution;
  const eventTime = eventTimeOf(event);
  const model = priceAs.model ?? event.resource;
  return {
    eventId,
    ...(experienceId === undefined ? {} : { experienceId }),
    ...(experienceType === undefined ? {} : { experienceType }),
    ...(experienceVersion === undefined ? {} : { experienceVersion }),
    ...(userId === undefined ? {} : { userId }),
    ...(step === undefined ? {} : { step }),
    requestTags: attribution.requestTags,
    limitIds: attribution.limitIds,
    provider: priceAs.provider ?? providerOfCategory(event.category),
    model,
    units: Object.fromEntries(
      Object.entries(event.units).map(([kind, { input = 0, output = 0 }]) => [kind, { input, output }]),
    ),
    outcome: isFailure(event.http_status_code) ? 'FAILED' : 'SUCCEEDED',
    ...(eventTime === undefined ? {} : { eventTime }),
    latencyMs: event.end_to_end_latency_ms ?? 0,
    timeToFirstTokenMs: event.time_to_first_token_ms ?? 0,
    httpStatusCode: event.http_status_code ?? 0,
    providerResponseId: event.provider_response_id ?? '',
    properties: bounded({
      ...attribution.properties,
      ...event.properties,
      ...(model === event.resource ? {} : { [ASKED_MODEL]: event.resource }),
    }),
  };
}

/** What the event says of its experience; the later name of the same goes before. */
export function experiencePropertiesOf(
  event: IngestEvent,
  attribution: CallAttribution,
): Readonly<Record<string, string>> {
  const { experience_properties: ofExperience, use_case_properties: ofUseCase } = event;
  return bounded({ ...attribution.experienceProperties, ...ofExperience, ...ofUseCase });
}

/** 299 is how the client marks a failure that has no status of HTTP. */
function isFailure(status: number | undefined): boolean {
  return status !== undefined && (status === 299 || status >= 400);
}

function eventTimeOf({ event_timestamp: text }: IngestEvent): Date | undefined {
  if (text === undefined) return undefined;
  const time = parseTimestamp(text);
  if (time === undefined)
    throw new HttpFault(400, 'invalid_ingest_event_timestamp', 'The event_timestamp is no time of ISO 8601.');
  return time;
}

/** Looked at before anything is recorded: what an experience refuses afterwards would be lost. */
function bounded(properties: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (Object.keys(properties).length <= PROPERTIES_MAX) return properties;
  throw new HttpFault(400, 'request_processing_error', `There are more than ${PROPERTIES_MAX} properties.`);
}
