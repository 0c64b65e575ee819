import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { frameOf } from './journal-frame.js';
import { FILE_MODE, flushFolder, type JournalEntry } from './journal-segment.js';

/** The file of what the service refuses for good. It is written and never read here. */
export const REFUSED_FILE = 'refused.journal';

/** Why an item is given up, in words that hold no content of it. */
export interface Refusal {
  readonly code: string;
  readonly reason?: string | undefined;
}

/**
 * Money that was spent and that the service will not book as it is. Each line is a frame of a journal, so that an operator
 * who has removed the cause can stop the process, name the file `0000000000.journal`, and have all of it delivered again.
 */
export class RefusedItems {
  readonly #folder: string;
  #bytes: number;
  #writing: Promise<void> = Promise.resolve();

  private constructor(folder: string, bytes: number) {
    this.#folder = folder;
    this.#bytes = bytes;
  }

  static async open(folder: string): Promise<RefusedItems> {
    const found = await stat(join(folder, REFUSED_FILE)).catch(() => undefined);
    return new RefusedItems(folder, found?.size ?? 0);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves when it is on disk. The entry gets another key, for it may be finished only under its own. */
  async add({ key, text }: JournalEntry, refusal: Refusal): Promise<void> {
    const why = JSON.stringify({ ...refusal, time: new Date().toISOString() });
    const frame = frameOf(`{"add":"${key}-again","item":${text},"refused":${why}}`);
    const write = this.#writing.then(() => this.#append(frame));
    this.#writing = write.catch(() => undefined);
    await write;
  }

  async close(): Promise<void> {
    await this.#writing;
  }

  async #append(frame: Buffer): Promise<void> {
    const isNew = this.#bytes === 0;
    const file = await open(join(this.#folder, REFUSED_FILE), 'a', FILE_MODE);
    try {
      await file.appendFile(Buffer.concat([EMPTY_LINE, frame]));
      await file.datasync();
    } finally {
      this.#bytes = (await file.stat()).size;
      await file.close();
    }
    if (isNew) await flushFolder(this.#folder);
  }
}

/** An append that was interrupted may have left half a line before it. */
const EMPTY_LINE = Buffer.from('\n');
