import type { ClientOptions } from '@temporalio/client';
import { SimplePlugin } from '@temporalio/plugin';
import {
  type ClientInterceptorSettings,
  clientInterceptors,
  mergedClientInterceptors,
  type StartFacts,
} from './client-interceptors.js';

export interface ExperiencesClientPluginOptions {
  /**
   * Type of what is started without naming an experience; a function may tell it from what is started, and answers
   * undefined where it is none. Absent: only what is named is an experience.
   */
  readonly experienceType?: string | ((start: StartFacts) => string | undefined);
  /** True: `ExperienceId` and `ExperienceType` are registered as keywords, and set when a workflow starts. */
  readonly searchAttributes?: boolean;
}

/**
 * Carries experiences from a Temporal client. It keeps every interceptor of its user, which Temporal's own
 * `SimplePlugin` 1.24 does not, and applies once however often, and from however many copies, it is passed.
 */
export class ExperiencesClientPlugin extends SimplePlugin {
  protected readonly clientSettings: ClientInterceptorSettings;

  constructor({ experienceType, searchAttributes = false }: ExperiencesClientPluginOptions = {}) {
    super({ name: 'experiences' });
    this.clientSettings = {
      defaultTypeOf: typeof experienceType === 'function' ? experienceType : () => experienceType,
      searchAttributes,
    };
  }

  override configureClient(options: ClientOptions): ClientOptions {
    return once(options, CLIENT_MARK, () => ({
      ...options,
      interceptors: mergedClientInterceptors(options.interceptors, clientInterceptors(this.clientSettings)),
    }));
  }
}

/** Marks options under a global symbol, which copies of options keep: what bears it is not configured again. */
export function once<O extends object>(options: O, mark: symbol, configure: () => O): O {
  if (mark in options) return options;
  return { ...configure(), [mark]: true };
}

const CLIENT_MARK = Symbol.for('experiences.plugin.client');
