import type { Application } from '../domain/application.js';
import { Fault } from '../domain/fault.js';
import { CATALOGUE } from './application-state.js';
import type { ApplicationDocument } from './documents.js';
import { applicationNotFound } from './not-found.js';
import type { Store } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { inTransaction, timeLeftMs } from './transaction.js';

/** Applications: their facts are kept with their revision, as one document each. Facts do not raise the revision. */
export class Applications {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The existing application when it has the same content. */
  async create(
    id: string,
    content: ApplicationContent,
    deadline: number,
  ): Promise<{ readonly application: Application; readonly alreadyExisted: boolean }> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const existing = await this.#store.applications.findOne({ _id: id }, transaction);
      if (existing !== null) {
        const application = fromDocument(existing);
        const { description, strictIds } = application;
        if (description === content.description && strictIds === content.strictIds)
          return { application, alreadyExisted: true };
        throw new Fault('APPLICATION_ALREADY_EXISTS', `The application '${id}' exists with other content.`, {
          metadata: { application_id: id },
        });
      }
      const count = await this.#store.applications.countDocuments({}, transaction);
      if (count > APPLICATIONS_MAX)
        throw new Fault('APPLICATION_FULL', `A service has at most ${APPLICATIONS_MAX} applications.`);
      const document: ApplicationDocument = { _id: id, r: 1, c: new Date(), ...fieldsOf(content) };
      await this.#store.applications.insertOne(document, transaction);
      return { application: fromDocument(document), alreadyExisted: false };
    });
  }

  async get(id: string, deadline: number): Promise<Application> {
    const found = await this.find(id, deadline);
    if (found === undefined) throw applicationNotFound(id);
    return found;
  }

  /** undefined: there is none. */
  async find(id: string, deadline: number): Promise<Application | undefined> {
    if (id === CATALOGUE) return undefined;
    const options = { projection: FACTS, maxTimeMS: timeLeftMs(deadline) };
    const document = await withStoreFaults(() => this.#store.applications.findOne({ _id: id }, options));
    return document === null ? undefined : fromDocument(document);
  }

  /** In the order of ids, from the one after `after`. */
  async list(
    options: { readonly after: string | undefined; readonly limit: number },
    deadline: number,
  ): Promise<readonly Application[]> {
    const documents = await withStoreFaults(() =>
      this.#store.applications
        .find(
          { _id: { $gt: options.after ?? CATALOGUE } },
          {
            projection: FACTS,
            sort: { _id: 1 },
            limit: options.limit,
            maxTimeMS: timeLeftMs(deadline),
          },
        )
        .toArray(),
    );
    return documents.map(fromDocument);
  }

  async update(id: string, change: Partial<ApplicationContent>, deadline: number): Promise<Application> {
    const document = await withStoreFaults(() =>
      this.#store.applications.findOneAndUpdate(
        { _id: id },
        { $set: fieldsOf(change) },
        { projection: FACTS, returnDocument: 'after', maxTimeMS: timeLeftMs(deadline) },
      ),
    );
    if (document === null) throw applicationNotFound(id);
    return fromDocument(document);
  }
}

export type ApplicationContent = Pick<Application, 'description' | 'strictIds'>;

function fieldsOf({ description, strictIds }: Partial<ApplicationContent>): Partial<ApplicationDocument> {
  return {
    ...(description === undefined ? {} : { ds: description }),
    ...(strictIds === undefined ? {} : { si: strictIds }),
  };
}

function fromDocument({ _id, ds, si, c }: Pick<ApplicationDocument, '_id' | 'ds' | 'si' | 'c'>): Application {
  return { id: _id, description: ds ?? '', strictIds: si ?? false, createTime: c };
}

const FACTS = { ds: 1, si: 1, c: 1 } as const;
const APPLICATIONS_MAX = 10_000;
