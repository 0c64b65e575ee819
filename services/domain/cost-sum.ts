import { addMoney, type Money, money } from './money.js';
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
  #input = 0n;
  #output = 0n;
  #useful = 0n;
  #wasted = 0n;
  readonly #units = new Map<UnitKind, UnitCount>();

  add(sum: CostSum): void {
    this.#eventCount += sum.eventCount;
    this.#unpricedEventCount += sum.unpricedEventCount;
    this.#input += sum.cost.input;
    this.#output += sum.cost.output;
    this.#useful += sum.useful;
    this.#wasted += sum.wasted;
    for (const [kind, { input, output }] of sum.units) {
      const before = this.#units.get(kind);
      this.#units.set(kind, {
        input: (before?.input ?? 0n) + input,
        output: (before?.output ?? 0n) + output,
      });
    }
  }

  sum(): CostSum {
    const [input, output] = [money(this.#input), money(this.#output)];
    return {
      eventCount: this.#eventCount,
      cost: { input, output, total: addMoney(input, output) },
      useful: money(this.#useful),
      wasted: money(this.#wasted),
      unpricedEventCount: this.#unpricedEventCount,
      units: canonicalUnits(this.#units),
    };
  }
}
