/** All workflows of the worker: what the bundler is pointed at. */
export { documentChatbot } from './document-chatbot.js';
export { documentSection } from './document-section.js';
export { documentSummarization } from './document-summarization.js';
export { repriceUnpriced, sweepReservations, verifySample } from './housekeeping.js';
