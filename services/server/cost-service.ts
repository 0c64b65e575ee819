import type { CostServiceHandlers } from '../contract/generated/experiences/v1/CostService.js';
import { costBars } from '../domain/cost-distribution.js';
import { formatMoney } from '../domain/money.js';
import { MODEL_LENGTH_MAX, PROVIDER_LENGTH_MAX, shortTextRule, typeNameRule } from '../domain/text-rules.js';
import { EVENT_COST_MAX } from '../domain/usage.js';
import { queryTooLarge } from '../ledger/costs.js';
import type { Ledger } from '../ledger/ledger.js';
import { costOfUnits } from '../pricing/cost-of-units.js';
import { areNothing, fromWireTime, fromWireUnits } from './from-wire.js';
import { fromWireCostQuery, fromWireCount, fromWirePercentiles } from './from-wire-costs.js';
import type { Handlers } from './handler.js';
import { pageOf } from './page-of.js';
import { RequestCheck } from './request-check.js';
import { toWireCost, toWireTotals, toWireUnpriced } from './to-wire.js';
import {
  toWireBar,
  toWireComparison,
  toWireDear,
  toWireDistribution,
  toWireRow,
  toWireSum,
} from './to-wire-costs.js';

export function costService(ledger: Ledger, handlers: Handlers): CostServiceHandlers {
  return {
    GetExperienceCost: handlers.unary(async (request, { application, deadline }) => {
      const id = new RequestCheck().experienceId('experience_id', request.experienceId);
      const experience = await ledger.experiences.get(application, id, request.showDeleted, deadline);
      return {
        experienceId: experience.id,
        experienceType: experience.type,
        experienceVersion: experience.version,
        totals: toWireTotals(experience.totals),
      };
    }),

    EstimateCost: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const provider = check.required('provider', request.provider, shortTextRule(PROVIDER_LENGTH_MAX));
      const model = check.required('model', request.model, shortTextRule(MODEL_LENGTH_MAX));
      const units = fromWireUnits('units', request.units, check);
      if (areNothing(request.units)) check.bad('units', 'is required');
      const eventTime = fromWireTime('event_time', request.eventTime, check);
      check.done();
      const { prices } = await ledger.state(application, deadline);
      const found = prices.find(provider, model, eventTime ?? new Date());
      const { unpriced, ...cost } = costOfUnits(units, found);
      if (cost.total > EVENT_COST_MAX) {
        check.bad('units', `cost more than the ${formatMoney(EVENT_COST_MAX)} that one event may`);
        check.done();
      }
      return {
        cost: toWireCost(cost),
        priceId: 'price' in found ? found.price.id : '',
        unpricedUnits: unpriced.map(toWireUnpriced),
      };
    }),

    QueryCosts: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const query = fromWireCostQuery(request, check);
      check.done();
      if (query.type) await ledger.types.version(application, query.type, query.version, true, deadline);
      const { rows, total } = await ledger.costs.query(application, query, deadline);
      const { page, last } = pageOf(rows, rows.length, toWireRow);
      if (last !== undefined) throw queryTooLarge(query);
      return { rows: page, total: toWireSum(total) };
    }),

    GetCostDistribution: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const type = check.required('experience_type', request.experienceType, typeNameRule);
      const wanted = check.version('experience_version', request.experienceVersion);
      const percentiles = fromWirePercentiles('percentiles', request.percentiles, check);
      const dearestCount = fromWireCount('dearest_count', request.dearestCount, DEAREST, check);
      const barsMax = fromWireCount('bar_count_max', request.barCountMax, BARS, check);
      check.done();
      const { showDeleted } = request;
      const version = await ledger.types.version(application, type, wanted, showDeleted, deadline);
      const key = { type, version };
      const costs = await ledger.costs.distribution(application, key, dearestCount, deadline);
      return {
        distribution: toWireDistribution(costs, percentiles),
        bars: costBars(costs.buckets, barsMax).map(toWireBar),
        dearestExperiences: costs.dearest.map(toWireDear),
      };
    }),

    CompareVersions: handlers.unary(async (request, { application, deadline }) => {
      const check = new RequestCheck();
      const type = check.required('experience_type', request.experienceType, typeNameRule);
      const { firstVersion, secondVersion, showDeleted } = request;
      for (const [field, version] of [
        ['first_version', firstVersion],
        ['second_version', secondVersion],
      ] as const) {
        if (version < 1) check.bad(field, version === 0 ? 'is required' : 'must not be negative');
      }
      if (firstVersion >= 1 && firstVersion === secondVersion) {
        check.bad('second_version', 'must not be the first one');
      }
      const percentiles = fromWirePercentiles('percentiles', request.percentiles, check);
      check.done();
      const keyOf = async (version: number) => ({
        type,
        version: await ledger.types.version(application, type, version, showDeleted, deadline),
      });
      const keys = [await keyOf(firstVersion), await keyOf(secondVersion)] as const;
      const [first, second] = await ledger.costs.distributionsOfTwo(application, keys, deadline);
      return {
        first: toWireDistribution(first, percentiles),
        second: toWireDistribution(second, percentiles),
        comparison: toWireComparison(first, second, percentiles),
      };
    }),
  };
}

/** How many of the dearest experiences are answered, and how many bars. */
const DEAREST = { byDefault: 10, max: 100 };
const BARS = { byDefault: 40, max: 60 };
