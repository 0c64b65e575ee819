import type { Binary, Filter } from 'mongodb';
import { chargesOf, eventIdText } from './checked-event.js';
import type { ChargeFields, ReservationDocument } from './documents.js';
import { amountOf } from './figures.js';
import type { Snapshot } from './snapshot.js';
import type { Store } from './store.js';

/** A reservation as the check of the books reads it: whatever it holds, it can be read. */
export interface CheckedReservation {
  readonly id: string;
  readonly experience: Binary | undefined;
  /** What it holds while it is open; undefined: it cannot be read. */
  readonly amount: bigint | undefined;
  /** Empty if they cannot be read. */
  readonly charges: readonly ChargeFields[];
  readonly document: ReservationDocument;
}

export function toCheckedReservation(document: ReservationDocument): CheckedReservation {
  const [input, output] = [amountOf(document.ei), amountOf(document.eo)];
  return {
    get id() {
      return eventIdText(document._id); // Of few it is asked for.
    },
    experience: document.x,
    amount:
      input === undefined || output === undefined ? undefined : document.nh === true ? 0n : input + output,
    charges: chargesOf(document.li) ?? [],
    document,
  };
}

/** Open reservations but those that ought not to be open, by id. */
export async function* openReservations(
  store: Store,
  filter: Filter<ReservationDocument>,
  ended: ReadonlySet<string>,
  options: Snapshot & { readonly hint: 'open_by_experience' | 'open_by_limit' },
): AsyncGenerator<CheckedReservation, void, undefined> {
  const cursor = store.reservations.find(
    { ...filter, s: 'o' },
    { ...options, projection: FIELDS, batchSize: BATCH_RESERVATIONS },
  );
  for await (const document of cursor) {
    const reservation = toCheckedReservation(document);
    if (ended.size === 0 || !ended.has(reservation.id)) yield reservation;
  }
}

const FIELDS = { s: 1, x: 1, ei: 1, eo: 1, nh: 1, li: 1 } as const;
const BATCH_RESERVATIONS = 5_000;
