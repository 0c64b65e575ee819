import { countTokens, type TokenEncoding } from './token-count.js';

/**
 * The text of an answer as it was seen, to be counted if the provider does not tell. Its beginning is kept; of what comes
 * behind only the length is, and it is taken to have as many tokens a character.
 */
export class SeenText {
  #kept = '';
  #characters = 0;
  /** undefined: more was added since it was counted. */
  #tokens: bigint | undefined;

  add(text: string | undefined): void {
    if (text === undefined) return;
    this.#characters += text.length;
    this.#tokens = undefined;
    if (this.#kept.length < KEPT_CHARACTERS_MAX) this.#kept += text.slice(0, KEPT_CHARACTERS_MAX);
  }

  get isEmpty(): boolean {
    return this.#characters === 0;
  }

  tokens(encoding: TokenEncoding): bigint {
    if (this.isEmpty) return 0n;
    this.#tokens ??=
      (countTokens([this.#kept], encoding) * BigInt(this.#characters)) / BigInt(this.#kept.length);
    return this.#tokens;
  }
}

const KEPT_CHARACTERS_MAX = 32 * 1024;
