import type { UpdateFilter } from 'mongodb';
import { DAY_MS, HOUR_MS } from '../domain/cost-query.js';
import type { UsageEvent } from '../domain/usage.js';
import type { RollupDocument, RollupKey } from './documents.js';
import { Sums } from './sums.js';

/** What is added to rollups, summed beforehand: each event counts in one of its hour and one of its day. */
export class RollupDeltas {
  readonly #hours = new Map<string, { readonly key: HourKey; readonly sums: Sums }>();

  add(application: string, event: UsageEvent): void {
    this.#of(application, event).add(event);
  }

  /** The same event in another state, and perhaps of another type. */
  change(application: string, before: UsageEvent, after: UsageEvent): void {
    this.#of(application, before).takeAway(before);
    this.#of(application, after).add(after);
  }

  updates(
    lane: number,
  ): { filter: { _id: RollupKey }; update: UpdateFilter<RollupDocument>; upsert: true }[] {
    const days = new Map<string, { readonly key: HourKey; readonly sums: Sums }>();
    for (const { key, sums } of this.#hours.values()) {
      const h = startOfDay(key.h);
      const text = textOf(key, h);
      const day = days.get(text) ?? { key: { ...key, h }, sums: new Sums() };
      days.set(text, day);
      day.sums.addAll(sums);
    }
    return [
      ...[...this.#hours.values()].map(({ key, sums }) => updateOf({ ...key, g: 'h', lane }, sums)),
      ...[...days.values()].map(({ key, sums }) => updateOf({ ...key, g: 'd', lane }, sums)),
    ];
  }

  #of(application: string, event: UsageEvent): Sums {
    const h = startOfHour(event.eventTime.getTime());
    const key: HourKey = {
      a: application,
      t: event.experienceType,
      v: event.experienceVersion,
      h,
      p: event.provider,
      m: event.model,
    };
    const text = textOf(key, h);
    const known = this.#hours.get(text);
    if (known !== undefined) return known.sums;
    const sums = new Sums();
    this.#hours.set(text, { key, sums });
    return sums;
  }
}

/** A rollup's key without granularity and lane. */
interface HourKey extends Omit<RollupKey, 'g' | 'h' | 'l'> {
  /** Milliseconds since the epoch. */
  readonly h: number;
}

function updateOf({ a, g, t, v, h, p, m, lane }: HourKey & { g: 'h' | 'd'; lane: number }, sums: Sums) {
  return {
    filter: { _id: { a, g, t, v, h: new Date(h), p, m, l: lane } },
    update: { $inc: sums.toIncrements() },
    upsert: true as const,
  };
}

/** The parts are separated by what none of them can hold: the texts have no control characters. */
function textOf({ a, t, v, p, m }: HourKey, h: number): string {
  return `${a}\n${t}\n${v}\n${h}\n${p}\n${m}`;
}

export function startOfHour(timeMs: number): number {
  return Math.floor(timeMs / HOUR_MS) * HOUR_MS;
}

export function startOfDay(timeMs: number): number {
  return Math.floor(timeMs / DAY_MS) * DAY_MS;
}
