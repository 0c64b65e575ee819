import type { Experience } from '../domain/experience.js';
import type { UsageEvent } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';
import { type ReadRevisions, readRevisions, revisionsOf } from './application-state.js';
import type { EventDocument, ExperienceDocument, ReservationDocument } from './documents.js';
import type { Entry } from './entry.js';
import { fromEventDocument } from './event-document.js';
import { fromExperienceDocument } from './experience-document.js';
import { factKey } from './fact-key.js';
import { attributedTo, eventIdOf, FactQuestions } from './fact-questions.js';
import {
  type Facts,
  type KnownLimit,
  operationFactKey,
  type StoredEvent,
  type StoredReservation,
} from './facts.js';
import { isUsefulOfOperation } from './operation-hash.js';
import { readLimits } from './read-limits.js';
import { readTogether } from './read-together.js';
import { fromReservationDocument } from './reservation-document.js';
import { fromBinary, type Store } from './store.js';
import type { Transaction } from './transaction.js';

type StoredFacts = Omit<Facts, 'states' | 'unitKinds'>;

/** What a transaction's snapshot holds of what the entries touch, and the revisions that their states must be at. */
export interface FactsAtRevisions {
  readonly revisions: ReadRevisions;
  readonly facts: StoredFacts;
}

export interface ReadOptions {
  /** Whether to look which of the events to record are there already; without it, one that is makes the insert fail. */
  readonly lookUp: boolean;
  /** Whether to ask in one command for all that the entries name; else, and for what that leads to, in one after the other. */
  readonly together: boolean;
}

/** Reads it. What no entry can touch is not asked for. A session takes one command at a time. */
export async function readFacts(
  store: Store,
  entries: readonly Entry[],
  options: ReadOptions,
  transaction: Transaction,
): Promise<FactsAtRevisions> {
  const found = new FoundDocuments();
  const questions = new FactQuestions(entries, options.lookUp);
  const applications = applicationsOf(entries);
  let revisions: ReadRevisions;
  if (options.together) {
    const read = await readTogether(store, applications, questions.next(found), transaction);
    revisions = revisionsOf(read.applications);
    found.addReservations(read.reservations);
    found.addEvents(read.events);
    found.addExperiences(read.experiences);
  } else revisions = await readRevisions(store, applications, transaction);
  await readRest(store, questions, revisions.reserving, found, transaction);
  found.limits = await readLimits(store, limitsOf(entries, found), transaction);
  return { revisions, facts: found };
}

/** What was not asked for yet, each by what is known before. */
async function readRest(
  store: Store,
  questions: FactQuestions,
  reserving: ReadonlySet<string>,
  found: FoundDocuments,
  transaction: Transaction,
): Promise<void> {
  const reserved = questions.nextReservations(reserving);
  if (reserved.length > 0) {
    const filter = { _id: { $in: [...reserved] } };
    found.addReservations(await store.reservations.find(filter, transaction).toArray());
  }
  const events = questions.nextEvents(found);
  if (events !== undefined) found.addEvents(await store.events.find(events, transaction).toArray());
  const keys = questions.nextExperiences(found);
  if (keys.length === 0) return;
  const filter = { _id: { $in: [...keys] } };
  found.addExperiences(await store.experiences.find<ExperienceDocument>(filter, transaction).toArray());
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
