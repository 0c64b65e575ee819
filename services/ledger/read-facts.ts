import type { Binary, Filter } from 'mongodb';
import type { Experience } from '../domain/experience.js';
import type { UsageEvent } from '../domain/usage.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';
import { type ReadRevisions, readRevisions } from './application-state.js';
import type {
  EventDocument,
  EventKey,
  ExperienceDocument,
  ExperienceKey,
  ReservationDocument,
} from './documents.js';
import type { Entry } from './entry.js';
import { fromEventDocument, toEventKey } from './event-document.js';
import { fromExperienceDocument } from './experience-document.js';
import { factKey } from './fact-key.js';
import {
  type Facts,
  type KnownLimit,
  operationFactKey,
  type StoredEvent,
  type StoredReservation,
} from './facts.js';
import { isUsefulOfOperation, type OperationOf, operationHash } from './operation-hash.js';
import { readLimits } from './read-limits.js';
import { fromReservationDocument } from './reservation-document.js';
import { fromBinary, type Store, toBinary } from './store.js';
import type { Transaction } from './transaction.js';

type StoredFacts = Omit<Facts, 'states' | 'unitKinds'>;

/** What a transaction's snapshot holds of what the entries touch, and the revisions that their states must be at. */
export interface FactsAtRevisions {
  readonly revisions: ReadRevisions;
  readonly facts: StoredFacts;
}

/**
 * Reads it, one command after the other: a session takes one at a time. `lookUp` is whether to look which of the events to
 * record are there already; without it, one that is makes the insert fail. What no entry can touch is not asked for.
 */
export async function readFacts(
  store: Store,
  entries: readonly Entry[],
  options: { readonly lookUp: boolean },
  transaction: Transaction,
): Promise<FactsAtRevisions> {
  const found = new FoundDocuments();
  const revisions = await readRevisions(store, applicationsOf(entries), transaction);
  const reserved = reservationKeys(entries, revisions.reserving);
  if (reserved.length > 0) {
    const filter = { _id: { $in: [...reserved] } };
    found.addReservations(await store.reservations.find(filter, transaction).toArray());
  }
  const wanted = wantedEvents(entries, found, options.lookUp);
  if (wanted !== undefined) found.addEvents(await store.events.find(wanted, transaction).toArray());
  const keys = experienceKeys(entries, found);
  if (keys.length > 0) {
    const filter = { _id: { $in: [...keys] } };
    found.addExperiences(await store.experiences.find<ExperienceDocument>(filter, transaction).toArray());
  }
  found.limits = await readLimits(store, limitsOf(entries, found), transaction);
  return { revisions, facts: found };
}

export function applicationsOf(entries: readonly Entry[]): ReadonlySet<string> {
  return new Set(entries.map(({ application }) => application));
}

class FoundDocuments implements StoredFacts {
  readonly events = new Map<string, StoredEvent>();
  readonly experiences = new Map<string, Experience>();
  readonly reservations = new Map<string, StoredReservation>();
  readonly useful = new Map<string, UsageEvent>();
  limits: ReadonlyMap<string, KnownLimit> = new Map();

  addExperiences(documents: readonly ExperienceDocument[]): void {
    for (const document of documents) {
      const key = factKey(document._id.a, fromBinary(document._id.x));
      this.experiences.set(key, fromExperienceDocument(document));
    }
  }

  addReservations(documents: readonly ReservationDocument[]): void {
    for (const document of documents) {
      const reservation = fromReservationDocument(document);
      const key = factKey(document._id.a, reservation.eventId);
      this.reservations.set(key, { reservation, contentHash: document.h.buffer });
    }
  }

  /** One that was looked up as the useful one of an operation is known by its id too, and the other way round. */
  addEvents(documents: readonly EventDocument[]): void {
    for (const document of documents) {
      const event = fromEventDocument(document);
      const application = document._id.a;
      this.events.set(factKey(application, event.eventId), { event, contentHash: document.h.buffer });
      if (isUsefulOfOperation(event)) this.useful.set(operationFactKey(application, event), event);
    }
  }

  reservationOf(entry: Entry): StoredReservation['reservation'] | undefined {
    const id = eventIdOf(entry);
    return id === undefined ? undefined : this.reservations.get(factKey(entry.application, id))?.reservation;
  }

  eventOf(entry: Entry): UsageEvent | undefined {
    const id = eventIdOf(entry);
    return id === undefined ? undefined : this.events.get(factKey(entry.application, id))?.event;
  }
}

/** Of the event that an entry is about. */
function eventIdOf(entry: Entry): string | undefined {
  if (entry.kind === 'experience') return undefined;
  return entry.kind === 'reservation' ? entry.reservation.eventId : entry.eventId;
}

/** A record has a reservation only in an application that has ever reserved. */
function reservationKeys(entries: readonly Entry[], reserving: ReadonlySet<string>): readonly EventKey[] {
  return entries.flatMap((entry) => {
    const id = eventIdOf(entry);
    if (id === undefined || entry.kind === 'repricing') return [];
    if (entry.kind === 'event' && !reserving.has(entry.application)) return [];
    return [toEventKey(entry.application, id)];
  });
}

function experienceKeys(entries: readonly Entry[], found: FoundDocuments): readonly ExperienceKey[] {
  const wanted = new Map<string, ExperienceKey>();
  for (const entry of entries) {
    const ids = [
      attributedTo(entry),
      found.reservationOf(entry)?.experienceId,
      eventExperience(entry, found),
    ];
    for (const x of ids) {
      if (x === undefined) continue;
      const key = factKey(entry.application, x);
      if (!wanted.has(key)) wanted.set(key, { a: entry.application, x: toBinary(x) });
    }
  }
  return [...wanted.values()];
}

/** As the entry says. */
function attributedTo(entry: Entry): Uuid | undefined {
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
function eventExperience(entry: Entry, found: FoundDocuments): Uuid | undefined {
  const event = found.eventOf(entry);
  const isPlain = entry.kind === 'event' && event?.settlement === 'NONE';
  return isPlain ? undefined : event?.experienceId;
}

function uuidOf(id: string | undefined): Uuid | undefined {
  return id === undefined ? undefined : parseUuid(id);
}

/** The events to look up, and the useful ones of operations; undefined: none. */
function wantedEvents(
  entries: readonly Entry[],
  found: FoundDocuments,
  lookUp: boolean,
): Filter<EventDocument> | undefined {
  const keys = entries.flatMap((entry) => {
    const id = eventIdOf(entry);
    if (id === undefined) return [];
    if (entry.kind === 'event' && !lookUp) {
      const reservation = found.reservationOf(entry);
      if (reservation === undefined || reservation.state === 'OPEN') return [];
    }
    return [toEventKey(entry.application, id)];
  });
  const filters = [...(keys.length === 0 ? [] : [{ _id: { $in: keys } }]), ...usefulFilters(entries, found)];
  return filters.length > 1 ? { $or: filters } : filters[0];
}

/** For the useful event of each operation that an entry may supersede; one filter an application. */
function usefulFilters(entries: readonly Entry[], found: FoundDocuments): Filter<EventDocument>[] {
  const hashes = new Map<string, Binary[]>();
  for (const entry of entries) {
    for (const operation of operationsOf(entry, found)) {
      const ofApplication = hashes.get(entry.application) ?? [];
      hashes.set(entry.application, ofApplication);
      ofApplication.push(operationHash(operation));
    }
  }
  return [...hashes].map(([application, wanted]) => ({ '_id.a': application, uo: { $in: wanted } }));
}

/**
 * Whose earlier success an entry may supersede; in an experience that is only now made there is none. One that settles a
 * reservation may go to the reservation's experience.
 */
function operationsOf(entry: Entry, found: FoundDocuments): readonly OperationOf[] {
  if (entry.kind !== 'event') return NO_OPERATIONS;
  const { operationKey, outcome, attribution } = entry.record;
  if (operationKey === undefined || outcome !== 'SUCCEEDED') return NO_OPERATIONS;
  const { experienceId, experienceType } = attribution;
  const reservation = found.reservationOf(entry);
  const reserved =
    reservation === undefined ? [] : [{ experienceId: reservation.experienceId, operationKey }];
  if (experienceId !== undefined) {
    const id = parseUuid(experienceId);
    return id === undefined ? reserved : [{ experienceId: id, operationKey }, ...reserved];
  }
  return experienceType === undefined ? [{ experienceId: undefined, operationKey }, ...reserved] : reserved;
}

const NO_OPERATIONS: readonly OperationOf[] = [];

/** The limits that apply to calls, or that they are charged to. */
function limitsOf(
  entries: readonly Entry[],
  found: FoundDocuments,
): readonly { readonly application: string; readonly limitId: Uuid }[] {
  const wanted = new Map<string, { readonly application: string; readonly limitId: Uuid }>();
  for (const entry of entries) {
    const limitIds = namedLimits(entry);
    if (limitIds === undefined) continue;
    const { application } = entry;
    const x = attributedTo(entry);
    const experience = x === undefined ? undefined : found.experiences.get(factKey(application, x));
    const charges = [
      ...(found.reservationOf(entry)?.charges ?? []),
      ...(found.eventOf(entry)?.charges ?? []),
    ];
    if (experience?.limitType === undefined && limitIds.length === 0 && charges.length === 0) continue;
    const ids = [...limitIds, ...charges.map(({ limitId }) => limitId)];
    if (experience?.limitType !== undefined) ids.push(experience.id);
    for (const limitId of ids) wanted.set(factKey(application, limitId), { application, limitId });
  }
  return [...wanted.values()];
}

/** undefined: the entry looks at no limit. One that creates an experience looks at what an existing one owns. */
function namedLimits(entry: Entry): readonly Uuid[] | undefined {
  switch (entry.kind) {
    case 'event':
      return entry.record.attribution.limitIds;
    case 'reservation':
      return entry.reservation.attribution.limitIds;
    case 'experience':
      return entry.limitConfig === undefined ? undefined : [];
    case 'repricing':
    case 'release':
    case 'sweep':
      return undefined;
    default:
      return entry satisfies never;
  }
}
