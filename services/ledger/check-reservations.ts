import { type Filter, MaxKey, MinKey } from 'mongodb';
import { formatMoney, type Money } from '../domain/money.js';
import type { EventFinding } from './check-experiences.js';
import { type CheckedEvent, chargesOf, type EventProblem, eventIdText } from './checked-event.js';
import { type CheckedReservation, toCheckedReservation } from './checked-reservation.js';
import type { ChargeFields, EventDocument, EventKey, ReservationDocument } from './documents.js';
import { amountOf, unreadableText } from './figures.js';
import type { Snapshot } from './snapshot.js';
import type { Store } from './store.js';

/** Some reservations in one snapshot, each against the event that has its id. */
export interface ReservationsPage {
  readonly reservations: number;
  readonly wrong: readonly ReservationFinding[];
  /** What no event tells. */
  readonly problems: readonly { readonly reservation: CheckedReservation; readonly problem: EventProblem }[];
  /** undefined: these were the last. */
  readonly next: EventKey | undefined;
}

/** A reservation that is in another state than its event says. */
export interface ReservationFinding {
  readonly reservation: CheckedReservation;
  readonly state: ReservationDocument['s'];
  readonly problem: EventProblem;
  /** Settlement of the event, as found. */
  readonly settlement: EventDocument['se'];
}

export async function checkReservations(
  store: Store,
  application: string,
  after: EventKey | undefined,
  snapshot: Snapshot,
): Promise<ReservationsPage> {
  const first = after === undefined ? { $gte: { a: application, e: new MinKey() } } : { $gt: after };
  const range = { ...first, $lt: { a: application, e: new MaxKey() } };
  const documents = await store.reservations
    .find({ _id: range } as unknown as Filter<ReservationDocument>, {
      ...snapshot,
      sort: { _id: 1 },
      limit: PAGE_RESERVATIONS_MAX,
      projection: FIELDS,
    })
    .toArray();
  const settlements = await settlementsOf(store, documents, snapshot);
  const wrong: ReservationFinding[] = [];
  const problems: { reservation: CheckedReservation; problem: EventProblem }[] = [];
  for (const document of documents) {
    const reservation = toCheckedReservation(document);
    const event = settlements.get(eventIdText(document._id));
    const alone = event === undefined ? problemAlone(reservation) : undefined;
    if (alone !== undefined) problems.push({ reservation, problem: alone });
    if (event === undefined || document.p === undefined) continue; // A tombstone says nothing of an event.
    const state = STATE_OF[event.se ?? 's'];
    if (state === undefined || state === document.s) continue;
    const problem = {
      figure: 'state',
      expected: NAMES[state],
      found: NAMES[document.s] ?? unreadableText(document.s),
    };
    wrong.push({ reservation, state, problem, settlement: event.se });
  }
  const isLast = documents.length < PAGE_RESERVATIONS_MAX;
  return {
    reservations: documents.length,
    wrong,
    problems,
    next: isLast ? undefined : documents.at(-1)?._id,
  };
}

/** What is wrong with events that reservations were made for. */
export async function settlementProblems(
  store: Store,
  events: readonly CheckedEvent[],
  snapshot: Snapshot,
): Promise<readonly EventFinding[]> {
  const reserved = events.filter(
    ({ document, problems }) => document.se !== undefined && problems.length === 0,
  );
  if (reserved.length === 0) return [];
  const keys = reserved.map(({ key }) => key);
  const reservations = new Map<string, ReservationDocument>();
  const cursor = store.reservations.find({ _id: { $in: keys } }, { ...snapshot, projection: FIELDS });
  for await (const document of cursor) reservations.set(eventIdText(document._id), document);
  return reserved.flatMap((event) => {
    const problems = problemsOf(event, reservations.get(event.id));
    return problems.length === 0 ? [] : [{ event, problems }];
  });
}

/** An event whose cost was estimated as such: no units tell what it costs. */
export function isEstimatedCost({ se, un }: Pick<EventDocument, 'se' | 'un'>): boolean {
  return se === 'u' && Array.isArray(un) && un.length === 0;
}

function problemsOf(event: CheckedEvent, reservation: ReservationDocument | undefined): EventProblem[] {
  if (reservation === undefined) return [{ figure: 'reservation', expected: 'present', found: 'absent' }];
  const problems: EventProblem[] = [];
  const [wanted, found] = [chargesText(reservation.li), chargesText(event.document.li)];
  if (wanted !== found) problems.push({ figure: 'charges', expected: wanted, found });
  if (!isEstimatedCost(event.document)) return problems;
  for (const [figure, estimate, cost] of [
    ['cost.input', amountOf(reservation.ei), event.input],
    ['cost.output', amountOf(reservation.eo), event.output],
  ] as const) {
    if (estimate === undefined || cost === undefined || estimate === cost) continue;
    problems.push({ figure, expected: formatMoney(estimate as Money), found: formatMoney(cost as Money) }); // Only to be shown.
  }
  return problems;
}

/** Of a reservation without an event. */
function problemAlone({ document, amount }: CheckedReservation): EventProblem | undefined {
  if (document.s === 's' || document.s === 'u')
    return { figure: 'event', expected: 'present', found: 'absent' };
  if (document.s !== 'o') return undefined;
  if (amount === undefined) {
    const found = unreadableText(amountOf(document.ei) === undefined ? document.ei : document.eo);
    return { figure: 'estimated_cost', expected: '', found };
  }
  if (chargesOf(document.li) === undefined)
    return { figure: 'charges', expected: '', found: unreadableText(document.li) };
  return undefined;
}

/** Limits and periods, in any order. */
function chargesText(li: EventDocument['li']): string {
  const charges: readonly ChargeFields[] | undefined = chargesOf(li);
  if (charges === undefined) return unreadableText(li);
  return charges
    .map(({ i, p }) => `${eventIdText({ a: '', e: i })} ${p}`)
    .sort()
    .join(', ');
}

async function settlementsOf(
  store: Store,
  documents: readonly ReservationDocument[],
  snapshot: Snapshot,
): Promise<ReadonlyMap<string, Pick<EventDocument, 'se'>>> {
  const found = new Map<string, Pick<EventDocument, 'se'>>();
  if (documents.length === 0) return found;
  const cursor = store.events.find(
    { _id: { $in: documents.map(({ _id }) => _id) } },
    { ...snapshot, projection: { se: 1 } },
  );
  for await (const event of cursor) found.set(eventIdText(event._id), event);
  return found;
}

/** By the settlement of the event; one that was recorded beside its reservation settles it too. */
const STATE_OF: Readonly<Record<string, ReservationDocument['s'] | undefined>> = { s: 's', u: 'u', r: 'r' };
const NAMES = { o: 'OPEN', s: 'SETTLED', r: 'RELEASED', u: 'UNSETTLED' } as const;
const FIELDS = { s: 1, x: 1, p: 1, ei: 1, eo: 1, nh: 1, li: 1 } as const;
const PAGE_RESERVATIONS_MAX = 5_000;
