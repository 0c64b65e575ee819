/** The client of the Experiences service, for other services. */
export type * from './application-types.js';
export { attributionMetadata } from './attribution-metadata.js';
export type * from './book-types.js';
export { type Caller, type ClientOptions, ExperiencesClient } from './client.js';
export type * from './cost-types.js';
export { createHeaders, type ExperienceHeaders } from './create-headers.js';
export type * from './document-types.js';
export { ExperiencesError } from './experiences-error.js';
export { anthropicUrl, openaiUrl } from './gateway-urls.js';
export type * from './limit-types.js';
export type { Page, PageRequest } from './pages.js';
export type * from './reservation-types.js';
export type * from './run-state-types.js';
export type * from './types.js';
export type { UsageRecorder, UsageRecorderOptions } from './usage-recorder.js';
