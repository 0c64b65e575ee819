import type { Document, Filter } from 'mongodb';
import { CATALOGUE } from './application-state.js';
import type {
  ApplicationDocument,
  EventDocument,
  EventKey,
  ExperienceDocument,
  ExperienceKey,
  ReservationDocument,
} from './documents.js';
import type { Store } from './store.js';
import type { Transaction } from './transaction.js';

/**
 * Reads what a commit wants to know, and the documents of its applications, in one command: of a small commit the commands
 * are the dearest part. All else hangs on the catalogue's document, which is there from the first start on. What is more than
 * one document of the server can hold (16 MB) fails; a lane then halves the commit.
 */
export async function readTogether(
  store: Store,
  applications: ReadonlySet<string>,
  { reservations, events, experiences }: Wanted,
  transaction: Transaction,
): Promise<ReadTogether> {
  const pipeline: Document[] = [
    { $match: { _id: { $in: [CATALOGUE, ...applications] } } },
    { $group: { _id: null, applications: { $push: '$$ROOT' } } },
  ];
  if (reservations.length > 0)
    pipeline.push(lookUp('reservations', store.reservations.collectionName, { _id: { $in: reservations } }));
  if (events !== undefined) pipeline.push(lookUp('events', store.events.collectionName, events));
  if (experiences.length > 0)
    pipeline.push(lookUp('experiences', store.experiences.collectionName, { _id: { $in: experiences } }));
  const [row] = await store.applications.aggregate<Partial<ReadTogether>>(pipeline, transaction).toArray();
  if (row === undefined) throw new Error('the catalogue has a document');
  return { applications: [], reservations: [], events: [], experiences: [], ...row };
}

/** What a commit wants to know. */
export interface Wanted {
  readonly reservations: readonly EventKey[];
  readonly events: Filter<EventDocument> | undefined;
  readonly experiences: readonly ExperienceKey[];
}

export interface ReadTogether {
  readonly applications: readonly ApplicationDocument[];
  readonly reservations: readonly ReservationDocument[];
  readonly events: readonly EventDocument[];
  readonly experiences: readonly ExperienceDocument[];
}

function lookUp(as: keyof Wanted, from: string, filter: Document): Document {
  return { $lookup: { from, pipeline: [{ $match: filter }], as } };
}
