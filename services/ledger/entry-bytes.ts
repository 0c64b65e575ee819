import type { UsageReservation } from '../domain/reservation.js';
import type { Properties, UsageRecord } from '../domain/usage.js';
import type { Entry } from './entry.js';

/** About how large an entry is in the store and in memory: what it surely has, and its texts. */
export function entryBytes(entry: Entry): number {
  switch (entry.kind) {
    case 'event': {
      const { record } = entry;
      return (
        EVENT_BYTES +
        textsBytes(record) +
        record.units.size * UNITS_BYTES +
        record.attribution.requestTags.length * TAG_BYTES +
        propertiesBytes(record.properties)
      );
    }
    case 'reservation': {
      const { reservation } = entry;
      const { estimate } = reservation;
      return (
        EVENT_BYTES +
        textsBytes(reservation) +
        (estimate?.kind === 'units' ? estimate.units.size * UNITS_BYTES : 0) +
        reservation.attribution.requestTags.length * TAG_BYTES +
        propertiesBytes(reservation.properties)
      );
    }
    case 'release':
    case 'sweep':
      return EVENT_BYTES;
    case 'experience':
      return EVENT_BYTES + propertiesBytes(entry.properties);
    case 'repricing':
      return EVENT_BYTES;
    default:
      return entry satisfies never;
  }
}

/** In UTF-8 a text may take up to three times as much. */
function textsBytes(call: UsageRecord | UsageReservation): number {
  const { provider, model, operationKey, step, workflowSource } = call;
  const {
    requestedModel = undefined,
    providerRequestId = undefined,
    providerResponseId = undefined,
  } = 'units' in call ? call : {};
  let bytes = 0;
  for (const text of [
    provider,
    model,
    requestedModel,
    operationKey,
    step,
    providerRequestId,
    providerResponseId,
  ])
    bytes += text?.length ?? 0;
  if (workflowSource === undefined) return bytes;
  for (const value of Object.values(workflowSource)) if (typeof value === 'string') bytes += value.length;
  return bytes;
}

function propertiesBytes(properties: Properties): number {
  let bytes = 0;
  for (const [key, value] of properties) bytes += PROPERTY_BYTES + key.length + value.length;
  return bytes;
}

const EVENT_BYTES = 600;
const UNITS_BYTES = 48;
const TAG_BYTES = 32;
const PROPERTY_BYTES = 24;
