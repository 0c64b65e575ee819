/** The client of the Experiences service, for other services. */
export { attributionMetadata } from './attribution-metadata.js';
export type * from './book-types.js';
export { type ClientOptions, ExperiencesClient } from './client.js';
export type * from './cost-types.js';
export type * from './document-types.js';
export { ExperiencesError } from './experiences-error.js';
export type * from './limit-types.js';
export type * from './reservation-types.js';
export type * from './run-state-types.js';
export type * from './types.js';
export type { UsageRecorder, UsageRecorderOptions } from './usage-recorder.js';
