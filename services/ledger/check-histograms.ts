import { type Filter, MaxKey, MinKey } from 'mongodb';
import { COST_BUCKET_MAX, costBucket } from '../domain/cost-buckets.js';
import { money } from '../domain/money.js';
import type { CheckScope } from './check-scope.js';
import { addEvent, checkedFields, toCheckedEvent } from './checked-event.js';
import type { EventDocument, ExperienceDocument, ExperienceKey, HistogramDocument } from './documents.js';
import { amountOf, type FieldDifference, Figures } from './figures.js';
import type { Snapshot } from './snapshot.js';
import type { Store } from './store.js';

/** A histogram, all lanes together, that is not what it must be. */
export interface HistogramFinding {
  readonly place: HistogramKeyPart;
  readonly fields: readonly FieldDifference[];
  /** Documents of it that hold something else than figures. They count as nothing when it is mended. */
  readonly unreadable: readonly HistogramDocument[];
  /** What they hold that can be read. */
  readonly lost: Figures;
}

export interface HistogramKeyPart {
  readonly t: string;
  readonly v: number;
}

/**
 * The totals of the experiences of a type and version against its histogram, in one snapshot. Those whose total is known
 * to be wrong count with what their events add up to, so that a wrong total is not blamed on the histogram.
 */
export async function checkHistogram(
  store: Store,
  { application }: CheckScope,
  place: HistogramKeyPart,
  wrongTotals: readonly ExperienceKey[],
  snapshot: Snapshot,
): Promise<HistogramFinding | undefined> {
  const expected = new Figures();
  const enter = (total: bigint, by: 1n | -1n) => {
    expected.add('n', by);
    expected.add('s', by * total);
    if (total >= 0n) expected.add(`b.${costBucket(money(total))}`, by);
  };
  const cursor = store.experiences.find(
    { '_id.a': application, t: place.t, v: place.v, ct: { $exists: true } },
    { ...snapshot, projection: { _id: 0, ct: 1 }, hint: 'by_cost', batchSize: BATCH_TOTALS },
  );
  for await (const { ct } of cursor) enter(amountOf(ct) ?? 0n, 1n);
  for (const experience of await ofPlace(store, place, wrongTotals, snapshot)) {
    if (experience.ct !== undefined) enter(amountOf(experience.ct) ?? 0n, -1n);
    const total = await totalOfEvents(store, experience._id, snapshot);
    if (total !== undefined) enter(total, 1n);
  }
  return compare(store, application, place, expected, snapshot);
}

/** The next place after another that has experiences or a histogram. */
export async function nextPlace(
  store: Store,
  { application, type }: CheckScope,
  after: HistogramKeyPart | undefined,
  snapshot: Snapshot,
): Promise<HistogramKeyPart | undefined> {
  const past =
    after === undefined ? {} : { $or: [{ t: { $gt: after.t } }, { t: after.t, v: { $gt: after.v } }] };
  const ofType =
    type === undefined ? past : { t: type, ...(after === undefined ? {} : { v: { $gt: after.v } }) };
  const [experience] = await store.experiences
    .find(
      { '_id.a': application, ...ofType },
      {
        ...snapshot,
        sort: { t: 1, v: 1 },
        limit: 1,
        projection: { _id: 0, t: 1, v: 1 },
        hint: 'by_type_version',
      },
    )
    .toArray();
  const from = {
    a: application,
    t: after?.t ?? type ?? new MinKey(),
    v: after?.v ?? new MinKey(),
    l: new MaxKey(),
  };
  const until = { a: application, t: type ?? new MaxKey(), v: new MaxKey(), l: new MaxKey() };
  const [histogram] = await store.histograms
    .find({ _id: { $gt: from, $lt: until } } as unknown as Filter<HistogramDocument>, {
      ...snapshot,
      sort: { _id: 1 },
      limit: 1,
      projection: { _id: 1 },
    })
    .toArray();
  const places = [experience, histogram?._id].flatMap((found) =>
    found ? [{ t: found.t, v: Number(found.v) }] : [],
  );
  return places.sort((a, b) => Buffer.compare(Buffer.from(a.t), Buffer.from(b.t)) || a.v - b.v)[0];
}

async function compare(
  store: Store,
  application: string,
  place: HistogramKeyPart,
  expected: Figures,
  snapshot: Snapshot,
): Promise<HistogramFinding | undefined> {
  const found = new Figures();
  const lost = new Figures();
  const unreadable: HistogramDocument[] = [];
  const range = {
    $gte: { a: application, ...place, l: new MinKey() },
    $lte: { a: application, ...place, l: new MaxKey() },
  };
  const documents = store.histograms.find({ _id: range } as unknown as Filter<HistogramDocument>, snapshot);
  for await (const document of documents) {
    const figures = new Figures();
    figures.read('n', document.n);
    figures.read('s', document.s);
    for (const [bucket, count] of Object.entries(document.b ?? {})) {
      figures.read(`b.${bucket}`, isBucket(bucket) ? count : undefined);
    }
    found.addAll(figures);
    if (figures.isReadable) continue;
    unreadable.push(document);
    lost.addAll(figures);
  }
  const fields = found.differencesFrom(expected);
  return fields.length === 0 ? undefined : { place, fields, unreadable, lost };
}

async function ofPlace(
  store: Store,
  { t, v }: HistogramKeyPart,
  keys: readonly ExperienceKey[],
  snapshot: Snapshot,
): Promise<readonly Pick<ExperienceDocument, '_id' | 'ct'>[]> {
  if (keys.length === 0) return [];
  return store.experiences
    .find({ _id: { $in: [...keys] }, t, v }, { ...snapshot, projection: { ct: 1 } })
    .toArray();
}

/** undefined: there is no event. */
async function totalOfEvents(
  store: Store,
  key: ExperienceKey,
  snapshot: Snapshot,
): Promise<bigint | undefined> {
  const figures = new Figures();
  const events = store.events.find({ '_id.a': key.a, x: key.x } as Filter<EventDocument>, {
    ...snapshot,
    projection: checkedFields(false),
    batchSize: BATCH_TOTALS,
  });
  for await (const document of events) addEvent(figures, toCheckedEvent(document));
  if (figures.get('n') === undefined) return undefined;
  return (figures.get('ci') ?? 0n) + (figures.get('co') ?? 0n);
}

function isBucket(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= COST_BUCKET_MAX;
}

const BATCH_TOTALS = 5_000;
