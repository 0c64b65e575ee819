import type { Experience } from '../domain/experience.js';
import type { Fault } from '../domain/fault.js';
import type { Properties, UsageEvent, UsageRecord } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';

/** What the writer takes: a closed union. Each entry is checked before it comes here; one bad entry sinks only itself. */
export type Entry = EventEntry | ExperienceEntry | RepricingEntry;

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

/** What became of an entry. */
export type Outcome = EventOutcome | ExperienceOutcome | RepricingOutcome | RefusedOutcome;

export interface EventOutcome {
  readonly kind: 'event';
  readonly event: UsageEvent;
  readonly duplicate: boolean;
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
