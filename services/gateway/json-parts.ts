/**
 * How many parts a JSON text has: strings, names among them, commas and opening brackets. A parsed part takes many times
 * the memory and the time of its bytes, and a body can be nothing but parts, so they are bounded before it is parsed. The
 * text need not be valid. One pass over the bytes, without looking for the ends of strings: what is full of quotes must
 * not be slow either.
 */
export function countJsonParts(bytes: Uint8Array): number {
  let parts = 0;
  let isInString = false;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index];
    if (isInString) {
      if (byte === QUOTE) isInString = false;
      else if (byte === BACKSLASH) index += 1;
    } else if (byte === QUOTE) {
      isInString = true;
      parts += 1;
    } else if (byte === COMMA || byte === OPENING_BRACE || byte === OPENING_BRACKET) parts += 1;
  }
  return parts;
}

/** More than 1,000 events with 64 properties each have, and than a provider takes numbers in one call for embeddings. */
export const JSON_PARTS_MAX = 500_000;
/** What a part takes in this process once it is parsed, about: an empty object with its place in a list takes two. */
export const JSON_PART_BYTES = 64;

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const OPENING_BRACE = 0x7b;
