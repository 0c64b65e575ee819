import type { UpdateFilter } from 'mongodb';
import { costBucket } from '../domain/cost-buckets.js';
import { addMoney, type Money, NO_MONEY, subtractMoney } from '../domain/money.js';
import type { HistogramDocument, HistogramKey } from './documents.js';
import { toDecimal } from './money-decimal.js';

/** How experiences move through the histograms of their types and versions, summed beforehand. */
export class HistogramDeltas {
  readonly #deltas = new Map<string, HistogramDelta>();

  enter(place: HistogramPlace, total: Money): void {
    const delta = this.#of(place);
    delta.experiences += 1n;
    delta.sum = addMoney(delta.sum, total);
    delta.count(costBucket(total), 1n);
  }

  leave(place: HistogramPlace, total: Money): void {
    const delta = this.#of(place);
    delta.experiences -= 1n;
    delta.sum = subtractMoney(delta.sum, total);
    delta.count(costBucket(total), -1n);
  }

  updates(
    lane: number,
  ): { filter: { _id: HistogramKey }; update: UpdateFilter<HistogramDocument>; upsert: true }[] {
    return [...this.#deltas.values()]
      .filter((delta) => !delta.isNothing())
      .map(({ place, experiences, sum, buckets }) => ({
        filter: { _id: { a: place.application, t: place.type, v: place.version, l: lane } },
        update: {
          $inc: {
            n: experiences,
            s: toDecimal(sum),
            ...Object.fromEntries([...buckets].map(([bucket, count]) => [`b.${bucket}`, count])),
          },
        },
        upsert: true as const,
      }));
  }

  #of(place: HistogramPlace): HistogramDelta {
    const text = `${place.application}\n${place.type}\n${place.version}`;
    const known = this.#deltas.get(text);
    if (known !== undefined) return known;
    const delta = new HistogramDelta(place);
    this.#deltas.set(text, delta);
    return delta;
  }
}

export interface HistogramPlace {
  readonly application: string;
  readonly type: string;
  readonly version: number;
}

class HistogramDelta {
  readonly place: HistogramPlace;
  readonly buckets = new Map<number, bigint>();
  experiences = 0n;
  sum: Money = NO_MONEY;

  constructor(place: HistogramPlace) {
    this.place = place;
  }

  count(bucket: number, by: bigint): void {
    const count = (this.buckets.get(bucket) ?? 0n) + by;
    if (count === 0n) this.buckets.delete(bucket);
    else this.buckets.set(bucket, count);
  }

  isNothing(): boolean {
    return this.experiences === 0n && this.sum === 0n && this.buckets.size === 0;
  }
}
