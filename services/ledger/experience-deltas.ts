import type { Decimal128, UpdateFilter } from 'mongodb';
import type { Experience } from '../domain/experience.js';
import { addMoney, type Money, NO_MONEY, subtractMoney } from '../domain/money.js';
import { heldCostOf, type Reservation } from '../domain/reservation.js';
import type { UsageEvent } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';
import type { ExperienceDocument, ExperienceKey } from './documents.js';
import { toRunDocument } from './experience-document.js';
import { factKey } from './fact-key.js';
import { toLabels } from './labels.js';
import { toDecimal } from './money-decimal.js';
import { toBinary } from './store.js';
import { Sums } from './sums.js';

/** What is added to the totals of experiences, summed beforehand, so that each is written once a commit. */
export class ExperienceDeltas {
  readonly #deltas = new Map<string, ExperienceDelta>();

  create(application: string, experience: Experience): void {
    this.#of(application, experience.id).created = experience;
  }

  add(application: string, event: UsageEvent): void {
    if (event.experienceId === undefined) return;
    const delta = this.#of(application, event.experienceId);
    delta.sums.add(event);
    delta.countUnsettled(event, 1n);
    if (delta.first === undefined || event.eventTime < delta.first) delta.first = event.eventTime;
    if (delta.last === undefined || event.eventTime > delta.last) delta.last = event.eventTime;
  }

  /** The same event in another state. */
  change(application: string, before: UsageEvent, after: UsageEvent): void {
    if (after.experienceId === undefined) return;
    const delta = this.#of(application, after.experienceId);
    delta.sums.takeAway(before);
    delta.sums.add(after);
    delta.countUnsettled(before, -1n);
    delta.countUnsettled(after, 1n);
  }

  /** A reservation in another state; undefined: it was not there. */
  reserve(application: string, before: Reservation | undefined, after: Reservation): void {
    if (after.experienceId === undefined || (before?.state === 'OPEN') === (after.state === 'OPEN')) return;
    this.#of(application, after.experienceId).hold(heldCostOf(after), after.state === 'OPEN' ? 1n : -1n);
  }

  /** All experiences that are created, or whose events are added to or changed. */
  all(): Iterable<ExperienceDelta> {
    return this.#deltas.values();
  }

  newDocuments(): ExperienceDocument[] {
    return [...this.#deltas.values()].flatMap((delta) =>
      delta.created === undefined ? [] : [newDocument(delta, delta.created)],
    );
  }

  /** Of those that are there; the new ones are not among them. */
  updates(): { filter: { _id: ExperienceKey }; update: UpdateFilter<ExperienceDocument> }[] {
    return [...this.#deltas.values()].flatMap((delta) =>
      delta.created === undefined ? [{ filter: { _id: keyOf(delta) }, update: updateOf(delta) }] : [],
    );
  }

  #of(application: string, experienceId: Uuid): ExperienceDelta {
    const key = factKey(application, experienceId);
    const known = this.#deltas.get(key);
    if (known !== undefined) return known;
    const delta = new ExperienceDelta(application, experienceId);
    this.#deltas.set(key, delta);
    return delta;
  }
}

export class ExperienceDelta {
  readonly application: string;
  readonly experienceId: Uuid;
  readonly sums = new Sums();
  created: Experience | undefined;
  first: Date | undefined;
  last: Date | undefined;
  #held: Money | undefined;
  #openReservations = 0n;
  #unsettled: Money | undefined;
  #unsettledEvents = 0n;

  constructor(application: string, experienceId: Uuid) {
    this.application = application;
    this.experienceId = experienceId;
  }

  hold(amount: Money, by: 1n | -1n): void {
    this.#held = moved(this.#held, amount, by);
    this.#openReservations += by;
  }

  countUnsettled({ settlement, cost }: UsageEvent, by: 1n | -1n): void {
    if (settlement !== 'UNSETTLED') return;
    this.#unsettled = moved(this.#unsettled, cost.total, by);
    this.#unsettledEvents += by;
  }

  /** Whether any event of it is added or changed. */
  get hasEvents(): boolean {
    return this.sums.touched;
  }

  /** What reservations move, for `$inc` and for a new document: what they do not touch stays absent. */
  estimates(): Record<string, bigint | Decimal128> {
    return {
      ...(this.#held === undefined ? {} : { ho: toDecimal(this.#held), hn: this.#openReservations }),
      ...(this.#unsettled === undefined ? {} : { uc: toDecimal(this.#unsettled), uq: this.#unsettledEvents }),
    };
  }
}

function moved(amount: Money | undefined, by: Money, direction: 1n | -1n): Money {
  return (direction > 0n ? addMoney : subtractMoney)(amount ?? NO_MONEY, by);
}

function updateOf(delta: ExperienceDelta): UpdateFilter<ExperienceDocument> {
  const { sums, first, last } = delta;
  // An experience without events has no total in the order of the dearest, whatever it holds.
  const counted = delta.hasEvents ? { ...sums.toIncrements(), ct: toDecimal(sums.total) } : {};
  return {
    $inc: { ...counted, ...delta.estimates() },
    ...(first === undefined ? {} : { $min: { f: first } }),
    ...(last === undefined ? {} : { $max: { l: last } }),
  };
}

function newDocument(delta: ExperienceDelta, experience: Experience): ExperienceDocument {
  return {
    _id: keyOf(delta),
    t: experience.type,
    v: experience.version,
    c: experience.createTime,
    ...(experience.userId === undefined ? {} : { ui: experience.userId }),
    ...(experience.properties.size === 0 ? {} : { lb: toLabels(experience.properties) }),
    ...(experience.run === undefined ? {} : { run: toRunDocument(experience.run) }),
    ...delta.sums.toFields(),
    ...(delta.sums.events === 0n ? {} : { ct: toDecimal(delta.sums.total) }),
    ...(delta.first === undefined ? {} : { f: delta.first }),
    ...(delta.last === undefined ? {} : { l: delta.last }),
    ...(experience.limitType === undefined ? {} : { lm: experience.limitType === 'BLOCK' ? 'b' : 'a' }),
    ...delta.estimates(),
  };
}

function keyOf({ application, experienceId }: ExperienceDelta): ExperienceKey {
  return { a: application, x: toBinary(experienceId) };
}
