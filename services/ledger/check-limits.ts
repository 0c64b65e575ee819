import { Binary, type Filter, MaxKey, MinKey } from 'mongodb';
import type { CheckScope } from './check-scope.js';
import {
  type CheckedEvent,
  chargesOf,
  type EventProblem,
  experienceIdText,
  toCheckedEvent,
} from './checked-event.js';
import { type CheckedReservation, openReservations } from './checked-reservation.js';
import type { ChargeFields, EventDocument, ReservationDocument } from './documents.js';
import { amountOf, ELSEWHERE, type FieldDifference, Figures } from './figures.js';
import { DECIDING_LANE } from './limit-document.js';
import type { LimitDocument, LimitSumDocument } from './limit-fields.js';
import type { Snapshot } from './snapshot.js';
import type { Store } from './store.js';

/** Some limits in one snapshot, each period of each against the events and open reservations that are charged to it. */
export interface LimitsPage {
  readonly limits: number;
  readonly events: number;
  readonly wrong: readonly LimitFinding[];
  /** What is charged to a limit that does not exist. */
  readonly strayEvents: readonly { readonly event: CheckedEvent; readonly problem: EventProblem }[];
  readonly strayReservations: readonly {
    readonly reservation: CheckedReservation;
    readonly problem: EventProblem;
  }[];
  /** Id of the last limit; undefined: these were the last. */
  readonly next: Binary | undefined;
}

/** A limit in one period, all its documents together, that is not what it must be. */
export interface LimitFinding {
  readonly limit: Binary;
  readonly period: number;
  readonly blocking: boolean;
  readonly fields: readonly FieldDifference[];
  /** Documents that hold what is no figure, or what has no place there. Their charges count as nothing when it is mended. */
  readonly emptied: readonly LimitSumDocument[];
  /** What those hold that was counted. */
  readonly lost: Figures;
}

/** The charges of a document of sums, by the names that {@link Figures} knows: its `un` are no units. */
export const LIMIT_FIELDS = { sp: 'sp', si: 'si', ho: 'ho', uc: 'un', n: 'n' } as const;

export async function checkLimits(
  store: Store,
  scope: Pick<CheckScope, 'application'>,
  after: Binary | undefined,
  ended: ReadonlySet<string>,
  snapshot: Snapshot,
): Promise<LimitsPage> {
  const { application: a } = scope;
  const range = { $gt: { a, i: after ?? new MinKey() }, $lt: { a, i: new MaxKey() } };
  const read = await store.limits
    .find({ _id: range } as unknown as Filter<LimitDocument>, {
      ...snapshot,
      sort: { _id: 1 },
      limit: PAGE_LIMITS_MAX,
      projection: { ty: 1 },
    })
    .toArray();
  const sums = await sumsOf(store, a, { $gt: after ?? new MinKey(), $lte: read.at(-1)?._id.i }, snapshot);
  const documents = withEventsAtMost(PAGE_EVENTS_MAX, read, sums);
  const isLast = documents.length === read.length && read.length < PAGE_LIMITS_MAX;
  const next = isLast ? undefined : documents.at(-1)?._id.i;
  const ids = { $gt: after ?? new MinKey(), $lte: next ?? new MaxKey() };
  return { ...(await compare(store, a, documents, sums, ids, ended, snapshot)), next };
}

/** One limit again, by its id. */
export async function checkLimitAgain(
  store: Store,
  { application: a }: Pick<CheckScope, 'application'>,
  limit: Binary,
  ended: ReadonlySet<string>,
  snapshot: Snapshot,
): Promise<LimitsPage> {
  const ids = { $gte: limit, $lte: limit };
  const documents = await store.limits
    .find({ _id: { a, i: limit } }, { ...snapshot, projection: { ty: 1 } })
    .toArray();
  const sums = await sumsOf(store, a, ids, snapshot);
  return { ...(await compare(store, a, documents, sums, ids, ended, snapshot)), next: undefined };
}

async function compare(
  store: Store,
  application: string,
  documents: readonly Pick<LimitDocument, '_id' | 'ty'>[],
  sums: readonly LimitSumDocument[],
  ids: object,
  ended: ReadonlySet<string>,
  snapshot: Snapshot,
): Promise<Omit<LimitsPage, 'next'>> {
  const limits = new Map(documents.map(({ _id, ty }) => [textOf(_id.i), ty === 'b'] as const));
  const periods = new Map<string, PeriodCheck>();
  /** undefined: there is no such limit. */
  const periodOf = ({ i, p }: Pick<ChargeFields, 'i' | 'p'>): PeriodCheck | undefined => {
    const blocking = limits.get(textOf(i));
    if (blocking === undefined) return undefined;
    const text = `${textOf(i)}/${p}`;
    const known = periods.get(text) ?? new PeriodCheck(i, p, blocking);
    periods.set(text, known);
    return known;
  };
  for (const sum of sums) periodOf({ i: sum._id.i, p: Number(sum._id.p) })?.read(sum);

  const charged = { '_id.a': application, li: { $elemMatch: { i: ids } } };
  /** Whether it is one of those that the page is of: what is charged to several limits is read for each of them. */
  const isOfPage = inRange(ids);
  const strayEvents: { event: CheckedEvent; problem: EventProblem }[] = [];
  let events = 0;
  const cursor = store.events.find(charged as unknown as Filter<EventDocument>, {
    ...snapshot,
    projection: { x: 1, ci: 1, co: 1, se: 1, li: 1 },
    hint: 'by_limit',
    batchSize: BATCH_EVENTS,
  });
  for await (const document of cursor) {
    events += 1;
    for (const charge of (chargesOf(document.li) ?? []).filter(({ i }) => isOfPage(i))) {
      const period = periodOf(charge);
      if (period !== undefined) period.count(document);
      else if (strayEvents.length < STRAYS_MAX)
        strayEvents.push({ event: toCheckedEvent(document), problem: noLimit(charge) });
    }
  }
  const strayReservations: { reservation: CheckedReservation; problem: EventProblem }[] = [];
  const open = openReservations(store, charged as unknown as Filter<ReservationDocument>, ended, {
    ...snapshot,
    hint: 'open_by_limit',
  });
  for await (const reservation of open) {
    for (const charge of reservation.charges.filter(({ i }) => isOfPage(i))) {
      const period = periodOf(charge);
      if (period !== undefined) period.hold(reservation);
      else if (strayReservations.length < STRAYS_MAX)
        strayReservations.push({ reservation, problem: noLimit(charge) });
    }
  }
  const wrong = [...periods.values()].flatMap((period) => period.finding() ?? []);
  return { limits: documents.length, events, wrong, strayEvents, strayReservations };
}

/** One limit in one period. */
class PeriodCheck {
  readonly #limit: Binary;
  readonly #period: number;
  readonly #blocking: boolean;
  readonly #expected = new Figures();
  readonly #found = new Figures();
  readonly #emptied: LimitSumDocument[] = [];
  readonly #lost = new Figures();

  constructor(limit: Binary, period: number, blocking: boolean) {
    [this.#limit, this.#period, this.#blocking] = [limit, period, blocking];
  }

  /** What a blocking limit decides by is in one document, and nothing of an allowing limit is there. */
  read(sum: LimitSumDocument): void {
    const isThere = (sum._id.l === DECIDING_LANE) === this.#blocking;
    const figures = new Figures();
    for (const [name, field] of Object.entries(LIMIT_FIELDS)) {
      if (sum[field] !== undefined) figures.read(isThere ? name : `${ELSEWHERE}${name}`, sum[field]);
    }
    this.#found.addAll(figures);
    const hasStrays = !isThere && [...figures.entries()].some(([, value]) => value !== 0n);
    if (figures.isReadable && !hasStrays) return;
    this.#emptied.push(sum);
    if (isThere) this.#lost.addAll(figures);
  }

  count({ se, ci, co }: EventDocument): void {
    const [input, output] = [amountOf(ci), amountOf(co)];
    this.#expected.add('n', 1n);
    if (input === undefined || output === undefined) {
      this.#expected.markUnknown('sp', 'si', ...(se === 'u' ? ['uc'] : []));
      return;
    }
    this.#expected.add('sp', input + output);
    this.#expected.add('si', input);
    if (se === 'u') this.#expected.add('uc', input + output);
  }

  hold({ amount }: CheckedReservation): void {
    if (amount === undefined) this.#expected.markUnknown('ho');
    else this.#expected.add('ho', amount);
  }

  finding(): LimitFinding | undefined {
    const fields = this.#found.differencesFrom(this.#expected);
    if (fields.length === 0) return undefined;
    const [limit, period, blocking] = [this.#limit, this.#period, this.#blocking];
    return { limit, period, blocking, fields, emptied: this.#emptied, lost: this.#lost };
  }
}

async function sumsOf(
  store: Store,
  a: string,
  ids: { readonly $gt?: unknown; readonly $gte?: unknown; readonly $lte: unknown },
  snapshot: Snapshot,
): Promise<readonly LimitSumDocument[]> {
  if (ids.$lte === undefined) return [];
  const after = (i: unknown) => ({ a, i, p: new MaxKey(), l: new MaxKey() });
  const from =
    ids.$gte === undefined
      ? { $gt: after(ids.$gt) }
      : { $gt: { a, i: ids.$gte, p: new MinKey(), l: new MinKey() } };
  const range = { ...from, $lt: after(ids.$lte) };
  return store.limitSums.find({ _id: range } as unknown as Filter<LimitSumDocument>, snapshot).toArray();
}

/** The first of them, and more as long as their events are few enough; what sums say of that is only a hint. */
function withEventsAtMost<T extends Pick<LimitDocument, '_id'>>(
  max: number,
  limits: readonly T[],
  sums: readonly LimitSumDocument[],
): readonly T[] {
  const counts = new Map<string, number>();
  for (const { _id, n } of sums)
    counts.set(textOf(_id.i), (counts.get(textOf(_id.i)) ?? 0) + (Number(n) || 0));
  let events = 0;
  const end = limits.findIndex(({ _id }, index) => {
    events += counts.get(textOf(_id.i)) ?? 0;
    return index > 0 && events > max;
  });
  return end < 0 ? limits : limits.slice(0, end);
}

/** As MongoDB compares ids, which are all of one length. */
function inRange(ids: { readonly $gt?: unknown; readonly $gte?: unknown; readonly $lte?: unknown }) {
  const { $gt, $gte, $lte } = ids;
  return (id: Binary): boolean => {
    if ($gt instanceof Binary && Buffer.compare(id.buffer, $gt.buffer) <= 0) return false;
    if ($gte instanceof Binary && Buffer.compare(id.buffer, $gte.buffer) < 0) return false;
    return !($lte instanceof Binary && Buffer.compare(id.buffer, $lte.buffer) > 0);
  };
}

function noLimit({ i }: ChargeFields): EventProblem {
  return { figure: 'charges', expected: '', found: experienceIdText(i) ?? '' };
}

function textOf(id: Binary): string {
  return id.toString('hex');
}

const PAGE_LIMITS_MAX = 500;
const PAGE_EVENTS_MAX = 20_000;
const BATCH_EVENTS = 5_000;
const STRAYS_MAX = 10_000;
