import { parseUuid, type Uuid } from '../domain/uuid.js';
import type { ExperienceDocument } from './documents.js';
import type { Entry } from './entry.js';
import { fromEventDocument, toEventKey } from './event-document.js';
import { fromExperienceDocument } from './experience-document.js';
import { factKey } from './fact-key.js';
import { type Facts, operationFactKey, type StoredEvent } from './facts.js';
import { type OperationOf, operationHash } from './operation-hash.js';
import { fromBinary, type Store, toBinary } from './store.js';
import type { Transaction } from './transaction.js';

/** Reads what the snapshot holds of what the entries touch. One command after the other: a session takes one at a time. */
export async function readFacts(
  store: Store,
  entries: readonly Entry[],
  transaction: Transaction,
): Promise<Omit<Facts, 'states'>> {
  const events = await readEvents(store, entries, transaction);
  const useful = await readUseful(store, entries, transaction);
  const experiences = await readExperiences(store, entries, events, transaction);
  return { events, useful, experiences };
}

async function readEvents(
  store: Store,
  entries: readonly Entry[],
  transaction: Transaction,
): Promise<Facts['events']> {
  const found = new Map<string, StoredEvent>();
  const keys = entries.flatMap((entry) =>
    entry.kind === 'experience' ? [] : [toEventKey(entry.application, entry.eventId)],
  );
  if (keys.length === 0) return found;
  for (const document of await store.events.find({ _id: { $in: keys } }, transaction).toArray()) {
    const event = fromEventDocument(document);
    found.set(factKey(document._id.a, event.eventId), { event, contentHash: document.h.buffer });
  }
  return found;
}

async function readUseful(
  store: Store,
  entries: readonly Entry[],
  transaction: Transaction,
): Promise<Facts['useful']> {
  const found: Map<
    string,
    Facts['useful'] extends ReadonlyMap<string, infer Event> ? Event : never
  > = new Map();
  const operations = new Map<string, OperationOf[]>();
  for (const entry of entries) {
    const operation = operationOf(entry);
    if (operation === undefined) continue;
    const ofApplication = operations.get(entry.application) ?? [];
    operations.set(entry.application, ofApplication);
    ofApplication.push(operation);
  }
  for (const [application, wanted] of operations) {
    const filter = { '_id.a': application, uo: { $in: wanted.map(operationHash) } };
    for (const document of await store.events.find(filter, transaction).toArray()) {
      const event = fromEventDocument(document);
      found.set(operationFactKey(application, event), event);
    }
  }
  return found;
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

async function readExperiences(
  store: Store,
  entries: readonly Entry[],
  events: Facts['events'],
  transaction: Transaction,
): Promise<Facts['experiences']> {
  const wanted = new Map<string, { a: string; x: Uuid }>();
  for (const entry of entries) {
    const x = experienceIdOf(entry, events);
    if (x !== undefined) wanted.set(factKey(entry.application, x), { a: entry.application, x });
  }
  if (wanted.size === 0) return new Map();
  const keys = [...wanted.values()].map(({ a, x }) => ({ a, x: toBinary(x) }));
  const documents = await store.experiences
    .find<ExperienceDocument>({ _id: { $in: keys } }, transaction)
    .toArray();
  return new Map(
    documents.map((document) => [
      factKey(document._id.a, fromBinary(document._id.x)),
      fromExperienceDocument(document),
    ]),
  );
}

function experienceIdOf(entry: Entry, events: Facts['events']): Uuid | undefined {
  if (entry.kind === 'repricing')
    return events.get(factKey(entry.application, entry.eventId))?.event.experienceId;
  const given = entry.kind === 'event' ? entry.record.attribution.experienceId : entry.experienceId;
  return given === undefined ? undefined : parseUuid(given);
}
