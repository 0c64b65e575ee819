import type { Attribution } from '../contract/generated/experiences/v1/Attribution.js';
import type { LimitConfig as WireLimitConfig } from '../contract/generated/experiences/v1/LimitConfig.js';
import type { UnitCount } from '../contract/generated/experiences/v1/UnitCount.js';
import type { UnitRate } from '../contract/generated/experiences/v1/UnitRate.js';
import type { UsageEstimate as WireEstimate } from '../contract/generated/experiences/v1/UsageEstimate.js';
import type { UsageRecord as WireRecord } from '../contract/generated/experiences/v1/UsageRecord.js';
import type { UsageReservation as WireReservation } from '../contract/generated/experiences/v1/UsageReservation.js';
import type { Timestamp } from '../contract/generated/google/protobuf/Timestamp.js';
import { newUuid } from '../domain/new-uuid.js';
import type { NewLimitConfig } from './limit-types.js';
import type { UsageEstimate, UsageReservation } from './reservation-types.js';
import type { Price, UnitsInput, UsageRecord } from './types.js';

/** What callers give as the contract's messages. The loader would encode nonsense silently, so numbers are looked at. */

export function toWireRecord(record: UsageRecord): WireRecord {
  return {
    eventId: record.eventId ?? newUuid(),
    attribution: toWireAttribution(record),
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

function toWireAttribution(call: UsageRecord | UsageReservation): Attribution {
  return {
    experienceId: call.experienceId ?? '',
    experienceType: call.experienceType ?? '',
    experienceVersion: toWireInt('experienceVersion', call.experienceVersion ?? 0),
    userId: call.userId ?? '',
    requestTags: [...(call.requestTags ?? [])],
    limitIds: [...(call.limitIds ?? [])],
  };
}

export function toWireReservation(reservation: UsageReservation): WireReservation {
  const { estimate, ttlMs } = reservation;
  return {
    eventId: reservation.eventId,
    attribution: toWireAttribution(reservation),
    provider: reservation.provider,
    model: reservation.model,
    estimate: estimate === undefined ? null : toWireEstimate(estimate),
    ttl: ttlMs === undefined ? null : toWireDuration('ttlMs', ttlMs),
    operationKey: reservation.operationKey ?? '',
    step: reservation.step ?? '',
    properties: { ...reservation.properties },
    workflowSource: reservation.workflowSource ?? null,
    holdsNothing: reservation.holdsNothing === true,
  };
}

function toWireEstimate(estimate: UsageEstimate): WireEstimate {
  if ('units' in estimate) return { units: { units: toWireUnits(estimate.units) } };
  if ('cost' in estimate) return { cost: estimate.cost };
  return {
    tokens: {
      maxInputTokens: toWireWhole('maxInputTokens', estimate.maxInputTokens),
      maxOutputTokens: toWireWhole('maxOutputTokens', estimate.maxOutputTokens),
    },
  };
}

function toWireDuration(name: string, milliseconds: number): { seconds: string; nanos: number } {
  if (!Number.isSafeInteger(milliseconds)) throw new RangeError(`${name} must be a whole number`);
  const seconds = Math.trunc(milliseconds / 1_000);
  return { seconds: String(seconds), nanos: (milliseconds - seconds * 1_000) * 1_000_000 };
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

export function toWireLimitConfig({ maxCost, threshold, type, tags }: NewLimitConfig): WireLimitConfig {
  return {
    maxCost,
    threshold: threshold ?? '',
    type: `LIMIT_TYPE_${type ?? 'ALLOW'}`,
    tags: [...(tags ?? [])],
  };
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
export function toWireWhole(name: string, value: number | bigint): string {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new RangeError(`${name} must be a whole number, not ${value}`);
  }
  if (BigInt(value) !== BigInt.asIntN(64, BigInt(value))) throw new RangeError(`${name} is beyond 64 bits`);
  return String(value);
}
