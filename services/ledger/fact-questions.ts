import type { Binary, Filter } from 'mongodb';
import type { UsageEvent } from '../domain/usage.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';
import type { EventDocument, EventKey, ExperienceKey } from './documents.js';
import type { Entry } from './entry.js';
import { toEventKey } from './event-document.js';
import { factKey } from './fact-key.js';
import { operationId, type StoredReservation } from './facts.js';
import { type OperationOf, operationHash } from './operation-hash.js';
import type { Wanted } from './read-together.js';
import { toBinary } from './store.js';

/** What entries make one want to know of the store. Each question is told once: the next time only what is new. */
export class FactQuestions {
  readonly #entries: readonly Entry[];
  readonly #lookUp: boolean;
  readonly #asked = new Set<string>();

  /** `lookUp`: whether it matters which of the events to record are there already. */
  constructor(entries: readonly Entry[], lookUp: boolean) {
    this.#entries = entries;
    this.#lookUp = lookUp;
  }

  next(known: KnownFacts): Wanted {
    return {
      reservations: this.nextReservations(),
      events: this.nextEvents(known),
      experiences: this.nextExperiences(known),
    };
  }

  /** A record has a reservation only in an application that has ever reserved; absent: any may have. */
  nextReservations(reserving?: ReadonlySet<string>): readonly EventKey[] {
    return this.#entries.flatMap((entry) => {
      const id = eventIdOf(entry);
      if (id === undefined || entry.kind === 'repricing') return [];
      if (entry.kind === 'event' && reserving?.has(entry.application) === false) return [];
      return this.#isNew('reservation', entry.application, id) ? [toEventKey(entry.application, id)] : [];
    });
  }

  /** The events to look up, and the useful ones of operations; undefined: none. */
  nextEvents(known: KnownFacts): Filter<EventDocument> | undefined {
    const keys = this.#entries.flatMap((entry) => {
      const id = eventIdOf(entry);
      if (id === undefined) return [];
      if (entry.kind === 'event' && !this.#lookUp) {
        const reservation = known.reservationOf(entry);
        if (reservation === undefined || reservation.state === 'OPEN') return [];
      }
      return this.#isNew('event', entry.application, id) ? [toEventKey(entry.application, id)] : [];
    });
    const filters = [...(keys.length === 0 ? [] : [{ _id: { $in: keys } }]), ...this.#usefulFilters(known)];
    return filters.length > 1 ? { $or: filters } : filters[0];
  }

  nextExperiences(known: KnownFacts): readonly ExperienceKey[] {
    return this.#entries.flatMap((entry) => {
      const ids = [
        attributedTo(entry),
        known.reservationOf(entry)?.experienceId,
        eventExperience(entry, known),
      ];
      return ids.flatMap((x) =>
        x !== undefined && this.#isNew('experience', entry.application, x)
          ? [{ a: entry.application, x: toBinary(x) }]
          : [],
      );
    });
  }

  /** For the useful event of each operation that an entry may supersede; one filter an application. */
  #usefulFilters(known: KnownFacts): Filter<EventDocument>[] {
    const hashes = new Map<string, Binary[]>();
    for (const entry of this.#entries) {
      for (const operation of operationsOf(entry, known)) {
        if (!this.#isNew('operation', entry.application, operationId(operation))) continue;
        const ofApplication = hashes.get(entry.application) ?? [];
        hashes.set(entry.application, ofApplication);
        ofApplication.push(operationHash(operation));
      }
    }
    return [...hashes].map(([application, wanted]) => ({ '_id.a': application, uo: { $in: wanted } }));
  }

  #isNew(what: string, application: string, id: string): boolean {
    const key = `${what} ${factKey(application, id)}`;
    if (this.#asked.has(key)) return false;
    this.#asked.add(key);
    return true;
  }
}

/** What is known already: it may lead to more. */
export interface KnownFacts {
  reservationOf(entry: Entry): StoredReservation['reservation'] | undefined;
  eventOf(entry: Entry): UsageEvent | undefined;
}

/** Of the event that an entry is about. */
export function eventIdOf(entry: Entry): string | undefined {
  if (entry.kind === 'experience') return undefined;
  return entry.kind === 'reservation' ? entry.reservation.eventId : entry.eventId;
}

/** As the entry says. */
export function attributedTo(entry: Entry): Uuid | undefined {
  switch (entry.kind) {
    case 'event':
      return uuidOf(entry.record.attribution.experienceId);
    case 'reservation':
      return uuidOf(entry.reservation.attribution.experienceId);
    case 'experience':
      return uuidOf(entry.experienceId);
    case 'repricing':
    case 'release':
    case 'sweep':
      return undefined;
    default:
      return entry satisfies never;
  }
}

/** Of a recorded event that the entry may change or answer. */
function eventExperience(entry: Entry, known: KnownFacts): Uuid | undefined {
  const event = known.eventOf(entry);
  const isPlain = entry.kind === 'event' && event?.settlement === 'NONE';
  return isPlain ? undefined : event?.experienceId;
}

function uuidOf(id: string | undefined): Uuid | undefined {
  return id === undefined ? undefined : parseUuid(id);
}

/**
 * Whose earlier success an entry may supersede; in an experience that is only now made there is none. One that settles a
 * reservation may go to the reservation's experience.
 */
function operationsOf(entry: Entry, known: KnownFacts): readonly OperationOf[] {
  if (entry.kind !== 'event') return NO_OPERATIONS;
  const { operationKey, outcome, attribution } = entry.record;
  if (operationKey === undefined || outcome !== 'SUCCEEDED') return NO_OPERATIONS;
  const { experienceId, experienceType } = attribution;
  const reservation = known.reservationOf(entry);
  const reserved =
    reservation === undefined ? [] : [{ experienceId: reservation.experienceId, operationKey }];
  if (experienceId !== undefined) {
    const id = parseUuid(experienceId);
    return id === undefined ? reserved : [{ experienceId: id, operationKey }, ...reserved];
  }
  return experienceType === undefined ? [{ experienceId: undefined, operationKey }, ...reserved] : reserved;
}

const NO_OPERATIONS: readonly OperationOf[] = [];
