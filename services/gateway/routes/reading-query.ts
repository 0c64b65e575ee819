import type { CostDimension, CostQuery, TimeBucket } from '../../client/index.js';
import { badQuery, queryText } from '../pages.js';
import { parseTimestamp } from '../timestamp.js';

/** What the paths for reading costs take in their queries. */

/** A whole number from 1; undefined: it is not given. */
export function queryNumber(query: unknown, name: string, max: number): number | undefined {
  const text = queryText(query, name);
  if (text === undefined) return undefined;
  const number = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : Number.NaN;
  if (number <= max) return number;
  throw badQuery(name, `must be a whole number from 1 to ${max}`);
}

export function requiredNumber(query: unknown, name: string, max: number): number {
  const number = queryNumber(query, name, max);
  if (number === undefined) throw badQuery(name, 'is required');
  return number;
}

/** `50,90,99.9`; undefined: the service's own. */
export function queryPercentiles(query: unknown): readonly number[] | undefined {
  const text = queryText(query, 'percentiles');
  return text?.split(',').map((part) => {
    if (!/^\d{1,3}(?:\.\d{1,3})?$/.test(part.trim()))
      throw badQuery('percentiles', 'must be numbers above 0 and up to 100, with commas between them');
    return Number(part);
  });
}

/** From a range of time, what to add up apart by, and what to leave out. Times must be full hours in UTC. */
export function seriesQuery(query: unknown): CostQuery {
  const [provider, model] = [queryText(query, 'provider'), queryText(query, 'model')];
  const experienceType = queryText(query, 'experience_type');
  const experienceVersion = queryNumber(query, 'experience_version', VERSION_MAX);
  const bucket = queryText(query, 'bucket')?.toUpperCase();
  if (bucket !== undefined && !isBucket(bucket)) throw badQuery('bucket', 'must be hour, day or month');
  return {
    startTime: timeOf(query, 'from'),
    endTime: timeOf(query, 'to'),
    groupBy: (queryText(query, 'group_by') ?? '')
      .split(',')
      .flatMap((part) => dimensionOf(part.trim()) ?? []),
    timeBucket: bucket,
    ...(experienceType === undefined ? {} : { experienceType }),
    ...(experienceVersion === undefined ? {} : { experienceVersion }),
    ...(provider === undefined ? {} : { provider }),
    ...(model === undefined ? {} : { model }),
  };
}

function timeOf(query: unknown, name: string): Date {
  const text = queryText(query, name);
  if (text === undefined) throw badQuery(name, 'is required');
  const time = parseTimestamp(text);
  if (time === undefined) throw badQuery(name, 'is no time of ISO 8601');
  return time;
}

function isBucket(text: string): text is TimeBucket {
  return (BUCKETS as readonly string[]).includes(text);
}

function dimensionOf(name: string): CostDimension | undefined {
  if (name === '') return undefined;
  const dimension = DIMENSIONS.get(name);
  if (dimension === undefined)
    throw badQuery('group_by', `may name ${[...DIMENSIONS.keys()].join(', ')}, with commas between them`);
  return dimension;
}

const BUCKETS = ['HOUR', 'DAY', 'MONTH'] as const satisfies readonly TimeBucket[];
const DIMENSIONS: ReadonlyMap<string, CostDimension> = new Map([
  ['experience_type', 'EXPERIENCE_TYPE'],
  ['experience_version', 'EXPERIENCE_VERSION'],
  ['provider', 'PROVIDER'],
  ['model', 'MODEL'],
]);
export const VERSION_MAX = 2 ** 31 - 1;
