import { contract } from '../contract/contract.js';
import { newUuid } from '../domain/new-uuid.js';
import { type Channel, callUnary, identifies } from './call.js';
import { fromWireExperience } from './from-wire.js';
import type { NewLimitConfig } from './limit-types.js';
import { PAGE_SIZE, pages } from './pages.js';
import { toWireInt, toWireLimitConfig } from './to-wire.js';
import type { Experience } from './types.js';

const methods = contract.ExperienceService.service;

/** Experiences: the single uses of a feature. */
export class ExperiencesOfTypeClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Creates an experience before its first call; an id that exists with this type answers that experience. */
  async create(experience: {
    readonly experienceType: string;
    /** Absent: the current version. */
    readonly experienceVersion?: number;
    /** A UUID of your own. Absent: one is made here, so that retries meet the same experience. */
    readonly experienceId?: string;
    readonly userId?: string;
    readonly properties?: Readonly<Record<string, string>>;
    /** The limit of its own. Absent: as its type says. */
    readonly limitConfig?: NewLimitConfig;
  }): Promise<{
    readonly experience: Experience;
    readonly alreadyExisted: boolean;
    readonly idReplaced: boolean;
  }> {
    const experienceId = experience.experienceId ?? newUuid();
    const experienceVersion = toWireInt('experienceVersion', experience.experienceVersion ?? 0);
    const limitConfig =
      experience.limitConfig === undefined ? null : toWireLimitConfig(experience.limitConfig);
    const request = { ...experience, experienceVersion, experienceId, limitConfig };
    const answer = await callUnary(this.#channel, methods.CreateExperience, request, {
      repeatable: identifies(experienceId),
    });
    return {
      experience: fromWireExperience(answer.experience),
      alreadyExisted: answer.alreadyExisted,
      idReplaced: answer.experienceIdReplaced,
    };
  }

  async get(experienceId: string, options: { readonly showDeleted?: boolean } = {}): Promise<Experience> {
    const answer = await callUnary(this.#channel, methods.GetExperience, { experienceId, ...options });
    return fromWireExperience(answer.experience);
  }

  /** Newest first, read page by page. */
  list(
    filter: {
      readonly experienceType?: string;
      readonly experienceVersion?: number;
      readonly showDeleted?: boolean;
    } = {},
  ): AsyncGenerator<Experience, void, undefined> {
    return pages(async (pageToken) => {
      const experienceVersion = toWireInt('experienceVersion', filter.experienceVersion ?? 0);
      const request = { ...filter, experienceVersion, pageSize: PAGE_SIZE, pageToken };
      const answer = await callUnary(this.#channel, methods.ListExperiences, request);
      return { items: answer.experiences.map(fromWireExperience), nextPageToken: answer.nextPageToken };
    });
  }

  async updateProperties(
    experienceId: string,
    change: { readonly set?: Readonly<Record<string, string>>; readonly remove?: readonly string[] },
  ): Promise<Experience> {
    const request = { experienceId, set: { ...change.set }, remove: [...(change.remove ?? [])] };
    const answer = await callUnary(this.#channel, methods.UpdateExperienceProperties, request);
    return fromWireExperience(answer.experience);
  }

  async delete(experienceId: string): Promise<Experience> {
    const answer = await callUnary(this.#channel, methods.DeleteExperience, { experienceId });
    return fromWireExperience(answer.experience);
  }
}
