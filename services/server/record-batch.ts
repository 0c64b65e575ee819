import type { RecordResult } from '../contract/generated/experiences/v1/RecordResult.js';
import type { UsageAck } from '../contract/generated/experiences/v1/UsageAck.js';
import type { UsageRecord__Output } from '../contract/generated/experiences/v1/UsageRecord.js';
import { Fault, invalidFields } from '../domain/fault.js';
import { newUuid } from '../domain/new-uuid.js';
import type { Attribution, UsageRecord } from '../domain/usage.js';
import type { EventOutcome } from '../ledger/entry.js';
import { mergeAttribution } from './attribution-metadata.js';
import { type BatchView, fromWireUsageRecord } from './from-wire.js';
import { OVERFULL_RECORD, RECORD_PARTS_MAX } from './item-limits.js';
import { RequestCheck } from './request-check.js';
import { toWireStatus } from './status.js';
import { toWireCost, toWireUnpriced, toWireWarnings } from './to-wire.js';

/**
 * Many records of one message, and what becomes of each. What is wrong with a record is its own result; the records that
 * are good are `waiting` until they are settled.
 */
export class RecordBatch {
  readonly #outcomes: (EventOutcome | Fault | undefined)[];
  #waiting: readonly Waiting[];

  constructor(
    records: readonly UsageRecord__Output[],
    rules: { readonly strictIds: boolean; readonly ofCall: Attribution },
  ) {
    const now = new Date();
    const waiting: Waiting[] = [];
    this.#outcomes = records.map((wire, index) => {
      try {
        waiting.push({ index, record: checkedRecord(wire, now, rules) });
        return undefined;
      } catch (error) {
        if (error instanceof Fault) return error;
        throw error;
      }
    });
    this.#waiting = waiting;
  }

  /** The records without an outcome, in their order. */
  waiting(): readonly UsageRecord[] {
    return this.#waiting.map(({ record }) => record);
  }

  /** Takes the outcomes of all that wait, in their order; those of which `again` says so go on waiting. */
  settle(outcomes: readonly (EventOutcome | Fault)[], again: (fault: Fault) => boolean = () => false): void {
    const still: Waiting[] = [];
    for (const [position, waiting] of this.#waiting.entries()) {
      const outcome = outcomes[position];
      if (outcome === undefined) throw new Error('every record has an outcome');
      if (outcome instanceof Fault && again(outcome)) still.push(waiting);
      else this.#outcomes[waiting.index] = outcome;
    }
    this.#waiting = still;
  }

  toWire(view: BatchView): WireResults {
    const results: RecordResult[] = [];
    let [recordedCount, duplicateCount, failedCount] = [0, 0, 0];
    for (const [index, outcome] of this.#outcomes.entries()) {
      if (outcome === undefined) throw new Error('only what is settled is answered');
      if (outcome instanceof Fault) {
        failedCount += 1;
        results.push({ index, error: toWireStatus(ofRecord(outcome, index)) });
        continue;
      }
      if (outcome.duplicate) duplicateCount += 1;
      else recordedCount += 1;
      if (view === 'FULL') results.push({ index, ack: toWireAck(outcome) });
    }
    return { results, recordedCount, duplicateCount, failedCount };
  }
}

export interface WireResults {
  readonly results: RecordResult[];
  readonly recordedCount: number;
  readonly duplicateCount: number;
  readonly failedCount: number;
}

/** Whether a fault tells nothing about the record that it befell: the same record may be recorded a little later. */
export function isPassing({ kind, reason }: Fault): boolean {
  return kind === 'UNAVAILABLE' || kind === 'DEADLINE_EXCEEDED' || reason === 'OVERLOADED';
}

interface Waiting {
  readonly index: number;
  readonly record: UsageRecord;
}

function checkedRecord(
  wire: UsageRecord__Output,
  now: Date,
  { strictIds, ofCall }: { readonly strictIds: boolean; readonly ofCall: Attribution },
): UsageRecord {
  if (wire === OVERFULL_RECORD) {
    throw invalidFields([{ field: 'record', description: `has more than ${RECORD_PARTS_MAX} parts` }]);
  }
  const check = new RequestCheck({ strictIds });
  const record = fromWireUsageRecord(wire, now, check);
  check.done();
  // Made here, so that a record which is sent again within the process is the same event.
  const eventId = record.eventId ?? newUuid();
  return { ...record, eventId, attribution: mergeAttribution(record.attribution, ofCall) };
}

/** Checks and ledger know the one record; who sent many is told which of them. */
function ofRecord(fault: Fault, index: number): Fault {
  if (fault.violations.length === 0) return fault;
  const violations = fault.violations.map(({ field, description }) => ({
    field: field.replace(/^record\b/, `records[${index}]`),
    description,
  }));
  if (fault.reason === 'INVALID_FIELDS') return invalidFields(violations);
  const { reason, message, metadata } = fault;
  return new Fault(reason, message, { metadata, violations });
}

function toWireAck({ event, duplicate }: EventOutcome): UsageAck {
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
  };
}
