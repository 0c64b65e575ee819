import type { Experience } from '../domain/experience.js';
import { addMoney } from '../domain/money.js';
import type { UsageEvent } from '../domain/usage.js';
import { ExperienceDeltas } from './experience-deltas.js';
import { factKey } from './fact-key.js';
import type { Facts } from './facts.js';
import { HistogramDeltas } from './histogram-deltas.js';
import { LimitDeltas } from './limit-deltas.js';
import type { Plan } from './planned-batch.js';
import { RollupDeltas } from './rollup-deltas.js';
import type { Store } from './store.js';
import type { Transaction } from './transaction.js';
import { updateAll, writeAll } from './write-commands.js';

/**
 * Everything that a batch moves in the books beside the events themselves: totals of experiences, rollups, histograms, sums
 * of limits.
 * Each document is written once a commit, however many events move it.
 */
export class BookDeltas {
  readonly experiences = new ExperienceDeltas();
  readonly rollups = new RollupDeltas();
  readonly histograms = new HistogramDeltas();
  readonly limits: LimitDeltas;

  private constructor(limits = new LimitDeltas()) {
    this.limits = limits;
  }

  static of(plan: Plan, facts: Pick<Facts, 'experiences'>): BookDeltas {
    const deltas = new BookDeltas(plan.limits);
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
    for (const { application, before, after } of plan.reservations)
      deltas.experiences.reserve(application, before, after);
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
    await this.#applyExperiences(store, transaction);
    await updateAll(store, store.rollups.collectionName, this.rollups.updates(lane), transaction);
    await updateAll(store, store.histograms.collectionName, this.histograms.updates(lane), transaction);
    await updateAll(store, store.limitSums.collectionName, this.limits.updates(lane), transaction);
  }

  async #applyExperiences(store: Store, transaction: Transaction): Promise<void> {
    const created = this.experiences.newDocuments();
    const updates = this.experiences.updates();
    const found = await writeAll(store, store.experiences.collectionName, { created, updates }, transaction);
    if (found !== updates.length + created.length)
      throw new Error('every experience that a batch adds to is there, or is made by it');
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
