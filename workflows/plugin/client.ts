/** For a process that starts workflows: carries experiences from its Temporal client. */
export type { StartFacts } from './client-interceptors.js';
export { type ExperienceName, withExperience } from './experience-context.js';
export { ExperiencesClientPlugin, type ExperiencesClientPluginOptions } from './experiences-client-plugin.js';
export { completeMetered } from './metered.js';
export type { CallUsage } from './metered-call.js';
