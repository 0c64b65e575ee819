import type { ExperienceType } from '../domain/experience-type.js';
import { CatalogueIndex } from '../pricing/catalogue-index.js';
import { PriceBook } from '../pricing/price-book.js';
import { fromPriceDocument } from './price-document.js';
import { READ_TIME_MAX_MS, type Store, TRANSACTION_OPTIONS } from './store.js';
import { fromTypeDocument } from './type-document.js';

/**
 * What a record is checked and priced against: the types and prices of an application. Every write to them raises the
 * application's revision (or the catalogue's); each commit reads both in its snapshot and throws away a state that is
 * older, so that no process records at a stale price or version.
 */
export interface ApplicationState {
  readonly revisions: Revisions;
  /** By name, deleted ones too. */
  readonly types: ReadonlyMap<string, ExperienceType>;
  readonly prices: PriceBook;
}

export interface Revisions {
  readonly application: number;
  readonly catalogue: number;
}

/** The states that this process knows; each is immutable and replaced as a whole. */
export class ApplicationStates {
  readonly #store: Store;
  readonly #states = new Map<string, ApplicationState>();
  #catalogue: { readonly revision: number; readonly index: CatalogueIndex } | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The state last loaded, if any: possibly stale, and only good where a commit or a read checks its revisions. */
  async known(application: string): Promise<ApplicationState> {
    return this.#states.get(application) ?? (await this.fresh(application));
  }

  /** The state at the revisions in force, which costs one small read when nothing has changed. */
  async current(application: string): Promise<ApplicationState> {
    const state = this.#states.get(application);
    if (state !== undefined && sameRevisions(state.revisions, await readRevisions(this.#store, application)))
      return state;
    return this.fresh(application);
  }

  /** Loads the state anew. */
  async fresh(application: string): Promise<ApplicationState> {
    const session = this.#store.client.startSession();
    try {
      session.startTransaction(TRANSACTION_OPTIONS);
      const options = { session, maxTimeMS: READ_TIME_MAX_MS };
      const revisions = await readRevisions(this.#store, application, options);
      const types = await this.#store.types.find({ '_id.a': application }, options).toArray();
      const own = await this.#store.prices.find({ '_id.a': application }, options).toArray();
      if (this.#catalogue?.revision !== revisions.catalogue) {
        const rows = await this.#store.prices.find({ '_id.a': '' }, options).toArray();
        this.#catalogue = {
          revision: revisions.catalogue,
          index: new CatalogueIndex(rows.map(fromPriceDocument)),
        };
      }
      await session.commitTransaction();
      const state: ApplicationState = {
        revisions,
        types: new Map(types.map((document) => [document._id.n, fromTypeDocument(document)])),
        prices: new PriceBook(own.map(fromPriceDocument), this.#catalogue.index),
      };
      this.#states.set(application, state);
      return state;
    } catch (error) {
      if (session.inTransaction()) await session.abortTransaction().catch(() => undefined); // The server ends it anyway.
      throw error;
    } finally {
      await session.endSession();
    }
  }
}

/** Both revision documents, in one round trip each; 0 where there is none. */
export async function readRevisions(
  store: Store,
  application: string,
  options: Parameters<Store['schema']['findOne']>[1] = { maxTimeMS: READ_TIME_MAX_MS },
): Promise<Revisions> {
  const own = await store.applications.findOne({ _id: application }, options);
  const catalogue = await store.schema.findOne({ _id: 'catalogue' }, options);
  return { application: own?.r ?? 0, catalogue: catalogue?.v ?? 0 };
}

export function sameRevisions(a: Revisions, b: Revisions): boolean {
  return a.application === b.application && a.catalogue === b.catalogue;
}
