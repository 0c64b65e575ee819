import type { ByteRange } from './chunk-ranges.js';

/**
 * Cuts a document of any size into sections of about the same weight while its bytes pass by: at paragraphs where it can,
 * else at white space, never within a character. It keeps the places where it may cut, not the text.
 */
export class SectionPlanner {
  readonly #borders: Border[] = [];
  #last: Border = { offset: 0, quarters: 0 };
  #bytes = 0;
  #quarters = 0;
  /** Whether only white space has come since the last line end. */
  #atLineStart = false;
  /** Whether a blank line came since the last word. */
  #paragraphEnded = false;
  #whiteBefore = false;

  /** The next bytes of the document. */
  add(part: Uint8Array): void {
    for (const byte of part) {
      // A continuation byte belongs to the character before it.
      const isStart = (byte & 0xc0) !== 0x80;
      if (isStart && this.#mayCut(byte)) {
        this.#last = { offset: this.#bytes, quarters: this.#quarters };
        this.#borders.push(this.#last);
      }
      if (isStart) this.#quarters += byte < FIRST_WIDE_LEAD_BYTE ? 1 : 4;
      this.#bytes += 1;
      this.#note(byte);
    }
  }

  /** How many chunks of so many tokens the document has, about. */
  chunkCount(chunkTokens: number): number {
    return Math.max(1, Math.ceil(this.#quarters / (4 * chunkTokens)));
  }

  /** At most so many sections, which together are the whole document. */
  sections(countMax: number): readonly ByteRange[] {
    const cuts = new Set([0]);
    let next = 0;
    for (let index = 1; index < countMax; index += 1) {
      const ideal = (this.#quarters * index) / countMax;
      while (next < this.#borders.length && (this.#borders[next]?.quarters ?? 0) < ideal) next += 1;
      const [before, after] = [this.#borders[next - 1], this.#borders[next]];
      const nearest = nearer(before, after, ideal);
      if (nearest !== undefined) cuts.add(nearest.offset);
    }
    const offsets = [...cuts].sort((a, b) => a - b);
    return offsets.map((offset, index) => ({
      offset,
      length: (offsets[index + 1] ?? this.#bytes) - offset,
    }));
  }

  #mayCut(byte: number): boolean {
    const since = this.#bytes - this.#last.offset;
    if (since < BORDER_DISTANCE_MIN_BYTES || isWhite(byte)) return false;
    if (this.#paragraphEnded) return true;
    if (this.#whiteBefore) return since >= PARAGRAPH_MAX_BYTES;
    return since >= WORD_MAX_BYTES;
  }

  #note(byte: number): void {
    if (byte === LINE_FEED) {
      if (this.#atLineStart) this.#paragraphEnded = true;
      this.#atLineStart = true;
    } else if (!isWhite(byte)) {
      this.#atLineStart = false;
      this.#paragraphEnded = false;
    }
    this.#whiteBefore = isWhite(byte);
  }
}

/** A place where a section may begin, and the weight of all before it. */
interface Border {
  readonly offset: number;
  /** Quarters of tokens, as `splitDocument` counts them. */
  readonly quarters: number;
}

function nearer(before: Border | undefined, after: Border | undefined, ideal: number): Border | undefined {
  if (before === undefined || after === undefined) return before ?? after;
  return ideal - before.quarters <= after.quarters - ideal ? before : after;
}

function isWhite(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

const LINE_FEED = 0x0a;
/** Lead bytes below it begin characters below U+0240, of which four make a token; the rest weigh a token each. */
const FIRST_WIDE_LEAD_BYTE = 0xc9;
/** Bounds what is kept: 25,000 places of the largest document. */
const BORDER_DISTANCE_MIN_BYTES = 2 * 1024;
/** A paragraph that is longer may be cut between words. */
const PARAGRAPH_MAX_BYTES = 16 * 1024;
/** A word that is longer may be cut anywhere. */
const WORD_MAX_BYTES = 64 * 1024;
