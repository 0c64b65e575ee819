import type { Fault } from '../domain/fault.js';
import { newUuid } from '../domain/new-uuid.js';
import type { UsageRecord } from '../domain/usage.js';
import { contentHash } from '../ledger/content-hash.js';
import type { Entry, EventEntry, EventOutcome, ExperienceEntry, ExperienceOutcome } from '../ledger/entry.js';
import type { Ledger } from '../ledger/ledger.js';
import type { WriteOutcome } from '../ledger/write-call.js';

/** Turns checked requests into entries and hands them to the ledger, which writes them with those of other calls. */
export class Recorder {
  readonly #ledger: Ledger;
  /** Makes the fault for a record that a bug of ours keeps from being recorded. */
  readonly #incident: (error: unknown) => Fault;
  #lastTimeMs = 0;

  constructor(ledger: Ledger, incident: (error: unknown) => Fault) {
    this.#ledger = ledger;
    this.#incident = incident;
  }

  async record(application: string, record: UsageRecord, deadline: number): Promise<EventOutcome> {
    const outcome = await this.#writeOne(this.#entryOf(application, record, this.#now()), deadline);
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
    const now = this.#now();
    const entries = records.map((record) => this.#entryOf(application, record, now));
    return (await this.#ledger.write(entries, deadline)).map((outcome) => {
      if (outcome.kind === 'event') return outcome;
      if (outcome.kind === 'refused') return outcome.fault;
      if (outcome.kind === 'failed') return this.#incident(outcome.error);
      throw new Error('an event entry has an event outcome');
    });
  }

  async createExperience(
    wanted: Omit<ExperienceEntry, 'kind' | 'createTime' | 'spareExperienceId'>,
    deadline: number,
  ): Promise<ExperienceOutcome> {
    const entry: Entry = {
      kind: 'experience',
      ...wanted,
      createTime: this.#now(),
      spareExperienceId: newUuid(),
    };
    const outcome = await this.#writeOne(entry, deadline);
    if (outcome.kind !== 'experience') throw new Error('an experience entry has an experience outcome');
    return outcome;
  }

  #entryOf(application: string, record: UsageRecord, now: Date): EventEntry {
    return {
      kind: 'event',
      application,
      record,
      eventId: record.eventId ?? newUuid(),
      contentHash: contentHash(record),
      recordTime: now,
      spareExperienceId: newUuid(),
    };
  }

  async #writeOne(
    entry: Entry,
    deadline: number,
  ): Promise<Exclude<WriteOutcome, { kind: 'refused' | 'failed' }>> {
    const [outcome] = await this.#ledger.write([entry], deadline);
    if (outcome === undefined) throw new Error('every entry has an outcome');
    if (outcome.kind === 'refused') throw outcome.fault;
    if (outcome.kind === 'failed') throw outcome.error;
    return outcome;
  }

  /**
   * Events are listed by it, so it does not step back with a clock that wavers; one that was set is followed. What comes
   * first is committed first, too: an experience has one lane.
   */
  #now(): Date {
    const now = Date.now();
    this.#lastTimeMs = now < this.#lastTimeMs - CLOCK_WAVERS_MS ? now : Math.max(now, this.#lastTimeMs);
    return new Date(this.#lastTimeMs);
  }
}

const CLOCK_WAVERS_MS = 1_000;
