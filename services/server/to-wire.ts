import type { Cost as WireCost } from '../contract/generated/experiences/v1/Cost.js';
import type { Experience as WireExperience } from '../contract/generated/experiences/v1/Experience.js';
import type { ExperienceTotals as WireTotals } from '../contract/generated/experiences/v1/ExperienceTotals.js';
import type { ExperienceType as WireType } from '../contract/generated/experiences/v1/ExperienceType.js';
import type { LimitConfig as WireLimitConfig } from '../contract/generated/experiences/v1/LimitConfig.js';
import type { Price as WirePrice } from '../contract/generated/experiences/v1/Price.js';
import type { PricedProvider as WirePricedProvider } from '../contract/generated/experiences/v1/PricedProvider.js';
import type { Rate as WireRate } from '../contract/generated/experiences/v1/Rate.js';
import type { RecordWarning as WireWarning } from '../contract/generated/experiences/v1/RecordWarning.js';
import type { UnitCount as WireUnitCount } from '../contract/generated/experiences/v1/UnitCount.js';
import type { UnpricedUnits as WireUnpriced } from '../contract/generated/experiences/v1/UnpricedUnits.js';
import type { UsageEvent as WireEvent } from '../contract/generated/experiences/v1/UsageEvent.js';
import type { Timestamp as WireTime } from '../contract/generated/google/protobuf/Timestamp.js';
import type { Experience, ExperienceTotals } from '../domain/experience.js';
import { type ExperienceType, etagOf } from '../domain/experience-type.js';
import type { LimitConfig } from '../domain/limit.js';
import { formatMoney } from '../domain/money.js';
import type { Units } from '../domain/units.js';
import type { Cost, UnpricedUnits, UsageEvent } from '../domain/usage.js';
import type { Price, Rate } from '../pricing/price.js';
import type { PricedProvider } from '../pricing/priced-models.js';

/** The domain's values as the contract's messages. */

export function toWireType(type: ExperienceType): WireType {
  return {
    name: type.name,
    description: type.description,
    currentVersion: type.currentVersion,
    workflowType: type.workflowType ?? '',
    taskQueue: type.taskQueue ?? '',
    limitConfig: type.limitConfig === undefined ? null : toWireLimitConfig(type.limitConfig),
    loggingDisabled: type.loggingDisabled,
    etag: etagOf(type),
    createTime: toWireTime(type.createTime),
    updateTime: toWireTime(type.updateTime),
    deleteTime: toWireTime(type.deleteTime),
  };
}

export function toWireLimitConfig({ type, maxCost, threshold, tags }: LimitConfig): WireLimitConfig {
  return {
    maxCost: formatMoney(maxCost),
    threshold: formatMoney(threshold),
    type: `LIMIT_TYPE_${type}`,
    tags: [...tags],
  };
}

export function toWireExperience(experience: Experience): WireExperience {
  return {
    experienceId: experience.id,
    experienceType: experience.type,
    experienceVersion: experience.version,
    userId: experience.userId ?? '',
    properties: Object.fromEntries(experience.properties),
    totals: toWireTotals(experience.totals),
    createTime: toWireTime(experience.createTime),
    deleteTime: toWireTime(experience.deleteTime),
    hasLimit: experience.limitType !== undefined,
  };
}

export function toWireTotals(totals: ExperienceTotals): WireTotals {
  return {
    eventCount: String(totals.eventCount),
    cost: toWireCost(totals.cost),
    usefulCost: formatMoney(totals.useful),
    wastedCost: formatMoney(totals.wasted),
    unpricedEventCount: String(totals.unpricedEventCount),
    units: toWireUnits(totals.units),
    firstEventTime: toWireTime(totals.firstEventTime),
    lastEventTime: toWireTime(totals.lastEventTime),
    heldCost: formatMoney(totals.held),
    openReservationCount: String(totals.openReservationCount),
    unsettledCost: formatMoney(totals.unsettled),
    unsettledEventCount: String(totals.unsettledEventCount),
  };
}

export function toWireEvent(event: UsageEvent): WireEvent {
  return {
    eventId: event.eventId,
    experienceId: event.experienceId ?? '',
    experienceType: event.experienceType,
    experienceVersion: event.experienceVersion,
    userId: event.userId ?? '',
    requestTags: [...event.requestTags],
    provider: event.provider,
    model: event.model,
    requestedModel: event.requestedModel ?? '',
    units: toWireUnits(event.units),
    outcome: `USAGE_OUTCOME_${event.outcome}`,
    cost: toWireCost(event.cost),
    priceId: event.priceId ?? '',
    unpricedUnits: event.unpriced.map(toWireUnpriced),
    useful: event.useful,
    eventTime: toWireTime(event.eventTime),
    recordTime: toWireTime(event.recordTime),
    operationKey: event.operationKey ?? '',
    step: event.step ?? '',
    latencyMs: String(event.latencyMs ?? 0),
    timeToFirstTokenMs: String(event.timeToFirstTokenMs ?? 0),
    httpStatusCode: event.httpStatusCode ?? 0,
    providerRequestId: event.providerRequestId ?? '',
    providerResponseId: event.providerResponseId ?? '',
    properties: Object.fromEntries(event.properties),
    workflowSource: event.workflowSource ?? null,
    repricings: event.repricings.map(({ id, priceId, time, cost }) => ({
      repricingId: id,
      priceId,
      repriceTime: toWireTime(time),
      addedCost: toWireCost(cost),
    })),
    settlement: toWireSettlement(event.settlement),
    limitIds: event.charges.map(({ limitId }) => limitId),
  };
}

export function toWireSettlement(settlement: UsageEvent['settlement']): NonNullable<WireEvent['settlement']> {
  return settlement === 'NONE' ? 'SETTLEMENT_UNSPECIFIED' : `SETTLEMENT_${settlement}`;
}

/** The text is made of the event as it stands, so that a repeat gets the same warnings. */
export function toWireWarnings(
  event: Pick<UsageEvent, 'experienceId' | 'experienceType' | 'experienceVersion' | 'warnings'>,
): WireWarning[] {
  return event.warnings.map((warning) => {
    const code = `RECORD_WARNING_CODE_${warning}` as const;
    switch (warning) {
      case 'OTHER_EXPERIENCE_TYPE':
      case 'OTHER_EXPERIENCE_VERSION':
        return {
          code,
          message: `The experience is '${event.experienceType}' version ${event.experienceVersion} and stays so, whatever this call names.`,
        };
      case 'EXPERIENCE_STAYS_UNTYPED':
        return { code, message: 'The experience has no type and too many events to take one.' };
      case 'EXPERIENCE_ID_REPLACED':
        return {
          code,
          message: `The given experience id is not a UUID; '${event.experienceId}' was made instead.`,
        };
      case 'UNITS_UNPRICED':
        return {
          code,
          message: 'Some units have no price; they are kept beside the cost and can be priced later.',
        };
      default:
        return warning satisfies never;
    }
  });
}

export function toWireUnpriced(units: UnpricedUnits): WireUnpriced {
  return {
    kind: units.kind,
    input: String(units.input),
    output: String(units.output),
    reason: `UNPRICED_REASON_${units.reason}`,
  };
}

export function toWireCost(cost: Cost): WireCost {
  return {
    input: formatMoney(cost.input),
    output: formatMoney(cost.output),
    total: formatMoney(cost.total),
    currencyCode: CURRENCY,
  };
}

export function toWirePrice(price: Price): WirePrice {
  return {
    priceId: price.id,
    source: toWirePriceSource(price.source),
    provider: price.provider,
    model: price.model,
    rates: Object.fromEntries(
      [...price.rates].map(([kind, { input, output }]) => [
        kind,
        {
          ...(input === undefined ? {} : { input: toWireRate(input) }),
          ...(output === undefined ? {} : { output: toWireRate(output) }),
        },
      ]),
    ),
    effectiveTime: toWireTime(price.effectiveTime),
    retired: price.retired,
    createTime: toWireTime(price.createTime),
    sourceNote: price.sourceNote,
    currencyCode: CURRENCY,
  };
}

export function toWirePricedProvider(priced: PricedProvider): WirePricedProvider {
  return {
    provider: priced.provider,
    source: toWirePriceSource(priced.source),
    modelCount: priced.modelCount,
    firstEffectiveTime: toWireTime(priced.firstEffectiveTime),
  };
}

function toWirePriceSource(source: Price['source']): NonNullable<WirePrice['source']> {
  return source === 'catalogue' ? 'PRICE_SOURCE_CATALOGUE' : 'PRICE_SOURCE_APPLICATION';
}

export function toWireTime(time: Date): WireTime;
export function toWireTime(time: Date | undefined): WireTime | null;
export function toWireTime(time: Date | undefined): WireTime | null {
  if (time === undefined) return null;
  const milliseconds = time.getTime();
  const seconds = Math.floor(milliseconds / 1_000);
  return { seconds: String(seconds), nanos: (milliseconds - seconds * 1_000) * 1_000_000 };
}

export function toWireUnits(units: Units): Record<string, WireUnitCount> {
  return Object.fromEntries(
    [...units].map(([kind, { input, output }]) => [kind, { input: String(input), output: String(output) }]),
  );
}

function toWireRate(rate: Rate): WireRate {
  return {
    base: formatMoney(rate.base),
    tiers: rate.tiers.map(({ inputUnitsAbove, price }) => ({
      inputUnitsAbove: String(inputUnitsAbove),
      price: formatMoney(price),
    })),
    inheritedFrom: rate.inheritedFrom ?? '',
  };
}

export const CURRENCY = 'USD';
