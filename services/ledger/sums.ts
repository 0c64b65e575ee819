import type { Decimal128 } from 'mongodb';
import type { CostSum } from '../domain/cost-sum.js';
import { addMoney, type Money, NO_MONEY, subtractMoney } from '../domain/money.js';
import { unitKind } from '../domain/units.js';
import type { UsageEvent } from '../domain/usage.js';
import type { SumsFields } from './documents.js';
import { fromDecimal, toDecimal } from './money-decimal.js';

/**
 * What events add up to: the same figures for an experience and for a rollup. Events are added, and taken away again when
 * another state takes their place, so a figure of sums that are still to be written may be negative.
 */
export class Sums {
  events = 0n;
  unpriced = 0n;
  input: Money = NO_MONEY;
  output: Money = NO_MONEY;
  useful: Money = NO_MONEY;
  wasted: Money = NO_MONEY;
  readonly units = new Map<string, { i: bigint; o: bigint }>();
  /** Whether anything was added or taken away. */
  touched = false;

  add(event: UsageEvent): void {
    this.touched = true;
    this.events += 1n;
    if (event.unpriced.length > 0) this.unpriced += 1n;
    this.input = addMoney(this.input, event.cost.input);
    this.output = addMoney(this.output, event.cost.output);
    if (event.useful) this.useful = addMoney(this.useful, event.cost.total);
    else this.wasted = addMoney(this.wasted, event.cost.total);
    for (const [kind, { input, output }] of event.units) this.#addUnits(kind, input, output);
  }

  takeAway(event: UsageEvent): void {
    this.touched = true;
    this.events -= 1n;
    if (event.unpriced.length > 0) this.unpriced -= 1n;
    this.input = subtractMoney(this.input, event.cost.input);
    this.output = subtractMoney(this.output, event.cost.output);
    if (event.useful) this.useful = subtractMoney(this.useful, event.cost.total);
    else this.wasted = subtractMoney(this.wasted, event.cost.total);
    for (const [kind, { input, output }] of event.units) this.#addUnits(kind, -input, -output);
  }

  addAll(other: Sums): void {
    this.touched = true;
    this.events += other.events;
    this.unpriced += other.unpriced;
    this.input = addMoney(this.input, other.input);
    this.output = addMoney(this.output, other.output);
    this.useful = addMoney(this.useful, other.useful);
    this.wasted = addMoney(this.wasted, other.wasted);
    for (const [kind, { i, o }] of other.units) this.#addUnits(kind, i, o);
  }

  get total(): Money {
    return addMoney(this.input, this.output);
  }

  /** The fields of a document that holds nothing else yet. */
  toFields(): SumsFields {
    return {
      n: this.events,
      ci: toDecimal(this.input),
      co: toDecimal(this.output),
      us: toDecimal(this.useful),
      ws: toDecimal(this.wasted),
      up: this.unpriced,
      un: Object.fromEntries(this.units),
    };
  }

  /** For `$inc`. Money is there even if it is zero: an amount that is absent would be made a number by the next one. */
  toIncrements(): Record<string, bigint | Decimal128> {
    const increments: Record<string, bigint | Decimal128> = {
      n: this.events,
      ci: toDecimal(this.input),
      co: toDecimal(this.output),
      us: toDecimal(this.useful),
      ws: toDecimal(this.wasted),
      up: this.unpriced,
    };
    for (const [kind, { i, o }] of this.units) {
      if (i === 0n && o === 0n) continue;
      increments[`un.${kind}.i`] = i;
      increments[`un.${kind}.o`] = o;
    }
    return increments;
  }

  #addUnits(kind: string, input: bigint, output: bigint): void {
    const sum = this.units.get(kind);
    if (sum === undefined) {
      this.units.set(kind, { i: input, o: output });
      return;
    }
    sum.i += input;
    sum.o += output;
  }
}

export function fromSumsFields(fields: SumsFields): CostSum {
  const input = fromDecimal(fields.ci);
  const output = fromDecimal(fields.co);
  return {
    eventCount: BigInt(fields.n),
    cost: { input, output, total: addMoney(input, output) },
    useful: fromDecimal(fields.us),
    wasted: fromDecimal(fields.ws),
    unpricedEventCount: BigInt(fields.up),
    units: new Map(
      Object.entries(fields.un ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([kind, { i, o }]) => [unitKind(kind), { input: BigInt(i ?? 0), output: BigInt(o ?? 0) }]),
    ),
  };
}
