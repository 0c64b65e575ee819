import type { ExperienceType } from '../domain/experience-type.js';
import { CatalogueIndex } from '../pricing/catalogue-index.js';
import { PriceBook } from '../pricing/price-book.js';
import type { ApplicationDocument } from './documents.js';
import { fromPriceDocument } from './price-document.js';
import type { Store } from './store.js';
import { inTransaction, type Transaction, timeLeftMs } from './transaction.js';
import { fromTypeDocument, typeKeysOf } from './type-document.js';

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
  readonly #loading = new Map<string, Promise<ApplicationState>>();
  #catalogue: CatalogueAtRevision | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The state last loaded: possibly stale, and only good where a commit checks its revisions. */
  known(application: string): ApplicationState | undefined {
    return this.#states.get(application);
  }

  /** The state at the revisions in force, which costs one small read when nothing has changed. */
  async current(application: string, deadline: number): Promise<ApplicationState> {
    const state = this.#states.get(application);
    if (state !== undefined) {
      const options = { maxTimeMS: timeLeftMs(deadline) };
      const revisions = await readRevisions(this.#store, new Set([application]), options);
      if (sameRevisions(state.revisions, revisions.of(application))) return state;
    }
    return this.fresh(application, deadline);
  }

  /**
   * Loads the state anew. Those who ask while a load is under way that began after they found theirs stale would get the
   * same; one that began before may be stale itself, so each waits for that one and then shares the next.
   */
  async fresh(application: string, deadline: number): Promise<ApplicationState> {
    const known = this.#states.get(application);
    const loading = this.#loading.get(application);
    if (loading !== undefined) {
      const loaded = await loading.catch(() => undefined); // Whoever began it hears why.
      if (loaded !== undefined && loaded !== known) return loaded;
    }
    const load = this.#load(application, deadline);
    this.#loading.set(application, load);
    try {
      return await load;
    } finally {
      if (this.#loading.get(application) === load) this.#loading.delete(application);
    }
  }

  async #load(application: string, deadline: number): Promise<ApplicationState> {
    const state = await inTransaction(this.#store, deadline, async (transaction) => {
      const revisions = (await readRevisions(this.#store, new Set([application]), transaction)).of(
        application,
      );
      const types = await this.#store.types.find({ _id: typeKeysOf(application) }, transaction).toArray();
      const own = await this.#store.prices.find({ '_id.a': application }, transaction).toArray();
      const catalogue = await this.#catalogueAt(revisions.catalogue, transaction);
      return {
        revisions,
        types: new Map(types.map((document) => [document._id.n, fromTypeDocument(document)])),
        prices: new PriceBook(own.map(fromPriceDocument), catalogue.index),
      };
    });
    const known = this.#states.get(application);
    if (known === undefined || !isNewer(known.revisions, state.revisions)) this.#keep(application, state);
    return state;
  }

  /** What was loaded longest ago goes first; it is loaded again when it is needed. */
  #keep(application: string, state: ApplicationState): void {
    this.#states.delete(application);
    this.#states.set(application, state);
    const [oldest] = this.#states.keys();
    if (this.#states.size > STATES_MAX && oldest !== undefined) this.#states.delete(oldest);
  }

  /** The caller uses what is answered here: another load may have put a different revision in its place meanwhile. */
  async #catalogueAt(revision: number, transaction: Transaction): Promise<CatalogueAtRevision> {
    if (this.#catalogue?.revision === revision) return this.#catalogue;
    const rows = await this.#store.prices.find({ '_id.a': '' }, transaction).toArray();
    const loaded = { revision, index: new CatalogueIndex(rows.map(fromPriceDocument)) };
    this.#catalogue = loaded;
    return loaded;
  }
}

interface CatalogueAtRevision {
  readonly revision: number;
  readonly index: CatalogueIndex;
}

/** The revisions of applications, in one read; 0 where there is no document. */
export async function readRevisions(
  store: Store,
  applications: ReadonlySet<string>,
  options: Parameters<Store['applications']['find']>[1],
): Promise<ReadRevisions> {
  const keys = [CATALOGUE, ...applications];
  return revisionsOf(await store.applications.find({ _id: { $in: keys } }, options).toArray());
}

export function revisionsOf(documents: readonly ApplicationDocument[]): ReadRevisions {
  const revisionOf = (id: string) => documents.find(({ _id }) => _id === id)?.r ?? 0;
  const catalogue = revisionOf(CATALOGUE);
  return {
    of: (application) => ({ application: revisionOf(application), catalogue }),
    unitKinds: new Map(documents.map(({ _id, uk = [] }) => [_id, new Set(uk)])),
    reserving: new Set(documents.flatMap(({ _id, hr }) => (hr === true ? [_id] : []))),
  };
}

export interface ReadRevisions {
  of(application: string): Revisions;
  /** That events have used, by application. */
  readonly unitKinds: ReadonlyMap<string, ReadonlySet<string>>;
  /** Applications that have reserved. */
  readonly reserving: ReadonlySet<string>;
}

export function sameRevisions(a: Revisions, b: Revisions): boolean {
  return a.application === b.application && a.catalogue === b.catalogue;
}

function isNewer(a: Revisions, b: Revisions): boolean {
  return a.application > b.application || a.catalogue > b.catalogue;
}

/** Whose revision is the catalogue's. */
export const CATALOGUE = '';
/** Of a process. */
const STATES_MAX = 1_000;
