import type { Filter } from 'mongodb';
import { etagOf } from '../domain/experience-type.js';
import { Fault, invalidFields } from '../domain/fault.js';
import {
  type ChargedLimit,
  chargedLimit,
  chargedPeriod,
  type Limit,
  type LimitConfig,
  type LimitPeriod,
  type LimitSum,
  limitStateOf,
  nextPeriod,
  sameLimitConfig,
} from '../domain/limit.js';
import type { LimitCharge, LimitStanding } from '../domain/limit-charge.js';
import { formatMoney, type Money } from '../domain/money.js';
import { newUuid } from '../domain/new-uuid.js';
import type { Uuid } from '../domain/uuid.js';
import { fromLimitDocument, limitKey, newLimit, toLimitDocument } from './limit-document.js';
import type { LimitDocument } from './limit-fields.js';
import { type ReadOptions, readCurrentSums, readPeriodSums, readSum } from './limit-sums.js';
import { limitNotFound } from './not-found.js';
import { newerThan, olderThan } from './older-than.js';
import type { Store } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { inTransaction, type Transaction, timeLeftMs } from './transaction.js';

/**
 * Limits in the store: what they are and how they stand. What is charged to them is written with the calls themselves.
 * No write raises the application's revision: whoever decides by a limit reads it in its transaction.
 */
export class Limits {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** A shared limit; the existing one of that name when it has the same content. */
  async create(
    application: string,
    name: string,
    config: LimitConfig,
    deadline: number,
  ): Promise<{ readonly charged: ChargedLimit; readonly alreadyExisted: boolean }> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const existing = await this.#ofName(application, name, transaction);
      if (existing !== undefined) {
        if (!sameLimitConfig(existing, config)) throw alreadyExists(existing);
        return { charged: await this.#charged(application, existing, transaction), alreadyExisted: true };
      }
      const limit = newLimit({ id: newUuid(), name, experienceId: undefined }, config, new Date());
      await this.#store.limits.insertOne(toLimitDocument(application, limit), transaction);
      return { charged: await this.#charged(application, limit, transaction), alreadyExisted: false };
    });
  }

  /** With the past periods that it knows, newest first. */
  async get(
    application: string,
    id: Uuid,
    showDeleted: boolean,
    deadline: number,
  ): Promise<{ readonly charged: ChargedLimit; readonly pastPeriods: readonly LimitPeriod[] }> {
    const options = { maxTimeMS: timeLeftMs(deadline) };
    return withStoreFaults(async () => {
      const limit = await this.#find(application, id, options);
      if (limit === undefined || (limit.deleteTime !== undefined && !showDeleted)) throw limitNotFound(id);
      const sums = await readPeriodSums(this.#store, application, limit, options);
      const past = limit.periods.filter(({ number }) => number !== limit.period);
      return {
        charged: chargedLimit(limit, sums(limit.period)),
        pastPeriods: past.map(({ number }) => chargedPeriod(limit, number, sums(number))).reverse(),
      };
    });
  }

  /** How those stand now that a call was charged to, deleted ones too. */
  async standings(
    application: string,
    charges: readonly LimitCharge[],
    deadline: number,
  ): Promise<readonly LimitStanding[]> {
    if (charges.length === 0) return [];
    return withStoreFaults(async () => {
      const keys = charges.map(({ limitId }) => limitKey(application, limitId));
      const options = { maxTimeMS: timeLeftMs(deadline) };
      const documents = await this.#store.limits.find({ _id: { $in: keys } }, options).toArray();
      const limits = documents.map(fromLimitDocument);
      const sums = await readCurrentSums(this.#store, application, limits, deadline);
      return charges.flatMap(({ limitId }) => {
        const limit = limits.find(({ id }) => id === limitId);
        if (limit === undefined) return [];
        const { spent, held } = sums(limit);
        return [{ limitId, state: limitStateOf(limit, spent), maxCost: limit.maxCost, spent, held }];
      });
    });
  }

  /** Newest first, or as the filter says. */
  async list(
    application: string,
    filter: LimitFilter,
    page: { readonly after: LimitPosition | undefined; readonly skip: number; readonly limit: number },
    deadline: number,
  ): Promise<readonly ChargedLimit[]> {
    const behind = filter.oldestFirst ? newerThan : olderThan;
    const order = filter.oldestFirst ? 1 : -1;
    const query: Filter<LimitDocument> = {
      ...toQuery(application, filter),
      ...(page.after === undefined
        ? {}
        : behind(page.after.createTime, limitKey(application, page.after.id))),
    };
    return withStoreFaults(async () => {
      const documents = await this.#store.limits
        .find(query, {
          sort: { c: order, _id: order },
          skip: page.skip,
          limit: page.limit,
          hint: indexFor(filter),
          maxTimeMS: timeLeftMs(deadline),
        })
        .toArray();
      const limits = documents.map(fromLimitDocument);
      const sums = await readCurrentSums(this.#store, application, limits, deadline);
      return limits.map((limit) => chargedLimit(limit, sums(limit)));
    });
  }

  /** How many a list has on all its pages, counted up to {@link LIMITS_COUNTED_MAX}. */
  async count(application: string, filter: LimitFilter, deadline: number): Promise<number> {
    return withStoreFaults(() =>
      this.#store.limits.countDocuments(toQuery(application, filter), {
        hint: indexFor(filter),
        limit: LIMITS_COUNTED_MAX,
        maxTimeMS: timeLeftMs(deadline),
      }),
    );
  }

  /** Refuses a new maximum that is below what is spent; what calls hold beside does not count. */
  async update(
    application: string,
    id: Uuid,
    change: LimitChange,
    etag: string | undefined,
    deadline: number,
  ): Promise<ChargedLimit> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const before = await this.#live(application, id, transaction);
      checkEtag(before, etag);
      const { name = before.name, maxCost = before.maxCost } = change;
      if (name !== before.name) await this.#checkNewName(application, before, name, transaction);
      const sum = await readSum(this.#store, application, before, transaction);
      if (maxCost !== before.maxCost && maxCost < sum.spent) throw maxBelowSpend(before, maxCost, sum);
      const after = await this.#replace(application, { ...before, ...change }, new Date(), transaction);
      return chargedLimit(after, sum);
    });
  }

  /** A maximum that is not above the present one changes nothing: of two raises at once the higher one stays. */
  async raise(application: string, id: Uuid, maxCost: Money, deadline: number): Promise<ChargedLimit> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const before = await this.#live(application, id, transaction);
      if (maxCost <= before.maxCost) return this.#charged(application, before, transaction);
      const sum = await readSum(this.#store, application, before, transaction);
      if (maxCost < sum.spent) throw maxBelowSpend(before, maxCost, sum);
      const after = await this.#replace(application, { ...before, maxCost }, new Date(), transaction);
      return chargedLimit(after, sum);
    });
  }

  /** The same request id again answers the period that it ended, as long as that one is known. */
  async reset(
    application: string,
    id: Uuid,
    requestId: string | undefined,
    deadline: number,
  ): Promise<LimitReset> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const before = await this.#live(application, id, transaction);
      // The oldest known period was begun by a reset whose ended period is known no more.
      const begun = before.periods
        .slice(1)
        .find((period) => period.requestId !== undefined && period.requestId === requestId);
      const now = new Date();
      const after =
        begun === undefined
          ? await this.#replace(application, nextPeriod(before, now, requestId), now, transaction)
          : before;
      const sums = await readPeriodSums(this.#store, application, after, transaction);
      const ended = (begun?.number ?? after.period) - 1;
      return {
        charged: chargedLimit(after, sums(after.period)),
        endedPeriod: chargedPeriod(after, ended, sums(ended)),
        duplicate: begun !== undefined,
      };
    });
  }

  /** A deleted limit stays as it is, so that the call can be repeated. */
  async delete(
    application: string,
    id: Uuid,
    etag: string | undefined,
    deadline: number,
  ): Promise<ChargedLimit> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const limit = await this.#find(application, id, transaction);
      if (limit === undefined) throw limitNotFound(id);
      if (limit.deleteTime !== undefined) return this.#charged(application, limit, transaction);
      checkEtag(limit, etag);
      const now = new Date();
      const after = await this.#replace(application, { ...limit, deleteTime: now }, now, transaction);
      return this.#charged(application, after, transaction);
    });
  }

  async #replace(application: string, limit: Limit, now: Date, transaction: Transaction): Promise<Limit> {
    const after = { ...limit, revision: limit.revision + 1, updateTime: now };
    const document = toLimitDocument(application, after);
    await this.#store.limits.replaceOne({ _id: document._id }, document, transaction);
    return after;
  }

  async #checkNewName(
    application: string,
    limit: Limit,
    name: string,
    transaction: Transaction,
  ): Promise<void> {
    if (limit.experienceId !== undefined) {
      const description = 'cannot change: the limit is the own one of an experience';
      throw invalidFields([{ field: 'name', description }]);
    }
    const taken = await this.#ofName(application, name, transaction);
    if (taken !== undefined) throw alreadyExists(taken);
  }

  async #charged(application: string, limit: Limit, transaction: Transaction): Promise<ChargedLimit> {
    return chargedLimit(limit, await readSum(this.#store, application, limit, transaction));
  }

  async #live(application: string, id: Uuid, transaction: Transaction): Promise<Limit> {
    const limit = await this.#find(application, id, transaction);
    if (limit === undefined || limit.deleteTime !== undefined) throw limitNotFound(id);
    return limit;
  }

  async #find(application: string, id: Uuid, options: ReadOptions): Promise<Limit | undefined> {
    const document = await this.#store.limits.findOne({ _id: limitKey(application, id) }, options);
    return document === null ? undefined : fromLimitDocument(document);
  }

  /** The shared limit that has the name now. */
  async #ofName(application: string, name: string, transaction: Transaction): Promise<Limit | undefined> {
    const document = await this.#store.limits.findOne({ '_id.a': application, nk: name }, transaction);
    return document === null ? undefined : fromLimitDocument(document);
  }
}

export interface LimitFilter {
  readonly name: string | undefined;
  /** Only limits that have all of them. */
  readonly tags: readonly string[];
  readonly showDeleted: boolean;
  /** Whether the own limits of experiences are among them. */
  readonly showOwned: boolean;
  readonly oldestFirst: boolean;
}

/** How far a list counts and leaves out. */
export const LIMITS_COUNTED_MAX = 100_000;

/** Where a page of limits ends. */
export interface LimitPosition {
  readonly createTime: Date;
  readonly id: Uuid;
}

/** What is absent stays as it is. */
export type LimitChange = Partial<Pick<Limit, 'name' | 'maxCost' | 'threshold' | 'tags'>>;

export interface LimitReset {
  readonly charged: ChargedLimit;
  /** The one before the period that the request began. */
  readonly endedPeriod: LimitPeriod;
  readonly duplicate: boolean;
}

function toQuery(
  application: string,
  { name, tags, showOwned, showDeleted }: LimitFilter,
): Filter<LimitDocument> {
  return {
    '_id.a': application,
    ...(name === undefined ? {} : { n: name }),
    // MongoDB reads an index of lists by one value; by the others it picks.
    ...(tags.length === 0 ? {} : { tg: { $all: [...tags] } }),
    ...(showOwned ? {} : { s: true as const }),
    ...(showDeleted ? {} : { d: { $exists: false } }),
  };
}

/** The index that has the limits in the order of the list; left to itself MongoDB may sort them in memory. */
function indexFor({ name, tags, showOwned }: LimitFilter): string {
  if (name !== undefined) return 'by_name';
  if (tags.length > 0) return showOwned ? 'by_tag' : 'shared_by_tag';
  return showOwned ? 'by_time' : 'shared_by_time';
}

function checkEtag(limit: Limit, etag: string | undefined): void {
  const current = etagOf(limit);
  if (etag === undefined || etag === current) return;
  throw new Fault('ETAG_MISMATCH', `The limit '${limit.id}' has changed; its etag is now ${current}.`, {
    metadata: { limit_id: limit.id, current_etag: current },
  });
}

function alreadyExists({ id, name }: Limit): Fault {
  return new Fault('LIMIT_ALREADY_EXISTS', `There is another limit '${name}'.`, {
    metadata: { limit_id: id, limit_name: name },
  });
}

function maxBelowSpend({ id }: Limit, maxCost: Money, { spent }: LimitSum): Fault {
  const [max, spend] = [formatMoney(maxCost), formatMoney(spent)];
  return new Fault(
    'LIMIT_MAX_BELOW_SPEND',
    `The limit '${id}' cannot be ${max}: ${spend} is spent in its current period.`,
    { metadata: { limit_id: id, max_cost: max, spent_cost: spend } },
  );
}
