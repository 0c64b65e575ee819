import { Fault } from '../domain/fault.js';
import { newUuid } from '../domain/new-uuid.js';
import type { UsageRecord } from '../domain/usage.js';
import { contentHash } from '../ledger/content-hash.js';
import type { Entry, EventOutcome, ExperienceEntry, ExperienceOutcome, Outcome } from '../ledger/entry.js';
import type { Ledger } from '../ledger/ledger.js';

/** Turns checked requests into entries and hands them to the ledger's writer, a bounded number at a time. */
export class Recorder {
  readonly #ledger: Ledger;
  readonly #waitingMax: number;
  #underWay = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(ledger: Ledger, options: { readonly writesWaitingMax: number }) {
    this.#ledger = ledger;
    this.#waitingMax = options.writesWaitingMax;
  }

  async record(application: string, record: UsageRecord, now: Date, deadline: number): Promise<EventOutcome> {
    const entry: Entry = {
      kind: 'event',
      application,
      record,
      eventId: record.eventId ?? newUuid(),
      contentHash: contentHash(record),
      recordTime: now,
      spareExperienceId: newUuid(),
    };
    const outcome = await this.#write(entry, deadline);
    if (outcome.kind !== 'event') throw new Error('an event entry has an event outcome');
    return outcome;
  }

  /**
   * Records many: each one's outcome or the fault that befell it, in their order. Throws a fault only when none could be
   * accepted.
   */
  async recordAll(
    application: string,
    records: readonly UsageRecord[],
    deadline: number,
  ): Promise<readonly (EventOutcome | Fault)[]> {
    const now = new Date();
    const settled = await Promise.allSettled(
      records.map((record) => this.record(application, record, now, deadline)),
    );
    const outcomes = settled.map((one) => {
      if (one.status === 'fulfilled') return one.value;
      if (one.reason instanceof Fault) return one.reason;
      throw one.reason;
    });
    const [first] = outcomes;
    const isRefused = (outcome: EventOutcome | Fault | undefined) =>
      outcome instanceof Fault && outcome.reason === 'OVERLOADED';
    if (isRefused(first) && outcomes.every(isRefused)) throw first;
    return outcomes;
  }

  async createExperience(
    wanted: Omit<ExperienceEntry, 'kind' | 'createTime' | 'spareExperienceId'>,
    deadline: number,
  ): Promise<ExperienceOutcome> {
    const entry: Entry = {
      kind: 'experience',
      ...wanted,
      createTime: new Date(),
      spareExperienceId: newUuid(),
    };
    const outcome = await this.#write(entry, deadline);
    if (outcome.kind !== 'experience') throw new Error('an experience entry has an experience outcome');
    return outcome;
  }

  async #write(entry: Entry, deadline: number): Promise<Exclude<Outcome, { kind: 'refused' }>> {
    await this.#enter();
    try {
      const [outcome] = await this.#ledger.writer.write([entry], deadline);
      if (outcome === undefined) throw new Error('every entry has an outcome');
      if (outcome.kind === 'refused') throw outcome.fault;
      return outcome;
    } finally {
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#underWay < WRITES_UNDER_WAY_MAX) {
      this.#underWay += 1;
      return;
    }
    if (this.#waiting.length >= this.#waitingMax) {
      throw new Fault('OVERLOADED', 'This process has as many writes waiting as it may.', {
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#underWay -= 1;
    else next();
  }
}

/** Each write holds a connection to the store; reads need some too. */
const WRITES_UNDER_WAY_MAX = 16;
const RETRY_AFTER_MS = 500;
