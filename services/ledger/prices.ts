import { isDeepStrictEqual } from 'node:util';
import type { Filter } from 'mongodb';
import { Fault, invalidFields } from '../domain/fault.js';
import { newUuid } from '../domain/new-uuid.js';
import type { Uuid } from '../domain/uuid.js';
import type { Price } from '../pricing/price.js';
import { laterPriceFirst, priceInForce } from '../pricing/price-order.js';
import { raiseRevision } from './experience-types.js';
import { fromPriceDocument, toPriceDocument } from './price-document.js';
import type { PriceDocument } from './price-fields.js';
import { type Store, toBinary } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { inTransaction, type Transaction, timeLeftMs } from './transaction.js';

/** Prices in the store: appended, never edited. */
export class Prices {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The same id with the same content again answers the first result; a date takes part if the caller stated one. */
  async append(
    application: string,
    price: Price,
    stated: { readonly effectiveTime: boolean },
    deadline: number,
  ): Promise<Price> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const existing = await this.#find(application, price.id, transaction);
      if (existing !== undefined) {
        const sameDate = existing.effectiveTime?.getTime() === price.effectiveTime?.getTime();
        if (sameFacts(existing, price) && (sameDate || !stated.effectiveTime)) return existing;
        throw invalidFields([{ field: 'price_id', description: 'is the id of another price' }]);
      }
      await this.#insert(application, price, transaction);
      return price;
    });
  }

  /**
   * Appends the end of an own price, unless it has one: at the very time if one is given, else at any that has come. What
   * another own price has already ended is refused: a second end would switch that other price off.
   */
  async retire(
    application: string,
    id: Uuid,
    retireTime: Date | undefined,
    now: Date,
    deadline: number,
  ): Promise<Price> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const price = await this.#find(application, id, transaction);
      if (price === undefined || price.source !== 'application' || price.retired) throw ownPriceNotFound(id);
      const effectiveTime = retireTime ?? now;
      if (price.effectiveTime !== undefined && effectiveTime < price.effectiveTime) {
        throw invalidFields([
          { field: 'retire_time', description: "is before the price's own effective_time" },
        ]);
      }
      const isOver = ({ effectiveTime: time = now }: Price) =>
        retireTime === undefined ? time <= now : time.getTime() === retireTime.getTime();
      const latestFirst = await this.#ofModel(application, price, transaction);
      const known = latestFirst.findLast(
        (end) => end.retired && laterPriceFirst(end, price) < 0 && isOver(end),
      );
      if (known !== undefined) return known;
      const inForce = priceInForce(latestFirst, effectiveTime);
      if (inForce !== undefined && !inForce.retired && inForce.id !== price.id) throw endedBy(inForce);
      const end: Price = {
        ...price,
        id: newUuid(),
        effectiveTime,
        rates: new Map(),
        retired: true,
        createTime: now,
      };
      await this.#insert(application, end, transaction);
      return end;
    });
  }

  /**
   * Ends what own prices of a model are in force or still to come, each at its start or now; at most
   * {@link RETIRED_AT_ONCE_MAX}, the earliest first.
   */
  async retireModel(
    application: string,
    { provider, model }: Pick<Price, 'provider' | 'model'>,
    now: Date,
    deadline: number,
  ): Promise<readonly RetiredPrice[]> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const latestFirst = await this.#ofModel(application, { provider, model }, transaction);
      const starts = [now, ...latestFirst.flatMap(({ effectiveTime }) => effectiveTime ?? []).reverse()];
      const retired: RetiredPrice[] = [];
      for (const time of starts) {
        const price = priceInForce(latestFirst, time);
        if (time < now || price === undefined || price.retired) continue;
        if (retired.some((known) => known.price.id === price.id)) continue;
        if (retired.length === RETIRED_AT_ONCE_MAX) break;
        retired.push({ price, retireTime: time });
      }
      for (const { price, retireTime } of retired) {
        const end = { id: newUuid(), effectiveTime: retireTime, rates: new Map(), retired: true };
        await this.#insert(application, { ...price, ...end, createTime: now }, transaction);
      }
      return retired;
    });
  }

  /** Of the application, else of the catalogue. */
  async get(application: string, id: Uuid, deadline: number): Promise<Price> {
    const options = { maxTimeMS: timeLeftMs(deadline) };
    const price = await withStoreFaults(() => this.#find(application, id, options));
    if (price === undefined) throw priceNotFound(id);
    return price;
  }

  /** The own prices before those of the catalogue; each by provider, model, date. */
  async list(
    application: string,
    filter: PriceFilter,
    page: { readonly after: PricePosition | undefined; readonly limit: number },
    deadline: number,
  ): Promise<readonly Price[]> {
    const owners = [
      ...(filter.source === 'catalogue' ? [] : [application]),
      ...(filter.source === 'application' ? [] : ['']),
    ];
    const found: Price[] = [];
    for (const owner of owners) {
      if (found.length >= page.limit) break;
      const after = page.after?.owner === owner ? page.after : undefined;
      if (page.after !== undefined && page.after.owner === '' && owner !== '') continue;
      const query: Filter<PriceDocument> = {
        '_id.a': owner,
        ...(filter.provider === undefined ? {} : { p: filter.provider }),
        ...(filter.model === undefined ? {} : { ml: filter.model.toLowerCase() }),
        ...(after === undefined ? {} : { $or: afterPosition(after) }),
      };
      const documents = await withStoreFaults(() =>
        this.#store.prices
          .find(query, {
            sort: { p: 1, ml: 1, q: 1, c: 1, _id: 1 },
            limit: page.limit - found.length,
            maxTimeMS: timeLeftMs(deadline),
          })
          .toArray(),
      );
      found.push(...documents.map(fromPriceDocument));
    }
    return found;
  }

  async #insert(application: string, price: Price, transaction: Transaction): Promise<void> {
    const count = await this.#store.prices.countDocuments({ '_id.a': application }, transaction);
    if (count >= PRICES_MAX)
      throw new Fault('APPLICATION_FULL', `An application has at most ${PRICES_MAX} prices.`);
    await this.#store.prices.insertOne(toPriceDocument(application, price), transaction);
    await raiseRevision(this.#store, application, transaction);
  }

  /** The own prices of a price's model, their ends among them, in the order of {@link laterPriceFirst}. */
  async #ofModel(
    application: string,
    { provider, model }: Pick<Price, 'provider' | 'model'>,
    transaction: Transaction,
  ): Promise<readonly Price[]> {
    const filter = { '_id.a': application, p: provider, ml: model.toLowerCase() };
    const documents = await this.#store.prices.find(filter, transaction).toArray();
    return documents.map(fromPriceDocument).sort(laterPriceFirst);
  }

  async #find(
    application: string,
    id: Uuid,
    options: Transaction | { readonly maxTimeMS: number },
  ): Promise<Price | undefined> {
    const p = toBinary(id);
    const documents = await this.#store.prices
      .find(
        {
          _id: {
            $in: [
              { a: application, p },
              { a: '', p },
            ],
          },
        },
        options,
      )
      .toArray();
    const document = documents.find(({ _id }) => _id.a === application) ?? documents[0];
    return document === undefined ? undefined : fromPriceDocument(document);
  }
}

/** An own price, and from when on it applies no longer. */
export interface RetiredPrice {
  readonly price: Price;
  readonly retireTime: Date;
}

export interface PriceFilter {
  readonly provider: string | undefined;
  readonly model: string | undefined;
  readonly source: Price['source'] | undefined;
}

/** Where a page of prices ends; `owner` is empty for the catalogue. */
export interface PricePosition {
  readonly owner: string;
  readonly provider: string;
  readonly model: string;
  readonly effectiveTime: Date | undefined;
  readonly createTime: Date;
  readonly id: Uuid;
}

/** Comparisons in the store do not cross types: a date that is absent sorts first and is compared by its absence. */
function afterPosition(after: PricePosition): Filter<PriceDocument>[] {
  const model = { p: after.provider, ml: after.model.toLowerCase() };
  const date = { ...model, q: after.effectiveTime ?? null } as Filter<PriceDocument>;
  return [
    { p: { $gt: after.provider } },
    { p: after.provider, ml: { $gt: after.model.toLowerCase() } },
    after.effectiveTime === undefined
      ? { ...model, q: { $exists: true } }
      : { ...model, q: { $gt: after.effectiveTime } },
    { ...date, c: { $gt: after.createTime } },
    { ...date, c: after.createTime, _id: { $gt: { a: after.owner, p: toBinary(after.id) } } },
  ];
}

function sameFacts(a: Price, b: Price): boolean {
  return (
    a.provider === b.provider &&
    a.model === b.model &&
    a.retired === b.retired &&
    a.source === b.source &&
    isDeepStrictEqual(a.rates, b.rates)
  );
}

/** What can be retired: a price of the catalogue goes by a price of one's own, an end by itself. */
function ownPriceNotFound(id: string): Fault {
  return new Fault(
    'PRICE_NOT_FOUND',
    `The application has no price '${id}' of its own that could be retired.`,
    {
      metadata: { price_id: id },
    },
  );
}

function endedBy({ id, effectiveTime }: Price): Fault {
  const since = effectiveTime === undefined ? '' : ` from ${effectiveTime.toISOString()} on`;
  const description = `is already ended by the price ${id}${since}; retire that one`;
  return invalidFields([{ field: 'price_id', description }]);
}

function priceNotFound(id: string): Fault {
  return new Fault('PRICE_NOT_FOUND', `There is no price '${id}' of this application or the catalogue.`, {
    metadata: { price_id: id },
  });
}

const PRICES_MAX = 20_000;
/** Of one transaction. */
const RETIRED_AT_ONCE_MAX = 1_000;
