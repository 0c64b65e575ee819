import { type Fault, invalidFields } from '../domain/fault.js';
import type { LimitCharge } from '../domain/limit-charge.js';
import { formatMoney, type Money } from '../domain/money.js';
import type { Reservation } from '../domain/reservation.js';
import { EVENT_COST_MAX, type RecordWarning, type Settlement, type UsageEvent } from '../domain/usage.js';
import { isUseful } from '../domain/useful.js';
import { costOfUnits } from '../pricing/cost-of-units.js';
import type { PriceBook } from '../pricing/price-book.js';
import type { EventEntry } from './entry.js';
import { NO_CHARGES } from './limit-book.js';
import type { Place } from './place.js';

/**
 * The event that an entry becomes at its place, at the price in force at its time. Field by field: a copy with spread fields
 * takes as long as all else that is done here.
 */
export function newEvent(
  entry: EventEntry,
  place: Place | undefined,
  prices: PriceBook,
  settled: Settled = WITHOUT_RESERVATION,
): UsageEvent {
  const { record } = entry;
  const { attribution } = record;
  const { reservation } = settled;
  const eventTime = settled.eventTime ?? record.eventTime ?? entry.recordTime;
  const found = prices.findForCall(record.provider, record.model, record.requestedModel, eventTime);
  const { input, output, total, unpriced } = costOfUnits(record.units, found);
  if (total > EVENT_COST_MAX) throw tooDear('record.units', total);
  const made = reservation?.experienceId === place?.experience.id ? reservation : undefined;
  return {
    eventId: entry.eventId,
    experienceId: place?.experience.id,
    experienceType: place?.experience.type ?? '',
    experienceVersion: place?.experience.version ?? 0,
    userId: attribution.userId ?? reservation?.userId,
    requestTags:
      attribution.requestTags.length === 0 && reservation !== undefined
        ? reservation.requestTags
        : attribution.requestTags,
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
    experienceCreated: made?.experienceCreated ?? place?.created ?? false,
    experienceIdReplaced: made?.experienceIdReplaced ?? place?.replaced ?? false,
    warnings: warningsOf(made?.warnings, place?.warnings, unpriced.length > 0),
    settlement: settled.settlement,
    charges: settled.charges,
  };
}

/** What an event has of the reservation that was made for it, and to what it is charged. */
export interface Settled {
  readonly settlement: Settlement;
  readonly charges: readonly LimitCharge[];
  readonly reservation: Reservation | undefined;
  /** Of the estimate whose place it takes; undefined: its own. */
  readonly eventTime: Date | undefined;
}

export const WITHOUT_RESERVATION: Settled = {
  settlement: 'NONE',
  charges: NO_CHARGES,
  reservation: undefined,
  eventTime: undefined,
};

export function warningsOf(
  ofReservation: readonly RecordWarning[] | undefined,
  ofPlace: readonly RecordWarning[] | undefined,
  unpriced: boolean,
): readonly RecordWarning[] {
  const first = ofPlace ?? NO_WARNINGS;
  const before = ofReservation?.filter((code) => code !== 'UNITS_UNPRICED' && !first.includes(code));
  const all = before === undefined || before.length === 0 ? first : [...before, ...first];
  return unpriced ? [...all, 'UNITS_UNPRICED'] : all;
}

const NO_WARNINGS: readonly RecordWarning[] = [];

export function tooDear(field: string, total: Money): Fault {
  const description = `cost ${formatMoney(total)}, more than the ${formatMoney(EVENT_COST_MAX)} that one event may`;
  return invalidFields([{ field, description }]);
}
