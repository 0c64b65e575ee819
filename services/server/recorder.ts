import { Fault } from '../domain/fault.js';
import { newUuid } from '../domain/new-uuid.js';
import type { UsageReservation } from '../domain/reservation.js';
import type { UsageRecord } from '../domain/usage.js';
import { contentHash, reservationHash } from '../ledger/content-hash.js';
import type {
  Entry,
  EventEntry,
  EventOutcome,
  ExperienceEntry,
  ExperienceOutcome,
  Outcome,
  ReleaseOutcome,
  ReservationEntry,
  ReservationOutcome,
  SweepEntry,
  SweepOutcome,
} from '../ledger/entry.js';
import type { Ledger } from '../ledger/ledger.js';
import type { WriteOutcome } from '../ledger/write-call.js';

/** Turns checked requests into entries and hands them to the ledger, which writes them with those of other calls. */
export class Recorder {
  readonly #ledger: Ledger;
  /** Makes the fault for a record that a bug of ours keeps from being recorded. */
  readonly #incident: (error: unknown) => Fault;
  #lastTimeMs = 0;

  constructor(ledger: Ledger, incident: (error: unknown) => Fault) {
    this.#ledger = ledger;
    this.#incident = incident;
  }

  async record(
    application: string,
    record: UsageRecord,
    deadline: number,
    rules: RecordRules = NO_RULES,
  ): Promise<EventOutcome> {
    const entry = this.#entryOf(application, record, this.#now(), rules);
    const outcome = await this.#writeOne(entry, deadline);
    if (outcome.kind !== 'event') throw new Error('an event entry has an event outcome');
    return outcome;
  }

  /**
   * Records many: each one's outcome or the fault that befell it, in their order. Throws a fault only when none could be
   * accepted.
   */
  async recordAll(
    application: string,
    records: readonly UsageRecord[],
    deadline: number,
    rules: RecordRules = NO_RULES,
  ): Promise<readonly (EventOutcome | Fault)[]> {
    const items = { reservations: [], records, releases: [] };
    return (await this.writeItems(application, items, deadline, rules)).records;
  }

  /**
   * Writes many at once: each one's outcome or the fault that befell it, in their order. Those that share a lane are
   * written in the order of the lists here. Throws a fault only when none could be accepted.
   */
  async writeItems(
    application: string,
    { reservations, records, releases }: Items,
    deadline: number,
    rules: RecordRules = NO_RULES,
  ): Promise<ItemOutcomes> {
    const now = this.#now();
    const entries: readonly Entry[] = [
      ...reservations.map((reservation) => this.#reservationEntryOf(application, reservation, now)),
      ...records.map((record) => this.#entryOf(application, record, now, rules)),
      ...releases.map((eventId): Entry => ({ kind: 'release', application, eventId, time: now })),
    ];
    const outcomes = (await this.#ledger.write(entries, deadline)).map((outcome) => {
      if (outcome.kind === 'refused') return outcome.fault;
      return outcome.kind === 'failed' ? this.#incident(outcome.error) : outcome;
    });
    const releasesFrom = reservations.length + records.length;
    return {
      reservations: outcomes.slice(0, reservations.length).map((outcome) => ofKind('reservation', outcome)),
      records: outcomes.slice(reservations.length, releasesFrom).map((outcome) => ofKind('event', outcome)),
      releases: outcomes.slice(releasesFrom).map((outcome) => ofKind('release', outcome)),
    };
  }

  async createExperience(
    wanted: Omit<ExperienceEntry, 'kind' | 'createTime' | 'spareExperienceId'>,
    deadline: number,
  ): Promise<ExperienceOutcome> {
    const entry: Entry = {
      kind: 'experience',
      ...wanted,
      createTime: this.#now(),
      spareExperienceId: newUuid(),
    };
    const outcome = await this.#writeOne(entry, deadline);
    if (outcome.kind !== 'experience') throw new Error('an experience entry has an experience outcome');
    return outcome;
  }

  async reserve(
    application: string,
    reservation: UsageReservation,
    deadline: number,
  ): Promise<ReservationOutcome> {
    const entry = this.#reservationEntryOf(application, reservation, this.#now());
    const outcome = await this.#writeOne(entry, deadline);
    if (outcome.kind !== 'reservation') throw new Error('a reservation entry has a reservation outcome');
    return outcome;
  }

  async release(application: string, eventId: string, deadline: number): Promise<ReleaseOutcome> {
    const entry: Entry = { kind: 'release', application, eventId, time: this.#now() };
    const outcome = await this.#writeOne(entry, deadline);
    if (outcome.kind !== 'release') throw new Error('a release entry has a release outcome');
    return outcome;
  }

  /** Closes reservations whose time is over; what each was closed as, if it was. */
  async sweep(
    application: string,
    expired: readonly Pick<SweepEntry, 'eventId' | 'experienceId'>[],
    deadline: number,
  ): Promise<readonly SweepOutcome['state'][]> {
    const time = this.#now();
    const entries = expired.map(
      ({ eventId, experienceId }): Entry => ({ kind: 'sweep', application, eventId, experienceId, time }),
    );
    return (await this.#ledger.write(entries, deadline)).map((outcome) => {
      if (outcome.kind === 'refused') throw outcome.fault;
      if (outcome.kind === 'failed') throw outcome.error;
      if (outcome.kind !== 'sweep') throw new Error('a sweep entry has a sweep outcome');
      return outcome.state;
    });
  }

  #entryOf(application: string, record: UsageRecord, now: Date, rules: RecordRules): EventEntry {
    return {
      kind: 'event',
      application,
      record,
      eventId: record.eventId ?? newUuid(),
      contentHash: contentHash(record),
      recordTime: now,
      spareExperienceId: newUuid(),
      refusesBlockingLimits: rules.refusesBlockingLimits,
    };
  }

  #reservationEntryOf(application: string, reservation: UsageReservation, now: Date): ReservationEntry {
    return {
      kind: 'reservation',
      application,
      reservation,
      contentHash: reservationHash(reservation),
      time: now,
      spareExperienceId: newUuid(),
    };
  }

  async #writeOne(
    entry: Entry,
    deadline: number,
  ): Promise<Exclude<WriteOutcome, { kind: 'refused' | 'failed' }>> {
    const [outcome] = await this.#ledger.write([entry], deadline);
    if (outcome === undefined) throw new Error('every entry has an outcome');
    if (outcome.kind === 'refused') throw outcome.fault;
    if (outcome.kind === 'failed') throw outcome.error;
    return outcome;
  }

  /**
   * Events are listed by it, so it does not step back with a clock that wavers; one that was set is followed. What comes
   * first is committed first, too: an experience has one lane.
   */
  #now(): Date {
    const now = Date.now();
    this.#lastTimeMs = now < this.#lastTimeMs - CLOCK_WAVERS_MS ? now : Math.max(now, this.#lastTimeMs);
    return new Date(this.#lastTimeMs);
  }
}

/** How the records of one request are taken. */
export interface RecordRules {
  /** See EventEntry. */
  readonly refusesBlockingLimits: boolean;
}

const NO_RULES: RecordRules = { refusesBlockingLimits: false };

/** What one message may hold. */
export interface Items {
  readonly reservations: readonly UsageReservation[];
  readonly records: readonly UsageRecord[];
  /** Ids to release. */
  readonly releases: readonly string[];
}

/** What became of each, or what befell it. */
export interface ItemOutcomes {
  readonly reservations: readonly (ReservationOutcome | Fault)[];
  readonly records: readonly (EventOutcome | Fault)[];
  readonly releases: readonly (ReleaseOutcome | Fault)[];
}

function ofKind<Kind extends Outcome['kind']>(
  kind: Kind,
  outcome: Outcome | Fault,
): Extract<Outcome, { readonly kind: Kind }> | Fault {
  if (outcome instanceof Fault || isOfKind(kind, outcome)) return outcome;
  throw new Error(`an entry has an outcome of its own kind, ${kind}`);
}

function isOfKind<Kind extends Outcome['kind']>(
  kind: Kind,
  outcome: Outcome,
): outcome is Extract<Outcome, { readonly kind: Kind }> {
  return outcome.kind === kind;
}

const CLOCK_WAVERS_MS = 1_000;
