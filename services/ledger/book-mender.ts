import type { AnyBulkWriteOperation, Document, Filter } from 'mongodb';
import { newUuid } from '../domain/new-uuid.js';
import type { ExperienceFinding } from './check-experiences.js';
import type { HistogramFinding } from './check-histograms.js';
import { LIMIT_FIELDS, type LimitFinding } from './check-limits.js';
import type { FlagFinding } from './check-operations.js';
import type { ReservationFinding } from './check-reservations.js';
import type { RollupFinding } from './check-rollups.js';
import { eventIdText } from './checked-event.js';
import type {
  EventDocument,
  ExperienceDocument,
  HistogramDocument,
  RepairDocument,
  ReservationDocument,
  RollupDocument,
} from './documents.js';
import { type FieldDifference, Figures, figureText, foundText, SUM_FIELDS, toStored } from './figures.js';
import { LANES_MAX } from './lane-leases.js';
import { DECIDING_LANE, limitLane } from './limit-document.js';
import type { LimitSumDocument } from './limit-fields.js';
import { writeGuards } from './operation-guards.js';
import type { SchemaLease } from './schema-lease.js';
import { type Store, toBinary } from './store.js';
import { inTransaction, type Transaction } from './transaction.js';

/**
 * Mends what a check has found, each batch in one transaction under the lease. What a figure is off by is added to it, so
 * that recording goes on meanwhile; what cannot be added to is set if nothing has moved since it was read. Each method
 * answers whether all of it was mended; if not, nothing was, and what was found must be looked at anew.
 */
export class BookMender {
  readonly #store: Store;
  readonly #application: string;
  readonly #lease: SchemaLease;
  /** Whether a row is kept of each repair. */
  readonly #audited: boolean;

  constructor(store: Store, application: string, lease: SchemaLease, options: { readonly audited: boolean }) {
    this.#store = store;
    this.#application = application;
    this.#lease = lease;
    this.#audited = options.audited;
  }

  async experiences(findings: readonly ExperienceFinding[]): Promise<boolean> {
    return this.#mend(async (transaction) => {
      await this.#markEvents(
        findings.flatMap(({ flags }) => flags),
        transaction,
      );
      const operations = findings.flatMap(experienceUpdates);
      if (operations.length > 0) {
        const { matchedCount } = await this.#store.experiences.bulkWrite(operations, transaction);
        if (matchedCount !== operations.length) throw new Moved();
      }
      await this.#note(
        findings.map(({ document, fields }) => this.#row('experience', document._id, fields)),
        transaction,
      );
    });
  }

  /**
   * The states of reservations only: what they hold is mended where it is held. Their events are written to, for a late
   * record that meets a reservation in its right state writes to its event alone.
   */
  async reservations(findings: readonly ReservationFinding[]): Promise<boolean> {
    return this.#mend(async (transaction) => {
      const states = findings.map(({ reservation: { document }, state }) => ({
        updateOne: { filter: { _id: document._id, s: document.s }, update: { $set: { s: state } } },
      })) as AnyBulkWriteOperation<ReservationDocument>[];
      const { matchedCount } = await this.#store.reservations.bulkWrite(states, transaction);
      if (matchedCount !== states.length) throw new Moved();
      const marks = findings.map(({ reservation: { document }, settlement }) => ({
        updateOne: {
          filter: { _id: document._id, se: asFound(settlement) },
          update: { $set: { mending: true } },
        },
      })) as unknown as AnyBulkWriteOperation<EventDocument>[];
      const marked = await this.#store.events.bulkWrite(marks, transaction);
      if (marked.matchedCount !== marks.length) throw new Moved();
      const keys = findings.map(({ reservation }) => reservation.document._id);
      await this.#store.events.updateMany(
        { _id: { $in: keys } },
        { $unset: { mending: '' } } as Document,
        transaction,
      );
      await this.#note(
        findings.map(({ reservation: { document }, state }) =>
          this.#rowOf('reservation', document._id, [{ f: 's', e: state, w: document.s }]),
        ),
        transaction,
      );
    });
  }

  /** Of blocking limits where their decisions look. */
  async limits(findings: readonly LimitFinding[]): Promise<boolean> {
    return this.#mend(async (transaction) => {
      for (const document of findings.flatMap(({ emptied }) => emptied)) {
        const filter = unchanged(document) as Filter<LimitSumDocument>;
        const charges = { sp: '', si: '', ho: '', un: '', n: '' } as const;
        const { matchedCount } = await this.#store.limitSums.updateOne(
          filter,
          { $unset: charges },
          transaction,
        );
        if (matchedCount !== 1) throw new Moved();
      }
      const operations = findings.map((finding) => ({
        updateOne: {
          filter: { _id: this.#limitSumKey(finding) },
          update: { $inc: limitIncrements(finding) },
          upsert: true,
        },
      })) as AnyBulkWriteOperation<LimitSumDocument>[];
      await this.#store.limitSums.bulkWrite(operations, transaction);
      await this.#note(
        findings.map(({ limit: i, period: p, fields }) =>
          this.#row('limit', { a: this.#application, i, p }, fields),
        ),
        transaction,
      );
    });
  }

  #limitSumKey({ limit, period, blocking }: LimitFinding): LimitSumDocument['_id'] {
    return { a: this.#application, i: limit, p: period, l: blocking ? DECIDING_LANE : LIMIT_REPAIR_LANE };
  }

  /** Of events that belong to no experience. */
  async flags(flags: readonly FlagFinding[]): Promise<boolean> {
    return this.#mend(async (transaction) => {
      await this.#checkAlone(flags, transaction);
      await this.#markEvents(flags, transaction);
    });
  }

  /** A success that was recorded since has its operation's mark; one that is being recorded meets the guard. */
  async #checkAlone(flags: readonly FlagFinding[], transaction: Transaction): Promise<void> {
    const application = this.#application;
    const operations = flags.map(({ event }) => ({
      application,
      event: { experienceId: undefined, operationKey: event.document.op },
    }));
    await writeGuards(this.#store, operations, transaction);
    const hashes = flags.flatMap(({ uo }) => (uo === undefined ? [] : [uo]));
    const filter = { '_id.a': application, uo: { $in: hashes } };
    const marked = await this.#store.events.find(filter, transaction).toArray();
    const known = new Set(flags.map(({ event }) => event.id));
    if (marked.some(({ _id }) => !known.has(eventIdText(_id)))) throw new Moved();
  }

  async rollups(findings: readonly RollupFinding[]): Promise<boolean> {
    return this.#mend(async (transaction) => {
      for (const document of findings.flatMap(({ unreadable }) => unreadable)) {
        const filter = unchanged(document) as Filter<RollupDocument>;
        const { deletedCount } = await this.#store.rollups.deleteOne(filter, transaction);
        if (deletedCount !== 1) throw new Moved();
      }
      const operations = findings.map(({ key: { a, g, t, v, h, p, m }, ...finding }) => ({
        updateOne: {
          filter: { _id: { a, g, t, v, h, p, m, l: REPAIR_LANE } },
          update: { $inc: increments(finding, SUM_FIELDS) },
          upsert: true,
        },
      })) as AnyBulkWriteOperation<RollupDocument>[];
      await this.#store.rollups.bulkWrite(operations, transaction);
      await this.#note(
        findings.map(({ key, fields }) => this.#row('rollup', key, fields)),
        transaction,
      );
    });
  }

  async histogram({ place: { t, v }, ...finding }: HistogramFinding): Promise<boolean> {
    const key = { a: this.#application, t, v };
    return this.#mend(async (transaction) => {
      for (const document of finding.unreadable) {
        const filter = unchanged(document) as Filter<HistogramDocument>;
        const { deletedCount } = await this.#store.histograms.deleteOne(filter, transaction);
        if (deletedCount !== 1) throw new Moved();
      }
      await this.#store.histograms.updateOne(
        { _id: { ...key, l: REPAIR_LANE } },
        { $inc: increments(finding, ['n', 's']) } as Document,
        { ...transaction, upsert: true },
      );
      await this.#note([this.#row('histogram', key, finding.fields)], transaction);
    });
  }

  async #markEvents(flags: readonly FlagFinding[], transaction: Transaction): Promise<void> {
    if (flags.length === 0) return;
    const operations = flags.map(({ event, useful, uo }): AnyBulkWriteOperation<EventDocument> => {
      const { us, uo: found } = event.document;
      const gone = { ...(useful ? {} : { us: '' }), ...(uo === undefined ? { uo: '' } : {}) };
      const set = { ...(useful ? { us: true } : {}), ...(uo === undefined ? {} : { uo }) };
      return {
        updateOne: {
          filter: { _id: event.key, us: asFound(us), uo: asFound(found) } as Filter<EventDocument>,
          update: {
            ...(Object.keys(set).length === 0 ? {} : { $set: set }),
            ...(Object.keys(gone).length === 0 ? {} : { $unset: gone }),
          } as Document,
        },
      };
    });
    const { matchedCount } = await this.#store.events.bulkWrite(operations, transaction);
    if (matchedCount !== operations.length) throw new Moved();
    const rows = flags.map(({ event, useful, uo }) =>
      this.#rowOf('event', event.key, [
        { f: 'us', e: String(useful), w: String(event.useful) },
        { f: 'uo', e: uo?.toString('hex') ?? '', w: event.document.uo?.toString('hex') ?? '' },
      ]),
    );
    await this.#note(rows, transaction);
  }

  async #mend(body: (transaction: Transaction) => Promise<void>): Promise<boolean> {
    try {
      await inTransaction(this.#store, Date.now() + MEND_TIME_MAX_MS, async (transaction) => {
        await this.#lease.fence(transaction);
        await body(transaction);
      });
      return true;
    } catch (error) {
      if (error instanceof Moved) return false;
      throw error;
    }
  }

  async #note(rows: readonly RepairDocument[], transaction: Transaction): Promise<void> {
    const told = rows.filter(({ g }) => g.length > 0);
    if (this.#audited && told.length > 0) await this.#store.repairs.insertMany(told, transaction);
  }

  #row(what: RepairDocument['w'], key: object, fields: readonly FieldDifference[]): RepairDocument {
    const figures = fields.map((difference) => ({
      f: difference.field,
      e: figureText(difference.field, difference.expected),
      w: foundText(difference),
    }));
    return this.#rowOf(what, key, figures);
  }

  #rowOf(what: RepairDocument['w'], key: object, figures: RepairDocument['g']): RepairDocument {
    return {
      _id: { a: this.#application, i: toBinary(newUuid()) },
      c: new Date(),
      w: what,
      k: key,
      g: figures,
    };
  }
}

/** Something that was to be set has moved since it was read. */
class Moved extends Error {}

function experienceUpdates(finding: ExperienceFinding): AnyBulkWriteOperation<ExperienceDocument>[] {
  const { document, expected, fields, flags } = finding;
  const filter: Document = {};
  const [inc, set, unset]: [Document, Document, Document] = [{}, {}, {}];
  const allUnits = fields.some(({ field }) => field === 'un');
  if (allUnits) {
    filter.un = asFound(document.un);
    set.un = unitsOf(expected);
  }
  for (const { field, expected: wanted, found, unreadable } of fields) {
    if (field === 'un' || (allUnits && field.startsWith('un.'))) continue;
    const kind = /^un\.(.+)\.[io]$/.exec(field)?.[1];
    if (kind !== undefined && !expected.hasAny(`un.${kind}.`)) {
      filter[`un.${kind}`] = asFound(fieldOf(document, `un.${kind}`));
      unset[`un.${kind}`] = '';
      continue;
    }
    const canAdd = wanted !== undefined && found !== undefined && unreadable === undefined;
    if (canAdd && field !== 'f' && field !== 'l') {
      inc[field] = toStored(field, wanted - found);
      continue;
    }
    filter[field] = asFound(unreadable === undefined ? fieldOf(document, field) : unreadable.found);
    if (wanted === undefined) unset[field] = '';
    else set[field] = toStored(field, wanted);
  }
  pairUnits(inc, set);
  const bound = flags.length > 0 || Object.keys(filter).length > 0;
  // Whatever is recorded, reserved, settled or repriced moves one of these, so they tell whether anything has.
  const all = bound ? MOVING.map((field) => [field, asFound(document[field])] as const) : [];
  const still = { _id: document._id, ...Object.fromEntries(all), ...filter };
  const update = {
    ...(Object.keys(inc).length > 0 ? { $inc: inc } : {}),
    ...(Object.keys(set).length > 0 ? { $set: set } : {}),
    ...(Object.keys(unset).length > 0 ? { $unset: unset } : {}),
  };
  const own = Object.keys(update).length > 0 ? [{ updateOne: { filter: still, update } }] : [];
  if (flags.length === 0) return own as AnyBulkWriteOperation<ExperienceDocument>[];
  // A write that changes nothing is none to the server; this one makes whoever records to the experience conflict.
  const mark = { updateOne: { filter: still, update: { $set: { mending: true } } } };
  const unmark = { updateOne: { filter: { _id: document._id }, update: { $unset: { mending: '' } } } };
  return [mark, ...own, unmark] as AnyBulkWriteOperation<ExperienceDocument>[];
}

function unitsOf(figures: Figures): Record<string, { i: bigint; o: bigint }> {
  const units: Record<string, { i: bigint; o: bigint }> = {};
  for (const [field, count] of figures.entries()) {
    const [un, kind, direction] = field.split('.');
    if (un !== 'un' || kind === undefined) continue;
    const known = units[kind] ?? { i: 0n, o: 0n };
    units[kind] = direction === 'i' ? { ...known, i: count } : { ...known, o: count };
  }
  return units;
}

/** What to add for the sum over all lanes to be right; the documents that cannot be read are gone then. */
function increments(
  { fields, lost }: { readonly fields: readonly FieldDifference[]; readonly lost: Figures },
  always: readonly string[],
): Record<string, unknown> {
  const deltas = new Figures();
  for (const field of always) deltas.add(field, 0n);
  for (const [field, value] of lost.entries()) deltas.add(field, value);
  for (const { field, expected = 0n, found = 0n } of fields)
    if (field !== 'un') deltas.add(field, expected - found);
  const inc = Object.fromEntries(
    [...deltas.entries()].map(([field, delta]) => [field, toStored(field, delta)]),
  );
  pairUnits(inc, {});
  return inc;
}

/** The same in the fields of a limit's sums. */
function limitIncrements(finding: LimitFinding): Record<string, unknown> {
  const names = Object.entries(LIMIT_FIELDS);
  const deltas = increments(
    finding,
    names.map(([name]) => name),
  );
  return Object.fromEntries(names.map(([name, field]) => [field, deltas[name]]));
}

/** A unit kind has both its counts or is not there: what adds to one of them makes the other too. */
function pairUnits(inc: Record<string, unknown>, set: Record<string, unknown>): void {
  for (const field of Object.keys(inc)) {
    const kind = /^un\.(.+)\.[io]$/.exec(field)?.[1];
    if (kind === undefined) continue;
    for (const count of [`un.${kind}.i`, `un.${kind}.o`])
      if (!(count in inc) && !(count in set)) inc[count] = 0n;
  }
}

/** A filter that finds the document only if it is as it was read. */
function unchanged(document: { readonly _id: object }): Document {
  return Object.fromEntries(
    Object.entries(document).map(([field, value]) => [field, field === '_id' ? value : asFound(value)]),
  );
}

function asFound(value: unknown): Document {
  return value === undefined ? { $exists: false } : { $eq: value };
}

/** By the path of a field. */
function fieldOf(document: object, field: string): unknown {
  return field
    .split('.')
    .reduce<unknown>((value, part) => (value as Record<string, unknown> | undefined)?.[part], document);
}

const MOVING = ['n', 'ci', 'co', 'up', 'hn', 'uc', 'uq'] as const;
/** The last that processes charge in, for some readers ask for those alone: it is the least used. */
const LIMIT_REPAIR_LANE = limitLane(LANES_MAX - 1);
/** No process records in it: theirs are 0 to 31. */
const REPAIR_LANE = LANES_MAX;
const MEND_TIME_MAX_MS = 30_000;
