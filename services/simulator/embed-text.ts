import { createHash } from 'node:crypto';
import { contentWords } from './words.js';

/** Each word is spread over so many dimensions, so that two words rarely share all of them. */
const POSITIONS_PER_WORD = 8;
const HASH_BYTES_PER_POSITION = 4;

/**
 * A vector of length 1 that depends on the text alone. Texts with words in common lie near each other, for each word adds
 * its own few hashed dimensions; a repeated word adds less each time. It knows nothing of meaning.
 */
export function embedText(text: string, dimensions: number): Float32Array {
  const counts = new Map<string, number>();
  for (const word of contentWords(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  // A text without a telling word is its own only word.
  if (counts.size === 0) counts.set(text, 1);
  const sums = new Float64Array(dimensions);
  for (const [word, count] of counts) {
    const hash = createHash('sha256').update(word).digest();
    for (let position = 0; position < POSITIONS_PER_WORD; position += 1) {
      const bits = hash.readUInt32LE(position * HASH_BYTES_PER_POSITION);
      const sign = bits & 1 ? 1 : -1;
      const dimension = (bits >>> 1) % dimensions;
      sums[dimension] = (sums[dimension] ?? 0) + sign * Math.sqrt(count);
    }
  }
  const length = Math.hypot(...sums);
  // Few dimensions can cancel each other out.
  if (length === 0) sums[0] = 1;
  return Float32Array.from(sums, (sum) => sum / (length || 1));
}
