import type { GptEncoding } from 'gpt-tokenizer/GptEncoding';

export type TokenEncodingName = 'o200k_base' | 'cl100k_base';

/** Text to tokens as the provider counts them. Special tokens in a text are plain text, as over the provider's API. */
export interface TokenEncoding {
  /** The tokens of a text; stops soon after `tokensMax`, so more than that many means "too many" and not how many. */
  encode(text: string, tokensMax: number): readonly number[];
  /** The text cut into what a stream sends at once: one token, or the few that make up one character. */
  pieces(text: string): readonly TokenPiece[];
}

export interface TokenPiece {
  readonly text: string;
  readonly tokens: number;
}

const loading = new Map<TokenEncodingName, Promise<TokenEncoding>>();

/** Each encoding holds tens of megabytes, so it is loaded when a model first needs it. */
export function loadTokenEncoding(name: TokenEncodingName): Promise<TokenEncoding> {
  const known = loading.get(name);
  if (known !== undefined) return known;
  const loaded = importEncoding(name).then(createTokenEncoding);
  loading.set(name, loaded);
  return loaded;
}

async function importEncoding(name: TokenEncodingName): Promise<GptEncoding> {
  switch (name) {
    case 'o200k_base':
      return (await import('gpt-tokenizer/encoding/o200k_base')).default;
    case 'cl100k_base':
      return (await import('gpt-tokenizer/encoding/cl100k_base')).default;
    default:
      return name satisfies never;
  }
}

const SPECIAL_TOKENS_AS_TEXT = { disallowedSpecial: new Set<string>() };

function createTokenEncoding(encoding: GptEncoding): TokenEncoding {
  return {
    encode(text, tokensMax) {
      const tokens: number[] = [];
      for (const part of withoutLongRuns(text)) {
        for (const some of encoding.encodeGenerator(part, SPECIAL_TOKENS_AS_TEXT)) {
          for (const token of some) tokens.push(token);
          if (tokens.length > tokensMax) return tokens;
        }
      }
      return tokens;
    },

    pieces(text) {
      const pieces: TokenPiece[] = [];
      let taken = 0;
      let given = 0;
      function* counted(): Generator<number> {
        for (const part of withoutLongRuns(text)) {
          for (const token of encoding.encode(part, SPECIAL_TOKENS_AS_TEXT)) {
            taken += 1;
            yield token;
          }
        }
      }
      // Always to the end: the library shares one text decoder between all calls, and half a character left in it
      // would come out in front of the next call's text.
      for (const piece of encoding.decodeGenerator(counted())) {
        pieces.push({ text: piece, tokens: taken - given });
        given = taken;
      }
      return pieces;
    },
  };
}

/**
 * The merge loop of the encoder takes time quadratic in the length of a run of letters, spaces or signs (100,000
 * letters: 6 s). Longer runs than this are cut; each cut may add one token. No word of a language is as long.
 */
const RUN_CHARACTERS_MAX = 256;
const RUN = /[\p{L}\p{M}]+|\s+|[^\s\p{L}\p{N}]+/gu;

function* withoutLongRuns(text: string): Generator<string> {
  let from = 0;
  if (text.length > RUN_CHARACTERS_MAX) {
    for (const { 0: run, index } of text.matchAll(RUN)) {
      const end = index + run.length;
      for (let cut = index + RUN_CHARACTERS_MAX; cut < end; cut += RUN_CHARACTERS_MAX) {
        yield text.slice(from, cut);
        from = cut;
      }
    }
  }
  yield text.slice(from);
}
