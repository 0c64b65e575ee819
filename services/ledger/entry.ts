import type { Experience } from '../domain/experience.js';
import type { Fault } from '../domain/fault.js';
import type { LimitConfig } from '../domain/limit.js';
import type { LimitStanding } from '../domain/limit-charge.js';
import type { Reservation, ReservationState, UsageReservation } from '../domain/reservation.js';
import type { Properties, UsageEvent, UsageRecord } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';

/** What the writer takes: a closed union. Each entry is checked before it comes here; one bad entry sinks only itself. */
export type Entry =
  | EventEntry
  | ExperienceEntry
  | RepricingEntry
  | ReservationEntry
  | ReleaseEntry
  | SweepEntry;

/** A paid call to record. */
export interface EventEntry {
  readonly kind: 'event';
  readonly application: string;
  readonly record: UsageRecord;
  /** The record's own id, or one made up for it. */
  readonly eventId: string;
  readonly contentHash: Uint8Array;
  readonly recordTime: Date;
  /** The id of the experience that is made if this entry needs a new one. */
  readonly spareExperienceId: Uuid;
  /** Whether it is refused for naming a blocking limit, unless it was reserved. */
  readonly refusesBlockingLimits: boolean;
}

/** An experience to create before its first call. */
export interface ExperienceEntry {
  readonly kind: 'experience';
  readonly application: string;
  readonly type: string;
  readonly version: number | undefined;
  /** As given; it need not be a UUID. */
  readonly experienceId: string | undefined;
  readonly userId: string | undefined;
  readonly properties: Properties;
  /** The limit of its own; undefined: as its type says. */
  readonly limitConfig: LimitConfig | undefined;
  readonly createTime: Date;
  readonly spareExperienceId: Uuid;
}

/** A recorded event of which some units may have a price by now. */
export interface RepricingEntry {
  readonly kind: 'repricing';
  readonly application: string;
  readonly eventId: string;
  /** The event's experience when it was looked up. */
  readonly experienceId: Uuid | undefined;
  readonly repricingId: Uuid;
  readonly time: Date;
}

/** A paid call that is about to be made. */
export interface ReservationEntry {
  readonly kind: 'reservation';
  readonly application: string;
  readonly reservation: UsageReservation;
  readonly contentHash: Uint8Array;
  readonly time: Date;
  /** The id of the experience that is made if this entry needs a new one. */
  readonly spareExperienceId: Uuid;
}

/** The end of a reservation whose call was never made or cost nothing. */
export interface ReleaseEntry {
  readonly kind: 'release';
  readonly application: string;
  readonly eventId: string;
  readonly time: Date;
}

/** The end of a reservation whose time is over. */
export interface SweepEntry {
  readonly kind: 'sweep';
  readonly application: string;
  readonly eventId: string;
  /** The reservation's experience. */
  readonly experienceId: Uuid | undefined;
  readonly time: Date;
}

/** What became of an entry. */
export type Outcome =
  | EventOutcome
  | ExperienceOutcome
  | RepricingOutcome
  | ReservationOutcome
  | ReleaseOutcome
  | SweepOutcome
  | RefusedOutcome;

export interface EventOutcome {
  readonly kind: 'event';
  readonly event: UsageEvent;
  readonly duplicate: boolean;
  /** How the limits stand that it is charged to. */
  readonly limits: readonly LimitStanding[];
}

export interface ReservationOutcome {
  readonly kind: 'reservation';
  readonly reservation: Reservation;
  /** Of its experience; empty: none. */
  readonly experienceType: string;
  /** Of its experience; 0: none. */
  readonly experienceVersion: number;
  /** Whether it was made before, or its call recorded or released before. */
  readonly duplicate: boolean;
  /** How the limits stand that apply to it. */
  readonly limits: readonly LimitStanding[];
}

export interface ReleaseOutcome {
  readonly kind: 'release';
  readonly state: Extract<ReservationState, 'RELEASED' | 'SETTLED'>;
  /** Whether anything was known of the id. */
  readonly existed: boolean;
}

export interface SweepOutcome {
  readonly kind: 'sweep';
  /** What it was closed as; undefined: it was closed before, or its time is not over. */
  readonly state: Extract<ReservationState, 'UNSETTLED' | 'SETTLED'> | undefined;
}

export interface ExperienceOutcome {
  readonly kind: 'experience';
  readonly experience: Experience;
  readonly alreadyExisted: boolean;
  readonly idReplaced: boolean;
}

export interface RepricingOutcome {
  readonly kind: 'repricing';
  /** Whether all its units have a price now. */
  readonly priced: boolean;
}

export interface RefusedOutcome {
  readonly kind: 'refused';
  readonly fault: Fault;
}
