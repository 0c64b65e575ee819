import type { Binary, Filter } from 'mongodb';
import type { Experience } from '../domain/experience.js';
import type { UsageEvent } from '../domain/usage.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';
import { type ReadRevisions, readRevisions } from './application-state.js';
import type { EventDocument, ExperienceDocument, ExperienceKey } from './documents.js';
import type { Entry } from './entry.js';
import { fromEventDocument, toEventKey } from './event-document.js';
import { fromExperienceDocument } from './experience-document.js';
import { factKey } from './fact-key.js';
import { type Facts, operationFactKey, type StoredEvent } from './facts.js';
import { isUsefulOfOperation, type OperationOf, operationHash } from './operation-hash.js';
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
 * record are there already; without it, one that is makes the insert fail.
 */
export async function readFacts(
  store: Store,
  entries: readonly Entry[],
  options: { readonly lookUp: boolean },
  transaction: Transaction,
): Promise<FactsAtRevisions> {
  const found = new FoundDocuments();
  const revisions = await readRevisions(store, applicationsOf(entries), transaction);
  const wanted = wantedEvents(entries, options.lookUp);
  if (wanted !== undefined) found.addEvents(await store.events.find(wanted, transaction).toArray());
  const keys = experienceKeys(entries, found);
  if (keys.length > 0) {
    const filter = { _id: { $in: [...keys] } };
    found.addExperiences(await store.experiences.find<ExperienceDocument>(filter, transaction).toArray());
  }
  return { revisions, facts: found };
}

export function applicationsOf(entries: readonly Entry[]): ReadonlySet<string> {
  return new Set(entries.map(({ application }) => application));
}

class FoundDocuments implements StoredFacts {
  readonly events = new Map<string, StoredEvent>();
  readonly experiences = new Map<string, Experience>();
  readonly useful = new Map<string, UsageEvent>();

  addExperiences(documents: readonly ExperienceDocument[]): void {
    for (const document of documents) {
      const key = factKey(document._id.a, fromBinary(document._id.x));
      this.experiences.set(key, fromExperienceDocument(document));
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
}

function experienceKeys(entries: readonly Entry[], { events }: StoredFacts): readonly ExperienceKey[] {
  const wanted = new Map<string, ExperienceKey>();
  for (const entry of entries) {
    const x = experienceIdOf(entry, events);
    if (x === undefined) continue;
    const key = factKey(entry.application, x);
    if (!wanted.has(key)) wanted.set(key, { a: entry.application, x: toBinary(x) });
  }
  return [...wanted.values()];
}

function experienceIdOf(entry: Entry, events: Facts['events']): Uuid | undefined {
  if (entry.kind === 'repricing')
    return events.get(factKey(entry.application, entry.eventId))?.event.experienceId;
  const given = entry.kind === 'event' ? entry.record.attribution.experienceId : entry.experienceId;
  return given === undefined ? undefined : parseUuid(given);
}

/** The events to reprice, the useful ones of operations, and, to look them up, those to record; undefined: none. */
function wantedEvents(entries: readonly Entry[], lookUp: boolean): Filter<EventDocument> | undefined {
  const keys = entries.flatMap((entry) =>
    entry.kind === 'repricing' || (entry.kind === 'event' && lookUp)
      ? [toEventKey(entry.application, entry.eventId)]
      : [],
  );
  const filters = [...(keys.length === 0 ? [] : [{ _id: { $in: keys } }]), ...usefulFilters(entries)];
  return filters.length > 1 ? { $or: filters } : filters[0];
}

/** For the useful event of each operation that an entry may supersede; one filter an application. */
function usefulFilters(entries: readonly Entry[]): Filter<EventDocument>[] {
  const hashes = new Map<string, Binary[]>();
  for (const entry of entries) {
    const operation = operationOf(entry);
    if (operation === undefined) continue;
    const ofApplication = hashes.get(entry.application) ?? [];
    hashes.set(entry.application, ofApplication);
    ofApplication.push(operationHash(operation));
  }
  return [...hashes].map(([application, wanted]) => ({ '_id.a': application, uo: { $in: wanted } }));
}

/** Whose earlier success an entry may supersede; in an experience that is only now made there is none. */
function operationOf(entry: Entry): OperationOf | undefined {
  if (entry.kind !== 'event') return undefined;
  const { operationKey, outcome, attribution } = entry.record;
  if (operationKey === undefined || outcome !== 'SUCCEEDED') return undefined;
  const { experienceId, experienceType } = attribution;
  if (experienceId !== undefined) {
    const id = parseUuid(experienceId);
    return id === undefined ? undefined : { experienceId: id, operationKey };
  }
  return experienceType === undefined ? { experienceId: undefined, operationKey } : undefined;
}
