import type { AnyBulkWriteOperation, Decimal128 } from 'mongodb';
import type { Experience } from '../domain/experience.js';
import { addMoney, type Money, NO_MONEY, subtractMoney } from '../domain/money.js';
import type { UsageEvent } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';
import type { ExperienceDocument } from './documents.js';
import { noTotals, toRunDocument } from './experience-document.js';
import { toLabels } from './labels.js';
import { toDecimal } from './money-decimal.js';
import { factKey, type Plan } from './plan.js';
import { toBinary } from './store.js';

/**
 * What a batch adds to the totals of the experiences it touches, summed beforehand, so that each experience is written
 * once a batch.
 */
export function totalsWrites(plan: Plan): AnyBulkWriteOperation<ExperienceDocument>[] {
  const deltas = new Map<string, TotalsDelta>();
  const deltaOf = (application: string, experienceId: Uuid): TotalsDelta => {
    const key = factKey(application, experienceId);
    const delta = deltas.get(key) ?? new TotalsDelta(application, experienceId);
    deltas.set(key, delta);
    return delta;
  };
  for (const { application, experience } of plan.newExperiences)
    deltaOf(application, experience.id).create(experience);
  for (const { application, event } of plan.newEvents) {
    if (event.experienceId !== undefined) deltaOf(application, event.experienceId).add(event);
  }
  for (const { application, event } of plan.demoted) {
    if (event.experienceId !== undefined) deltaOf(application, event.experienceId).demote(event.cost.total);
  }
  return [...deltas.values()].map((delta) => delta.write());
}

class TotalsDelta {
  readonly #application: string;
  readonly #id: Uuid;
  #created: Experience | undefined;
  #events = 0n;
  #unpriced = 0n;
  #input: Money = NO_MONEY;
  #output: Money = NO_MONEY;
  #useful: Money = NO_MONEY;
  #wasted: Money = NO_MONEY;
  #first: Date | undefined;
  #last: Date | undefined;
  readonly #units = new Map<string, { i: bigint; o: bigint }>();

  constructor(application: string, id: Uuid) {
    this.#application = application;
    this.#id = id;
  }

  create(experience: Experience): void {
    this.#created = experience;
  }

  add(event: UsageEvent): void {
    this.#events += 1n;
    if (event.unpriced.length > 0) this.#unpriced += 1n;
    this.#input = addMoney(this.#input, event.cost.input);
    this.#output = addMoney(this.#output, event.cost.output);
    if (event.useful) this.#useful = addMoney(this.#useful, event.cost.total);
    else this.#wasted = addMoney(this.#wasted, event.cost.total);
    if (this.#first === undefined || event.eventTime < this.#first) this.#first = event.eventTime;
    if (this.#last === undefined || event.eventTime > this.#last) this.#last = event.eventTime;
    for (const [kind, { input, output }] of event.units) {
      const sum = this.#units.get(kind) ?? { i: 0n, o: 0n };
      this.#units.set(kind, { i: sum.i + input, o: sum.o + output });
    }
  }

  demote(total: Money): void {
    this.#useful = subtractMoney(this.#useful, total);
    this.#wasted = addMoney(this.#wasted, total);
  }

  write(): AnyBulkWriteOperation<ExperienceDocument> {
    const key = { a: this.#application, x: toBinary(this.#id) };
    if (this.#created !== undefined) return { insertOne: { document: this.#newDocument(this.#created) } };
    const increments: Record<string, bigint | Decimal128> = {
      n: this.#events,
      up: this.#unpriced,
      ci: toDecimal(this.#input),
      co: toDecimal(this.#output),
      us: toDecimal(this.#useful),
      ws: toDecimal(this.#wasted),
    };
    for (const [kind, { i, o }] of this.#units) {
      increments[`un.${kind}.i`] = i;
      increments[`un.${kind}.o`] = o;
    }
    return {
      updateOne: {
        filter: { _id: key },
        update: {
          $inc: increments,
          ...(this.#first === undefined ? {} : { $min: { f: this.#first } }),
          ...(this.#last === undefined ? {} : { $max: { l: this.#last } }),
        },
      },
    };
  }

  #newDocument(experience: Experience): ExperienceDocument {
    return {
      _id: { a: this.#application, x: toBinary(experience.id) },
      t: experience.type,
      v: experience.version,
      c: experience.createTime,
      ...(experience.userId === undefined ? {} : { ui: experience.userId }),
      ...(experience.properties.size === 0 ? {} : { lb: toLabels(experience.properties) ?? [] }),
      ...(experience.run === undefined ? {} : { run: toRunDocument(experience.run) }),
      ...noTotals(),
      n: this.#events,
      up: this.#unpriced,
      ci: toDecimal(this.#input),
      co: toDecimal(this.#output),
      us: toDecimal(this.#useful),
      ws: toDecimal(this.#wasted),
      un: Object.fromEntries(this.#units),
      ...(this.#first === undefined ? {} : { f: this.#first }),
      ...(this.#last === undefined ? {} : { l: this.#last }),
    };
  }
}
