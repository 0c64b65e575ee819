import { addMoney, type Money, NO_MONEY } from './money.js';
import { canonicalUnits, type UnitCount, type UnitKind, type Units } from './units.js';
import type { Cost } from './usage.js';

/** A sum over events. */
export interface CostSum {
  readonly eventCount: bigint;
  readonly cost: Cost;
  readonly useful: Money;
  readonly wasted: Money;
  readonly unpricedEventCount: bigint;
  readonly units: Units;
}

/** Adds sums up, one after the other. */
export class CostAdder {
  #eventCount = 0n;
  #unpricedEventCount = 0n;
  #input: Money = NO_MONEY;
  #output: Money = NO_MONEY;
  #useful: Money = NO_MONEY;
  #wasted: Money = NO_MONEY;
  readonly #units = new Map<UnitKind, UnitCount>();

  add(sum: CostSum): void {
    this.#eventCount += sum.eventCount;
    this.#unpricedEventCount += sum.unpricedEventCount;
    this.#input = addMoney(this.#input, sum.cost.input);
    this.#output = addMoney(this.#output, sum.cost.output);
    this.#useful = addMoney(this.#useful, sum.useful);
    this.#wasted = addMoney(this.#wasted, sum.wasted);
    for (const [kind, { input, output }] of sum.units) {
      const before = this.#units.get(kind);
      this.#units.set(kind, {
        input: (before?.input ?? 0n) + input,
        output: (before?.output ?? 0n) + output,
      });
    }
  }

  sum(): CostSum {
    return {
      eventCount: this.#eventCount,
      cost: { input: this.#input, output: this.#output, total: addMoney(this.#input, this.#output) },
      useful: this.#useful,
      wasted: this.#wasted,
      unpricedEventCount: this.#unpricedEventCount,
      units: canonicalUnits(this.#units),
    };
  }
}
