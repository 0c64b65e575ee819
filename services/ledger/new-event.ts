import type { Experience } from '../domain/experience.js';
import { type Fault, invalidFields } from '../domain/fault.js';
import { formatMoney, type Money } from '../domain/money.js';
import { EVENT_COST_MAX, type RecordWarning, type UsageEvent } from '../domain/usage.js';
import { isUseful } from '../domain/useful.js';
import { costOfUnits } from '../pricing/cost-of-units.js';
import type { PriceBook } from '../pricing/price-book.js';
import type { Adoption } from './adoption.js';
import type { EventEntry } from './entry.js';

/**
 * The event that an entry becomes at its place, at the price in force at its time. Field by field: a copy with spread fields
 * takes as long as all else that is done here.
 */
export function newEvent(entry: EventEntry, place: Place | undefined, prices: PriceBook): UsageEvent {
  const { record } = entry;
  const { attribution } = record;
  const eventTime = record.eventTime ?? entry.recordTime;
  const found = prices.find(record.provider, record.model, eventTime);
  const { input, output, total, unpriced } = costOfUnits(record.units, found);
  if (total > EVENT_COST_MAX) throw tooDear(total);
  return {
    eventId: entry.eventId,
    experienceId: place?.experience.id,
    experienceType: place?.experience.type ?? '',
    experienceVersion: place?.experience.version ?? 0,
    userId: attribution.userId,
    requestTags: attribution.requestTags,
    provider: record.provider,
    model: record.model,
    requestedModel: record.requestedModel,
    units: record.units,
    outcome: record.outcome,
    operationKey: record.operationKey,
    step: record.step,
    latencyMs: record.latencyMs,
    timeToFirstTokenMs: record.timeToFirstTokenMs,
    httpStatusCode: record.httpStatusCode,
    providerRequestId: record.providerRequestId,
    providerResponseId: record.providerResponseId,
    properties: record.properties,
    workflowSource: record.workflowSource,
    eventTime,
    recordTime: entry.recordTime,
    cost: { input, output, total },
    priceId: 'price' in found ? found.price.id : undefined,
    unpriced,
    repricings: [],
    useful: isUseful(record.outcome),
    experienceCreated: place?.created ?? false,
    experienceIdReplaced: place?.replaced ?? false,
    warnings: warningsOf(place, unpriced.length > 0),
  };
}

/** Where an event goes. */
export interface Place {
  readonly experience: Experience;
  readonly created: boolean;
  readonly replaced: boolean;
  readonly warnings: readonly RecordWarning[];
  /** The type that the experience takes first. */
  readonly adoption: Adoption | undefined;
}

function warningsOf(place: Place | undefined, unpriced: boolean): readonly RecordWarning[] {
  const ofPlace = place?.warnings ?? [];
  return unpriced ? [...ofPlace, 'UNITS_UNPRICED'] : ofPlace;
}

function tooDear(total: Money): Fault {
  const description = `cost ${formatMoney(total)}, more than the ${formatMoney(EVENT_COST_MAX)} that one event may`;
  return invalidFields([{ field: 'record.units', description }]);
}
