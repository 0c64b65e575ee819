import { splitDocument } from './split-document.js';

/** A part of a document: its place in bytes, and its text. */
export interface PassageText {
  readonly offset: number;
  readonly length: number;
  readonly text: string;
}

/** How many stretches a document is indexed in: each is read, split and embedded by itself. */
export function stretchCount(documentBytes: number): number {
  return Math.max(1, Math.ceil(documentBytes / STRETCH_BYTES));
}

/** Which bytes {@link passagesOfStretch} needs for a stretch. */
export function stretchRange(index: number, documentBytes: number): { offset: number; length: number } {
  const offset = index * STRETCH_BYTES;
  return { offset, length: Math.min(documentBytes, offset + STRETCH_BYTES + SEAM_BYTES) - offset };
}

/**
 * The passages of one stretch. Neighbouring stretches meet at a line break near their border, or at a space, and both
 * find it from the same bytes, so that no text is lost or taken twice.
 */
export function passagesOfStretch(
  bytes: Uint8Array,
  index: number,
  documentBytes: number,
): readonly PassageText[] {
  const start = index === 0 ? 0 : seamIn(bytes.subarray(0, SEAM_BYTES));
  const isLast = index === stretchCount(documentBytes) - 1;
  const end = isLast
    ? bytes.length
    : STRETCH_BYTES + seamIn(bytes.subarray(STRETCH_BYTES, STRETCH_BYTES + SEAM_BYTES));
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(start, end));
  const passages: PassageText[] = [];
  let cursor = 0;
  let offset = index * STRETCH_BYTES + start;
  for (const chunk of splitDocument(text, PASSAGE_TOKENS_MAX)) {
    // Chunks follow each other with nothing but white space between them.
    const found = text.indexOf(chunk, cursor);
    offset += Buffer.byteLength(text.slice(cursor, found));
    const length = Buffer.byteLength(chunk);
    passages.push({ offset, length, text: chunk });
    offset += length;
    cursor = found + chunk.length;
  }
  return passages;
}

function seamIn(window: Uint8Array): number {
  for (const separator of [LINE_FEED, SPACE]) {
    const found = window.indexOf(separator);
    if (found !== -1) return found + 1;
  }
  // A script without spaces: at least between characters. Bytes 10xxxxxx continue one (RFC 3629, section 3).
  return Math.max(
    0,
    window.findIndex((byte) => (byte & 0xc0) !== 0x80),
  );
}

const LINE_FEED = 0x0a;
const SPACE = 0x20;
/** Its passages are embedded in one request, whose inputs may have 300,000 tokens; two bytes make at most one. */
const STRETCH_BYTES = 256 * 1024;
const SEAM_BYTES = 4 * 1024;
const PASSAGE_TOKENS_MAX = 400;
