import { contract } from '../contract/contract.js';
import { type Channel, callUnary } from './call.js';
import { fromWireCost, fromWireTotals, fromWireUnpriced } from './from-wire.js';
import { toWireTime, toWireUnits } from './to-wire.js';
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
}
