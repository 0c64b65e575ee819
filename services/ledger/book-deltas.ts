import type { AnyBulkWriteOperation } from 'mongodb';
import type { Experience } from '../domain/experience.js';
import { addMoney } from '../domain/money.js';
import type { UsageEvent } from '../domain/usage.js';
import type { ExperienceDocument } from './documents.js';
import { ExperienceDeltas } from './experience-deltas.js';
import { factKey } from './fact-key.js';
import type { Facts } from './facts.js';
import { HistogramDeltas } from './histogram-deltas.js';
import type { Plan } from './plan.js';
import { RollupDeltas } from './rollup-deltas.js';
import type { Store } from './store.js';
import type { Transaction } from './transaction.js';

/**
 * Everything that a batch moves in the books beside the events themselves: totals of experiences, rollups, histograms.
 * Each document is written once a commit, however many events move it.
 */
export class BookDeltas {
  readonly experiences = new ExperienceDeltas();
  readonly rollups = new RollupDeltas();
  readonly histograms = new HistogramDeltas();

  static of(plan: Plan, facts: Pick<Facts, 'experiences'>): BookDeltas {
    const deltas = new BookDeltas();
    for (const { application, experience } of plan.newExperiences)
      deltas.experiences.create(application, experience);
    for (const { application, event } of plan.newEvents) {
      deltas.experiences.add(application, event);
      deltas.rollups.add(application, event);
    }
    for (const { application, before, after } of plan.changes) {
      deltas.experiences.change(application, before, after);
      deltas.rollups.change(application, before, after);
    }
    deltas.#moveExperiences(facts);
    return deltas;
  }

  /** An untyped experience takes its type, with its events. */
  static ofAdoption(application: string, experience: Experience, typed: Experience): BookDeltas {
    const deltas = new BookDeltas();
    if (experience.totals.eventCount === 0n) return deltas;
    const { total } = experience.totals.cost;
    deltas.histograms.leave({ application, ...placeOf(experience) }, total);
    deltas.histograms.enter({ application, ...placeOf(typed) }, total);
    return deltas;
  }

  changeEvent(application: string, before: UsageEvent, after: UsageEvent): void {
    this.rollups.change(application, before, after);
  }

  /** One command after the other: a session does not take two at a time. */
  async apply(store: Store, lane: number, transaction: Transaction): Promise<void> {
    const created = this.experiences.newDocuments();
    if (created.length > 0) await store.experiences.insertMany(created, transaction);
    const updates = this.experiences.updates();
    if (updates.length > 0) {
      const { matchedCount } = await store.experiences.bulkWrite(
        updates.map((updateOne): AnyBulkWriteOperation<ExperienceDocument> => ({ updateOne })),
        transaction,
      );
      if (matchedCount !== updates.length)
        throw new Error('every experience that a batch adds to is there, or is made by it');
    }
    const rollups = this.rollups.updates(lane);
    if (rollups.length > 0)
      await store.rollups.bulkWrite(
        rollups.map((update) => ({ updateOne: { ...update, upsert: true } })),
        transaction,
      );
    const histograms = this.histograms.updates(lane);
    if (histograms.length > 0)
      await store.histograms.bulkWrite(
        histograms.map((update) => ({ updateOne: { ...update, upsert: true } })),
        transaction,
      );
  }

  #moveExperiences(facts: Pick<Facts, 'experiences'>): void {
    for (const { application, experienceId, created, sums } of this.experiences.all()) {
      const experience = created ?? facts.experiences.get(factKey(application, experienceId));
      if (experience === undefined) throw new Error('every experience that a batch touches is known to it');
      const { eventCount, cost } = experience.totals;
      const place = { application, ...placeOf(experience) };
      if (eventCount > 0n && sums.total === 0n) continue;
      if (eventCount > 0n) this.histograms.leave(place, cost.total);
      if (eventCount + sums.events > 0n) this.histograms.enter(place, addMoney(cost.total, sums.total));
    }
  }
}

function placeOf({ type, version }: Experience): { readonly type: string; readonly version: number } {
  return { type, version };
}
