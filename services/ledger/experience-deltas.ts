import type { UpdateFilter } from 'mongodb';
import type { Experience } from '../domain/experience.js';
import type { UsageEvent } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';
import type { ExperienceDocument, ExperienceKey } from './documents.js';
import { toRunDocument } from './experience-document.js';
import { factKey } from './fact-key.js';
import { toLabels } from './labels.js';
import { toDecimal } from './money-decimal.js';
import { toBinary } from './store.js';
import { Sums } from './sums.js';

/** What is added to the totals of experiences, summed beforehand, so that each is written once a commit. */
export class ExperienceDeltas {
  readonly #deltas = new Map<string, ExperienceDelta>();

  create(application: string, experience: Experience): void {
    this.#of(application, experience.id).created = experience;
  }

  add(application: string, event: UsageEvent): void {
    if (event.experienceId === undefined) return;
    const delta = this.#of(application, event.experienceId);
    delta.sums.add(event);
    if (delta.first === undefined || event.eventTime < delta.first) delta.first = event.eventTime;
    if (delta.last === undefined || event.eventTime > delta.last) delta.last = event.eventTime;
  }

  /** The same event in another state. */
  change(application: string, before: UsageEvent, after: UsageEvent): void {
    if (after.experienceId === undefined) return;
    const { sums } = this.#of(application, after.experienceId);
    sums.takeAway(before);
    sums.add(after);
  }

  /** All experiences that are created, or whose events are added to or changed. */
  all(): Iterable<ExperienceDelta> {
    return this.#deltas.values();
  }

  newDocuments(): ExperienceDocument[] {
    return [...this.#deltas.values()].flatMap((delta) =>
      delta.created === undefined ? [] : [newDocument(delta, delta.created)],
    );
  }

  /** Of those that are there; the new ones are not among them. */
  updates(): { filter: { _id: ExperienceKey }; update: UpdateFilter<ExperienceDocument> }[] {
    return [...this.#deltas.values()].flatMap((delta) =>
      delta.created === undefined ? [{ filter: { _id: keyOf(delta) }, update: updateOf(delta) }] : [],
    );
  }

  #of(application: string, experienceId: Uuid): ExperienceDelta {
    const key = factKey(application, experienceId);
    const known = this.#deltas.get(key);
    if (known !== undefined) return known;
    const delta = new ExperienceDelta(application, experienceId);
    this.#deltas.set(key, delta);
    return delta;
  }
}

export class ExperienceDelta {
  readonly application: string;
  readonly experienceId: Uuid;
  readonly sums = new Sums();
  created: Experience | undefined;
  first: Date | undefined;
  last: Date | undefined;

  constructor(application: string, experienceId: Uuid) {
    this.application = application;
    this.experienceId = experienceId;
  }
}

function updateOf({ sums, first, last }: ExperienceDelta): UpdateFilter<ExperienceDocument> {
  return {
    $inc: { ...sums.toIncrements(), ct: toDecimal(sums.total) },
    ...(first === undefined ? {} : { $min: { f: first } }),
    ...(last === undefined ? {} : { $max: { l: last } }),
  };
}

function newDocument(delta: ExperienceDelta, experience: Experience): ExperienceDocument {
  return {
    _id: keyOf(delta),
    t: experience.type,
    v: experience.version,
    c: experience.createTime,
    ...(experience.userId === undefined ? {} : { ui: experience.userId }),
    ...(experience.properties.size === 0 ? {} : { lb: toLabels(experience.properties) }),
    ...(experience.run === undefined ? {} : { run: toRunDocument(experience.run) }),
    ...delta.sums.toFields(),
    ...(delta.sums.events === 0n ? {} : { ct: toDecimal(delta.sums.total) }),
    ...(delta.first === undefined ? {} : { f: delta.first }),
    ...(delta.last === undefined ? {} : { l: delta.last }),
  };
}

function keyOf({ application, experienceId }: ExperienceDelta): ExperienceKey {
  return { a: application, x: toBinary(experienceId) };
}
