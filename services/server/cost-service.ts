import type { CostServiceHandlers } from '../contract/generated/experiences/v1/CostService.js';
import { formatMoney } from '../domain/money.js';
import { MODEL_LENGTH_MAX, PROVIDER_LENGTH_MAX, shortTextRule } from '../domain/text-rules.js';
import { EVENT_COST_MAX } from '../domain/usage.js';
import type { Ledger } from '../ledger/ledger.js';
import { costOfUnits } from '../pricing/cost-of-units.js';
import { areNothing, fromWireTime, fromWireUnits } from './from-wire.js';
import type { Handlers } from './handler.js';
import { RequestCheck } from './request-check.js';
import { toWireCost, toWireTotals, toWireUnpriced } from './to-wire.js';

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
  };
}
