import { isBinaryText } from './run.js';
import type { Uuid } from './uuid.js';

/** A text that is kept once and given to runs by its id. */
export interface StoredDocument {
  readonly id: Uuid;
  readonly name: string | undefined;
  /** From the start without a gap so far; of a committed document: its size. */
  readonly sizeBytes: number;
  /** Lower-case hex; undefined until it is committed. */
  readonly sha256: string | undefined;
  readonly createTime: Date;
  readonly expireTime: Date;
}

/** Looks at a text that comes in pieces, wherever they are cut: the rules of `documentText`, for texts of any size. */
export class DocumentTextCheck {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #binary = false;
  #visible = false;

  add(bytes: Uint8Array): void {
    if (!this.#binary) this.#look(() => this.#decoder.decode(bytes, { stream: true }));
  }

  /** What is wrong with the whole; undefined: nothing. */
  problem(): string | undefined {
    if (!this.#binary) this.#look(() => this.#decoder.decode());
    if (this.#binary) return 'is not UTF-8 text';
    return this.#visible ? undefined : 'is empty';
  }

  #look(decode: () => string): void {
    try {
      const text = decode();
      this.#binary = isBinaryText(text);
      this.#visible ||= text.trim() !== '';
    } catch {
      this.#binary = true; // The decoder's way to say that it is no UTF-8.
    }
  }
}

/** All parts of a document but the last have this size. */
export const DOCUMENT_PART_BYTES = 256 * 1024;
export const APPEND_BYTES_MAX = 3 * DOCUMENT_PART_BYTES;
export const STORED_DOCUMENT_BYTES_MAX = 50 * 1024 * 1024;
