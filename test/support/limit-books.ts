import type { ClientSession, Db, Decimal128, UUID } from 'mongodb';
import { expect } from 'vitest';
import { units18 } from './added-up.js';

/**
 * The oracle of what is held and charged: what experiences hold and what of them is an estimate, what each limit is charged
 * in each period, and the state of each reservation, are what events and open reservations say.
 */
export async function expectHoldsAndLimits(db: Db, session: ClientSession): Promise<void> {
  const rows = <T extends object>(name: string) => db.collection<T>(name).find({}, { session }).toArray();
  const events = await rows<EventRow>('events');
  const reservations = await rows<ReservationRow>('reservations');
  const limits = await rows<LimitRow>('limits');
  expectStates(events, reservations);

  const blocking = new Set(limits.filter(({ ty }) => ty === 'b').map(({ _id }) => `${_id.a}/${_id.i}`));
  const [kept, added]: [Charged, Charged] = [{}, {}];
  for (const { _id, sp, si, ho, un, n } of await rows<SumRow>('limit_sums')) {
    // A blocking limit's decisions look at one document only, and at that of no other limit.
    const isThere = (_id.l === 0) === blocking.has(`${_id.a}/${_id.i}`);
    const sum = at(kept, `${_id.a}/${_id.i}/${_id.p}${isThere ? '' : ' elsewhere'}`);
    for (const [figure, amount] of [
      ['spent', sp],
      ['input', si],
      ['held', ho],
      ['unsettled', un],
    ] as const)
      sum[figure] += amount === undefined ? 0n : units18(amount);
    sum.events += n ?? 0n;
  }
  const [keptHolds, addedHolds]: [Held, Held] = [{}, {}];
  for (const { _id, ho, hn, uc, uq } of await rows<ExperienceRow>('experiences')) {
    keptHolds[`${_id.a}/${_id.x}`] = {
      held: ho === undefined ? 0n : units18(ho),
      open: hn ?? 0n,
      unsettled: uc === undefined ? 0n : units18(uc),
      estimates: uq ?? 0n,
    };
    addedHolds[`${_id.a}/${_id.x}`] = { held: 0n, open: 0n, unsettled: 0n, estimates: 0n };
  }

  const known = new Set(limits.map(({ _id }) => `${_id.a}/${_id.i}`));
  const charge = (a: string, { i, p }: ChargeRow) => {
    if (!known.has(`${a}/${i}`)) throw new Error(`something is charged to ${i}, which is no limit`);
    return at(added, `${a}/${i}/${p}`);
  };
  for (const { _id, x, ci, co, se, li = [] } of events) {
    const cost = units18(ci) + units18(co);
    for (const each of li) {
      const sum = charge(_id.a, each);
      sum.spent += cost;
      sum.input += units18(ci);
      sum.events += 1n;
      if (se === 'u') sum.unsettled += cost;
    }
    const holds = addedHolds[`${_id.a}/${x}`];
    if (se !== 'u' || x === undefined || holds === undefined) continue;
    holds.unsettled += cost;
    holds.estimates += 1n;
  }
  for (const { _id, s, x, ei, eo, li = [] } of reservations) {
    if (s !== 'o' || ei === undefined || eo === undefined) continue;
    const estimate = units18(ei) + units18(eo);
    for (const each of li) charge(_id.a, each).held += estimate;
    const holds = addedHolds[`${_id.a}/${x}`];
    if (x === undefined) continue;
    if (holds === undefined) throw new Error(`${_id.e} is reserved for an experience that does not exist`);
    holds.held += estimate;
    holds.open += 1n;
  }
  expect(withoutNothing(kept)).toEqual(withoutNothing(added));
  expect(keptHolds).toEqual(addedHolds);
}

/** A reservation is open until there is an event; then both say the same, and are charged to the same. */
function expectStates(events: readonly EventRow[], reservations: readonly ReservationRow[]): void {
  const byId = new Map(events.map((event) => [`${event._id.a}/${event._id.e}`, event]));
  const reserved = new Set<string>();
  for (const { _id, s, p, li } of reservations) {
    const id = `${_id.a}/${_id.e}`;
    const event = byId.get(id);
    if (p === undefined) {
      expect([id, s, event?.se]).toEqual([id, 'r', undefined]); // It was released before anything was known of it.
      continue;
    }
    reserved.add(id);
    if (event === undefined) expect([id, s]).toEqual([id, s === 'r' ? 'r' : 'o']);
    else {
      expect([id, s]).toEqual([id, event.se ?? 's']);
      if (event.se !== undefined) expect([id, chargesOf(event.li)]).toEqual([id, chargesOf(li)]);
    }
  }
  const settled = events.filter(({ se }) => se !== undefined).map(({ _id }) => `${_id.a}/${_id.e}`);
  expect(settled.filter((id) => !reserved.has(id))).toEqual([]);
}

function chargesOf(li: readonly ChargeRow[] = []): readonly string[] {
  return li.map(({ i, p }) => `${i}/${p}`).sort();
}

function at(charged: Charged, key: string): Charged[string] {
  charged[key] ??= { spent: 0n, input: 0n, held: 0n, unsettled: 0n, events: 0n };
  return charged[key];
}

function withoutNothing(charged: Charged): Charged {
  const some = Object.entries(charged).filter(([, sum]) =>
    Object.values(sum).some((figure) => figure !== 0n),
  );
  return Object.fromEntries(some);
}

type Charged = Record<
  string,
  { spent: bigint; input: bigint; held: bigint; unsettled: bigint; events: bigint }
>;
type Held = Record<string, { held: bigint; open: bigint; unsettled: bigint; estimates: bigint }>;

interface ChargeRow {
  readonly i: UUID;
  readonly p: number;
}

interface EventRow {
  readonly _id: { readonly a: string; readonly e: UUID | string };
  readonly x?: UUID;
  readonly ci: Decimal128;
  readonly co: Decimal128;
  readonly se?: 's' | 'u' | 'r';
  readonly li?: readonly ChargeRow[];
}

interface ReservationRow {
  readonly _id: { readonly a: string; readonly e: UUID | string };
  readonly s: 'o' | 's' | 'r' | 'u';
  readonly x?: UUID;
  readonly p?: string;
  readonly ei?: Decimal128;
  readonly eo?: Decimal128;
  readonly li?: readonly ChargeRow[];
}

interface LimitRow {
  readonly _id: { readonly a: string; readonly i: UUID };
  readonly ty: 'a' | 'b';
}

interface SumRow {
  readonly _id: { readonly a: string; readonly i: UUID; readonly p: number; readonly l: number };
  readonly sp?: Decimal128;
  readonly si?: Decimal128;
  readonly ho?: Decimal128;
  readonly un?: Decimal128;
  readonly n?: bigint;
}

interface ExperienceRow {
  readonly _id: { readonly a: string; readonly x: UUID };
  readonly ho?: Decimal128;
  readonly hn?: bigint;
  readonly uc?: Decimal128;
  readonly uq?: bigint;
}
