/** All workflows of the worker: what the bundler is pointed at. */
export { documentSummarization } from './document-summarization.js';
