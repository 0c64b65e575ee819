import { randomBytes } from 'node:crypto';
import { rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { frameOf } from './journal-frame.js';
import type { JournalLogger } from './journal-logger.js';
import { type JournalEntry, JournalSegment } from './journal-segment.js';
import { readJournal } from './read-journal.js';

/**
 * Texts that are on disk until they are finished, in files that are only appended to. What is added while a flush is under
 * way goes with the next one. That an entry is finished is written down without a flush: after a crash it may come again.
 *
 * Files are removed from the oldest on, so what says that an entry is finished outlives the entry. One old entry that
 * cannot be finished would keep all files behind it, so entries of the oldest are written again when dead bytes prevail.
 */
export class Journal {
  readonly #folder: string;
  readonly #logger: JournalLogger;
  readonly #isHeld: () => Promise<boolean>;
  /** Oldest first; the one that is written to, if any, is the last. */
  readonly #segments: JournalSegment[];
  #active: JournalSegment | undefined;
  #nextSegment: number;
  readonly #keyPrefix = randomBytes(KEY_PREFIX_BYTES).toString('hex');
  #lastKey = 0;
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  #removing: Promise<void> = Promise.resolve();
  #moving = false;
  #isClosed = false;

  private constructor({ folder, logger, isHeld }: JournalOptions, segments: JournalSegment[]) {
    this.#folder = folder;
    this.#logger = logger;
    this.#isHeld = isHeld;
    this.#segments = segments;
    this.#nextSegment = (segments.at(-1)?.number ?? 0) + 1;
  }

  /** The folder is there and this process's alone. Entries come oldest first. */
  static async open(options: JournalOptions): Promise<{
    readonly journal: Journal;
    readonly entries: readonly JournalEntry[];
    readonly corruptedCount: number;
  }> {
    const { segments, entries, corruptedCount } = await readJournal(options.folder, options.logger);
    const journal = new Journal(options, segments);
    journal.#removeFinished();
    await journal.#removing;
    return { journal, entries, corruptedCount };
  }

  /** Resolves when it is on disk; rejects when it could not be written, and then it may still be there after a crash. */
  add(text: string): Promise<JournalEntry> {
    this.#lastKey += 1;
    const entry = { key: `${this.#keyPrefix}-${this.#lastKey}`, text, isFinished: false };
    return this.#append(entry);
  }

  /** Once for each entry. */
  finish(entry: JournalEntry): void {
    if (this.#isClosed) return;
    entry.isFinished = true;
    for (const segment of this.#segments) segment.removeLive(entry);
    this.#pending.push({ frame: frameOf(JSON.stringify({ done: entry.key })) });
    this.#write();
    this.#removeFinished();
    this.#moveOldest();
  }

  /** Everything that was added before is written, or rejected. What is not finished stays. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writing;
    await this.#active?.close();
    this.#active = undefined;
    this.#removeFinished();
    await this.#removing;
  }

  #append(entry: JournalEntry): Promise<JournalEntry> {
    if (this.#isClosed) return Promise.reject(new Error('the journal is closed'));
    // The text is JSON of its own, so it stands in the frame as it is.
    const frame = frameOf(`{"add":"${entry.key}","item":${entry.text}}`);
    return new Promise((resolve, reject) => {
      this.#pending.push({ frame, added: { entry, resolve: () => resolve(entry), reject } });
      this.#write();
    });
  }

  #write(): void {
    this.#writing ??= this.#writePending().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writePending(): Promise<void> {
    // What the caller adds in the same turn goes with the first write.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const batch = this.#takeBatch();
      const added = batch.flatMap((pending) => pending.added ?? []);
      try {
        const segment = await this.#writable();
        await segment.append(
          batch.map(({ frame }) => frame),
          { flush: added.length > 0 },
        );
        if (added.length > 0 && !(await this.#isHeld())) throw new Error('another process has the folder');
        for (const { entry } of added) if (!entry.isFinished) segment.addLive(entry);
        for (const { resolve } of added) resolve();
      } catch (error) {
        this.#logger.error({ err: error, entries: added.length }, 'the journal could not be written');
        await this.#abandonActive();
        for (const { reject } of added) reject(error);
      }
    }
  }

  /** At least one, and no more than about so many bytes. */
  #takeBatch(): readonly Pending[] {
    let bytes = 0;
    const over = this.#pending.findIndex(({ frame }) => {
      bytes += frame.length;
      return bytes > WRITE_BYTES_MAX;
    });
    return this.#pending.splice(0, over === -1 ? this.#pending.length : Math.max(1, over));
  }

  async #writable(): Promise<JournalSegment> {
    if (this.#active !== undefined && this.#active.bytes < SEGMENT_BYTES_MAX) return this.#active;
    const full = this.#active;
    this.#active = undefined;
    await full?.close();
    // A number that failed is not tried again: its file may be there.
    this.#nextSegment += 1;
    const segment = await JournalSegment.create(this.#folder, this.#nextSegment - 1);
    this.#segments.push(segment);
    this.#active = segment;
    return segment;
  }

  /** After a failed write or flush nobody knows what a file holds behind the last good frame, so nothing follows there. */
  async #abandonActive(): Promise<void> {
    const segment = this.#active;
    this.#active = undefined;
    await segment?.abandon();
    // An empty one behind entries that wait would stay, and a full disk would gather them.
    if (segment?.bytes === 0 && this.#segments.at(-1) === segment) this.#remove(this.#segments.pop());
    this.#removeFinished();
  }

  #removeFinished(): void {
    while (this.#segments[0] !== undefined && this.#segments[0] !== this.#active) {
      if (this.#segments[0].live.size > 0) return;
      this.#remove(this.#segments.shift());
    }
  }

  #remove(segment: JournalSegment | undefined): void {
    if (segment === undefined) return;
    const { name, isDamaged } = segment;
    const path = join(this.#folder, name);
    this.#removing = this.#removing
      // What is damaged may still tell a person what was paid.
      .then(() => (isDamaged ? rename(path, `${path}.damaged`) : unlink(path)))
      // A file that stays is read again at the next start, and its entries are delivered again.
      .catch((error: unknown) => this.#logger.warn({ err: error, name }, 'a finished journal file stays'));
  }

  /** Entries keep their keys: that one is finished holds for both of its places. */
  #moveOldest(): void {
    const [oldest] = this.#segments;
    if (this.#moving || oldest === undefined || oldest === this.#active) return;
    let bytes = 0;
    let liveBytes = 0;
    for (const segment of this.#segments) {
      bytes += segment.bytes;
      liveBytes += segment.liveBytes;
    }
    if (bytes <= DEAD_FACTOR_MAX * liveBytes + DEAD_BYTES_MIN) return;
    this.#moving = true;
    const moved = [...oldest.live].map(async (entry) => {
      await this.#append(entry);
      oldest.removeLive(entry);
    });
    void Promise.allSettled(moved).then(() => {
      this.#moving = false;
      this.#removeFinished();
    });
  }
}

export interface JournalOptions {
  readonly folder: string;
  readonly logger: JournalLogger;
  /** Whether the folder is still this process's: asked after each flush, before what was added counts as added. */
  readonly isHeld: () => Promise<boolean>;
}

interface Pending {
  readonly frame: Buffer;
  /** Absent: it says that an entry is finished, and nobody waits for it. */
  readonly added?: {
    readonly entry: JournalEntry;
    readonly resolve: () => void;
    readonly reject: (error: unknown) => void;
  };
}

const KEY_PREFIX_BYTES = 6;
const WRITE_BYTES_MAX = 2 * 1024 * 1024;
const SEGMENT_BYTES_MAX = 4 * 1024 * 1024;
const DEAD_FACTOR_MAX = 2;
const DEAD_BYTES_MIN = 2 * SEGMENT_BYTES_MAX;
