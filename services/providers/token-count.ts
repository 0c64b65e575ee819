import { createRequire } from 'node:module';
import type { GptEncoding } from 'gpt-tokenizer/GptEncoding';

export type TokenEncoding = 'o200k_base' | 'cl100k_base';

/**
 * Which tokenizer a model is counted with: the older one for the models that are known to have it, o200k_base for all
 * else. For models of other makers the count is an estimate, mostly 10-30 % low (their tokenizers are not public).
 */
export function tokenEncodingOf(model: string): TokenEncoding {
  return OLDER_MODEL.test(model) ? 'cl100k_base' : 'o200k_base';
}

/**
 * How many tokens texts have together. Up to {@link TOKENIZED_CHARACTERS_MAX} characters all of them are counted; of more,
 * evenly spread slices of that length together are, and the rest is taken to be like them: within a few percent for text
 * of one kind, and at worst as far off as the kinds differ. So the work is bounded whatever the length: some milliseconds
 * for prose, about 0.1 s for random letters. Names of special tokens are plain text, as over a provider's API.
 */
export function countTokens(texts: readonly string[], encoding: TokenEncoding): bigint {
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  if (characters === 0) return 0n;
  const tokenizer = tokenizerOf(encoding);
  const step = Math.max(1, characters / TOKENIZED_CHARACTERS_MAX);
  let tokens = 0;
  let counted = 0;
  let sliceStart = 0;
  let due = 0;
  for (const text of texts) {
    for (const slice of slices(text)) {
      if (sliceStart >= due) {
        tokens += tokenizer.countTokens(slice, SPECIAL_TOKENS_AS_TEXT);
        counted += slice.length;
        due += slice.length * step;
      }
      sliceStart += slice.length;
    }
  }
  return BigInt(Math.round((tokens * characters) / counted));
}

/** Loads the tokenizer of most models now (some 70 MB, 0.3 to 1.1 s), so that the first count does not have to. */
export function loadTokenizer(): void {
  tokenizerOf('o200k_base');
}

/**
 * The tokenizer takes time quadratic in the length of a word, so texts are cut: in front of a blank where there is one,
 * which changes no count; a cut inside a run without blanks may add one token.
 */
function* slices(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + SLICE_CHARACTERS, text.length);
    if (end < text.length) {
      const blank = text.slice(start, end + 1).lastIndexOf(' ');
      if (blank > 0) end = start + blank;
    }
    yield text.slice(start, end);
    start = end;
  }
}

/** Each holds tens of megabytes and most calls need none, so they are loaded when one is first used. */
function tokenizerOf(encoding: TokenEncoding): GptEncoding {
  const known = tokenizers.get(encoding);
  if (known !== undefined) return known;
  // The package's own types say that the module's members are those of an encoding; require knows no types.
  const tokenizer = load(encoding) as GptEncoding;
  tokenizers.set(encoding, tokenizer);
  return tokenizer;
}

function load(encoding: TokenEncoding): unknown {
  switch (encoding) {
    case 'o200k_base':
      return createRequire(import.meta.url)('gpt-tokenizer/encoding/o200k_base');
    case 'cl100k_base':
      return createRequire(import.meta.url)('gpt-tokenizer/encoding/cl100k_base');
    default:
      return encoding satisfies never;
  }
}

export const TOKENIZED_CHARACTERS_MAX = 64 * 1024;
const SLICE_CHARACTERS = 1_000;
const SPECIAL_TOKENS_AS_TEXT = { disallowedSpecial: new Set<string>() };
/** gpt-4 and gpt-4-turbo, gpt-3.5, and embeddings; gpt-4o, gpt-4.1 and gpt-4.5 have the newer one. */
const OLDER_MODEL = /^(?:ft:)?(?:gpt-4(?!o|\.\d)|gpt-3\.5|gpt-35|text-embedding-)/;
const tokenizers = new Map<TokenEncoding, GptEncoding>();
