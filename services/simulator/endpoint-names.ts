/** The providers' calls that models answer, as the served calls and the fault rules name them. */
export const ENDPOINT_NAMES = [
  'chat.completions',
  'responses',
  'embeddings',
  'images.generations',
  'messages',
] as const;
export type EndpointName = (typeof ENDPOINT_NAMES)[number];

/** Whose forms a call follows in its key, its errors and its headers. */
export type Dialect = 'openai' | 'anthropic';
