/** For a worker: meters its activities and carries experiences through its workflows. */
export type { StartFacts } from './client-interceptors.js';
export { type ExperienceName, withExperience } from './experience-context.js';
export {
  type ClientOfWorkflow,
  ExperiencesPlugin,
  type ExperiencesPluginOptions,
  type PluginClient,
} from './experiences-plugin.js';
export type { ExtractedUsage, Extractors, ExtractUsage, UsageExtractor } from './extractor.js';
export { completeMetered, metered, reportPaidCall, settleLater } from './metered.js';
export type { CallEstimate, CallUsage, MeteredCall, UnitsBasis } from './metered-call.js';
export { aiSdkExtractors, openAiAgentsExtractors, type ReadyExtractorOptions } from './ready-extractors.js';
export {
  BUDGET_EXCEEDED,
  type BudgetRefusal,
  EXPERIENCE_GONE,
  type OnBudget,
  SERVICE_AWAY,
} from './reserve-call.js';
export type { PluginLogger } from './usage-outbox.js';
