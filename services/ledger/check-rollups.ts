import type { Filter } from 'mongodb';
import { DAY_MS, HOUR_MS } from '../domain/cost-query.js';
import { countMark, type EventFinding, EventFindings, readUnits } from './check-experiences.js';
import type { CheckScope } from './check-scope.js';
import { addEvent, type CheckedEvent, checkedFields, toCheckedEvent } from './checked-event.js';
import type { EventDocument, RollupDocument, RollupKey } from './documents.js';
import { type FieldDifference, Figures, SUM_FIELDS } from './figures.js';
import { startOfDay, startOfHour } from './rollup-deltas.js';
import type { Snapshot } from './snapshot.js';
import type { Store } from './store.js';

/** A rollup, all lanes together, that is not what it must be. */
export interface RollupFinding {
  readonly key: RollupPlace;
  readonly fields: readonly FieldDifference[];
  /** Documents of it that hold something else than figures. They count as nothing when it is mended. */
  readonly unreadable: readonly RollupDocument[];
  /** What they hold that can be read. */
  readonly lost: Figures;
}

export type RollupPlace = Omit<RollupKey, 'l'>;

export interface HourPage {
  readonly events: number;
  readonly wrong: readonly RollupFinding[];
  readonly wrongEvents: EventFindings;
}

/** The events of one hour against its rollups, in one snapshot. */
export async function checkHour(
  store: Store,
  scope: CheckScope,
  startMs: number,
  watch: EventWatch,
  snapshot: Snapshot,
): Promise<HourPage> {
  const expected = new Map<string, RollupSum>();
  const wrongEvents = new EventFindings();
  let events = 0;
  const look = async (batch: readonly CheckedEvent[]) => {
    for (const event of batch) {
      const sum = sumAt(expected, placeOf(scope.application, event));
      addEvent(sum.figures, event);
      const useful = watch.usefulOf(event);
      if (useful !== event.useful) countMark(sum.figures, { event, useful });
    }
    for (const finding of await watch.problemsOf(batch, snapshot)) wrongEvents.add(finding);
  };
  let batch: CheckedEvent[] = [];
  for await (const document of eventsOfHour(store, scope, startMs, snapshot)) {
    events += 1;
    batch.push(toCheckedEvent(document));
    if (batch.length < BATCH_EVENTS) continue;
    await look(batch);
    batch = [];
  }
  await look(batch);
  const found = await readRollups(store, scope, 'h', startMs, startMs + HOUR_MS, snapshot);
  return { events, wrong: wrongOf(expected, found), wrongEvents };
}

/** What is looked at in each event beside its figures. */
export interface EventWatch {
  /** Whether it is to be marked as useful. */
  usefulOf(event: CheckedEvent): boolean;
  problemsOf(events: readonly CheckedEvent[], snapshot: Snapshot): Promise<readonly EventFinding[]>;
}

/**
 * The rollups of a day against those of its hours, in one snapshot. What was found wrong in the hours, and was not mended,
 * is made good: recording moves hour and day alike, so that what an hour is off by stays the same.
 */
export async function checkDay(
  store: Store,
  scope: CheckScope,
  startMs: number,
  hours: readonly RollupFinding[],
  snapshot: Snapshot,
): Promise<readonly RollupFinding[]> {
  const ofHours = await readRollups(store, scope, 'h', startMs, startMs + DAY_MS, snapshot);
  const expected = new Map<string, RollupSum>();
  const dayOf = (key: RollupPlace): RollupPlace => ({ ...key, g: 'd', h: new Date(startMs) });
  for (const { key, figures } of ofHours.values()) {
    const sum = sumAt(expected, dayOf(key));
    for (const [field, value] of figures.entries()) sum.figures.add(field, value);
  }
  for (const { key, fields } of hours) {
    const sum = sumAt(expected, dayOf(key));
    for (const { field, expected: wanted = 0n, found = 0n } of fields) sum.figures.add(field, wanted - found);
  }
  const found = await readRollups(store, scope, 'd', startMs, startMs + DAY_MS, snapshot);
  return wrongOf(expected, found);
}

/** The start of the next hour, from a time on, that has an event or a rollup; undefined: there is none before the end. */
export async function nextHour(
  store: Store,
  scope: CheckScope,
  fromMs: number,
  untilMs: number | undefined,
  snapshot: Snapshot,
): Promise<number | undefined> {
  const range = { $gte: new Date(fromMs), ...(untilMs === undefined ? {} : { $lt: new Date(untilMs) }) };
  const [event] = await store.events
    .find(
      { '_id.a': scope.application, q: range },
      { ...snapshot, sort: { q: 1 }, limit: 1, projection: { _id: 0, q: 1 } },
    )
    .toArray();
  const [rollup] = await store.rollups
    .find(
      { '_id.a': scope.application, '_id.g': 'h', '_id.h': range },
      { ...snapshot, sort: { '_id.h': 1 }, limit: 1, projection: { _id: 1 } },
    )
    .toArray();
  const times = [event?.q.getTime(), rollup?._id.h.getTime()].flatMap((time) => time ?? []);
  return times.length === 0 ? undefined : startOfHour(Math.min(...times));
}

/** The same of days; one may have a rollup of its own only. */
export async function nextDay(
  store: Store,
  scope: CheckScope,
  fromMs: number,
  snapshot: Snapshot,
): Promise<number | undefined> {
  const hour = await nextHour(store, scope, fromMs, undefined, snapshot);
  const [rollup] = await store.rollups
    .find(
      { '_id.a': scope.application, '_id.g': 'd', '_id.h': { $gte: new Date(fromMs) } },
      { ...snapshot, sort: { '_id.h': 1 }, limit: 1, projection: { _id: 1 } },
    )
    .toArray();
  const times = [hour, rollup?._id.h.getTime()].flatMap((time) => time ?? []);
  return times.length === 0 ? undefined : startOfDay(Math.min(...times));
}

export function eventsOfHour(
  store: Store,
  { application, type, deep }: CheckScope,
  startMs: number,
  snapshot: Snapshot,
  filter: Filter<EventDocument> = {},
): AsyncIterable<EventDocument> {
  const q = { $gte: new Date(startMs), $lt: new Date(startMs + HOUR_MS) };
  return store.events.find(
    { '_id.a': application, q, ...(type === undefined ? {} : { t: type }), ...filter },
    { ...snapshot, projection: checkedFields(deep), hint: 'by_event_time', batchSize: BATCH_EVENTS },
  );
}

interface RollupSum {
  readonly key: RollupPlace;
  readonly figures: Figures;
  readonly unreadable: RollupDocument[];
  readonly lost: Figures;
}

async function readRollups(
  store: Store,
  { application, type }: CheckScope,
  granularity: 'h' | 'd',
  fromMs: number,
  untilMs: number,
  snapshot: Snapshot,
): Promise<ReadonlyMap<string, RollupSum>> {
  const sums = new Map<string, RollupSum>();
  const cursor = store.rollups.find(
    {
      '_id.a': application,
      '_id.g': granularity,
      '_id.h': { $gte: new Date(fromMs), $lt: new Date(untilMs) },
      ...(type === undefined ? {} : { '_id.t': type }),
    },
    { ...snapshot, hint: type === undefined ? 'by_time' : 'by_type', batchSize: BATCH_EVENTS },
  );
  for await (const document of cursor) {
    const { l: _lane, ...key } = document._id;
    const sum = sumAt(sums, key);
    const figures = new Figures();
    for (const field of SUM_FIELDS) figures.read(field, document[field]);
    if (document.un !== undefined) readUnits(figures, document.un);
    sum.figures.addAll(figures);
    if (figures.isReadable) continue;
    sum.unreadable.push(document);
    sum.lost.addAll(figures);
  }
  return sums;
}

function wrongOf(
  expected: ReadonlyMap<string, RollupSum>,
  found: ReadonlyMap<string, RollupSum>,
): readonly RollupFinding[] {
  const nothing = new Figures();
  return [...new Map([...expected, ...found])].flatMap(([text, { key, unreadable, lost }]) => {
    const fields = (found.get(text)?.figures ?? nothing).differencesFrom(
      expected.get(text)?.figures ?? nothing,
    );
    return fields.length === 0 ? [] : [{ key, fields, unreadable, lost }];
  });
}

function sumAt(sums: Map<string, RollupSum>, key: RollupPlace): RollupSum {
  const text = textOf(key);
  const known = sums.get(text);
  if (known !== undefined) return known;
  const sum = { key, figures: new Figures(), unreadable: [], lost: new Figures() };
  sums.set(text, sum);
  return sum;
}

function placeOf(
  application: string,
  { type, version, provider, model, timeMs = 0 }: CheckedEvent,
): RollupPlace {
  const h = new Date(startOfHour(timeMs));
  return { a: application, g: 'h', t: type, v: version, h, p: provider, m: model };
}

/** The parts are separated by what none of them can hold: the texts have no control characters. */
function textOf({ g, t, v, h, p, m }: RollupPlace): string {
  return `${g}\n${t}\n${v}\n${h.getTime()}\n${p}\n${m}`;
}

const BATCH_EVENTS = 5_000;
