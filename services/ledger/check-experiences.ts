import { type Binary, type Filter, MaxKey, MinKey, type Sort } from 'mongodb';
import { isUnitKind } from '../domain/units.js';
import { type FlagFinding, isSame, OperationCheck } from './check-operations.js';
import type { CheckScope, ExperiencePosition } from './check-scope.js';
import {
  addEvent,
  addUnsettled,
  type CheckedEvent,
  checkedFields,
  experienceIdText,
  toCheckedEvent,
} from './checked-event.js';
import { type CheckedReservation, openReservations } from './checked-reservation.js';
import type { EventDocument, ExperienceDocument, ReservationDocument } from './documents.js';
import { type FieldDifference, Figures, SUM_FIELDS } from './figures.js';
import type { Snapshot } from './snapshot.js';
import { fromBinary, type Store } from './store.js';

/** Some experiences in one snapshot, each against its events and open reservations. */
export interface ExperiencesPage {
  readonly experiences: number;
  readonly events: number;
  readonly wrong: readonly ExperienceFinding[];
  readonly wrongEvents: EventFindings;
  /** Open reservations of experiences that do not exist. */
  readonly strays: readonly CheckedReservation[];
  /** undefined: these were the last. */
  readonly next: ExperiencePosition | undefined;
}

export interface ExperienceFinding {
  readonly document: ExperienceDocument;
  readonly expected: Figures;
  readonly fields: readonly FieldDifference[];
  readonly flags: readonly FlagFinding[];
}

export interface EventFinding {
  readonly event: CheckedEvent;
  readonly problems: CheckedEvent['problems'];
}

/** What is wrong with events of one page: the first of them are kept, the others counted. */
export class EventFindings {
  readonly kept: EventFinding[] = [];
  /** Problems of those that are not kept. */
  others = 0;

  add(finding: EventFinding): void {
    if (this.kept.length < EVENT_FINDINGS_MAX) this.kept.push(finding);
    else this.others += finding.problems.length;
  }
}

export async function checkExperiences(
  store: Store,
  scope: CheckScope,
  after: ExperiencePosition | undefined,
  snapshot: Snapshot,
  ended: ReadonlySet<string> = NONE,
): Promise<ExperiencesPage> {
  const query = experiencesAfter(scope, after);
  const read = await store.experiences
    .find(query.filter, { ...snapshot, sort: query.sort, limit: PAGE_EXPERIENCES_MAX })
    .toArray();
  const documents = withEventsAtMost(PAGE_EVENTS_MAX, read);
  const isLast = documents.length === read.length && read.length < PAGE_EXPERIENCES_MAX;
  const next = isLast ? undefined : documents.at(-1);
  const restricted = scope.type !== undefined || scope.since !== undefined;
  const x = restricted
    ? { $in: documents.map(({ _id }) => _id.x) }
    : { $gt: after?._id.x ?? new MinKey(), $lte: next?._id.x ?? new MaxKey() };
  const page = await compare(store, scope, documents, x as Filter<Binary>, snapshot, ended);
  return { ...page, next };
}

/** The same of a few, by their keys. */
export async function checkExperiencesAgain(
  store: Store,
  scope: CheckScope,
  keys: readonly ExperienceDocument['_id'][],
  snapshot: Snapshot,
  ended: ReadonlySet<string> = NONE,
): Promise<ExperiencesPage> {
  const documents = await store.experiences.find({ _id: { $in: [...keys] } }, snapshot).toArray();
  const x = { $in: keys.map((key) => key.x) } as Filter<Binary>;
  return { ...(await compare(store, scope, documents, x, snapshot, ended)), next: undefined };
}

/** In the order of their keys, with the events between them; a restricted scope in the order of an index that knows it. */
function experiencesAfter(
  { application, type, since }: CheckScope,
  after: ExperiencePosition | undefined,
): { readonly filter: Filter<ExperienceDocument>; readonly sort: Sort } {
  if (type === undefined && since === undefined) {
    const first = after === undefined ? { $gte: { a: application, x: new MinKey() } } : { $gt: after._id };
    const range = { ...first, $lt: { a: application, x: new MaxKey() } };
    return { filter: { _id: range } as unknown as Filter<ExperienceDocument>, sort: { _id: 1 } };
  }
  const from = after?.c ?? since;
  return {
    filter: {
      '_id.a': application,
      ...(type === undefined ? {} : { t: type }),
      ...(from === undefined ? {} : { c: { $gte: from } }),
      ...(after === undefined
        ? {}
        : { $or: [{ c: { $gt: after.c } }, { c: after.c, _id: { $gt: after._id } }] }),
    },
    sort: { c: 1, _id: 1 },
  };
}

/** The first of them, and more as long as their events are few enough; what they say of that is only a hint. */
function withEventsAtMost(max: number, documents: readonly ExperienceDocument[]): ExperienceDocument[] {
  let events = 0;
  const end = documents.findIndex(({ n }, index) => {
    events += Number(n) || 0;
    return index > 0 && events > max;
  });
  return end < 0 ? [...documents] : documents.slice(0, end);
}

async function compare(
  store: Store,
  scope: CheckScope,
  documents: readonly ExperienceDocument[],
  x: Filter<Binary>,
  snapshot: Snapshot,
  ended: ReadonlySet<string>,
): Promise<Omit<ExperiencesPage, 'next'>> {
  const checks = new Map(documents.map((document) => [idOf(document._id.x), new ExperienceCheck(document)]));
  const wrongEvents = new EventFindings();
  let events = 0;
  const cursor = store.events.find({ '_id.a': scope.application, x } as Filter<EventDocument>, {
    ...snapshot,
    sort: { x: 1, r: 1, _id: 1 },
    projection: checkedFields(scope.deep),
    hint: 'by_experience',
    batchSize: BATCH_EVENTS,
  });
  let check: ExperienceCheck | undefined;
  let checked: Binary | undefined;
  const wrong: ExperienceFinding[] = [];
  for await (const document of cursor) {
    events += 1;
    const event = toCheckedEvent(document);
    if (!isSame(event.experience, checked)) {
      check?.endEvents();
      [check, checked] = [checks.get(idOf(event.experience)), event.experience];
    }
    const problems = check === undefined ? [noExperience(event)] : check.add(event, scope.deep);
    const all = [...event.problems, ...problems];
    if (all.length > 0) wrongEvents.add({ event, problems: all });
  }
  const strays: CheckedReservation[] = [];
  const held = { '_id.a': scope.application, x } as Filter<ReservationDocument>;
  const open = openReservations(store, held, ended, { ...snapshot, hint: 'open_by_experience' });
  for await (const reservation of open) {
    const holder = checks.get(idOf(reservation.experience));
    if (holder !== undefined) holder.hold(reservation);
    else if (reservation.experience !== undefined && strays.length < EVENT_FINDINGS_MAX)
      strays.push(reservation);
  }
  for (const each of checks.values()) {
    const finding = each.finish();
    if (finding !== undefined) wrong.push(finding);
  }
  return { experiences: documents.length, events, wrong, wrongEvents, strays };
}

/** One experience against its events, which come one after the other, and then its open reservations. */
class ExperienceCheck {
  readonly #document: ExperienceDocument;
  readonly #expected = new Figures();
  readonly #operations: OperationCheck;
  #deep = false;
  #flags: readonly FlagFinding[] | undefined;

  constructor(document: ExperienceDocument) {
    this.#document = document;
    this.#operations = new OperationCheck(fromBinary(document._id.x));
  }

  /** Answers what is wrong with the event beside what it says itself. */
  add(event: CheckedEvent, deep: boolean): CheckedEvent['problems'] {
    this.#deep = deep;
    if (deep) this.#operations.add(event);
    this.#count(event);
    const { t, v } = this.#document;
    const problems: { figure: string; expected: string; found: string }[] = [];
    if (event.type !== t) problems.push({ figure: 'experience_type', expected: t, found: event.type });
    if (event.version !== Number(v)) {
      problems.push({ figure: 'experience_version', expected: String(v), found: String(event.version) });
    }
    return problems;
  }

  hold({ amount }: CheckedReservation): void {
    this.#expected.add('hn', 1n);
    if (amount === undefined) this.#expected.markUnknown('ho');
    else this.#expected.add('ho', amount);
  }

  /** There are no more; may be called again. */
  endEvents(): readonly FlagFinding[] {
    if (this.#flags !== undefined) return this.#flags;
    this.#flags = this.#deep ? this.#operations.findings() : [];
    for (const flag of this.#flags) countMark(this.#expected, flag);
    return this.#flags;
  }

  finish(): ExperienceFinding | undefined {
    const flags = this.endEvents();
    const expected = this.#expected;
    if ((expected.get('n') ?? 0n) > 0n)
      expected.set('ct', (expected.get('ci') ?? 0n) + (expected.get('co') ?? 0n));
    const fields = figuresOfExperience(this.#document).differencesFrom(expected);
    if (fields.length === 0 && flags.length === 0) return undefined;
    return { document: this.#document, expected, fields, flags };
  }

  #count(event: CheckedEvent): void {
    addEvent(this.#expected, event);
    addUnsettled(this.#expected, event);
    if (event.timeMs === undefined) return;
    const time = BigInt(event.timeMs);
    const [first, last] = [this.#expected.get('f'), this.#expected.get('l')];
    if (first === undefined || time < first) this.#expected.set('f', time);
    if (last === undefined || time > last) this.#expected.set('l', time);
  }
}

/** Counts an event as it is to be marked, that was counted as it is. */
export function countMark(figures: Figures, { event, useful }: Pick<FlagFinding, 'event' | 'useful'>): void {
  if (useful === event.useful) return;
  const total = (event.input ?? 0n) + (event.output ?? 0n);
  figures.add('us', useful ? total : -total);
  figures.add('ws', useful ? -total : total);
}

function figuresOfExperience(document: ExperienceDocument): Figures {
  const figures = new Figures();
  for (const field of SUM_FIELDS) figures.read(field, document[field]);
  readUnits(figures, document.un);
  for (const field of ['ct', 'f', 'l', 'ho', 'hn', 'uc', 'uq'] as const) {
    if (document[field] !== undefined) figures.read(field, document[field]);
  }
  return figures;
}

export function readUnits(figures: Figures, un: unknown): void {
  const entries = typeof un === 'object' && un !== null ? Object.entries(un as Record<string, unknown>) : [];
  if (typeof un !== 'object' || un === null || !entries.every(([kind]) => isUnitKind(kind))) {
    figures.markUnreadable('un', un);
    return;
  }
  for (const [kind, counts] of entries as [string, { i?: unknown; o?: unknown } | null][]) {
    figures.read(`un.${kind}.i`, counts?.i);
    figures.read(`un.${kind}.o`, counts?.o);
  }
}

function noExperience({ experience }: CheckedEvent): CheckedEvent['problems'][number] {
  return { figure: 'experience_id', expected: '', found: experienceIdText(experience) ?? '' };
}

function idOf(x: Binary | undefined): string {
  return x?.toString('hex') ?? '';
}

const NONE: ReadonlySet<string> = new Set();
const PAGE_EXPERIENCES_MAX = 500;
const PAGE_EVENTS_MAX = 20_000;
const BATCH_EVENTS = 5_000;
const EVENT_FINDINGS_MAX = 10_000;
