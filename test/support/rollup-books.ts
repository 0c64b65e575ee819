import type { ClientSession, Db, Decimal128 } from 'mongodb';
import { expect } from 'vitest';
import { costBucket } from '../../services/domain/cost-buckets.js';
import { money } from '../../services/domain/money.js';
import { add, type BookedEvent, nothing, type Totals, units18 } from './added-up.js';

/** The oracle of rollups and histograms: what they hold, all lanes together, is what events and experiences add up to. */
export async function expectRollups(
  db: Db,
  session: ClientSession,
  events: readonly BookedEvent[],
  experiences: Readonly<Record<string, Totals>>,
): Promise<void> {
  const [rollups, histograms] = [await readRollups(db, session), await readHistograms(db, session)];
  expect(rollups).toEqual(rollupsOf(events));
  expect(histograms).toEqual(histogramsOf(experiences));
}

interface RollupRow {
  readonly _id: { a: string; g: string; t: string; v: number; h: Date; p: string; m: string };
  readonly n: bigint;
  readonly ci: Decimal128;
  readonly co: Decimal128;
  readonly us: Decimal128;
  readonly ws: Decimal128;
  readonly up: bigint;
  readonly un: Readonly<Record<string, { readonly i: bigint; readonly o: bigint }>>;
}

type Sums = Omit<Totals, 'type' | 'version' | 'first' | 'last'>;

async function readRollups(db: Db, session: ClientSession): Promise<Record<string, Sums>> {
  const sums: Record<string, Sums> = {};
  for (const { _id, ...row } of await db.collection<RollupRow>('rollups').find({}, { session }).toArray()) {
    const key = [_id.a, _id.g, _id.t, _id.v, _id.h.toISOString(), _id.p, _id.m].join('|');
    const sum = sums[key] ?? noSums();
    sums[key] = sum;
    sum.events += row.n;
    sum.input += units18(row.ci);
    sum.output += units18(row.co);
    sum.useful += units18(row.us);
    sum.wasted += units18(row.ws);
    sum.unpriced += row.up;
    for (const [kind, { i, o }] of Object.entries(row.un ?? {})) {
      const known = sum.units[kind] ?? { input: 0n, output: 0n };
      sum.units[kind] = { input: known.input + i, output: known.output + o };
    }
  }
  for (const { units } of Object.values(sums)) {
    for (const [kind, { input, output }] of Object.entries(units))
      if (input + output === 0n) delete units[kind];
  }
  return Object.fromEntries(Object.entries(sums).filter(([, sum]) => !isNothing(sum)));
}

function rollupsOf(events: readonly BookedEvent[]): Record<string, Sums> {
  const sums: Record<string, Totals> = {};
  for (const event of events) {
    const hour = new Date(event.eventTime).toISOString().slice(0, 13);
    for (const [granularity, start] of [
      ['h', `${hour}:00:00.000Z`],
      ['d', `${hour.slice(0, 10)}T00:00:00.000Z`],
    ]) {
      const { application, type, version, provider, model } = event;
      const key = [application, granularity, type, version, start, provider, model].join('|');
      const sum = sums[key] ?? nothing(type, version);
      sums[key] = sum;
      add(sum, event);
    }
  }
  return Object.fromEntries(Object.entries(sums).map(([key, sum]) => [key, sumsOf(sum)]));
}

interface HistogramRow {
  readonly _id: { a: string; t: string; v: number };
  readonly n: bigint;
  readonly s: Decimal128;
  readonly b?: Readonly<Record<string, bigint>>;
}

interface Histogram {
  experiences: bigint;
  sum: bigint;
  readonly buckets: Record<string, bigint>;
}

async function readHistograms(db: Db, session: ClientSession): Promise<Record<string, Histogram>> {
  const found: Record<string, Histogram> = {};
  for (const { _id, n, s, b } of await db
    .collection<HistogramRow>('histograms')
    .find({}, { session })
    .toArray()) {
    const histogram = histogramAt(found, [_id.a, _id.t, _id.v].join('|'));
    histogram.experiences += n;
    histogram.sum += units18(s);
    for (const [bucket, count] of Object.entries(b ?? {}))
      histogram.buckets[bucket] = (histogram.buckets[bucket] ?? 0n) + count;
  }
  for (const { buckets } of Object.values(found)) {
    for (const [bucket, count] of Object.entries(buckets)) if (count === 0n) delete buckets[bucket];
  }
  return Object.fromEntries(Object.entries(found).filter(([, { experiences }]) => experiences !== 0n));
}

function histogramsOf(experiences: Readonly<Record<string, Totals>>): Record<string, Histogram> {
  const found: Record<string, Histogram> = {};
  for (const [key, totals] of Object.entries(experiences)) {
    if (totals.events === 0n) continue;
    const [application = ''] = key.split('/');
    const histogram = histogramAt(found, [application, totals.type, totals.version].join('|'));
    const total = totals.input + totals.output;
    const bucket = costBucket(money(total));
    histogram.experiences += 1n;
    histogram.sum += total;
    histogram.buckets[bucket] = (histogram.buckets[bucket] ?? 0n) + 1n;
  }
  return found;
}

function histogramAt(found: Record<string, Histogram>, key: string): Histogram {
  const histogram = found[key] ?? { experiences: 0n, sum: 0n, buckets: {} };
  found[key] = histogram;
  return histogram;
}

function noSums(): Sums {
  return sumsOf(nothing('', 0));
}

function sumsOf({ type: _type, version: _version, first: _first, last: _last, ...sums }: Totals): Sums {
  return sums;
}

function isNothing({ units, ...figures }: Sums): boolean {
  return (
    Object.values(figures).every((figure) => figure === 0n) &&
    Object.values(units).every(({ input, output }) => input === 0n && output === 0n)
  );
}
