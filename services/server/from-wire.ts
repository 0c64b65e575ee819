import type { Attribution__Output } from '../contract/generated/experiences/v1/Attribution.js';
import type { BatchRecordUsageRequest__Output } from '../contract/generated/experiences/v1/BatchRecordUsageRequest.js';
import type { Rate__Output } from '../contract/generated/experiences/v1/Rate.js';
import type { UnitCount__Output } from '../contract/generated/experiences/v1/UnitCount.js';
import type { UnitRate__Output } from '../contract/generated/experiences/v1/UnitRate.js';
import type { UsageRecord__Output } from '../contract/generated/experiences/v1/UsageRecord.js';
import type { WorkflowSource__Output } from '../contract/generated/experiences/v1/WorkflowSource.js';
import type { Timestamp__Output } from '../contract/generated/google/protobuf/Timestamp.js';
import { NO_MONEY, parseMoney } from '../domain/money.js';
import {
  eventIdRule,
  MODEL_LENGTH_MAX,
  OPERATION_KEY_LENGTH_MAX,
  PROVIDER_ID_LENGTH_MAX,
  PROVIDER_LENGTH_MAX,
  STEP_LENGTH_MAX,
  shortTextRule,
  shown,
  typeNameRule,
  userIdRule,
} from '../domain/text-rules.js';
import {
  canonicalUnits,
  isUnitKind,
  UNIT_KINDS_MAX,
  UNITS_MAX,
  type UnitCount,
  type UnitKind,
  type Units,
} from '../domain/units.js';
import type { Attribution, UsageOutcome, UsageRecord, WorkflowSource } from '../domain/usage.js';
import { RATE_MAX, type Rate, type UnitRate } from '../pricing/price.js';
import { checkedLimitIds, checkedTags } from './attribution-metadata.js';
import type { RequestCheck } from './request-check.js';

/** Messages as they came over the wire, checked and turned into the domain's values. Bad fields go to the check. */

export function fromWireUsageRecord(wire: UsageRecord__Output, now: Date, check: RequestCheck): UsageRecord {
  const outcome = fromWireOutcome(wire.outcome, check);
  const units = fromWireUnits('record.units', wire.units, check);
  if (outcome === 'SUCCEEDED' && areNothing(wire.units)) {
    check.bad('record.units', 'is required for a call that succeeded');
  }
  const eventTime = fromWireTime('record.event_time', wire.eventTime, check);
  if (eventTime !== undefined && eventTime.getTime() > now.getTime() + FUTURE_MAX_MS) {
    check.bad('record.event_time', 'is more than 5 minutes in the future');
  }
  return {
    eventId: check.optional('record.event_id', wire.eventId, eventIdRule),
    attribution: fromWireAttribution('record', wire.attribution, check),
    provider: check.required('record.provider', wire.provider, shortTextRule(PROVIDER_LENGTH_MAX)),
    model: check.required('record.model', wire.model, shortTextRule(MODEL_LENGTH_MAX)),
    requestedModel: check.optional(
      'record.requested_model',
      wire.requestedModel,
      shortTextRule(MODEL_LENGTH_MAX),
    ),
    units,
    outcome,
    eventTime,
    operationKey: check.optional(
      'record.operation_key',
      wire.operationKey,
      shortTextRule(OPERATION_KEY_LENGTH_MAX),
    ),
    step: check.optional('record.step', wire.step, shortTextRule(STEP_LENGTH_MAX)),
    latencyMs: milliseconds('record.latency_ms', wire.latencyMs, check),
    timeToFirstTokenMs: milliseconds('record.time_to_first_token_ms', wire.timeToFirstTokenMs, check),
    httpStatusCode: fromWireHttpStatus(wire.httpStatusCode, check),
    providerRequestId: providerId('record.provider_request_id', wire.providerRequestId, check),
    providerResponseId: providerId('record.provider_response_id', wire.providerResponseId, check),
    properties: check.properties('record.properties', wire.properties),
    workflowSource:
      wire.workflowSource === null ? undefined : fromWireSource('record', wire.workflowSource, check),
  };
}

export function fromWireAttribution(
  of: 'record' | 'reservation',
  wire: Attribution__Output | null,
  check: RequestCheck,
): Attribution {
  if (wire === null) return NO_ATTRIBUTION;
  return {
    experienceId: check.newExperienceId(`${of}.attribution.experience_id`, wire.experienceId),
    experienceType: check.optional(`${of}.attribution.experience_type`, wire.experienceType, typeNameRule),
    experienceVersion: check.version(`${of}.attribution.experience_version`, wire.experienceVersion),
    userId: check.optional(`${of}.attribution.user_id`, wire.userId, userIdRule),
    requestTags: checkedTags(`${of}.attribution.request_tags`, wire.requestTags, check),
    limitIds: checkedLimitIds(`${of}.attribution.limit_ids`, wire.limitIds, check),
  };
}

export function fromWireUnits(
  field: string,
  wire: Readonly<Record<string, UnitCount__Output>>,
  check: RequestCheck,
): Units {
  const entries = Object.entries(wire);
  if (entries.length > UNIT_KINDS_MAX)
    check.bad(field, `has ${entries.length} kinds, more than ${UNIT_KINDS_MAX}`);
  const units = new Map<UnitKind, UnitCount>();
  for (const [kind, count] of entries.slice(0, UNIT_KINDS_MAX)) {
    const path = `${field}[${shown(kind)}]`;
    const input = check.count(`${path}.input`, count.input, UNITS_MAX);
    const output = check.count(`${path}.output`, count.output, UNITS_MAX);
    if (isUnitKind(kind)) units.set(kind, { input, output });
    else check.bad(path, "is no unit kind: 1-48 lower-case letters and digits, joined by '_'");
  }
  return canonicalUnits(units);
}

/** Whether units are absent; bad ones are not. */
export function areNothing(wire: Readonly<Record<string, UnitCount__Output>>): boolean {
  return Object.values(wire).every(({ input, output }) => input === '0' && output === '0');
}

/** Kept to the millisecond. */
export function fromWireTime(
  field: string,
  wire: Timestamp__Output | null,
  check: RequestCheck,
): Date | undefined {
  if (wire === null) return undefined;
  const seconds = Number(wire.seconds);
  if (seconds < TIME_MIN_S || seconds > TIME_MAX_S || wire.nanos < 0 || wire.nanos > 999_999_999) {
    check.bad(field, 'must be a time between the years 1970 and 9999');
    return undefined;
  }
  return new Date(seconds * 1_000 + Math.floor(wire.nanos / 1_000_000));
}

export function fromWireRates(
  field: string,
  wire: Readonly<Record<string, UnitRate__Output>>,
  check: RequestCheck,
): ReadonlyMap<UnitKind, UnitRate> {
  const entries = Object.entries(wire);
  if (entries.length === 0) check.bad(field, 'is required');
  if (entries.length > UNIT_KINDS_MAX)
    check.bad(field, `has ${entries.length} kinds, more than ${UNIT_KINDS_MAX}`);
  const rates = new Map<UnitKind, UnitRate>();
  for (const [kind, rate] of entries.slice(0, UNIT_KINDS_MAX)) {
    const path = `${field}[${shown(kind)}]`;
    if (!isUnitKind(kind)) {
      check.bad(path, "is no unit kind: 1-48 lower-case letters and digits, joined by '_'");
      continue;
    }
    if (rate.input === null && rate.output === null)
      check.bad(path, 'needs a rate for input, for output, or both');
    rates.set(kind, {
      ...(rate.input === null ? {} : { input: fromWireRate(`${path}.input`, rate.input, check) }),
      ...(rate.output === null ? {} : { output: fromWireRate(`${path}.output`, rate.output, check) }),
    });
  }
  return rates;
}

function fromWireRate(field: string, wire: Rate__Output, check: RequestCheck): Rate {
  if (wire.inheritedFrom !== '')
    check.bad(`${field}.inherited_from`, 'must be empty for a price of your own');
  if (wire.tiers.length > TIERS_MAX) check.bad(`${field}.tiers`, `has more than ${TIERS_MAX} tiers`);
  let above = 0n;
  const tiers = wire.tiers.slice(0, TIERS_MAX).map((tier, index) => {
    const path = `${field}.tiers[${index}]`;
    const inputUnitsAbove = check.count(`${path}.input_units_above`, tier.inputUnitsAbove, UNITS_MAX);
    if (inputUnitsAbove <= above)
      check.bad(`${path}.input_units_above`, 'must be more than that of the tier before');
    above = inputUnitsAbove;
    return { inputUnitsAbove, price: fromWireRatePrice(`${path}.price`, tier.price, check) };
  });
  return { base: fromWireRatePrice(`${field}.base`, wire.base, check), tiers };
}

function fromWireRatePrice(field: string, text: string, check: RequestCheck): Rate['base'] {
  const amount = parseMoney(text);
  if (amount === undefined) {
    check.bad(field, 'must be a decimal number with at most 16 digits before and 18 after the point');
    return NO_MONEY;
  }
  if (amount < 0n) check.bad(field, 'must not be negative');
  if (amount > RATE_MAX)
    check.bad(field, 'is more than one unit may cost; a price is per unit, not per million');
  return amount;
}

function fromWireOutcome(wire: UsageRecord__Output['outcome'], check: RequestCheck): UsageOutcome {
  switch (wire) {
    case 'USAGE_OUTCOME_UNSPECIFIED':
    case 'USAGE_OUTCOME_SUCCEEDED':
      return 'SUCCEEDED';
    case 'USAGE_OUTCOME_FAILED':
      return 'FAILED';
    case 'USAGE_OUTCOME_CANCELLED':
      return 'CANCELLED';
    case 'USAGE_OUTCOME_TIMED_OUT':
      return 'TIMED_OUT';
    case 'USAGE_OUTCOME_UNKNOWN':
      check.bad('record.outcome', 'is only answered, never sent');
      return 'FAILED';
    default:
      // A number that the contract does not name comes here, whatever the type says.
      wire satisfies never;
      check.bad('record.outcome', 'is not an outcome of the contract');
      return 'FAILED';
  }
}

/** Which results of many records are wanted. */
export type BatchView = 'FULL' | 'ERRORS_ONLY';

export function fromWireView(wire: BatchRecordUsageRequest__Output['view'], check: RequestCheck): BatchView {
  switch (wire) {
    case 'BATCH_VIEW_UNSPECIFIED':
    case 'BATCH_VIEW_FULL':
      return 'FULL';
    case 'BATCH_VIEW_ERRORS_ONLY':
      return 'ERRORS_ONLY';
    default:
      wire satisfies never; // As with outcomes.
      check.bad('view', 'is not a view of the contract');
      return 'FULL';
  }
}

function fromWireHttpStatus(code: number, check: RequestCheck): number | undefined {
  if (code === 0) return undefined;
  if (code < 100 || code > 599) check.bad('record.http_status_code', 'must be from 100 to 599');
  return code;
}

export function fromWireSource(
  of: 'record' | 'reservation',
  wire: WorkflowSource__Output,
  check: RequestCheck,
): WorkflowSource {
  const text = (field: string, value: string): string => {
    check.optional(`${of}.workflow_source.${field}`, value, shortTextRule(SOURCE_TEXT_LENGTH_MAX));
    return value;
  };
  if (wire.attempt < 0) check.bad(`${of}.workflow_source.attempt`, 'must not be negative');
  return {
    namespace: text('namespace', wire.namespace),
    workflowId: text('workflow_id', wire.workflowId),
    runId: text('run_id', wire.runId),
    workflowType: text('workflow_type', wire.workflowType),
    activityId: text('activity_id', wire.activityId),
    activityType: text('activity_type', wire.activityType),
    attempt: wire.attempt,
    taskQueue: text('task_queue', wire.taskQueue),
    isLocal: wire.isLocal,
    workerIdentity: text('worker_identity', wire.workerIdentity),
  };
}

function milliseconds(field: string, text: string, check: RequestCheck): number | undefined {
  const value = check.count(field, text, DURATION_MAX_MS);
  return value === 0n ? undefined : Number(value);
}

function providerId(field: string, text: string, check: RequestCheck): string | undefined {
  return check.optional(field, text, shortTextRule(PROVIDER_ID_LENGTH_MAX));
}

const NO_ATTRIBUTION: Attribution = {
  experienceId: undefined,
  experienceType: undefined,
  experienceVersion: undefined,
  userId: undefined,
  requestTags: [],
  limitIds: [],
};
const FUTURE_MAX_MS = 5 * 60 * 1_000;
const TIME_MIN_S = 0;
const TIME_MAX_S = 253_402_300_799;
const TIERS_MAX = 8;
const SOURCE_TEXT_LENGTH_MAX = 1_024;
/** A year. */
const DURATION_MAX_MS = 31_536_000_000n;
