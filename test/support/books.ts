import type { ClientSession, Db, Decimal128, MongoClient, UUID } from 'mongodb';
import { expect } from 'vitest';
import type { UsageEvent } from '../../services/client/index.js';
import { add, type BookedEvent, nothing, type Totals, units18 } from './added-up.js';
import { expectHoldsAndLimits } from './limit-books.js';
import { expectRollups } from './rollup-books.js';

/**
 * The oracle: reads events and experiences with the driver alone, adds the events up anew, and compares. Nothing of the
 * code under test takes part, so its own arithmetic is as plain as can be.
 */
export async function expectBooks(
  client: MongoClient,
  databaseName: string,
  calls: Calls = { sent: undefined, told: new Map() },
): Promise<Books> {
  // One moment for all, so that books can be looked at while they are written.
  const books = await client.withSession({ snapshot: true }, async (session) => {
    const db = client.db(databaseName, { useBigInt64: true });
    const read = await readBooks(db, session);
    await expectRollups(db, session, read.events, read.added);
    await expectHoldsAndLimits(db, session);
    return read;
  });
  expect(books.kept).toEqual(books.added);
  expectOperations(books.events);
  expectCalls(books.events, calls);
  return books;
}

/** What callers did and heard. */
export interface Calls {
  /** Every event id that was sent; undefined: not looked at. */
  readonly sent: ReadonlySet<string> | undefined;
  /** What was answered OK, by event id. */
  readonly told: ReadonlyMap<string, Pick<UsageEvent, 'experienceId' | 'cost'>>;
}

export interface Books {
  readonly events: readonly BookedEvent[];
  /** Totals as the experiences hold them, by `application/experience id`. */
  readonly kept: Readonly<Record<string, Totals>>;
  /** Totals as the events add up. */
  readonly added: Readonly<Record<string, Totals>>;
}

async function readBooks(db: Db, session: ClientSession): Promise<Books> {
  const events = (await db.collection<EventRow>('events').find({}, { session }).toArray()).map(fromEventRow);
  const kept: Record<string, Totals> = {};
  const added: Record<string, Totals> = {};
  for (const row of await db.collection<ExperienceRow>('experiences').find({}, { session }).toArray()) {
    const key = `${row._id.a}/${row._id.x}`;
    kept[key] = fromExperienceRow(row);
    const total = row.ct && units18(row.ct); // Kept beside for its index.
    if (total !== (row.n === 0n ? undefined : units18(row.ci) + units18(row.co))) {
      throw new Error(`the total of experience ${key} is not the sum of its costs`);
    }
    added[key] = nothing(row.t, row.v);
  }
  for (const event of events) {
    if (event.experienceId === undefined) continue;
    const totals = added[`${event.application}/${event.experienceId}`];
    if (totals === undefined) throw new Error(`event ${event.id} is of an experience that does not exist`);
    if (totals.type !== event.type || totals.version !== event.version) {
      throw new Error(`event ${event.id} is of another type or version than its experience`);
    }
    add(totals, event);
  }
  return { events, kept, added };
}

/** Only what is added up; see services/ledger/documents.ts. */
interface EventRow {
  readonly _id: { readonly a: string; readonly e: UUID | string };
  readonly x?: UUID;
  readonly t: string;
  readonly v: number;
  readonly p: string;
  readonly m: string;
  readonly ci: Decimal128;
  readonly co: Decimal128;
  readonly us?: true;
  readonly up?: readonly unknown[];
  readonly oc: string;
  readonly op?: string;
  readonly un: readonly { readonly k: string; readonly i: bigint; readonly o: bigint }[];
  readonly q: Date;
}

interface ExperienceRow {
  readonly _id: { readonly a: string; readonly x: UUID };
  readonly t: string;
  readonly v: number;
  readonly n: bigint;
  readonly ci: Decimal128;
  readonly co: Decimal128;
  readonly us: Decimal128;
  readonly ws: Decimal128;
  readonly up: bigint;
  readonly un: Readonly<Record<string, { readonly i: bigint; readonly o: bigint }>>;
  readonly f?: Date;
  readonly l?: Date;
  readonly ct?: Decimal128;
}

function fromEventRow(row: EventRow): BookedEvent {
  return {
    application: row._id.a,
    id: String(row._id.e),
    experienceId: row.x === undefined ? undefined : String(row.x),
    type: row.t,
    version: row.v,
    provider: row.p,
    model: row.m,
    input: units18(row.ci),
    output: units18(row.co),
    useful: row.us === true,
    unpriced: row.up !== undefined,
    outcome: row.oc,
    operation: row.op,
    units: row.un.map(({ k, i, o }) => ({ kind: k, input: i, output: o })),
    eventTime: row.q.getTime(),
  };
}

function fromExperienceRow(row: ExperienceRow): Totals {
  const kinds = Object.entries(row.un).map(([kind, { i, o }]) => [kind, { input: i, output: o }] as const);
  return {
    type: row.t,
    version: row.v,
    events: row.n,
    input: units18(row.ci),
    output: units18(row.co),
    useful: units18(row.us),
    wasted: units18(row.ws),
    unpriced: row.up,
    units: Object.fromEntries(kinds),
    first: row.f?.getTime(),
    last: row.l?.getTime(),
  };
}

/** Useful are a success without an operation, and one success of each operation that had any. */
function expectOperations(events: readonly BookedEvent[]): void {
  const successes = new Map<string, BookedEvent[]>();
  for (const event of events) {
    if (event.outcome !== 'SUCCEEDED') expect(event).toMatchObject({ useful: false });
    else if (event.operation === undefined) expect(event).toMatchObject({ useful: true });
    else {
      const operation = `${event.application}/${event.experienceId ?? ''}/${event.operation}`;
      successes.set(operation, [...(successes.get(operation) ?? []), event]);
    }
  }
  for (const [operation, of] of successes) {
    const useful = of.filter((event) => event.useful).length;
    expect({ operation, useful }).toEqual({ operation, useful: 1 });
  }
}

/** Nothing acknowledged is missing or another thing than was told; nothing is there that nobody sent. */
function expectCalls(events: readonly BookedEvent[], { sent, told }: Calls): void {
  const byId = new Map(events.map((event) => [event.id, event]));
  for (const [id, answer] of told) {
    const event = byId.get(id);
    const stored = event && { experienceId: event.experienceId, input: event.input, output: event.output };
    expect({ id, stored }).toEqual({
      id,
      stored: {
        experienceId: answer.experienceId,
        input: units18(answer.cost.input),
        output: units18(answer.cost.output),
      },
    });
  }
  if (sent !== undefined) expect(events.filter(({ id }) => !sent.has(id))).toEqual([]);
}
