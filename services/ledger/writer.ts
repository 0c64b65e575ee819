import { adoptType } from './adopt-type.js';
import { type ApplicationState, type ApplicationStates, sameRevisions } from './application-state.js';
import { applyPlan } from './apply-plan.js';
import type { Entry, Outcome } from './entry.js';
import { LimitTypes } from './limit-types.js';
import { planBatch } from './plan.js';
import type { Plan } from './planned-batch.js';
import type { ServerFacts } from './probe.js';
import { applicationsOf, type FactsAtRevisions, readFacts } from './read-facts.js';
import type { Store } from './store.js';
import { inTransaction, RunAgain, type Transaction } from './transaction.js';

/**
 * Writes batches of entries, each batch in one transaction: an event is counted exactly when a document with its id
 * exists, because the document and the sums that include it commit together.
 */
export class Writer {
  readonly #store: Store;
  readonly #states: ApplicationStates;
  /** A cluster refuses, inside a transaction, an aggregation that reads sharded collections beside its own. */
  readonly #readsTogether: boolean;
  readonly #repeats = new Repeats();
  /** Of the limits that commits have met. */
  readonly limitTypes = new LimitTypes();

  constructor(store: Store, states: ApplicationStates, { isSharded }: ServerFacts) {
    this.#store = store;
    this.#states = states;
    this.#readsTogether = !isSharded;
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
    let attempts = 0;
    return inTransaction(this.#store, deadline, async (transaction) => {
      const entries = take();
      attempts += 1;
      const lookUp = attempts > 1 || this.#repeats.areLikely(lane) || entries.some(isOfReservation);
      const together = this.#readsTogether && entries.length <= TOGETHER_ENTRIES_MAX;
      const found = await readFacts(this.#store, entries, { lookUp, together }, transaction);
      await this.#checkStates(entries, states, found, transaction, deadline);
      const { events, experiences, useful, reservations, limits } = found.facts;
      this.limitTypes.note(limits);
      const { unitKinds, reserving } = found.revisions;
      const facts = { states, unitKinds, reserving, events, experiences, useful, reservations, limits };
      const plan = planBatch(entries, facts);
      if (!lookUp && mayBeOfRepeats(plan)) {
        await transaction.session.abortTransaction();
        throw new RunAgain();
      }
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
      this.#repeats.note(lane, plan.outcomes);
      return plan.outcomes;
    });
  }

  /** A price, type or version moved since the states were loaded: load them again and plan in a new snapshot. */
  async #checkStates(
    entries: readonly Entry[],
    states: Map<string, ApplicationState>,
    { revisions }: FactsAtRevisions,
    transaction: Transaction,
    deadline: number,
  ): Promise<void> {
    const applications = applicationsOf(entries);
    const stale: string[] = [];
    for (const application of applications) {
      const state = states.get(application) ?? this.#states.known(application);
      if (state === undefined || !sameRevisions(state.revisions, revisions.of(application)))
        stale.push(application);
      else states.set(application, state);
    }
    if (stale.length === 0) return;
    await transaction.session.abortTransaction();
    for (const application of stale) states.set(application, await this.#states.fresh(application, deadline));
    throw new RunAgain();
  }
}

/** Whether an entry must know what became of its id. */
function isOfReservation({ kind }: Entry): boolean {
  return kind === 'reservation' || kind === 'release' || kind === 'sweep';
}

/** An event that is there is answered, and takes no type, whatever has become of its experience since. */
function mayBeOfRepeats({ outcomes, adoptions }: Plan): boolean {
  return adoptions.length > 0 || outcomes.some(({ kind }) => kind === 'refused');
}

/**
 * Whether events that are there already are to be expected. As long as none is, a commit inserts without looking first, and
 * one that meets such an event is run again; where some came lately, looking first is cheaper than running again.
 */
class Repeats {
  readonly #commitsLeft = new Map<number, number>();

  areLikely(lane: number): boolean {
    return (this.#commitsLeft.get(lane) ?? 0) > 0;
  }

  note(lane: number, outcomes: readonly Outcome[]): void {
    const repeated = outcomes.some(
      (outcome) =>
        (outcome.kind === 'refused' && outcome.fault.reason !== 'LIMIT_REACHED') ||
        (outcome.kind === 'event' && outcome.duplicate),
    );
    const left = this.#commitsLeft.get(lane) ?? 0;
    this.#commitsLeft.set(lane, repeated ? EXPECTED_COMMITS : Math.max(0, left - 1));
  }
}

/** Of more entries the commands matter little, and what is read may be large. */
const TOGETHER_ENTRIES_MAX = 64;
/** For so many commits after one with a repeat, or with a refusal that had to be looked at twice, the next look first. */
const EXPECTED_COMMITS = 20;
