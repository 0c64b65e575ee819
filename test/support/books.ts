import type { Decimal128, MongoClient, UUID } from 'mongodb';
import { expect } from 'vitest';
import type { UsageEvent } from '../../services/client/index.js';

/**
 * The oracle: reads events and experiences with the driver alone, adds the events up anew, and compares. Nothing of the
 * code under test takes part, so its own arithmetic is as plain as can be.
 */
export async function expectBooks(
  client: MongoClient,
  databaseName: string,
  calls: Calls = { sent: undefined, told: new Map() },
): Promise<Books> {
  const books = await readBooks(client, databaseName);
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

/** Money in whole numbers of 10^-18. */
export interface Totals {
  readonly type: string;
  readonly version: number;
  events: bigint;
  input: bigint;
  output: bigint;
  useful: bigint;
  wasted: bigint;
  unpriced: bigint;
  readonly units: Record<string, { input: bigint; output: bigint }>;
  first: number | undefined;
  last: number | undefined;
}

export interface BookedEvent {
  readonly application: string;
  readonly id: string;
  readonly experienceId: string | undefined;
  readonly type: string;
  readonly version: number;
  readonly input: bigint;
  readonly output: bigint;
  readonly useful: boolean;
  readonly unpriced: boolean;
  readonly outcome: string;
  readonly operation: string | undefined;
  readonly units: readonly { readonly kind: string; readonly input: bigint; readonly output: bigint }[];
  readonly eventTime: number;
}

async function readBooks(client: MongoClient, databaseName: string): Promise<Books> {
  const db = client.db(databaseName, { useBigInt64: true });
  const events = (await db.collection<EventRow>('events').find().toArray()).map(fromEventRow);
  const kept: Record<string, Totals> = {};
  const added: Record<string, Totals> = {};
  for (const row of await db.collection<ExperienceRow>('experiences').find().toArray()) {
    const key = `${row._id.a}/${row._id.x}`;
    kept[key] = fromExperienceRow(row);
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
}

function fromEventRow(row: EventRow): BookedEvent {
  return {
    application: row._id.a,
    id: String(row._id.e),
    experienceId: row.x === undefined ? undefined : String(row.x),
    type: row.t,
    version: row.v,
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

function nothing(type: string, version: number): Totals {
  return {
    type,
    version,
    events: 0n,
    input: 0n,
    output: 0n,
    useful: 0n,
    wasted: 0n,
    unpriced: 0n,
    units: {},
    first: undefined,
    last: undefined,
  };
}

function add(totals: Totals, event: BookedEvent): void {
  totals.events += 1n;
  totals.input += event.input;
  totals.output += event.output;
  if (event.useful) totals.useful += event.input + event.output;
  else totals.wasted += event.input + event.output;
  if (event.unpriced) totals.unpriced += 1n;
  for (const { kind, input, output } of event.units) {
    const sum = totals.units[kind] ?? { input: 0n, output: 0n };
    totals.units[kind] = { input: sum.input + input, output: sum.output + output };
  }
  totals.first = Math.min(totals.first ?? event.eventTime, event.eventTime);
  totals.last = Math.max(totals.last ?? event.eventTime, event.eventTime);
}

/** Useful are a success without an operation, and one success of each operation that had any. */
function expectOperations(events: readonly BookedEvent[]): void {
  const successes = new Map<string, BookedEvent[]>();
  for (const event of events) {
    if (event.outcome !== 'SUCCEEDED') expect(event).toMatchObject({ useful: false });
    else if (event.operation === undefined) expect(event).toMatchObject({ useful: true });
    else {
      const operation = `${event.application}/${event.operation}`;
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

/** A decimal text, with or without an exponent, in whole numbers of 10^-18. */
export function units18(amount: { toString(): string }): bigint {
  const [digits = '', exponent = '0'] = amount.toString().split('E');
  const [whole = '', fraction = ''] = digits.replace('-', '').split('.');
  const shift = 18 - fraction.length + Number(exponent);
  if (shift < 0) throw new RangeError(`${amount} is finer than 10^-18`);
  const magnitude = BigInt(whole + fraction) * 10n ** BigInt(shift);
  return digits.startsWith('-') ? -magnitude : magnitude;
}
