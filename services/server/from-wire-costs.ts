import type { QueryCostsRequest__Output } from '../contract/generated/experiences/v1/QueryCostsRequest.js';
import { PERCENTILE_ALL, type Percentile } from '../domain/cost-distribution.js';
import { type CostDimension, type CostQuery, isFullHour, type TimeBucket } from '../domain/cost-query.js';
import { MODEL_LENGTH_MAX, PROVIDER_LENGTH_MAX, shortTextRule, typeNameRule } from '../domain/text-rules.js';
import { fromWireTime } from './from-wire.js';
import type { RequestCheck } from './request-check.js';

/** What is asked of costs, checked and turned into the domain's values. */

export function fromWireCostQuery(wire: QueryCostsRequest__Output, check: RequestCheck): CostQuery {
  const start = fullHour('start_time', wire.startTime, check);
  const end = fullHour('end_time', wire.endTime, check);
  if (start !== undefined && end !== undefined && end <= start) {
    check.bad('end_time', 'must be after start_time');
  }
  const type = wire.experienceType;
  if (type !== undefined && type !== '') check.required('experience_type', type, typeNameRule);
  const version = check.version('experience_version', wire.experienceVersion);
  if (version !== undefined && !type) check.bad('experience_version', 'needs the name of a type');
  return {
    start: start ?? NO_TIME,
    end: end ?? NO_TIME,
    groupBy: fromWireDimensions(wire, check),
    bucket: fromWireBucket(wire.timeBucket, check),
    type,
    version,
    provider: check.optional('provider', wire.provider, shortTextRule(PROVIDER_LENGTH_MAX)),
    model: check.optional('model', wire.model, shortTextRule(MODEL_LENGTH_MAX)),
  };
}

/** Percent as the wire has them; the default when there are none. */
export function fromWirePercentiles(
  field: string,
  wire: readonly number[],
  check: RequestCheck,
): readonly Percentile[] {
  if (wire.length === 0) return PERCENTILES_DEFAULT;
  if (wire.length > PERCENTILES_MAX) {
    check.bad(field, `has ${wire.length} percentiles, more than ${PERCENTILES_MAX}`);
  }
  return wire.slice(0, PERCENTILES_MAX).map((percent, index) => {
    const thousandths = Math.round(percent * 1_000);
    if (percent > 0 && percent <= 100 && thousandths / 1_000 === percent) return BigInt(thousandths);
    check.bad(
      `${field}[${index}]`,
      'must be above 0 and at most 100, with at most three digits after the point',
    );
    return PERCENTILE_ALL;
  });
}

/** 0 means the default. */
export function fromWireCount(
  field: string,
  count: number,
  { byDefault, max }: { readonly byDefault: number; readonly max: number },
  check: RequestCheck,
): number {
  if (count < 0 || count > max) check.bad(field, `must be from 0 to ${max}`);
  return count === 0 ? byDefault : count;
}

function fullHour(
  field: string,
  wire: QueryCostsRequest__Output['startTime'],
  check: RequestCheck,
): Date | undefined {
  if (wire === null) check.bad(field, 'is required');
  const time = fromWireTime(field, wire, check);
  if (time !== undefined && wire !== null && !(isFullHour(time) && wire.nanos === 0)) {
    check.bad(field, 'must be a full hour in UTC');
  }
  return time;
}

function fromWireDimensions(
  { groupBy, experienceType }: QueryCostsRequest__Output,
  check: RequestCheck,
): ReadonlySet<CostDimension> {
  const dimensions = new Set<CostDimension>();
  for (const [index, wire] of groupBy.entries()) {
    const dimension = DIMENSIONS.get(wire);
    if (dimension === undefined) check.bad(`group_by[${index}]`, 'is not a dimension of the contract');
    else if (dimensions.has(dimension)) check.bad(`group_by[${index}]`, 'is there before');
    else dimensions.add(dimension);
  }
  if (
    dimensions.has('EXPERIENCE_VERSION') &&
    !dimensions.has('EXPERIENCE_TYPE') &&
    experienceType === undefined
  ) {
    check.bad('group_by', 'has the version, which says nothing without the type or experience_type');
  }
  return dimensions;
}

function fromWireBucket(
  wire: QueryCostsRequest__Output['timeBucket'],
  check: RequestCheck,
): TimeBucket | undefined {
  switch (wire) {
    case 'TIME_BUCKET_UNSPECIFIED':
      return undefined;
    case 'TIME_BUCKET_HOUR':
      return 'HOUR';
    case 'TIME_BUCKET_DAY':
      return 'DAY';
    case 'TIME_BUCKET_MONTH':
      return 'MONTH';
    default:
      // A number that the contract does not name comes here, whatever the type says.
      wire satisfies never;
      check.bad('time_bucket', 'is not a bucket of the contract');
      return undefined;
  }
}

const DIMENSIONS: ReadonlyMap<string, CostDimension> = new Map([
  ['COST_DIMENSION_EXPERIENCE_TYPE', 'EXPERIENCE_TYPE'],
  ['COST_DIMENSION_EXPERIENCE_VERSION', 'EXPERIENCE_VERSION'],
  ['COST_DIMENSION_PROVIDER', 'PROVIDER'],
  ['COST_DIMENSION_MODEL', 'MODEL'],
]);
const PERCENTILES_DEFAULT: readonly Percentile[] = [50_000n, 75_000n, 90_000n, 95_000n, 99_000n];
const PERCENTILES_MAX = 20;
/** Never used: the request is refused. */
const NO_TIME = new Date(0);
