import type { UnitCount } from '../contract/generated/experiences/v1/UnitCount.js';
import type { UnitRate } from '../contract/generated/experiences/v1/UnitRate.js';
import type { UsageRecord as WireRecord } from '../contract/generated/experiences/v1/UsageRecord.js';
import type { Timestamp } from '../contract/generated/google/protobuf/Timestamp.js';
import { newUuid } from '../domain/new-uuid.js';
import type { Price, UnitsInput, UsageRecord } from './types.js';

/** What callers give as the contract's messages. The loader would encode nonsense silently, so numbers are looked at. */

export function toWireRecord(record: UsageRecord): WireRecord {
  return {
    eventId: record.eventId ?? newUuid(),
    attribution: {
      experienceId: record.experienceId ?? '',
      experienceType: record.experienceType ?? '',
      experienceVersion: toWireInt('experienceVersion', record.experienceVersion ?? 0),
      userId: record.userId ?? '',
      requestTags: [...(record.requestTags ?? [])],
    },
    provider: record.provider,
    model: record.model,
    requestedModel: record.requestedModel ?? '',
    units: toWireUnits(record.units),
    outcome: `USAGE_OUTCOME_${record.outcome ?? 'SUCCEEDED'}`,
    eventTime: toWireTime(record.eventTime),
    operationKey: record.operationKey ?? '',
    step: record.step ?? '',
    latencyMs: toWireWhole('latencyMs', record.latencyMs ?? 0),
    timeToFirstTokenMs: toWireWhole('timeToFirstTokenMs', record.timeToFirstTokenMs ?? 0),
    httpStatusCode: toWireInt('httpStatusCode', record.httpStatusCode ?? 0),
    providerRequestId: record.providerRequestId ?? '',
    providerResponseId: record.providerResponseId ?? '',
    properties: { ...record.properties },
    workflowSource: record.workflowSource ?? null,
  };
}

export function toWireUnits(units: UnitsInput): Record<string, UnitCount> {
  return Object.fromEntries(
    Object.entries(units).map(([kind, { input = 0, output = 0 }]) => [
      kind,
      {
        input: toWireWhole(`units.${kind}.input`, input),
        output: toWireWhole(`units.${kind}.output`, output),
      },
    ]),
  );
}

export function toWireRates(rates: Price['rates']): Record<string, UnitRate> {
  const toWireRate = (rate: NonNullable<Price['rates'][string]['input']>) => ({
    base: rate.base,
    tiers: (rate.tiers ?? []).map(({ inputUnitsAbove, price }) => ({
      inputUnitsAbove: String(inputUnitsAbove),
      price,
    })),
  });
  return Object.fromEntries(
    Object.entries(rates).map(([kind, { input, output }]) => [
      kind,
      {
        input: input === undefined ? null : toWireRate(input),
        output: output === undefined ? null : toWireRate(output),
      },
    ]),
  );
}

export function toWireTime(time: Date | undefined): Timestamp | null {
  if (time === undefined) return null;
  const milliseconds = time.getTime();
  if (!Number.isFinite(milliseconds)) throw new RangeError('a time is not a valid Date');
  const seconds = Math.floor(milliseconds / 1_000);
  return { seconds: String(seconds), nanos: (milliseconds - seconds * 1_000) * 1_000_000 };
}

/** 32 bits hold it, whatever the service then says of it. */
export function toWireInt(name: string, value: number): number {
  if (!Number.isInteger(value)) throw new RangeError(`${name} must be a whole number, not ${value}`);
  if (value < -(2 ** 31) || value >= 2 ** 31) throw new RangeError(`${name} is beyond 32 bits`);
  return value;
}

/** 64 bits hold it, whatever the service then says of it. */
function toWireWhole(name: string, value: number | bigint): string {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new RangeError(`${name} must be a whole number, not ${value}`);
  }
  if (BigInt(value) !== BigInt.asIntN(64, BigInt(value))) throw new RangeError(`${name} is beyond 64 bits`);
  return String(value);
}
