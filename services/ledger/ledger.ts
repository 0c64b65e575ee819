import type { Price } from '../pricing/price.js';
import { type ApplicationState, ApplicationStates } from './application-state.js';
import { Books } from './books.js';
import { ExperienceTypes } from './experience-types.js';
import { Experiences } from './experiences.js';
import { migrate } from './migrate.js';
import { Prices } from './prices.js';
import { connect, proveServer } from './probe.js';
import { READ_TIME_MAX_MS, Store } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { UsageEvents } from './usage-events.js';
import { Writer } from './writer.js';

/** The books: the one door to MongoDB. Everything in it is scoped by application. */
export class Ledger {
  readonly types: ExperienceTypes;
  readonly experiences: Experiences;
  readonly events: UsageEvents;
  readonly prices: Prices;
  readonly books: Books;
  readonly writer: Writer;
  /** Signs page tokens; the same for all processes on one database. */
  readonly pageTokenKey: Uint8Array;
  readonly #store: Store;
  readonly #states: ApplicationStates;

  private constructor(store: Store, pageTokenKey: Uint8Array) {
    this.#store = store;
    this.#states = new ApplicationStates(store);
    this.types = new ExperienceTypes(store);
    this.experiences = new Experiences(store);
    this.events = new UsageEvents(store);
    this.prices = new Prices(store);
    this.books = new Books(store);
    this.writer = new Writer(store, this.#states);
    this.pageTokenKey = pageTokenKey;
  }

  /** Proves that the server is fit, migrates, and loads what is needed to answer. */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const store = new Store(options.uri, options.databaseName);
    try {
      await connect(store);
      await proveServer(store);
      await migrate(store, options.catalogue, options.applications);
      const key = await store.schema.findOne({ _id: 'page-token-key' });
      if (key?.k === undefined) throw new Error('the database holds no key for page tokens');
      const ledger = new Ledger(store, key.k.buffer);
      for (const application of options.applications) {
        await ledger.#states.fresh(application, Date.now() + READ_TIME_MAX_MS);
      }
      return ledger;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Types and prices of an application at the revisions in force. */
  async state(application: string, deadline: number): Promise<ApplicationState> {
    return withStoreFaults(() => this.#states.current(application, deadline));
  }

  async close(): Promise<void> {
    await this.#store.close();
  }
}

export interface LedgerOptions {
  readonly uri: string;
  readonly databaseName: string;
  readonly catalogue: readonly Price[];
  readonly applications: readonly string[];
}
