import { modelNotFound, Refusal } from './refusal.js';
import type { TokenEncodingName } from './token-encoding.js';

/** A model as the simulator plays it. */
export interface Model {
  /** The name in the answer: dated where the provider answers a bare name with a dated one. */
  readonly name: string;
  readonly kind: 'chat' | 'embedding' | 'image';
  readonly encoding: TokenEncodingName;
  /** How many tokens a prompt, or one embedding input, may have. */
  readonly contextTokensMax: number;
  /** Whether the provider counts repeated prompt prefixes as cached; it began with gpt-4o. */
  readonly cachesPrompts: boolean;
  /** Only embedding models: how long a vector is when nothing is asked, and whether a shorter one may be asked. */
  readonly dimensions?: { readonly default: number; readonly choosable: boolean };
}

/** Bare names and what answers them, as the provider resolved them in 2025 and 2026. */
const DATED_NAMES: ReadonlyMap<string, string> = new Map([
  ['gpt-3.5-turbo', 'gpt-3.5-turbo-0125'],
  ['gpt-4', 'gpt-4-0613'],
  ['gpt-4-turbo', 'gpt-4-turbo-2024-04-09'],
  ['gpt-4o', 'gpt-4o-2024-08-06'],
  ['gpt-4o-mini', 'gpt-4o-mini-2024-07-18'],
  ['gpt-4.1', 'gpt-4.1-2025-04-14'],
  ['gpt-4.1-mini', 'gpt-4.1-mini-2025-04-14'],
  ['gpt-4.1-nano', 'gpt-4.1-nano-2025-04-14'],
  ['gpt-5', 'gpt-5-2025-08-07'],
  ['gpt-5-mini', 'gpt-5-mini-2025-08-07'],
  ['gpt-5-nano', 'gpt-5-nano-2025-08-07'],
  ['gpt-5.1', 'gpt-5.1-2025-11-13'],
  ['gpt-5.2', 'gpt-5.2-2025-12-11'],
  ['o1', 'o1-2024-12-17'],
  ['o3', 'o3-2025-04-16'],
  ['o3-mini', 'o3-mini-2025-01-31'],
  ['o4-mini', 'o4-mini-2025-04-16'],
]);

const EMBEDDING_MODELS = ['text-embedding-3-small', 'text-embedding-3-large', 'text-embedding-ada-002'];

/** What `GET /v1/models` lists. Other names are answered too, see {@link resolveModel}. */
export const LISTED_MODELS: readonly string[] = [...[...DATED_NAMES].flat(), ...EMBEDDING_MODELS];

const UNKNOWN_MODEL = /^unknown/;
const EMBEDDING_INPUT_TOKENS_MAX = 8192;
const IMAGE_MODEL = /^(?:gpt-image|chatgpt-image|dall-e)/;
const IMAGE_PROMPT_TOKENS_MAX = 32_000;
const OLDER_CHAT = /^gpt-(?:3\.5|4$|4-)/;

/** The first row whose pattern matches decides. */
const CONTEXT_TOKENS: readonly (readonly [pattern: RegExp, tokensMax: number])[] = [
  [/^gpt-3\.5/, 16_385],
  [/^gpt-4(?:$|-0613|-0314)/, 8_192],
  [/^gpt-4\.1/, 1_047_576],
  [/^gpt-5/, 400_000],
  [/^o\d/, 200_000],
  [/^claude/, 200_000],
];
const CONTEXT_TOKENS_OTHERWISE = 128_000;

/**
 * Every name is a model, so that any price list can be tried, save for those that start with `unknown`: they answer
 * undefined. A name that says `embedding` is an embedding model, those of image
 * models make images, any other is a chat model.
 */
export function resolveModel(requested: string): Model | undefined {
  if (UNKNOWN_MODEL.test(requested)) return undefined;
  if (requested.includes('embedding')) {
    return {
      name: requested,
      kind: 'embedding',
      encoding: 'cl100k_base',
      contextTokensMax: EMBEDDING_INPUT_TOKENS_MAX,
      cachesPrompts: false,
      dimensions: {
        default: requested === 'text-embedding-3-large' ? 3072 : 1536,
        choosable: requested !== 'text-embedding-ada-002',
      },
    };
  }
  if (IMAGE_MODEL.test(requested)) {
    return {
      name: requested,
      kind: 'image',
      encoding: 'o200k_base',
      contextTokensMax: IMAGE_PROMPT_TOKENS_MAX,
      cachesPrompts: false,
    };
  }
  const older = OLDER_CHAT.test(requested);
  return {
    name: DATED_NAMES.get(requested) ?? requested,
    kind: 'chat',
    encoding: older ? 'cl100k_base' : 'o200k_base',
    contextTokensMax:
      CONTEXT_TOKENS.find(([pattern]) => pattern.test(requested))?.[1] ?? CONTEXT_TOKENS_OTHERWISE,
    cachesPrompts: !older,
  };
}

/** Throws a Refusal for what is no chat model. */
export function chatModel(requested: string): Model {
  const model = resolveModel(requested);
  if (model === undefined) throw modelNotFound();
  if (model.kind === 'chat') return model;
  throw new Refusal(404, 'This is not a chat model and thus not supported here.', { param: 'model' });
}
