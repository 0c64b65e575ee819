import type { Experience } from '../domain/experience.js';
import type { ExperienceType } from '../domain/experience-type.js';
import type { Money } from '../domain/money.js';
import type { Reservation, ReservationState } from '../domain/reservation.js';
import type { UsageEvent } from '../domain/usage.js';
import { supersedes } from '../domain/useful.js';
import type { Uuid } from '../domain/uuid.js';
import type { Adoption } from './adoption.js';
import type { ApplicationState } from './application-state.js';
import type { Outcome } from './entry.js';
import { factKey } from './fact-key.js';
import { type Facts, operationFactKey, type StoredEvent, type StoredReservation } from './facts.js';
import { LimitBook, type NewLimit } from './limit-book.js';
import type { LimitDeltas } from './limit-deltas.js';
import { typeNotFound } from './not-found.js';
import type { Place } from './place.js';
import { UnitKindBounds } from './unit-kind-bounds.js';

/** What a batch writes. */
export interface Plan {
  readonly outcomes: readonly Outcome[];
  readonly newEvents: readonly NewEvent[];
  readonly newExperiences: readonly NewExperience[];
  readonly newLimits: readonly NewLimit[];
  /** Recorded events that are no longer useful, have a price now, or took the place of an estimate. */
  readonly changes: readonly EventChange[];
  /** Made or moved to another state. */
  readonly reservations: readonly ReservationChange[];
  readonly limits: LimitDeltas;
  /** That no event of their application has used before. */
  readonly unitKinds: ReadonlyMap<string, ReadonlySet<string>>;
  /** What the changes by repricings add up to. */
  readonly repricings: readonly RepricingSum[];
  /** Untyped experiences that must take a type before this batch can be planned; then nothing else counts. */
  readonly adoptions: readonly Adoption[];
}

export interface NewEvent {
  readonly application: string;
  readonly event: UsageEvent;
  readonly contentHash: Uint8Array;
}

export interface EventChange {
  readonly application: string;
  readonly before: UsageEvent;
  readonly after: UsageEvent;
  /** Of what took its place as a whole; undefined: it is still the same event. */
  readonly contentHash: Uint8Array | undefined;
}

export interface ReservationChange {
  readonly application: string;
  /** undefined: it is new. */
  readonly before: Reservation | undefined;
  readonly after: Reservation;
  readonly contentHash: Uint8Array;
}

export interface RepricingSum {
  readonly application: string;
  readonly id: Uuid;
  events: bigint;
  input: Money;
  output: Money;
}

export interface NewExperience {
  readonly application: string;
  readonly experience: Experience;
}

/** What a batch has decided so far, over the facts of its snapshot: an entry sees what those before it have done. */
export class PlannedBatch {
  readonly limits: LimitBook;
  readonly unitKinds: UnitKindBounds;
  readonly #facts: Facts;
  readonly #events = new Map<string, NewEvent>();
  readonly #experiences = new Map<string, NewExperience>();
  readonly #changes = new Map<string, EventChange>();
  readonly #reservations = new Map<string, ReservationChange>();
  /** Keys of the useful events of operations that this batch made. */
  readonly #useful = new Map<string, string>();
  readonly #adoptions = new Map<string, Adoption>();

  constructor(facts: Facts) {
    this.#facts = facts;
    this.limits = new LimitBook(facts);
    this.unitKinds = new UnitKindBounds(facts);
  }

  writes(): Omit<Plan, 'outcomes' | 'repricings'> {
    return {
      newEvents: [...this.#events.values()],
      newExperiences: [...this.#experiences.values()],
      newLimits: this.limits.made(),
      changes: [...this.#changes.values()],
      reservations: [...this.#reservations.values()],
      limits: this.limits.deltas,
      adoptions: [...this.#adoptions.values()],
      unitKinds: this.unitKinds.added,
    };
  }

  /** An event that is recorded. */
  event(application: string, eventId: string): StoredEvent | undefined {
    return this.#event(factKey(application, eventId));
  }

  insertEvent(application: string, event: UsageEvent, contentHash: Uint8Array): void {
    this.#demoteEarlier(application, event);
    this.#events.set(factKey(application, event.eventId), { application, event, contentHash });
    this.limits.addEvent(application, event);
  }

  /** The same event with something changed. */
  changeEvent(application: string, after: UsageEvent): void {
    this.#revise(application, after, undefined);
  }

  /** Another one in the place of an estimate. */
  replaceEvent(application: string, after: UsageEvent, contentHash: Uint8Array): void {
    this.#demoteEarlier(application, after);
    this.#revise(application, after, contentHash);
  }

  reservation(application: string, eventId: string): StoredReservation | undefined {
    const key = factKey(application, eventId);
    const changed = this.#reservations.get(key);
    if (changed === undefined) return this.#facts.reservations.get(key);
    return { reservation: changed.after, contentHash: changed.contentHash };
  }

  /** One that is made. */
  insertReservation(application: string, reservation: Reservation, contentHash: Uint8Array): void {
    const key = factKey(application, reservation.eventId);
    this.#reservations.set(key, { application, before: undefined, after: reservation, contentHash });
    if (reservation.state === 'OPEN') this.limits.deltas.hold(application, reservation);
  }

  /** Ends what it holds, if it is open. */
  closeReservation(
    application: string,
    { reservation, contentHash }: StoredReservation,
    state: Exclude<ReservationState, 'OPEN'>,
  ): void {
    if (reservation.state === state) return;
    const key = factKey(application, reservation.eventId);
    const before = this.#reservations.has(key) ? this.#reservations.get(key)?.before : reservation;
    this.#reservations.set(key, { application, before, after: { ...reservation, state }, contentHash });
    if (reservation.state === 'OPEN') this.limits.deltas.release(application, reservation);
  }

  experience(application: string, id: Uuid): Experience | undefined {
    const key = factKey(application, id);
    return this.#facts.experiences.get(key) ?? this.#experiences.get(key)?.experience;
  }

  /** Makes what is to be made at a place before a call can go there. */
  settleIn(application: string, place: Place | undefined): void {
    if (place === undefined) return;
    const { experience, created, ownLimit, adoption } = place;
    if (created) {
      this.#experiences.set(factKey(application, experience.id), { application, experience });
      if (ownLimit !== undefined) this.limits.make(application, ownLimit);
    }
    if (adoption !== undefined) this.#adopt(adoption);
  }

  /** One that takes calls. */
  type(application: string, name: string): ExperienceType {
    const type = this.knownType(application, name);
    if (type === undefined) throw typeNotFound(name);
    return type;
  }

  /** undefined: there is none, or it is deleted. */
  knownType(application: string, name: string): ExperienceType | undefined {
    const type = this.state(application).types.get(name);
    return type?.deleteTime === undefined ? type : undefined;
  }

  state(application: string): ApplicationState {
    const state = this.#facts.states.get(application);
    if (state === undefined) throw new Error('the states of all applications in a batch are loaded');
    return state;
  }

  #event(key: string): StoredEvent | undefined {
    const stored = this.#facts.events.get(key);
    if (stored === undefined) return this.#events.get(key);
    const change = this.#changes.get(key);
    if (change === undefined) return stored;
    return { event: change.after, contentHash: change.contentHash ?? stored.contentHash };
  }

  #demoteEarlier(application: string, event: UsageEvent): void {
    if (!supersedes(event.outcome, event.operationKey)) return;
    const operation = operationFactKey(application, event);
    const stored = this.#facts.useful.get(operation);
    const key = this.#useful.get(operation) ?? (stored && factKey(application, stored.eventId));
    const earlier = key === undefined ? undefined : this.#event(key)?.event;
    if (earlier !== undefined && earlier.eventId !== event.eventId) {
      this.#revise(application, { ...earlier, useful: false }, undefined);
    }
    this.#useful.set(operation, factKey(application, event.eventId));
  }

  /** On top of what the entries before have made of it. */
  #revise(application: string, after: UsageEvent, contentHash: Uint8Array | undefined): void {
    const key = factKey(application, after.eventId);
    const now = this.#event(key);
    if (now === undefined) throw new Error('only recorded events change');
    this.limits.deltas.changeEvent(application, now.event, after);
    if (!this.#facts.events.has(key)) {
      this.#events.set(key, { application, event: after, contentHash: contentHash ?? now.contentHash });
      return;
    }
    const earlier = this.#changes.get(key);
    this.#changes.set(key, {
      application,
      before: earlier?.before ?? now.event,
      after,
      contentHash: contentHash ?? earlier?.contentHash,
    });
  }

  /**
   * An experience that this very batch makes takes the type here, with its events so far. Any other takes it in a
   * transaction of its own, after which the batch is planned anew.
   */
  #adopt(adoption: Adoption): void {
    const { application, experienceId, type, version } = adoption;
    const key = factKey(application, experienceId);
    const made = this.#experiences.get(key);
    if (made === undefined) {
      if (!this.#adoptions.has(key)) this.#adoptions.set(key, adoption);
      return;
    }
    this.#experiences.set(key, { application, experience: { ...made.experience, type, version } });
    for (const [eventKey, { event, ...rest }] of this.#events) {
      if (rest.application !== application || event.experienceId !== experienceId) continue;
      const typed = { ...event, experienceType: type, experienceVersion: version };
      this.#events.set(eventKey, { ...rest, event: typed });
    }
  }
}
