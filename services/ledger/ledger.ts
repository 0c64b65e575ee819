import type { Price } from '../pricing/price.js';
import { Answers } from './answers.js';
import { ApiKeys } from './api-keys.js';
import { type ApplicationState, ApplicationStates } from './application-state.js';
import { Applications } from './applications.js';
import { Books } from './books.js';
import { Costs } from './costs.js';
import type { Entry } from './entry.js';
import { ExperienceTypes } from './experience-types.js';
import { Experiences } from './experiences.js';
import { GroupCommit } from './group-commit.js';
import { LaneLeases } from './lane-leases.js';
import { Limits } from './limits.js';
import { migrate } from './migrate.js';
import { Prices } from './prices.js';
import { connect, proveServer, type ServerFacts } from './probe.js';
import { Repricings } from './repricings.js';
import { Reservations } from './reservations.js';
import { RunOutputs } from './run-outputs.js';
import { READ_TIME_MAX_MS, Store } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { StoredDocuments } from './stored-documents.js';
import { Turns } from './turns.js';
import { UsageEvents } from './usage-events.js';
import type { WriteOutcome } from './write-call.js';
import { Writer } from './writer.js';

/** The books: the one door to MongoDB. Everything in it is scoped by application. */
export class Ledger {
  readonly applications: Applications;
  readonly apiKeys: ApiKeys;
  readonly types: ExperienceTypes;
  readonly experiences: Experiences;
  readonly events: UsageEvents;
  readonly prices: Prices;
  readonly repricings: Repricings;
  readonly reservations: Reservations;
  readonly costs: Costs;
  readonly limits: Limits;
  readonly books: Books;
  readonly writer: Writer;
  readonly documents: StoredDocuments;
  readonly answers: Answers;
  readonly turns: Turns;
  readonly runOutputs: RunOutputs;
  /** Signs page tokens; the same for all processes on one database. */
  readonly pageTokenKey: Uint8Array;
  readonly #store: Store;
  readonly #states: ApplicationStates;
  readonly #leases: LaneLeases;
  readonly #commits: GroupCommit;

  private constructor(
    store: Store,
    server: ServerFacts,
    pageTokenKey: Uint8Array,
    leases: LaneLeases,
    options: LedgerOptions,
  ) {
    this.#store = store;
    this.#states = new ApplicationStates(store);
    this.#leases = leases;
    this.applications = new Applications(store);
    this.apiKeys = new ApiKeys(store);
    this.types = new ExperienceTypes(store);
    this.experiences = new Experiences(store);
    this.events = new UsageEvents(store);
    this.prices = new Prices(store);
    this.costs = new Costs(store);
    this.limits = new Limits(store);
    this.books = new Books(store);
    this.writer = new Writer(store, this.#states, server);
    this.documents = new StoredDocuments(store);
    this.answers = new Answers(store);
    this.turns = new Turns(store);
    this.runOutputs = new RunOutputs(store);
    this.#commits = new GroupCommit(this.writer, leases, {
      entriesWaitingMax: options.entriesWaitingMax ?? ENTRIES_WAITING_MAX_DEFAULT,
    });
    this.repricings = new Repricings(store, (entries, deadline) => this.write(entries, deadline));
    this.reservations = new Reservations(store);
    this.pageTokenKey = pageTokenKey;
  }

  /** Proves that the server is fit, migrates, and loads what is needed to answer. */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const store = new Store(options.uri, options.databaseName);
    try {
      await connect(store);
      const server = await proveServer(store);
      await migrate(store, options.catalogue, options.applications);
      const key = await store.schema.findOne({ _id: 'page-token-key' });
      if (key?.k === undefined) throw new Error('the database holds no key for page tokens');
      const leases = await LaneLeases.take(store, LANES);
      const ledger = new Ledger(store, server, key.k.buffer, leases, options);
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

  /**
   * Writes the entries together with those of other calls. Answers an outcome for each, in their order, once all are
   * durable or refused. Throws a fault OVERLOADED, at once and for all of them, when there is no room.
   */
  async write(entries: readonly Entry[], deadline: number): Promise<readonly WriteOutcome[]> {
    return this.#commits.write(entries, deadline);
  }

  /** Throws a fault OVERLOADED when so many entries would be refused now. */
  checkRoom(entries: number, bytes: number): void {
    this.#commits.checkRoom(entries, bytes);
  }

  /** What was accepted is written first. */
  async close(): Promise<void> {
    await this.#commits.idle();
    await this.#leases.release().catch(() => undefined); // They end by themselves.
    await this.#store.close();
  }
}

export interface LedgerOptions {
  readonly uri: string;
  readonly databaseName: string;
  readonly catalogue: readonly Price[];
  readonly applications: readonly string[];
  /** How many entries may wait for their commit before more are refused; absent: 10,000. */
  readonly entriesWaitingMax?: number;
}

const ENTRIES_WAITING_MAX_DEFAULT = 10_000;
/** Of one process: while one waits for the store, the other has work for the processor. */
const LANES = 2;
