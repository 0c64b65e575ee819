import { open } from 'node:fs/promises';

const TAIL_BYTES = 64 * 1024;
/** Written at each start into a log that is continued. */
const RESTART_MARK = 'SERVER RESTARTED';
const ERROR_SEVERITIES: readonly unknown[] = ['E', 'F'];

/** The last lines of the log since the last start; empty when there is no log yet. */
export async function lastMongodLines(path: string): Promise<readonly string[]> {
  const lines = (await tailOf(path)).split('\n').filter((line) => line !== '');
  return lines.slice(lines.findLastIndex((line) => line.includes(RESTART_MARK)) + 1);
}

/** What a person needs of mongod's output to see why it failed: the errors, or the last lines where it names none. */
export function explainMongodLines(lines: readonly string[], linesMax: number): string {
  const entries = lines.map(parseEntry);
  const errors = entries.filter((entry) => entry.isError);
  const chosen = errors.length > 0 ? errors : entries;
  return chosen
    .slice(-linesMax)
    .map((entry) => entry.text)
    .join('\n');
}

async function tailOf(path: string): Promise<string> {
  const file = await open(path).catch(() => undefined);
  // A server that refused its arguments has not opened its log.
  if (file === undefined) return '';
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - TAIL_BYTES);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(TAIL_BYTES), position: start });
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** mongod writes a JSON object a line: severity, message, attributes. Other lines are complaints about its arguments. */
function parseEntry(line: string): { readonly text: string; readonly isError: boolean } {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    // A cut line at the start of the tail begins in the middle; a complaint does not look like JSON at all.
    return { text: line, isError: !line.includes('":') };
  }
  if (typeof entry !== 'object' || entry === null || !('msg' in entry)) return { text: line, isError: false };
  const attributes = 'attr' in entry ? ` ${JSON.stringify(entry.attr)}` : '';
  return {
    text: `${String(entry.msg)}${attributes}`,
    isError: 's' in entry && ERROR_SEVERITIES.includes(entry.s),
  };
}
