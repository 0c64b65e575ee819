import type { Filter } from 'mongodb';
import type { CostDistribution } from '../domain/cost-distribution.js';
import { type CostQuery, type KeptRange, type KeptSum, keptRanges, lengthOf } from '../domain/cost-query.js';
import { type CostRows, costRows } from '../domain/cost-rows.js';
import type { Experience } from '../domain/experience.js';
import { Fault } from '../domain/fault.js';
import type { RollupDocument } from './documents.js';
import { fromExperienceDocument } from './experience-document.js';
import { fromHistogramDocuments, fromRollupDocument, histogramKeysOf } from './kept-sum-document.js';
import { inSnapshot, type Snapshot } from './snapshot.js';
import type { Store } from './store.js';

/** What was spent, read from the sums that every commit keeps. All that one call answers is of one moment. */
export class Costs {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** What was spent in a range of time. At most {@link KEPT_SUMS_MAX} kept sums are read for it. */
  async query(application: string, query: CostQuery, deadline: number): Promise<CostRows> {
    const ranges = keptRanges(query);
    if (lengthOf(ranges) > KEPT_SUMS_MAX) throw queryTooLarge(query);
    const kept = await inSnapshot(this.#store, deadline, (snapshot) =>
      this.#keptSums(application, query, ranges, snapshot),
    );
    return costRows(kept, query);
  }

  /** How the experiences of a version differ in cost, with so many of the dearest. */
  async distribution(
    application: string,
    key: VersionKey,
    dearestCount: number,
    deadline: number,
  ): Promise<VersionCosts> {
    return inSnapshot(this.#store, deadline, async (snapshot) => {
      const histogram = await this.#histogram(application, key, snapshot);
      return { ...key, ...histogram, ...(await this.#extremes(application, key, dearestCount, snapshot)) };
    });
  }

  /** Two versions at the same moment; of the dearest only one each. */
  async distributionsOfTwo(
    application: string,
    [first, second]: readonly [VersionKey, VersionKey],
    deadline: number,
  ): Promise<readonly [VersionCosts, VersionCosts]> {
    return inSnapshot(this.#store, deadline, async (snapshot) => {
      const histogram = await this.#histogram(application, first, snapshot);
      // That read has fixed the moment, so the others need not wait for each other.
      const [extremes, histogramOfSecond, extremesOfSecond] = await Promise.all([
        this.#extremes(application, first, 1, snapshot),
        this.#histogram(application, second, snapshot),
        this.#extremes(application, second, 1, snapshot),
      ]);
      return [
        { ...first, ...histogram, ...extremes },
        { ...second, ...histogramOfSecond, ...extremesOfSecond },
      ];
    });
  }

  async #keptSums(
    application: string,
    query: CostQuery,
    ranges: readonly KeptRange[],
    snapshot: Snapshot,
  ): Promise<readonly KeptSum[]> {
    const documents: RollupDocument[] = [];
    for (const { grain, start, end } of ranges) {
      const limit = KEPT_SUMS_MAX - documents.length + 1;
      const filter = {
        ...filterOf(application, query),
        '_id.g': GRAIN[grain],
        '_id.h': { $gte: start, $lt: end },
      };
      const hint = query.type === undefined ? 'by_time' : 'by_type';
      const options = { ...snapshot, hint, limit, batchSize: limit };
      documents.push(...(await this.#store.rollups.find(filter, options).toArray()));
      if (documents.length > KEPT_SUMS_MAX) throw queryTooLarge(query);
    }
    return documents.map(fromRollupDocument).filter((sum) => isWanted(sum, query));
  }

  async #histogram(
    application: string,
    { type, version }: VersionKey,
    snapshot: Snapshot,
  ): Promise<Omit<CostDistribution, 'extremes'>> {
    const filter = { _id: histogramKeysOf(application, type, version) };
    return fromHistogramDocuments(await this.#store.histograms.find(filter, snapshot).toArray());
  }

  /** Only after a read that has fixed the moment of the snapshot: these two go side by side. */
  async #extremes(
    application: string,
    { type, version }: VersionKey,
    dearestCount: number,
    snapshot: Snapshot,
  ): Promise<Pick<VersionCosts, 'extremes' | 'dearest'>> {
    const filter = { '_id.a': application, t: type, v: version, ct: { $exists: true } };
    const [dearest, [cheapest]] = await Promise.all([
      this.#store.experiences
        .find(filter, { ...snapshot, sort: { ct: -1, _id: 1 }, limit: dearestCount, hint: 'by_cost' })
        .toArray(),
      this.#store.experiences
        .find(filter, { ...snapshot, sort: { ct: 1, _id: -1 }, limit: 1, hint: 'by_cost' })
        .toArray(),
    ]);
    const experiences = dearest.map(fromExperienceDocument);
    const extremes =
      cheapest === undefined || experiences[0] === undefined
        ? undefined
        : {
            minimum: fromExperienceDocument(cheapest).totals.cost.total,
            maximum: experiences[0].totals.cost.total,
          };
    return { extremes, dearest: experiences };
  }
}

export interface VersionKey {
  readonly type: string;
  readonly version: number;
}

export interface VersionCosts extends VersionKey, CostDistribution {
  /** The dearest first. */
  readonly dearest: readonly Experience[];
}

/**
 * Only what the index holds in an order of its own: a provider or a model asked for of all types would be looked up in
 * every document of the range, and they would not be counted.
 */
function filterOf(
  application: string,
  { type, version, provider, model }: CostQuery,
): Filter<RollupDocument> {
  if (type === undefined) return { '_id.a': application };
  return {
    '_id.a': application,
    '_id.t': type,
    ...(version === undefined ? {} : { '_id.v': version }),
    ...(provider === undefined ? {} : { '_id.p': provider }),
    ...(model === undefined ? {} : { '_id.m': model }),
  };
}

function isWanted(sum: KeptSum, { provider, model }: CostQuery): boolean {
  return (
    (provider === undefined || sum.provider === provider) && (model === undefined || sum.model === model)
  );
}

export function queryTooLarge({ bucket, type }: CostQuery): Fault {
  const less = [
    bucket === 'HOUR' ? 'the bucket DAY' : 'a range that begins and ends at midnight UTC',
    ...(type === undefined ? ['one type'] : []),
    'a shorter range',
  ];
  return new Fault(
    'QUERY_TOO_LARGE',
    `The query would read more than ${KEPT_SUMS_MAX.toLocaleString('en-US')} sums; ask for ${less.slice(0, -1).join(', ')} or ${less.at(-1)}.`,
    { metadata: { sums_max: String(KEPT_SUMS_MAX) } },
  );
}

/** Hours and days, of each type, version, provider, model and lane one. */
const KEPT_SUMS_MAX = 4_000;
const GRAIN = { HOUR: 'h', DAY: 'd' } as const;
