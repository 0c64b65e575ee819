import type { Experience } from '../domain/experience.js';
import { Fault } from '../domain/fault.js';
import { type Limit, limitStateOf } from '../domain/limit.js';
import type { LimitCharge, LimitStanding } from '../domain/limit-charge.js';
import { addMoney, formatMoney, type Money, NO_MONEY } from '../domain/money.js';
import type { UsageEvent } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';
import { factKey } from './fact-key.js';
import type { Facts } from './facts.js';
import { LimitDeltas } from './limit-deltas.js';
import { NO_LIMIT_SUM } from './limit-document.js';
import { limitNotFound } from './not-found.js';

/** Of the place that a call goes to, what tells the experience's own limit. */
export interface LimitedPlace {
  readonly experience: Pick<Experience, 'id' | 'limitType'>;
  /** The limit that is made with the experience. */
  readonly ownLimit: Limit | undefined;
}

export interface NewLimit {
  readonly application: string;
  readonly limit: Limit;
}

/** The limits that a batch touches, as they stand after the entries before: which apply to a call, and which refuse it. */
export class LimitBook {
  readonly deltas = new LimitDeltas();
  readonly #facts: Pick<Facts, 'limits'>;
  readonly #made = new Map<string, NewLimit>();

  constructor(facts: Pick<Facts, 'limits'>) {
    this.#facts = facts;
  }

  make(application: string, limit: Limit): void {
    this.#made.set(factKey(application, limit.id), { application, limit });
  }

  made(): readonly NewLimit[] {
    return [...this.#made.values()];
  }

  /**
   * Which apply to a call at its place: the experience's own, unless that is deleted, and those that it names. Throws a fault
   * for a named one that is not there. One that was deleted refuses a call that is still to come; a call that was made is
   * charged to it, because the money is spent.
   */
  applicable(
    application: string,
    limitIds: readonly Uuid[],
    place: LimitedPlace | undefined,
    call: 'to come' | 'made',
  ): readonly Limit[] {
    const own = place?.ownLimit ?? this.#ownOf(application, place);
    if (limitIds.length === 0 && own === undefined) return NO_LIMITS;
    const limits = new Map<Uuid, Limit>();
    if (own !== undefined && own.deleteTime === undefined) limits.set(own.id, own);
    for (const id of limitIds) {
      if (limits.has(id)) continue;
      const limit = this.#limit(application, id);
      if (limit === undefined || (limit.deleteTime !== undefined && call === 'to come'))
        throw limitNotFound(id);
      limits.set(id, limit);
    }
    return [...limits.values()];
  }

  /**
   * Throws the fault of a call that a blocking limit refuses, and counts it; undefined: the estimate is not known, and then
   * what is spent and held must be past the maximum.
   */
  decide(application: string, limits: readonly Limit[], estimate: Money | undefined): void {
    const refusing = limits.filter((limit) => {
      const { spent, held } = this.#sum(application, limit);
      return limit.type === 'BLOCK' && addMoney(addMoney(spent, held), estimate ?? NO_MONEY) > limit.maxCost;
    });
    const [first] = refusing;
    if (first === undefined) return;
    for (const limit of limits) {
      // One that would only be made with its experience has no sums yet, nor will have.
      if (this.#limit(application, limit.id) === undefined) continue;
      this.deltas.refuse(application, limit, refusing.includes(limit) ? 'this' : 'another');
    }
    const { spent, held } = this.#sum(application, first);
    throw new Fault('LIMIT_REACHED', `The limit '${first.id}' refuses the call, which must not be made.`, {
      metadata: {
        blocked_limit_ids: refusing.map(({ id }) => id).join(','),
        limit_states: limits
          .map((limit) => `${limit.id}=${refusing.includes(limit) ? 'BLOCKED' : 'BLOCKED_EXTERNAL'}`)
          .join(','),
        max_cost: formatMoney(first.maxCost),
        spent_cost: formatMoney(spent),
        held_cost: formatMoney(held),
        estimated_cost: formatMoney(estimate ?? NO_MONEY),
      },
    });
  }

  /** A new event: what it costs and how it leaves each limit that it is charged to. */
  addEvent(application: string, event: UsageEvent): void {
    this.deltas.addEvent(application, event);
    const isFailed = event.outcome !== 'SUCCEEDED' && event.cost.total === NO_MONEY;
    for (const charge of event.charges) {
      const limit = this.#limit(application, charge.limitId);
      if (limit === undefined) continue;
      const state = limitStateOf(limit, this.#sum(application, limit).spent);
      this.deltas.countEffect(application, charge, isFailed ? 'failed' : EFFECT_OF[state]);
    }
  }

  /** How those limits stand now that a call is charged to. */
  standings(application: string, charges: readonly LimitCharge[]): readonly LimitStanding[] {
    if (charges.length === 0) return NO_STANDINGS;
    return charges.flatMap(({ limitId }) => {
      const limit = this.#limit(application, limitId);
      if (limit === undefined) return [];
      const { spent, held } = this.#sum(application, limit);
      const { maxCost } = limit;
      return [{ limitId, state: limitStateOf(limit, spent), maxCost, spent, held }];
    });
  }

  /** The one that an experience which is there owns; undefined: none, or it is deleted. */
  ownedBy(application: string, experience: Pick<Experience, 'id' | 'limitType'>): Limit | undefined {
    const own = this.#ownOf(application, { experience, ownLimit: undefined });
    return own?.deleteTime === undefined ? own : undefined;
  }

  #ownOf(application: string, place: LimitedPlace | undefined): Limit | undefined {
    if (place === undefined || place.experience.limitType === undefined) return undefined;
    return this.#limit(application, place.experience.id);
  }

  #limit(application: string, id: Uuid): Limit | undefined {
    const key = factKey(application, id);
    return this.#facts.limits.get(key)?.limit ?? this.#made.get(key)?.limit;
  }

  /** In the current period. */
  #sum(application: string, { id, period }: Limit): { readonly spent: Money; readonly held: Money } {
    const stored = this.#facts.limits.get(factKey(application, id))?.sum ?? NO_LIMIT_SUM;
    const added = this.deltas.of(application, id, period) ?? NO_LIMIT_SUM;
    return { spent: addMoney(stored.spent, added.spent), held: addMoney(stored.held, added.held) };
  }
}

export function chargesOf(limits: readonly Limit[]): readonly LimitCharge[] {
  if (limits.length === 0) return NO_CHARGES;
  return limits.map(({ id, period, type }) => ({ limitId: id, period, blocking: type === 'BLOCK' }));
}

const EFFECT_OF = { OK: 'ok', EXCEEDED: 'exceeded', OVERRUN: 'overrun' } as const;
const NO_LIMITS: readonly Limit[] = [];
export const NO_CHARGES: readonly LimitCharge[] = [];
const NO_STANDINGS: readonly LimitStanding[] = [];
