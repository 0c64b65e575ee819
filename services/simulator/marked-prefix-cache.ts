import { createHash } from 'node:crypto';

/**
 * Anthropic's prompt cache: prefixes that the caller has marked are written once, at a price, and read from then on. Unlike
 * the provider's it never forgets by time, so that the counts of a test do not depend on its speed.
 */
export interface MarkedPrefixCache {
  /** Of a prompt of which prefixes of these lengths are marked; the longest is remembered from then on. */
  recall(model: string, prompt: readonly number[], lengths: readonly number[]): CachedTokens;
}

/** Both are part of the prompt, and disjoint. */
export interface CachedTokens {
  readonly read: number;
  readonly written: number;
}

export const NO_MARKED_PREFIX_CACHE: MarkedPrefixCache = { recall: () => ({ read: 0, written: 0 }) };

export function createMarkedPrefixCache(prefixesMax: number = PREFIXES_MAX): MarkedPrefixCache {
  /** In the order of last use. */
  const prefixes = new Set<string>();
  return {
    recall(model, prompt, lengths) {
      const marked = lengths.filter((length) => length >= PREFIX_TOKENS_MIN).toSorted((a, b) => b - a);
      const keys = marked.map((length) => keyOf(model, prompt.slice(0, length)));
      const hit = keys.findIndex((key) => prefixes.has(key));
      for (const key of keys.toReversed()) {
        prefixes.delete(key);
        prefixes.add(key);
      }
      for (const oldest of prefixes) {
        if (prefixes.size <= prefixesMax) break;
        prefixes.delete(oldest);
      }
      const read = marked[hit] ?? 0;
      return { read, written: (marked[0] ?? 0) - read };
    },
  };
}

function keyOf(model: string, tokens: readonly number[]): string {
  return createHash('sha256').update(model).update(Int32Array.from(tokens)).digest('base64');
}

/** The provider's rule for most models: shorter prefixes are not cached. */
const PREFIX_TOKENS_MIN = 1024;
const PREFIXES_MAX = 10_000;
