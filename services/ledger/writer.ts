import { adoptType } from './adopt-type.js';
import {
  type ApplicationState,
  type ApplicationStates,
  readRevisions,
  sameRevisions,
} from './application-state.js';
import { applyPlan } from './apply-plan.js';
import type { Entry, Outcome } from './entry.js';
import { planBatch } from './plan.js';
import { readFacts } from './read-facts.js';
import type { Store } from './store.js';
import { inTransaction, RunAgain, type Transaction } from './transaction.js';

/**
 * Writes batches of entries, each batch in one transaction: an event is counted exactly when a document with its id
 * exists, because the document and the sums that include it commit together.
 */
export class Writer {
  readonly #store: Store;
  readonly #states: ApplicationStates;

  constructor(store: Store, states: ApplicationStates) {
    this.#store = store;
    this.#states = states;
  }

  /**
   * Answers an outcome for each entry, in their order, once all are durable. Throws a fault if the whole batch failed
   * or its outcome is not known; then sending the same entries again is safe.
   */
  async write(entries: readonly Entry[], deadline: number, lane = 0): Promise<readonly Outcome[]> {
    return this.writeTaken(() => entries, deadline, lane);
  }

  /** The same, of what `take` answers at each attempt: callers may leave between two attempts. */
  async writeTaken(
    take: () => readonly Entry[],
    deadline: number,
    lane: number,
  ): Promise<readonly Outcome[]> {
    const states = new Map<string, ApplicationState>();
    return inTransaction(this.#store, deadline, async (transaction) => {
      const entries = take();
      await this.#readStates(entries, states, transaction, deadline);
      const facts = { states, ...(await readFacts(this.#store, entries, transaction)) };
      const plan = planBatch(entries, facts);
      if (plan.adoptions.length > 0) {
        await transaction.session.abortTransaction();
        for (const adoption of plan.adoptions) {
          const revisions = states.get(adoption.application)?.revisions;
          if (revisions === undefined)
            throw new Error('the states of all applications in a batch are loaded');
          await adoptType(this.#store, adoption, { revisions, lane, deadline });
        }
        throw new RunAgain();
      }
      await applyPlan(this.#store, plan, facts, lane, transaction);
      return plan.outcomes;
    });
  }

  /** A price, type or version moved since the states were loaded: load them again and plan in a new snapshot. */
  async #readStates(
    entries: readonly Entry[],
    states: Map<string, ApplicationState>,
    transaction: Transaction,
    deadline: number,
  ): Promise<void> {
    const applications = new Set(entries.map(({ application }) => application));
    for (const application of applications) {
      if (!states.has(application)) states.set(application, await this.#states.known(application, deadline));
    }
    const revisions = await readRevisions(this.#store, applications, transaction);
    const stale = [...applications].filter((application) => {
      const state = states.get(application);
      return state === undefined || !sameRevisions(state.revisions, revisions.of(application));
    });
    if (stale.length === 0) return;
    await transaction.session.abortTransaction();
    for (const application of stale) {
      states.set(application, await this.#states.fresh(application, deadline));
    }
    throw new RunAgain();
  }
}
