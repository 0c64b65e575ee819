import { readBody } from '../body-fields.js';
import type { ErrorRows } from '../error-table.js';
import { attributionOf, scopeWarning } from '../proxy/attribution-headers.js';
import type { RouteGroup } from '../route-group.js';
import { setExperienceProperties } from './experience-properties.js';
import { ingestBulkRoute } from './ingest-bulk.js';
import { experiencePropertiesOf, INGEST_EVENT, INGEST_FIELD_CODES, toUsageRecord } from './ingest-event.js';
import { ingestKeyOf, recordOnce } from './ingest-key.js';
import { callResultOf, resultJson } from './result-json.js';

/**
 * Reports of calls that were made without the proxy. Each goes by RecordUsage in the caller's own name: so the service
 * decides what the key may do, and calls that arrive together share a commit anyway. A stream would save little and would
 * need a key of the gateway's own.
 */
export const ingestRoutes: RouteGroup = (app, gateway) => {
  const options = { bodyLimit: EVENT_BYTES_MAX, config: { errorRows: INGEST_ERROR_ROWS } };
  app.post('/api/v1/ingest', options, async (request, reply) => {
    const client = gateway.clientOf(request);
    const attribution = attributionOf(request.headers);
    const event = readBody(INGEST_EVENT, request.body, undefined, INGEST_FIELD_CODES);
    const key = ingestKeyOf(request);
    const record = toUsageRecord(event, attribution, key.eventId());
    const properties = experiencePropertiesOf(event, attribution);
    const recorded = await recordOnce(reply, key, record.eventId, () =>
      client.usage.record(record, { refuseBlockingLimits: true }),
    );
    const warning = await setExperienceProperties(client, recorded.event.experienceId, properties);
    const result = callResultOf(recorded);
    const warnings = [result.warnings ?? [], warning ?? [], scopeWarning(attribution) ?? []].flat();
    return {
      request_id: recorded.event.eventId,
      event_timestamp: recorded.event.eventTime.toISOString(),
      ingest_timestamp: recorded.event.recordTime.toISOString(),
      ...(recorded.duplicate ? { duplicate_request: true } : {}),
      xproxy_result: resultJson({ ...result, warnings }),
    };
  });
  ingestBulkRoute(app, gateway, INGEST_ERROR_ROWS);
};

/** Here what is missing is the event's fault, not the path's. */
const INGEST_ERROR_ROWS: ErrorRows = {
  EXPERIENCE_TYPE_NOT_FOUND: { statusCode: 400, code: 'experience_type_not_found' },
  EXPERIENCE_NOT_FOUND: { statusCode: 400, code: 'experience_instance_not_found' },
  LIMIT_NOT_FOUND: { statusCode: 400, code: 'invalid_limit_ids' },
};
/** The bodies of the call may travel with it, though they are dropped. */
const EVENT_BYTES_MAX = 8 * 1024 * 1024;
