import { createHash } from 'node:crypto';

/**
 * The provider's prompt cache: the beginning of a prompt that an earlier prompt to the same model had too is counted
 * as cached. Unlike the provider's it never forgets by time, so that the counts of a test do not depend on its speed.
 */
export interface PrefixCache {
  /** How many leading tokens of this prompt are cached; from then on this prompt is remembered as well. */
  recall(model: string, promptTokens: readonly number[]): number;
}

/** The provider's rule: at least 1,024 tokens, then in steps of 128. */
const PREFIX_TOKENS_MIN = 1024;
const PREFIX_TOKENS_STEP = 128;

/** One prompt of 100,000 tokens has about 770 prefixes. */
const PREFIXES_MAX = 100_000;

/** For a provider without a prompt cache. */
export const NO_PREFIX_CACHE: PrefixCache = { recall: () => 0 };

export function createPrefixCache(prefixesMax: number = PREFIXES_MAX): PrefixCache {
  /** In the order of last use. */
  const prefixes = new Set<string>();

  return {
    recall(model, promptTokens) {
      const keys = prefixKeys(model, promptTokens);
      const firstMiss = keys.findIndex((key) => !prefixes.has(key));
      const hits = firstMiss === -1 ? keys.length : firstMiss;
      // From the longest to the shortest: the longest goes first when room is needed, for without its shorter ones
      // it could not be found.
      for (const key of keys.toReversed()) {
        prefixes.delete(key);
        prefixes.add(key);
      }
      for (const oldest of prefixes) {
        if (prefixes.size <= prefixesMax) break;
        prefixes.delete(oldest);
      }
      return hits === 0 ? 0 : PREFIX_TOKENS_MIN + (hits - 1) * PREFIX_TOKENS_STEP;
    },
  };
}

/** One key for each prefix length, shortest first; each covers the model and all tokens before it. */
function prefixKeys(model: string, promptTokens: readonly number[]): readonly string[] {
  const keys: string[] = [];
  let previous = model;
  let from = 0;
  for (let end = PREFIX_TOKENS_MIN; end <= promptTokens.length; end += PREFIX_TOKENS_STEP) {
    const block = Int32Array.from(promptTokens.slice(from, end));
    previous = createHash('sha256').update(previous).update(block).digest('base64');
    keys.push(previous);
    from = end;
  }
  return keys;
}
