import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readFrames } from './journal-frame.js';
import type { JournalLogger } from './journal-logger.js';
import { type JournalEntry, JournalSegment, segmentName, segmentNumber } from './journal-segment.js';

/**
 * What a journal holds after a crash. An unfinished frame at the end of a file was never acknowledged; a damaged one
 * elsewhere is lost, told and counted, and does not hold up the others.
 */
export async function readJournal(
  folder: string,
  logger: JournalLogger,
): Promise<{
  readonly segments: JournalSegment[];
  readonly entries: readonly JournalEntry[];
  readonly corruptedCount: number;
}> {
  const numbers = (await readdir(folder)).flatMap((name) => segmentNumber(name) ?? []).sort((a, b) => a - b);
  const segments: JournalSegment[] = [];
  const found = new Map<string, { readonly entry: JournalEntry; segment: JournalSegment }>();
  const finished = new Set<string>();
  let corruptedCount = 0;
  for (const number of numbers) {
    const name = segmentName(number);
    const bytes = await readFile(join(folder, name));
    const { frames, corruptedCount: corrupted, tornBytes } = readFrames(bytes);
    const segment = new JournalSegment({ number, bytes: bytes.length, isDamaged: corrupted > 0 });
    segments.push(segment);
    corruptedCount += corrupted;
    if (corrupted > 0)
      logger.error({ name, corrupted }, 'a journal file is damaged; what stood there is lost');
    if (tornBytes > 0) logger.warn({ name, tornBytes }, 'a write that was never acknowledged is dropped');
    for (const frame of frames) {
      const parsed = FRAME.safeParse(frame);
      if (!parsed.success) {
        corruptedCount += 1;
        logger.error({ name }, 'a journal file holds a line of a kind that is not known here');
      } else if (parsed.data.done !== undefined) {
        finished.add(parsed.data.done);
      } else if (parsed.data.add !== undefined) {
        const { add: key, item } = parsed.data;
        const entry = found.get(key)?.entry ?? { key, text: JSON.stringify(item), isFinished: false };
        // Written again, it stands where it was written last; the file before may go.
        found.set(key, { entry, segment });
      }
    }
  }
  const entries: JournalEntry[] = [];
  for (const { entry, segment } of found.values()) {
    if (finished.has(entry.key)) continue;
    segment.addLive(entry);
    entries.push(entry);
  }
  return { segments, entries, corruptedCount };
}

const FRAME = z.union([
  z.object({ done: z.string(), add: z.undefined().optional() }),
  z.object({ add: z.string(), item: z.unknown(), done: z.undefined().optional() }),
]);
