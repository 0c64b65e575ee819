import type { PrefixCache } from './prefix-cache.js';

/** What the calls that answer in text take from the simulator around them. */
export interface CompletionWorld {
  readonly prefixes: PrefixCache;
  readonly now: () => number;
  /** A fresh id with this beginning. */
  readonly newId: (prefix: string) => string;
}
