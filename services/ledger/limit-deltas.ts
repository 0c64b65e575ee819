import type { Decimal128, UpdateFilter } from 'mongodb';
import type { Limit, LimitEffects, LimitSum } from '../domain/limit.js';
import type { LimitCharge } from '../domain/limit-charge.js';
import { addMoney, type Money, NO_MONEY, subtractMoney } from '../domain/money.js';
import { heldCostOf, type Reservation } from '../domain/reservation.js';
import type { UsageEvent } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';
import { factKey } from './fact-key.js';
import { DECIDING_LANE, limitLane, limitSumKey } from './limit-document.js';
import type { LimitSumDocument, LimitSumKey } from './limit-fields.js';
import { toDecimal } from './money-decimal.js';

/** What is added to the sums of limits, period by period, summed beforehand so that each is written once a commit. */
export class LimitDeltas {
  readonly #deltas = new Map<string, LimitDelta>();

  addEvent(application: string, event: UsageEvent): void {
    for (const charge of event.charges) this.#of(application, charge).count(event, 1n);
  }

  /** The same event in another state: its charges never change. */
  changeEvent(application: string, before: UsageEvent, after: UsageEvent): void {
    const { input, total } = before.cost;
    const isSameCost = input === after.cost.input && total === after.cost.total;
    if (isSameCost && before.settlement === after.settlement) return;
    for (const charge of after.charges) {
      const delta = this.#of(application, charge);
      delta.count(before, -1n);
      delta.count(after, 1n);
    }
  }

  /** How a new event has left a limit that it is charged to. */
  countEffect(application: string, charge: LimitCharge, effect: keyof LimitEffects): void {
    this.#of(application, charge).effects[effect] += 1n;
  }

  /** Also where nothing is held: what two processes decide of one limit must meet in the store. */
  hold(application: string, reservation: Reservation): void {
    for (const charge of reservation.charges) this.#of(application, charge).hold(heldCostOf(reservation));
  }

  release(application: string, reservation: Reservation): void {
    const held = subtractMoney(NO_MONEY, heldCostOf(reservation));
    for (const charge of reservation.charges) this.#of(application, charge).hold(held);
  }

  /** A refused reservation: by this limit, or by another one. */
  refuse(application: string, { id, period, type }: Limit, by: 'this' | 'another'): void {
    const delta = this.#of(application, { limitId: id, period, blocking: type === 'BLOCK' });
    if (by === 'this') delta.blockedCount += 1n;
    else delta.blockedExternalCount += 1n;
  }

  /** What the batch adds to a limit in one period; undefined: nothing. */
  of(application: string, limitId: Uuid, period: number): LimitSum | undefined {
    return this.#deltas.get(textOf(application, limitId, period));
  }

  updates(
    lane: number,
  ): { filter: { _id: LimitSumKey }; update: UpdateFilter<LimitSumDocument>; upsert: true }[] {
    return [...this.#deltas.values()].flatMap((delta) => delta.updates(lane));
  }

  #of(application: string, charge: LimitCharge): LimitDelta {
    const text = textOf(application, charge.limitId, charge.period);
    const known = this.#deltas.get(text);
    if (known !== undefined) return known;
    const delta = new LimitDelta(application, charge);
    this.#deltas.set(text, delta);
    return delta;
  }
}

class LimitDelta implements LimitSum {
  readonly #application: string;
  readonly #charge: LimitCharge;
  #isCharged = false;
  spent: Money = NO_MONEY;
  spentInput: Money = NO_MONEY;
  held: Money = NO_MONEY;
  unsettled: Money = NO_MONEY;
  eventCount = 0n;
  readonly effects = { ok: 0n, exceeded: 0n, overrun: 0n, failed: 0n };
  blockedCount = 0n;
  blockedExternalCount = 0n;

  constructor(application: string, charge: LimitCharge) {
    this.#application = application;
    this.#charge = charge;
  }

  count({ cost, settlement }: UsageEvent, by: 1n | -1n): void {
    const move = by > 0n ? addMoney : subtractMoney;
    this.#isCharged = true;
    this.spent = move(this.spent, cost.total);
    this.spentInput = move(this.spentInput, cost.input);
    if (settlement === 'UNSETTLED') this.unsettled = move(this.unsettled, cost.total);
    this.eventCount += by;
  }

  hold(amount: Money): void {
    this.#isCharged = true;
    this.held = addMoney(this.held, amount);
  }

  /** A blocking limit's refusals are counted apart from what it decides by, so that they hinder no decision. */
  updates(
    lane: number,
  ): { filter: { _id: LimitSumKey }; update: UpdateFilter<LimitSumDocument>; upsert: true }[] {
    const charged = this.#isCharged
      ? {
          sp: toDecimal(this.spent),
          si: toDecimal(this.spentInput),
          ho: toDecimal(this.held),
          un: toDecimal(this.unsettled),
          n: this.eventCount,
          ...effectIncrements(this.effects),
        }
      : undefined;
    const refused =
      this.blockedCount === 0n && this.blockedExternalCount === 0n
        ? undefined
        : { nb: this.blockedCount, nx: this.blockedExternalCount };
    if (!this.#charge.blocking) return [this.#update(limitLane(lane), { ...charged, ...refused })];
    return [
      ...(charged === undefined ? [] : [this.#update(DECIDING_LANE, charged)]),
      ...(refused === undefined ? [] : [this.#update(limitLane(lane), refused)]),
    ];
  }

  #update(lane: number, increments: Readonly<Record<string, bigint | Decimal128>>) {
    const { limitId, period } = this.#charge;
    return {
      filter: { _id: limitSumKey(this.#application, limitId, period, lane) },
      update: { $inc: increments },
      upsert: true as const,
    };
  }
}

/** Only those that there are: most batches leave a limit in one state. */
function effectIncrements({ ok, exceeded, overrun, failed }: LimitEffects): Record<string, bigint> {
  return {
    ...(ok === 0n ? {} : { ko: ok }),
    ...(exceeded === 0n ? {} : { ke: exceeded }),
    ...(overrun === 0n ? {} : { kv: overrun }),
    ...(failed === 0n ? {} : { kf: failed }),
  };
}

function textOf(application: string, limitId: Uuid, period: number): string {
  return factKey(application, `${limitId}/${period}`);
}
