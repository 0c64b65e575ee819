import type { Binary, Filter } from 'mongodb';
import type { Experience, StartedRun } from '../domain/experience.js';
import { invalidFields } from '../domain/fault.js';
import { PROPERTIES_MAX } from '../domain/text-rules.js';
import type { Properties } from '../domain/usage.js';
import type { Uuid } from '../domain/uuid.js';
import type { ExperienceDocument } from './documents.js';
import { fromExperienceDocument, toRunDocument } from './experience-document.js';
import { fromLabels, toLabels } from './labels.js';
import { experienceNotFound } from './not-found.js';
import { olderThan } from './older-than.js';
import { type Store, toBinary } from './store.js';
import { withStoreFaults } from './store-fault.js';
import { inTransaction, timeLeftMs } from './transaction.js';

/** Experiences in the store: reading them, and the changes that are not money. */
export class Experiences {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** One read by key, however many events the experience has. */
  async get(application: string, id: Uuid, showDeleted: boolean, deadline: number): Promise<Experience> {
    const experience = await this.find(application, id, deadline);
    if (experience === undefined || (experience.deleteTime !== undefined && !showDeleted))
      throw experienceNotFound(id);
    return experience;
  }

  /** Deleted or not; undefined: there is none. */
  async find(application: string, id: Uuid, deadline: number): Promise<Experience | undefined> {
    const document = await withStoreFaults(() =>
      this.#store.experiences.findOne({ _id: keyOf(application, id) }, { maxTimeMS: timeLeftMs(deadline) }),
    );
    return document === null ? undefined : fromExperienceDocument(document);
  }

  /** Newest first. */
  async list(
    application: string,
    filter: ExperienceFilter,
    page: { readonly after: ExperiencePosition | undefined; readonly limit: number },
    deadline: number,
  ): Promise<readonly Experience[]> {
    const query: Filter<ExperienceDocument> = {
      '_id.a': application,
      ...(filter.type === undefined ? {} : { t: filter.type }),
      ...(filter.version === undefined ? {} : { v: filter.version }),
      ...(filter.showDeleted ? {} : { d: { $exists: false } }),
      ...(page.after === undefined
        ? {}
        : olderThan(page.after.createTime, keyOf(application, page.after.id))),
    };
    const documents = await withStoreFaults(() =>
      this.#store.experiences
        .find(query, {
          sort: { c: -1, _id: -1 },
          limit: page.limit,
          hint: indexFor(filter),
          maxTimeMS: timeLeftMs(deadline),
        })
        .toArray(),
    );
    return documents.map(fromExperienceDocument);
  }

  async updateProperties(
    application: string,
    id: Uuid,
    change: { readonly set: Properties; readonly remove: readonly string[] },
    deadline: number,
  ): Promise<Experience> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const document = await this.#store.experiences.findOne({ _id: keyOf(application, id) }, transaction);
      if (document === null || document.d !== undefined) throw experienceNotFound(id);
      const properties = new Map(fromLabels(document.lb));
      for (const key of change.remove) properties.delete(key);
      for (const [key, value] of change.set) properties.set(key, value);
      if (properties.size > PROPERTIES_MAX) {
        throw invalidFields([
          { field: 'set', description: `an experience has at most ${PROPERTIES_MAX} properties` },
        ]);
      }
      const update =
        properties.size === 0 ? { $unset: { lb: true as const } } : { $set: { lb: toLabels(properties) } };
      await this.#store.experiences.updateOne({ _id: document._id }, update, transaction);
      return { ...fromExperienceDocument(document), properties };
    });
  }

  /** Hides it; a deleted one stays as it is. */
  async delete(application: string, id: Uuid, deadline: number): Promise<Experience> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const document = await this.#store.experiences.findOne({ _id: keyOf(application, id) }, transaction);
      if (document === null) throw experienceNotFound(id);
      if (document.d !== undefined) return fromExperienceDocument(document);
      const d = new Date();
      await this.#store.experiences.updateOne({ _id: document._id }, { $set: { d } }, transaction);
      return fromExperienceDocument({ ...document, d });
    });
  }

  /** Notes that the experience was started; answers the note of an earlier start, if there is one. */
  async noteRun(
    application: string,
    id: Uuid,
    run: StartedRun,
    deadline: number,
  ): Promise<StartedRun | undefined> {
    return inTransaction(this.#store, deadline, async (transaction) => {
      const document = await this.#store.experiences.findOne({ _id: keyOf(application, id) }, transaction);
      if (document === null || document.d !== undefined) throw experienceNotFound(id);
      if (document.run !== undefined) return fromExperienceDocument(document).run;
      await this.#store.experiences.updateOne(
        { _id: document._id },
        { $set: { run: toRunDocument(run) } },
        transaction,
      );
      return undefined;
    });
  }

  async confirmRun(application: string, id: Uuid, runId: string, deadline: number): Promise<void> {
    await withStoreFaults(() =>
      this.#store.experiences.updateOne(
        { _id: keyOf(application, id) },
        { $set: { 'run.r': runId } },
        { maxTimeMS: timeLeftMs(deadline) },
      ),
    );
  }
}

export interface ExperienceFilter {
  readonly type: string | undefined;
  /** Only with a type. */
  readonly version: number | undefined;
  readonly showDeleted: boolean;
}

/** Where a page of experiences ends. */
export interface ExperiencePosition {
  readonly createTime: Date;
  readonly id: Uuid;
}

/** The index that has the experiences in the order of the list; left to itself MongoDB may sort them in memory. */
function indexFor(filter: ExperienceFilter): string {
  if (filter.type === undefined) return 'by_time';
  return filter.version === undefined ? 'by_type' : 'by_type_version';
}

function keyOf(application: string, id: Uuid): { a: string; x: Binary } {
  return { a: application, x: toBinary(id) };
}
