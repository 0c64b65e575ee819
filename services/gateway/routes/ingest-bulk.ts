import type { FastifyInstance } from 'fastify';
import type { ExperiencesClient } from '../../client/index.js';
import { readBody } from '../body-fields.js';
import { errorBody } from '../error-answer.js';
import { type ErrorRows, httpFaultOf } from '../error-table.js';
import { HttpFault } from '../http-fault.js';
import { scopeWarning } from '../proxy/attribution-headers.js';
import type { Gateway } from '../route-group.js';
import { setExperienceProperties } from './experience-properties.js';
import { attributionOfItem, ITEM_ATTRIBUTION } from './ingest-attribution.js';
import { type BulkItem, type RecordedItem, recordItems } from './ingest-batches.js';
import { experiencePropertiesOf, INGEST_EVENT, INGEST_FIELD_CODES, toUsageRecord } from './ingest-event.js';
import { type IngestKey, ingestKeyOf, isUncertain, NO_RETRY } from './ingest-key.js';

/** Many events, as a bare array. Each stands for itself: what is wrong with one is that one's error. */
export function ingestBulkRoute(app: FastifyInstance, gateway: Gateway, errorRows: ErrorRows): void {
  const options = { bodyLimit: BULK_BYTES_MAX, config: { errorRows } };
  app.post('/api/v1/ingest/bulk', options, async (request, reply) => {
    const client = gateway.clientOf(request);
    const key = ingestKeyOf(request);
    const read = itemsOf(request.body).map((item, index) => readItem(item, index, key));
    const good = read.flatMap((item) => (item instanceof HttpFault ? [] : [item]));
    const deadline = performance.now() + WORK_TIME_MAX_MS;
    const isTimeLeft = () => performance.now() < deadline;
    const recorded = await recordItems(client, good, key, isTimeLeft);
    const unset = await setProperties(client, recorded, isTimeLeft);
    const scopes = new Set(good.flatMap(({ scopeWarning }) => scopeWarning ?? []));
    const warnings = [...unset, ...scopes].slice(0, WARNINGS_MAX);
    const failed = new Map(
      recorded.flatMap(({ item, error }) => (error === undefined ? [] : [[item, error]])),
    );
    if (!key.isCallers && [...failed.values()].some(isUncertain)) reply.header(...NO_RETRY);
    const errors = read.flatMap((item, index) => {
      const error = item instanceof HttpFault ? item : failed.get(item);
      if (error === undefined) return [];
      const fault = error instanceof HttpFault ? error : httpFaultOf(error, { errorRows });
      return [{ item_index: index, xproxy_result: errorBody(fault) }];
    });
    const count = read.length - errors.length;
    // The client takes the body of a 400 as it takes that of a 200.
    return reply.code(count === 0 ? 400 : 200).send({
      request_id: request.id,
      ingest_timestamp: new Date().toISOString(),
      ingest_count: count,
      error_count: errors.length,
      item_error_count: errors.length,
      total_count: read.length,
      ...(errors.length === 0 ? {} : { errors }),
      ...(warnings.length === 0 ? {} : { warnings }),
    });
  });
}

function itemsOf(body: unknown): readonly unknown[] {
  if (!Array.isArray(body)) throw new HttpFault(400, 'invalid_json', 'The body must be an array of events.');
  const items: readonly unknown[] = body;
  if (items.length === 0)
    throw new HttpFault(400, 'required_field_missing', 'The body must hold at least one event.');
  if (items.length > ITEMS_MAX)
    throw new HttpFault(400, 'request_processing_error', `There are more than ${ITEMS_MAX} events.`);
  return items;
}

function readItem(item: unknown, index: number, key: IngestKey): BulkItem | HttpFault {
  try {
    const event = readBody(BULK_EVENT, item, undefined, INGEST_FIELD_CODES);
    const attribution = attributionOfItem(event);
    return {
      record: toUsageRecord(event, attribution, key.eventId(index)),
      experienceProperties: experiencePropertiesOf(event, attribution),
      scopeWarning: scopeWarning(attribution),
    };
  } catch (error) {
    if (error instanceof HttpFault) return error;
    throw error;
  }
}

/** Each experience once, with what the last of its events says; each warning tells of one that has not got its own. */
export async function setProperties(
  client: ExperiencesClient,
  recorded: readonly RecordedItem[],
  isTimeLeft: () => boolean,
): Promise<readonly string[]> {
  const byExperience = new Map<string | undefined, Readonly<Record<string, string>>>();
  for (const { item, experienceId, error } of recorded) {
    if (error !== undefined || Object.keys(item.experienceProperties).length === 0) continue;
    byExperience.set(experienceId, { ...byExperience.get(experienceId), ...item.experienceProperties });
  }
  const waiting = [...byExperience];
  const warnings: string[] = [];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [experienceId, properties] = next;
      const warning = isTimeLeft()
        ? await setExperienceProperties(client, experienceId, properties)
        : `There was no time left to set the properties of the experience '${experienceId}'.`;
      if (warning !== undefined) warnings.push(warning);
    }
  };
  await Promise.all(Array.from({ length: UPDATES_IN_FLIGHT_MAX }, work));
  return warnings;
}

const BULK_EVENT = INGEST_EVENT.extend(ITEM_ATTRIBUTION.shape);
/** What the service takes of one call. */
const ITEMS_MAX = 1_000;
const BULK_BYTES_MAX = 16 * 1024 * 1024;
/**
 * After that no further call to the service is begun; one takes ten seconds at most. So the answer comes before clients give
 * up, after a minute, and send all of it again.
 */
const WORK_TIME_MAX_MS = 20_000;
const UPDATES_IN_FLIGHT_MAX = 8;
const WARNINGS_MAX = 20;
