import { contract } from '../contract/contract.js';
import { type Channel, callUnary } from './call.js';
import type { CostDistributionDetails, CostQuery, CostReport, VersionComparison } from './cost-types.js';
import { fromWireCost, fromWireTotals, fromWireUnpriced } from './from-wire.js';
import {
  fromWireBar,
  fromWireComparison,
  fromWireDear,
  fromWireDistribution,
  fromWireRow,
  fromWireSum,
} from './from-wire-costs.js';
import { toWireInt, toWireTime, toWireUnits } from './to-wire.js';
import type { CostEstimate, ExperienceCost, UnitsInput } from './types.js';

const methods = contract.CostService.service;

export class CostsClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** What one experience has cost so far, every acknowledged call included. */
  async get(experienceId: string, options: { readonly showDeleted?: boolean } = {}): Promise<ExperienceCost> {
    const answer = await callUnary(this.#channel, methods.GetExperienceCost, { experienceId, ...options });
    return {
      experienceId: answer.experienceId,
      experienceType: answer.experienceType || undefined,
      experienceVersion: answer.experienceVersion || undefined,
      totals: fromWireTotals(answer.totals),
    };
  }

  /** What units would cost at a time (absent: now). Records nothing. */
  async estimate(call: {
    readonly provider: string;
    readonly model: string;
    readonly units: UnitsInput;
    readonly eventTime?: Date;
  }): Promise<CostEstimate> {
    const request = {
      provider: call.provider,
      model: call.model,
      units: toWireUnits(call.units),
      eventTime: toWireTime(call.eventTime),
    };
    const answer = await callUnary(this.#channel, methods.EstimateCost, request);
    return {
      cost: fromWireCost(answer.cost),
      priceId: answer.priceId || undefined,
      unpricedUnits: answer.unpricedUnits.map(fromWireUnpriced),
    };
  }

  /** What was spent in a range of time, added up as asked for. Too large a query is refused: QUERY_TOO_LARGE. */
  async query(query: CostQuery): Promise<CostReport> {
    const { startTime, endTime, groupBy = [], timeBucket, experienceVersion, ...filter } = query;
    const request = {
      ...filter,
      startTime: toWireTime(startTime),
      endTime: toWireTime(endTime),
      groupBy: groupBy.map((dimension) => `COST_DIMENSION_${dimension}` as const),
      timeBucket: `TIME_BUCKET_${timeBucket ?? 'UNSPECIFIED'}` as const,
      experienceVersion: toWireInt('experienceVersion', experienceVersion ?? 0),
    };
    const answer = await callUnary(this.#channel, methods.QueryCosts, request);
    return { rows: answer.rows.map(fromWireRow), total: fromWireSum(answer.total) };
  }

  /** How the experiences of a version (absent: the current one) differ in cost. */
  async distribution(
    experienceType: string,
    options: {
      readonly experienceVersion?: number;
      /** Percent, such as 99.9. Absent: 50, 75, 90, 95, 99. */
      readonly percentiles?: readonly number[];
      /** How many of the dearest experiences; absent: 10. */
      readonly dearestCount?: number;
      /** Into how many bars the histogram is merged at most; absent: 40. */
      readonly barCountMax?: number;
      readonly showDeleted?: boolean;
    } = {},
  ): Promise<CostDistributionDetails> {
    const request = {
      experienceType,
      experienceVersion: toWireInt('experienceVersion', options.experienceVersion ?? 0),
      percentiles: [...(options.percentiles ?? [])],
      dearestCount: toWireInt('dearestCount', options.dearestCount ?? 0),
      barCountMax: toWireInt('barCountMax', options.barCountMax ?? 0),
      showDeleted: options.showDeleted ?? false,
    };
    const answer = await callUnary(this.#channel, methods.GetCostDistribution, request);
    return {
      distribution: fromWireDistribution(answer.distribution),
      bars: answer.bars.map(fromWireBar),
      dearestExperiences: answer.dearestExperiences.map(fromWireDear),
    };
  }

  /** How the costs of two versions of a type differ, and whether beyond chance. */
  async compareVersions(
    experienceType: string,
    firstVersion: number,
    secondVersion: number,
    options: { readonly percentiles?: readonly number[]; readonly showDeleted?: boolean } = {},
  ): Promise<VersionComparison> {
    const request = {
      experienceType,
      firstVersion: toWireInt('firstVersion', firstVersion),
      secondVersion: toWireInt('secondVersion', secondVersion),
      percentiles: [...(options.percentiles ?? [])],
      showDeleted: options.showDeleted ?? false,
    };
    const answer = await callUnary(this.#channel, methods.CompareVersions, request);
    return {
      first: fromWireDistribution(answer.first),
      second: fromWireDistribution(answer.second),
      comparison: fromWireComparison(answer.comparison),
    };
  }
}
