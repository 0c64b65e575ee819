import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';

/**
 * About how many tokens a text has, for an answer that does not tell. Whatever the text holds it answers, and in time
 * that grows with its length only: the tokenizer would refuse texts that name its special tokens, and takes time
 * quadratic in the length of a word.
 */
export function estimateTokenCount(text: string): number {
  let count = 0;
  for (let start = 0; start < text.length; start += PART_CHARACTERS) {
    count += countTokens(text.slice(start, start + PART_CHARACTERS), { disallowedSpecial: new Set() });
  }
  return count;
}

/** Each cut may add one token. */
const PART_CHARACTERS = 1_000;
