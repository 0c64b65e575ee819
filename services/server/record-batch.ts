import type { RecordResult } from '../contract/generated/experiences/v1/RecordResult.js';
import type { UsageAck } from '../contract/generated/experiences/v1/UsageAck.js';
import type { UsageRecord__Output } from '../contract/generated/experiences/v1/UsageRecord.js';
import { Fault } from '../domain/fault.js';
import { newUuid } from '../domain/new-uuid.js';
import type { Attribution, UsageRecord } from '../domain/usage.js';
import type { EventOutcome } from '../ledger/entry.js';
import { mergeAttribution } from './attribution-metadata.js';
import { type BatchView, fromWireUsageRecord } from './from-wire.js';
import { ItemBatch, parsedItems } from './item-batch.js';
import { RequestCheck } from './request-check.js';
import { toWireStatus } from './status.js';
import { toWireCost, toWireSettlement, toWireUnpriced, toWireWarnings } from './to-wire.js';
import { toWireLimitStatus } from './to-wire-reservation.js';

/** By what the items of one call are read. */
export interface ItemRules {
  readonly strictIds: boolean;
  /** What the call's metadata says; it goes for items that say nothing themselves. */
  readonly ofCall: Attribution;
}

/** Many records of one message. */
export type RecordBatch = ItemBatch<UsageRecord, EventOutcome>;

export function recordBatch(
  records: readonly UsageRecord__Output[],
  { strictIds, ofCall }: ItemRules,
): RecordBatch {
  const now = new Date();
  const parse = (wire: UsageRecord__Output): UsageRecord => {
    const check = new RequestCheck({ strictIds });
    const record = fromWireUsageRecord(wire, now, check);
    check.done();
    // Made here, so that a record which is sent again within the process is the same event.
    const eventId = record.eventId ?? newUuid();
    return { ...record, eventId, attribution: mergeAttribution(record.attribution, ofCall) };
  };
  return new ItemBatch('records', parsedItems('records', records, parse));
}

export function toWireRecordResults(batch: RecordBatch, view: BatchView): WireRecordResults {
  const results: RecordResult[] = [];
  let [recordedCount, duplicateCount, failedCount] = [0, 0, 0];
  for (const [index, outcome] of batch.results().entries()) {
    if (outcome instanceof Fault) {
      failedCount += 1;
      results.push({ index, error: toWireStatus(outcome) });
      continue;
    }
    if (outcome.duplicate) duplicateCount += 1;
    else recordedCount += 1;
    if (view === 'FULL') results.push({ index, ack: toWireAck(outcome) });
  }
  return { results, recordedCount, duplicateCount, failedCount };
}

export interface WireRecordResults {
  readonly results: RecordResult[];
  readonly recordedCount: number;
  readonly duplicateCount: number;
  readonly failedCount: number;
}

function toWireAck({ event, duplicate, limits }: EventOutcome): UsageAck {
  return {
    eventId: event.eventId,
    experienceId: event.experienceId ?? '',
    duplicate,
    experienceCreated: event.experienceCreated,
    experienceIdReplaced: event.experienceIdReplaced,
    cost: toWireCost(event.cost),
    priceId: event.priceId ?? '',
    unpricedUnits: event.unpriced.map(toWireUnpriced),
    warnings: toWireWarnings(event),
    settlement: toWireSettlement(event.settlement),
    limits: limits.map(toWireLimitStatus),
  };
}
