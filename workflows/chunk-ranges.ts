import { joinedChunks } from './split-document.js';

/** A part of a document, in bytes of its UTF-8 text. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * Where the chunks of a text are, as `splitDocument` makes them: without the white space between them. `offset` is where
 * the text itself begins in its document.
 */
export function chunkRanges(text: string, tokensMax: number, offset: number): readonly ByteRange[] {
  const ranges: ByteRange[] = [];
  let position = offset;
  for (const chunk of joinedChunks(text, tokensMax)) {
    const trimmed = chunk.trim();
    if (trimmed !== '') {
      const before = Buffer.byteLength(chunk.slice(0, chunk.indexOf(trimmed)));
      ranges.push({ offset: position + before, length: Buffer.byteLength(trimmed) });
    }
    position += Buffer.byteLength(chunk);
  }
  return ranges;
}
