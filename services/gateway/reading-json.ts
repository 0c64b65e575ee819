import type {
  Cost,
  CostBar,
  CostChange,
  CostComparison,
  CostDistribution,
  CostRow,
  CostSum,
  DearExperience,
  ExperienceTotals,
  Units,
  UsageEvent,
} from '../client/index.js';
import { exactNumber } from './json-text.js';

/**
 * Costs for programs, under names of our own. Amounts are decimal strings, exact, in US dollars; counts are numbers, but
 * strings from 2^53 on, where JSON readers lose digits; times are ISO 8601. What is undefined is left out.
 */

export function countJson(count: bigint): unknown {
  return count < COUNT_SAFE_MAX ? exactNumber(String(count)) : String(count);
}

export function costJson({ input, output, total, currencyCode }: Cost): object {
  return { input, output, total, currency_code: currencyCode };
}

export function unitsJson(units: Units): object {
  return Object.fromEntries(
    Object.entries(units).map(([kind, { input, output }]) => [
      kind,
      { input: countJson(input), output: countJson(output) },
    ]),
  );
}

export function sumJson(sum: CostSum): object {
  return {
    event_count: countJson(sum.eventCount),
    cost: costJson(sum.cost),
    useful_cost: sum.usefulCost,
    wasted_cost: sum.wastedCost,
    unpriced_event_count: countJson(sum.unpricedEventCount),
    units: unitsJson(sum.units),
  };
}

export function totalsJson(totals: ExperienceTotals): object {
  return {
    ...sumJson(totals),
    held_cost: totals.heldCost,
    open_reservation_count: countJson(totals.openReservationCount),
    unsettled_cost: totals.unsettledCost,
    unsettled_event_count: countJson(totals.unsettledEventCount),
    first_event_time: totals.firstEventTime?.toISOString(),
    last_event_time: totals.lastEventTime?.toISOString(),
  };
}

export function eventJson(event: UsageEvent): object {
  return {
    event_id: event.eventId,
    experience_id: event.experienceId,
    experience_type: event.experienceType,
    experience_version: optionalCount(event.experienceVersion),
    provider: event.provider,
    model: event.model,
    requested_model: event.requestedModel,
    units: unitsJson(event.units),
    outcome: event.outcome,
    cost: costJson(event.cost),
    price_id: event.priceId,
    unpriced_units: event.unpricedUnits.map(({ kind, input, output, reason }) => ({
      kind,
      input: countJson(input),
      output: countJson(output),
      reason,
    })),
    useful: event.useful,
    settlement: event.settlement,
    event_time: event.eventTime.toISOString(),
    record_time: event.recordTime.toISOString(),
    operation_key: event.operationKey,
    step: event.step,
    latency_ms: optionalCount(event.latencyMs),
    time_to_first_token_ms: optionalCount(event.timeToFirstTokenMs),
    http_status_code: optionalCount(event.httpStatusCode),
    provider_request_id: event.providerRequestId,
    provider_response_id: event.providerResponseId,
    user_id: event.userId,
    request_tags: event.requestTags,
    limit_ids: event.limitIds,
    properties: event.properties,
  };
}

export function rowJson(row: CostRow): object {
  return {
    bucket_start_time: row.bucketStartTime?.toISOString(),
    experience_type: row.experienceType,
    experience_version: optionalCount(row.experienceVersion),
    provider: row.provider,
    model: row.model,
    ...sumJson(row.sum),
  };
}

export function distributionJson(distribution: CostDistribution): object {
  return {
    experience_type: distribution.experienceType,
    experience_version: exactCount(distribution.experienceVersion),
    experience_count: countJson(distribution.experienceCount),
    sum: distribution.sum,
    mean: distribution.mean,
    minimum: distribution.minimum,
    maximum: distribution.maximum,
    percentiles: distribution.percentiles.map(({ percentile, cost }) => ({ percentile, cost })),
    percentile_error_max: distribution.percentileErrorMax,
    currency_code: distribution.currencyCode,
  };
}

export function barJson({ above, upTo, experienceCount }: CostBar): object {
  return { above, up_to: upTo, experience_count: countJson(experienceCount) };
}

export function dearJson(dear: DearExperience): object {
  return {
    experience_id: dear.experienceId,
    total_cost: dear.totalCost,
    event_count: countJson(dear.eventCount),
    unpriced_event_count: countJson(dear.unpricedEventCount),
    create_time: dear.createTime.toISOString(),
    delete_time: dear.deleteTime?.toISOString(),
  };
}

export function comparisonJson({ mean, minimum, maximum, percentiles, rankTest }: CostComparison): object {
  return {
    mean: changeJson(mean),
    minimum: changeJson(minimum),
    maximum: changeJson(maximum),
    percentiles: percentiles.map(({ percentile, change }) => ({ percentile, ...changeJson(change) })),
    rank_test: {
      name: rankTest.name,
      method: rankTest.method,
      u: rankTest.u,
      z: rankTest.z,
      p_value: rankTest.pValue,
      alpha: rankTest.alpha,
      probability_of_superiority: rankTest.probabilityOfSuperiority,
      verdict: rankTest.verdict,
    },
  };
}

function changeJson({ absolute, relative }: CostChange): {
  readonly absolute: string;
  readonly relative: string | undefined;
} {
  return { absolute, relative };
}

function exactCount(count: number): object {
  return exactNumber(String(count));
}

function optionalCount(count: number | undefined): object | undefined {
  return count === undefined ? undefined : exactCount(count);
}

const COUNT_SAFE_MAX = 2n ** 53n;
