import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ExperiencesError } from '../../client/index.js';
import type { Logger } from '../../runtime/logger.js';
import { DeliveryLoop } from './delivery-loop.js';
import { UnreadableItem } from './delivery-verdict.js';
import { FolderLock } from './folder-lock.js';
import { Journal } from './journal.js';
import { flushFolder, type JournalEntry } from './journal-segment.js';
import { eventIdOf, fromText, type OutboxItem, toText } from './outbox-item.js';
import { type Refusal, RefusedItems } from './refused-items.js';

export type { OutboxItem };

export interface DiskOutboxOptions {
  /** Created if it is not there, readable by this user alone. */
  readonly folder: string;
  /** What may wait, in bytes on disk; refused items count. The files may take twice that and some. Absent: 64 MiB. */
  readonly bytesMax?: number;
  /** How many may wait; absent: 100,000. */
  readonly itemsMax?: number;
  /** Resolves when the ledger has it; rejects ExperiencesError. It may be called again for the same item. */
  readonly deliver: (item: OutboxItem) => Promise<void>;
  readonly logger: Logger;
}

/** Why an item was not taken. Nothing is known of it here; unless the write failed it is not on disk. */
export class NotStored extends Error {
  override readonly name = 'NotStored';
  readonly reason: 'FULL' | 'TOO_LARGE' | 'CLOSED' | 'WRITE_FAILED';

  constructor(reason: NotStored['reason'], message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/**
 * What the ledger could not take when it was away, kept on disk until it does. What was acknowledged here is delivered at
 * least once, always under its event id, and the ledger makes that exactly once. The order is not kept.
 *
 * One process a folder: a second one is refused, and after a crash the next one takes over and delivers what is there.
 * What the ledger refuses for good is put aside in the same folder, see refused-items.ts.
 */
export class DiskOutbox {
  readonly #lock: FolderLock;
  readonly #journal: Journal;
  readonly #refused: RefusedItems;
  readonly #logger: Logger;
  readonly #bytesMax: number;
  readonly #itemsMax: number;
  readonly #loop: DeliveryLoop<JournalEntry>;
  readonly #adding = new Set<Promise<unknown>>();
  #size = 0;
  #bytes = 0;
  #refusedCount = 0;
  #corruptedCount = 0;
  #closed: Promise<void> | undefined;
  /** undefined: the last write did not fail. */
  #writeFailedAtMs: number | undefined;

  private constructor(
    options: DiskOutboxOptions,
    parts: { readonly lock: FolderLock; readonly journal: Journal; readonly refused: RefusedItems },
  ) {
    this.#lock = parts.lock;
    this.#journal = parts.journal;
    this.#refused = parts.refused;
    this.#logger = options.logger;
    this.#bytesMax = options.bytesMax ?? BYTES_MAX;
    this.#itemsMax = options.itemsMax ?? ITEMS_MAX;
    this.#loop = new DeliveryLoop<JournalEntry>({
      deliver: async (entry) => options.deliver(readItem(entry)),
      refuse: (entry, error) => this.#refuse(entry, error),
      finished: (entry) => {
        this.#size -= 1;
        this.#bytes -= Buffer.byteLength(entry.text);
        this.#journal.finish(entry);
      },
    });
  }

  /** Rejects with FolderLocked while another process has the folder. Delivering begins at once. */
  static async open(options: DiskOutboxOptions): Promise<DiskOutbox> {
    const { folder, logger } = options;
    const created = await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    if (created !== undefined) await flushFolder(dirname(created));
    const lock = await FolderLock.take(folder);
    try {
      const { journal, entries, corruptedCount } = await Journal.open({
        folder,
        logger,
        isHeld: () => lock.isHeld(),
      });
      const refused = await RefusedItems.open(folder);
      const outbox = new DiskOutbox(options, { lock, journal, refused });
      outbox.#corruptedCount = corruptedCount;
      if (entries.length > 0) logger.info({ items: entries.length }, 'the outbox delivers what was left');
      if (refused.bytes > 0) logger.warn({ bytes: refused.bytes }, 'the outbox holds refused items');
      for (const entry of entries) outbox.#take(entry);
      return outbox;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Items that wait, those that are just being written among them. */
  get size(): number {
    return this.#size;
  }

  /**
   * Whether it would take what ends a call that begins now: it is not nearly full, its folder is its own, and its disk has
   * not failed just now. Where it would not, better no call is paid.
   */
  get isReady(): boolean {
    if (this.#closed !== undefined || this.#lock.isLost) return false;
    if (this.#writeFailedAtMs !== undefined && performance.now() - this.#writeFailedAtMs < DISK_PAUSE_MS)
      return false;
    return (
      this.#size < READY_SHARE * this.#itemsMax &&
      this.#bytes + this.#refused.bytes < READY_SHARE * this.#bytesMax
    );
  }

  /** Items that were put aside since it was opened. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  /** Damaged places that were found in the files when it was opened. */
  get corruptedCount(): number {
    return this.#corruptedCount;
  }

  /** Resolves when the item is on disk, flushed together with others that come at the time; rejects with NotStored. */
  async add(item: OutboxItem): Promise<void> {
    if (this.#closed !== undefined) throw new NotStored('CLOSED', 'The outbox is closed.');
    const text = toText(item);
    const bytes = Buffer.byteLength(text);
    if (bytes > ITEM_BYTES_MAX) {
      throw new NotStored('TOO_LARGE', `An item has ${bytes} bytes, more than ${ITEM_BYTES_MAX}.`);
    }
    if (this.#size >= this.#itemsMax) {
      throw new NotStored('FULL', `${this.#itemsMax} items wait in the outbox, as many as may.`);
    }
    if (this.#bytes + bytes + this.#refused.bytes > this.#bytesMax) {
      throw new NotStored('FULL', `The outbox is full: it may hold ${this.#bytesMax} bytes.`);
    }
    // Counted before it is written, so that many at once cannot pass the bounds together.
    this.#size += 1;
    this.#bytes += bytes;
    const added = this.#journal.add(text);
    this.#adding.add(added);
    try {
      this.#loop.add(await added);
      this.#writeFailedAtMs = undefined;
    } catch (error) {
      this.#size -= 1;
      this.#bytes -= bytes;
      this.#writeFailedAtMs = performance.now();
      if (this.#lock.isLost) this.#leave();
      throw new NotStored('WRITE_FAILED', 'The outbox could not write to its disk.', error);
    } finally {
      this.#adding.delete(added);
    }
  }

  /** Takes nothing more, delivers for so long, and leaves the rest on disk for the next one who opens the folder. */
  close(options: { readonly drainTimeMaxMs: number }): Promise<void> {
    this.#closed ??= this.#end(options.drainTimeMaxMs);
    return this.#closed;
  }

  /** Another process has the folder, with all that is in it: this one was silent for too long. */
  #leave(): void {
    if (this.#closed !== undefined) return;
    this.#logger.error({}, 'another process has taken the outbox over; this one is closed');
    this.#closed = this.#end(0).catch((error: unknown) => {
      this.#logger.error({ err: error }, 'the outbox could not be closed');
    });
  }

  async #end(drainTimeMaxMs: number): Promise<void> {
    await Promise.allSettled(this.#adding);
    await this.#loop.drain(drainTimeMaxMs);
    await this.#refused.close();
    await this.#journal.close();
    if (this.#size > 0) this.#logger.warn({ items: this.#size }, 'the outbox keeps what is not delivered');
    await this.#lock.release();
  }

  #take(entry: JournalEntry): void {
    this.#size += 1;
    this.#bytes += Buffer.byteLength(entry.text);
    this.#loop.add(entry);
  }

  async #refuse(entry: JournalEntry, error: unknown): Promise<void> {
    const refusal: Refusal =
      error instanceof ExperiencesError
        ? { code: error.code, reason: error.reason }
        : { code: error instanceof Error ? error.name : 'UNKNOWN' };
    const item = fromText(entry.text);
    const fields = { application: item?.application, eventId: item && eventIdOf(item), ...refusal };
    try {
      await this.#refused.add(entry, refusal);
    } catch (cause) {
      this.#logger.error({ ...fields, err: cause }, 'a refused call could not be put aside');
      throw cause;
    }
    this.#refusedCount += 1;
    this.#logger.error(fields, 'a paid call is refused for good and put aside');
  }
}

/** Throws for what another version has written; it is put aside then. */
function readItem({ text }: JournalEntry): OutboxItem {
  const item = fromText(text);
  if (item === undefined) throw new UnreadableItem('an item of the outbox cannot be read');
  return item;
}

const FOLDER_MODE = 0o700;
const ITEMS_MAX = 100_000;
const BYTES_MAX = 64 * 1024 * 1024;
const ITEM_BYTES_MAX = 1024 * 1024;
/** The rest is for the calls in flight, of which there are at most 1,024 a provider, with about a kilobyte each. */
const READY_SHARE = 0.9;
/** After a write that failed; then it may be tried again. */
const DISK_PAUSE_MS = 5_000;
