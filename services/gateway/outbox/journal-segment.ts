import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

/** A text that is in a journal, under a key that no other ever has. */
export interface JournalEntry {
  readonly key: string;
  /** JSON in one line. */
  readonly text: string;
  isFinished: boolean;
}

/** One file of a journal, with the entries in it that are not finished. */
export class JournalSegment {
  readonly number: number;
  /** Whether some of it could not be read. */
  readonly isDamaged: boolean;
  readonly #live = new Set<JournalEntry>();
  #liveBytes = 0;
  #bytes: number;
  /** Absent: nothing more is written to it. */
  #file: FileHandle | undefined;

  constructor(fields: {
    readonly number: number;
    readonly bytes: number;
    readonly file?: FileHandle;
    readonly isDamaged?: boolean;
  }) {
    this.number = fields.number;
    this.isDamaged = fields.isDamaged ?? false;
    this.#bytes = fields.bytes;
    this.#file = fields.file;
  }

  /** An empty file, whose name is on disk when this resolves. */
  static async create(folder: string, number: number): Promise<JournalSegment> {
    const file = await open(join(folder, segmentName(number)), 'wx', FILE_MODE);
    try {
      await flushFolder(folder);
    } catch (error) {
      await file.close();
      throw error;
    }
    return new JournalSegment({ number, bytes: 0, file });
  }

  get name(): string {
    return segmentName(this.number);
  }

  /** Up to the last good frame. */
  get bytes(): number {
    return this.#bytes;
  }

  get live(): ReadonlySet<JournalEntry> {
    return this.#live;
  }

  get liveBytes(): number {
    return this.#liveBytes;
  }

  addLive(entry: JournalEntry): void {
    this.#live.add(entry);
    this.#liveBytes += entry.text.length;
  }

  removeLive(entry: JournalEntry): void {
    if (this.#live.delete(entry)) this.#liveBytes -= entry.text.length;
  }

  /** After a rejection call `abandon`. */
  async append(frames: readonly Buffer[], { flush }: { readonly flush: boolean }): Promise<void> {
    if (this.#file === undefined) throw new Error('nothing more is written to this file');
    const bytes = Buffer.concat(frames);
    for (let written = 0; written < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(
        bytes,
        written,
        bytes.length - written,
        this.#bytes + written,
      );
      written += bytesWritten;
    }
    if (flush) await this.#file.datasync();
    this.#bytes += bytes.length;
  }

  /** Cuts off what a failed write has left. Where that fails too, a reader takes it for the unfinished end that it is. */
  async abandon(): Promise<void> {
    await this.#file?.truncate(this.#bytes).catch(() => undefined);
    await this.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}

/** undefined: a file with this name is none of a journal. */
export function segmentNumber(name: string): number | undefined {
  const [, digits] = /^(\d{10})\.journal$/.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

export function segmentName(number: number): string {
  return `${String(number).padStart(10, '0')}.journal`;
}

/** A file that was created or renamed is found after a power cut only when its folder was flushed. */
export async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export const FILE_MODE = 0o600;
