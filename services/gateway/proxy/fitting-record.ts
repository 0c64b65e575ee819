import type { ExperiencesError, UsageRecord } from '../../client/index.js';
import type { Units } from '../../domain/units.js';

type CallRecord = UsageRecord & { readonly eventId: string };

/**
 * The same call as the ledger may take it, once it has refused it: without what is only told of it, and, where its units
 * were refused (a provider may say any number), with the estimate in their place, marked as one.
 */
export function fittingRecord(record: CallRecord, refusal: ExperiencesError, estimate: Units): CallRecord {
  const {
    eventTime: _time,
    latencyMs: _latency,
    timeToFirstTokenMs: _first,
    httpStatusCode: _status,
    providerRequestId: _request,
    providerResponseId: _response,
    ...facts
  } = record;
  if (!refusal.violations.some(({ field }) => UNITS_FIELD.test(field))) return facts;
  return {
    ...facts,
    units: Object.fromEntries(estimate),
    properties: { ...facts.properties, units: 'estimated' },
  };
}

const UNITS_FIELD = /(?:^|\.)units\b/;
