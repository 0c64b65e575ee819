import {
  type ExperienceType,
  type ExperienceTypeContent,
  type ExperienceTypeVersion,
  etagOf,
  sameContent,
} from '../domain/experience-type.js';
import { Fault } from '../domain/fault.js';
import type { TypeDocument } from './documents.js';
import { toLimitConfigFields } from './limit-document.js';
import { typeNotFound } from './not-found.js';
import type { Store } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { inTransaction, type Transaction, timeLeftMs } from './transaction.js';
import { fromTypeDocument, typeKeysOf } from './type-document.js';
import { versionOf } from './version-of.js';

/** Experience types in the store. Every write raises the application's revision in the same transaction. */
export class ExperienceTypes {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The existing type when it has the same content. */
  async create(
    application: string,
    name: string,
    content: ExperienceTypeContent,
    deadline: number,
  ): Promise<{ readonly type: ExperienceType; readonly alreadyExisted: boolean }> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const existing = await this.#find(application, name, transaction);
      if (existing !== undefined) {
        const type = fromTypeDocument(existing);
        if (type.deleteTime === undefined && sameContent(type, content))
          return { type, alreadyExisted: true };
        const why =
          type.deleteTime === undefined
            ? 'with other content'
            : 'and is deleted; UndeleteExperienceType, or `experiences types undelete`, brings it back';
        throw new Fault('EXPERIENCE_TYPE_ALREADY_EXISTS', `The experience type '${name}' exists ${why}.`, {
          metadata: { experience_type: name },
        });
      }
      const count = await this.#store.types.countDocuments({ _id: typeKeysOf(application) }, transaction);
      if (count >= TYPES_MAX)
        throw new Fault('APPLICATION_FULL', `An application has at most ${TYPES_MAX} experience types.`);
      const now = new Date();
      const document: TypeDocument = {
        _id: { a: application, n: name },
        ds: content.description,
        v: 1,
        ...(content.workflowType === undefined ? {} : { wf: content.workflowType }),
        ...(content.taskQueue === undefined ? {} : { tq: content.taskQueue }),
        ...(content.limitConfig === undefined ? {} : { lc: toLimitConfigFields(content.limitConfig) }),
        ...(content.loggingDisabled ? { ld: true } : {}),
        r: 1,
        c: now,
        u: now,
        vs: [{ v: 1, c: now }],
      };
      await this.#store.types.insertOne(document, transaction);
      await raiseRevision(this.#store, application, transaction);
      return { type: fromTypeDocument(document), alreadyExisted: false };
    });
  }

  async get(
    application: string,
    name: string,
    showDeleted: boolean,
    deadline: number,
  ): Promise<ExperienceType> {
    const document = await this.#read(application, name, deadline);
    if (document === undefined || (document.d !== undefined && !showDeleted)) throw typeNotFound(name);
    return fromTypeDocument(document);
  }

  /** The version of a type that is asked for; undefined asks for the current one. */
  async version(
    application: string,
    name: string,
    wanted: number | undefined,
    showDeleted: boolean,
    deadline: number,
  ): Promise<number> {
    return versionOf(await this.get(application, name, showDeleted, deadline), wanted);
  }

  /** In the order of names, or from the last to the first; what comes behind `after` in that order. */
  async list(
    application: string,
    options: {
      readonly after: string | undefined;
      readonly descending: boolean;
      readonly limit: number;
      readonly showDeleted: boolean;
    },
    deadline: number,
  ): Promise<readonly ExperienceType[]> {
    const { after, descending } = options;
    const place = after === undefined ? {} : { [descending ? 'before' : 'after']: after };
    const filter = {
      _id: typeKeysOf(application, place),
      ...(options.showDeleted ? {} : { d: { $exists: false } }),
    };
    const documents = await withStoreFaults(() =>
      this.#store.types
        .find(filter, {
          sort: { _id: descending ? -1 : 1 },
          limit: options.limit,
          maxTimeMS: timeLeftMs(deadline),
        })
        .toArray(),
    );
    return documents.map(fromTypeDocument);
  }

  async update(
    application: string,
    name: string,
    change: Partial<ExperienceTypeContent>,
    etag: string | undefined,
    deadline: number,
  ): Promise<ExperienceType> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const document = await this.#live(application, name, transaction);
      checkEtag(document, etag);
      const changed = {
        ...document,
        ...(change.description === undefined ? {} : { ds: change.description }),
        ...('workflowType' in change ? optional('wf', change.workflowType) : {}),
        ...('taskQueue' in change ? optional('tq', change.taskQueue) : {}),
        ...('limitConfig' in change
          ? optional('lc', change.limitConfig && toLimitConfigFields(change.limitConfig))
          : {}),
        ...('loggingDisabled' in change ? optional('ld', change.loggingDisabled || undefined) : {}),
        u: new Date(),
      };
      return this.#replace(document, changed, transaction);
    });
  }

  /** A deleted type stays as it is, so that the call can be repeated. */
  async delete(
    application: string,
    name: string,
    etag: string | undefined,
    deadline: number,
  ): Promise<ExperienceType> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const document = await this.#find(application, name, transaction);
      if (document === undefined) throw typeNotFound(name);
      if (document.d !== undefined) return fromTypeDocument(document);
      checkEtag(document, etag);
      const now = new Date();
      return this.#replace(document, { ...document, d: now, u: now }, transaction);
    });
  }

  /** A type that is not deleted stays as it is. */
  async undelete(application: string, name: string, deadline: number): Promise<ExperienceType> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const document = await this.#find(application, name, transaction);
      if (document === undefined) throw typeNotFound(name);
      if (document.d === undefined) return fromTypeDocument(document);
      const { d: _deleted, ...rest } = document;
      return this.#replace(document, { ...rest, u: new Date() }, transaction);
    });
  }

  /** The same request id again answers the version that it made. */
  async incrementVersion(
    application: string,
    name: string,
    options: { readonly etag: string | undefined; readonly requestId: string | undefined },
    deadline: number,
  ): Promise<{ readonly type: ExperienceType; readonly version: number; readonly duplicate: boolean }> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const document = await this.#live(application, name, transaction);
      const made = document.vs.find(({ q }) => q !== undefined && q === options.requestId);
      if (made !== undefined) return { type: fromTypeDocument(document), version: made.v, duplicate: true };
      checkEtag(document, options.etag);
      if (document.v >= VERSIONS_MAX)
        throw new Fault('APPLICATION_FULL', `A type has at most ${VERSIONS_MAX} versions.`);
      const now = new Date();
      const version = {
        v: document.v + 1,
        c: now,
        ...(options.requestId === undefined ? {} : { q: options.requestId }),
      };
      const next = { ...document, v: version.v, vs: [...document.vs, version], u: now };
      return { type: await this.#replace(document, next, transaction), version: version.v, duplicate: false };
    });
  }

  /** Newest first, below the version `before`; of deleted types too. */
  async versions(
    application: string,
    name: string,
    options: { readonly before: number | undefined; readonly limit: number },
    deadline: number,
  ): Promise<readonly ExperienceTypeVersion[]> {
    const document = await this.#read(application, name, deadline);
    if (document === undefined) throw typeNotFound(name);
    return document.vs
      .filter(({ v }) => options.before === undefined || v < options.before)
      .sort((a, b) => b.v - a.v)
      .slice(0, options.limit)
      .map(({ v, c }) => ({ version: v, createTime: c }));
  }

  async #replace(
    before: TypeDocument,
    after: TypeDocument,
    transaction: Transaction,
  ): Promise<ExperienceType> {
    const document = { ...after, r: before.r + 1 };
    await this.#store.types.replaceOne({ _id: before._id }, document, transaction);
    await raiseRevision(this.#store, before._id.a, transaction);
    return fromTypeDocument(document);
  }

  async #live(application: string, name: string, transaction: Transaction): Promise<TypeDocument> {
    const document = await this.#find(application, name, transaction);
    if (document === undefined || document.d !== undefined) throw typeNotFound(name);
    return document;
  }

  async #find(
    application: string,
    name: string,
    options: Transaction | { readonly maxTimeMS: number },
  ): Promise<TypeDocument | undefined> {
    return (await this.#store.types.findOne({ _id: { a: application, n: name } }, options)) ?? undefined;
  }

  async #read(application: string, name: string, deadline: number): Promise<TypeDocument | undefined> {
    return withStoreFaults(() => this.#find(application, name, { maxTimeMS: timeLeftMs(deadline) }));
  }
}

/** Tells every process that what it knows of the application's types and prices is stale. */
export async function raiseRevision(
  store: Store,
  application: string,
  transaction: Transaction,
): Promise<void> {
  await store.applications.updateOne(
    { _id: application },
    { $inc: { r: 1 } },
    { ...transaction, upsert: true },
  );
}

function checkEtag(document: TypeDocument, etag: string | undefined): void {
  const current = etagOf({ revision: document.r });
  if (etag === undefined || etag === current) return;
  throw new Fault(
    'ETAG_MISMATCH',
    `The experience type '${document._id.n}' has changed; its etag is now ${current}.`,
    {
      metadata: { experience_type: document._id.n, current_etag: current },
    },
  );
}

/** `undefined` takes the field away, because the driver ignores undefined. */
function optional<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return { [key]: value } as Partial<Record<K, V>>;
}

const TYPES_MAX = 10_000;
const VERSIONS_MAX = 1_000;
