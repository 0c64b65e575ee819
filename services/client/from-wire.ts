import type { Cost__Output } from '../contract/generated/experiences/v1/Cost.js';
import type { Experience__Output } from '../contract/generated/experiences/v1/Experience.js';
import type { ExperienceTotals__Output } from '../contract/generated/experiences/v1/ExperienceTotals.js';
import type { ExperienceType__Output } from '../contract/generated/experiences/v1/ExperienceType.js';
import type { LimitConfig__Output } from '../contract/generated/experiences/v1/LimitConfig.js';
import type { LimitStatus__Output } from '../contract/generated/experiences/v1/LimitStatus.js';
import type { Price__Output } from '../contract/generated/experiences/v1/Price.js';
import type { PricedProvider__Output } from '../contract/generated/experiences/v1/PricedProvider.js';
import type { Rate__Output } from '../contract/generated/experiences/v1/Rate.js';
import type { RecordResult__Output } from '../contract/generated/experiences/v1/RecordResult.js';
import type { RecordWarning__Output } from '../contract/generated/experiences/v1/RecordWarning.js';
import type { UnitCount__Output } from '../contract/generated/experiences/v1/UnitCount.js';
import type { UnpricedUnits__Output } from '../contract/generated/experiences/v1/UnpricedUnits.js';
import type { UsageAck__Output } from '../contract/generated/experiences/v1/UsageAck.js';
import type { UsageEvent__Output } from '../contract/generated/experiences/v1/UsageEvent.js';
import type { Timestamp__Output } from '../contract/generated/google/protobuf/Timestamp.js';
import { fromStatus } from './experiences-error.js';
import type { LimitConfig, LimitState, LimitStatus } from './limit-types.js';
import type {
  Cost,
  Experience,
  ExperienceTotals,
  ExperienceType,
  Price,
  PricedProvider,
  Rate,
  RecordedOutcome,
  RecordResult,
  Settlement,
  Units,
  UnpricedUnits,
  UsageAck,
  UsageEvent,
} from './types.js';

/** The contract's messages as the client answers them. A message that the contract promises and that is missing throws. */

export function fromWireType(wire: ExperienceType__Output | null): ExperienceType {
  const type = promised(wire);
  return {
    name: type.name,
    description: type.description,
    currentVersion: type.currentVersion,
    workflowType: type.workflowType || undefined,
    taskQueue: type.taskQueue || undefined,
    limitConfig: type.limitConfig === null ? undefined : fromWireLimitConfig(type.limitConfig),
    loggingDisabled: type.loggingDisabled,
    etag: type.etag,
    createTime: promised(fromWireTime(type.createTime)),
    updateTime: promised(fromWireTime(type.updateTime)),
    deleteTime: fromWireTime(type.deleteTime),
  };
}

export function fromWireLimitConfig({ type, maxCost, threshold, tags }: LimitConfig__Output): LimitConfig {
  return { type: type === 'LIMIT_TYPE_BLOCK' ? 'BLOCK' : 'ALLOW', maxCost, threshold, tags: [...tags] };
}

export function fromWireExperience(wire: Experience__Output | null): Experience {
  const experience = promised(wire);
  return {
    experienceId: experience.experienceId,
    experienceType: experience.experienceType || undefined,
    experienceVersion: experience.experienceVersion || undefined,
    userId: experience.userId || undefined,
    properties: { ...experience.properties },
    totals: fromWireTotals(experience.totals),
    createTime: promised(fromWireTime(experience.createTime)),
    deleteTime: fromWireTime(experience.deleteTime),
    hasLimit: experience.hasLimit,
  };
}

export function fromWireTotals(wire: ExperienceTotals__Output | null): ExperienceTotals {
  const totals = promised(wire);
  return {
    eventCount: BigInt(totals.eventCount),
    cost: fromWireCost(totals.cost),
    usefulCost: totals.usefulCost,
    wastedCost: totals.wastedCost,
    unpricedEventCount: BigInt(totals.unpricedEventCount),
    units: fromWireUnits(totals.units),
    firstEventTime: fromWireTime(totals.firstEventTime),
    lastEventTime: fromWireTime(totals.lastEventTime),
    heldCost: totals.heldCost,
    openReservationCount: BigInt(totals.openReservationCount),
    unsettledCost: totals.unsettledCost,
    unsettledEventCount: BigInt(totals.unsettledEventCount),
  };
}

export function fromWireResult(wire: RecordResult__Output): RecordResult {
  const { index, error, ack } = wire;
  if (error) return { index, error: fromStatus(error) };
  return { index, ack: fromWireAck(promised(ack)) };
}

function fromWireAck(ack: UsageAck__Output): UsageAck {
  return {
    eventId: ack.eventId,
    experienceId: ack.experienceId || undefined,
    duplicate: ack.duplicate,
    experienceCreated: ack.experienceCreated,
    experienceIdReplaced: ack.experienceIdReplaced,
    cost: fromWireCost(ack.cost),
    priceId: ack.priceId || undefined,
    unpricedUnits: ack.unpricedUnits.map(fromWireUnpriced),
    warnings: ack.warnings.map(fromWireWarning),
    settlement: fromWireSettlement(ack.settlement),
    limits: ack.limits.map(fromWireLimitStatus),
  };
}

export function fromWireLimitStatus(wire: LimitStatus__Output): LimitStatus {
  return {
    limitId: wire.limitId,
    state: wire.state.replace('LIMIT_STATE_', '') as LimitState,
    maxCost: wire.maxCost,
    spentCost: wire.spentCost,
    heldCost: wire.heldCost,
  };
}

export function fromWireWarning({ code, message }: RecordWarning__Output): UsageAck['warnings'][number] {
  return { code: code.replace('RECORD_WARNING_CODE_', ''), message };
}

function fromWireSettlement(wire: UsageEvent__Output['settlement']): Settlement {
  return wire === 'SETTLEMENT_UNSPECIFIED' ? 'NONE' : (wire.replace('SETTLEMENT_', '') as Settlement);
}

export function fromWireEvent(event: UsageEvent__Output): UsageEvent {
  return {
    eventId: event.eventId,
    experienceId: event.experienceId || undefined,
    experienceType: event.experienceType || undefined,
    experienceVersion: event.experienceVersion || undefined,
    userId: event.userId || undefined,
    requestTags: [...event.requestTags],
    provider: event.provider,
    model: event.model,
    requestedModel: event.requestedModel || undefined,
    units: fromWireUnits(event.units),
    outcome: event.outcome.replace('USAGE_OUTCOME_', '') as RecordedOutcome,
    cost: fromWireCost(event.cost),
    priceId: event.priceId || undefined,
    unpricedUnits: event.unpricedUnits.map(fromWireUnpriced),
    useful: event.useful,
    eventTime: promised(fromWireTime(event.eventTime)),
    recordTime: promised(fromWireTime(event.recordTime)),
    operationKey: event.operationKey || undefined,
    step: event.step || undefined,
    latencyMs: Number(event.latencyMs) || undefined,
    timeToFirstTokenMs: Number(event.timeToFirstTokenMs) || undefined,
    httpStatusCode: event.httpStatusCode || undefined,
    providerRequestId: event.providerRequestId || undefined,
    providerResponseId: event.providerResponseId || undefined,
    properties: { ...event.properties },
    workflowSource: event.workflowSource === null ? undefined : { ...event.workflowSource },
    repricings: event.repricings.map((wire) => ({
      repricingId: wire.repricingId,
      priceId: wire.priceId,
      repriceTime: promised(fromWireTime(wire.repriceTime)),
      addedCost: fromWireCost(wire.addedCost),
    })),
    settlement: fromWireSettlement(event.settlement),
    limitIds: [...event.limitIds],
  };
}

export function fromWireUnpriced(wire: UnpricedUnits__Output): UnpricedUnits {
  return {
    kind: wire.kind,
    input: BigInt(wire.input),
    output: BigInt(wire.output),
    reason: wire.reason.replace('UNPRICED_REASON_', ''),
  };
}

export function fromWireCost(wire: Cost__Output | null): Cost {
  const { input, output, total, currencyCode } = promised(wire);
  return { input, output, total, currencyCode };
}

export function fromWirePrice(wire: Price__Output | null): Price {
  const price = promised(wire);
  return {
    priceId: price.priceId,
    source: price.source === 'PRICE_SOURCE_CATALOGUE' ? 'CATALOGUE' : 'APPLICATION',
    provider: price.provider,
    model: price.model,
    rates: Object.fromEntries(
      Object.entries(price.rates).map(([kind, { input, output }]) => [
        kind,
        {
          ...(input === null ? {} : { input: fromWireRate(input) }),
          ...(output === null ? {} : { output: fromWireRate(output) }),
        },
      ]),
    ),
    effectiveTime: fromWireTime(price.effectiveTime),
    retired: price.retired,
    createTime: promised(fromWireTime(price.createTime)),
    sourceNote: price.sourceNote || undefined,
    currencyCode: price.currencyCode,
  };
}

export function fromWirePricedProvider(wire: PricedProvider__Output): PricedProvider {
  return {
    provider: wire.provider,
    source: wire.source === 'PRICE_SOURCE_CATALOGUE' ? 'CATALOGUE' : 'APPLICATION',
    modelCount: wire.modelCount,
    firstEffectiveTime: fromWireTime(wire.firstEffectiveTime),
  };
}

export function fromWireTime(wire: Timestamp__Output | null): Date | undefined {
  return wire === null ? undefined : new Date(Number(wire.seconds) * 1_000 + Math.floor(wire.nanos / 1e6));
}

function fromWireRate(wire: Rate__Output): Rate {
  return {
    base: wire.base,
    tiers: wire.tiers.map(({ inputUnitsAbove, price }) => ({
      inputUnitsAbove: BigInt(inputUnitsAbove),
      price,
    })),
    ...(wire.inheritedFrom === '' ? {} : { inheritedFrom: wire.inheritedFrom }),
  };
}

export function fromWireUnits(wire: Readonly<Record<string, UnitCount__Output>>): Units {
  return Object.fromEntries(
    Object.entries(wire)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, { input, output }]) => [kind, { input: BigInt(input), output: BigInt(output) }]),
  );
}

export function promised<T>(value: T | null | undefined): T {
  if (value === null || value === undefined)
    throw new Error('the service left out what the contract promises');
  return value;
}
