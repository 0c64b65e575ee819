import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { CommandError } from './command-error.js';

export interface DocumentFile {
  readonly name?: string;
  readonly content: Uint8Array;
}

/** Reads the text for a run; `-` is standard input. What is larger than a run takes is not read to its end. */
export async function readDocument(
  path: string,
  stdin: AsyncIterable<Uint8Array | string>,
): Promise<DocumentFile> {
  if (path === '-') return { content: await readBounded(stdin, 'standard input') };
  try {
    const file = await open(path);
    // Leaving the stream closes the file.
    return { name: basename(path), content: await readBounded(file.createReadStream(), path) };
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const why = WHY[error.code] ?? error.code;
    throw new CommandError('BAD_USAGE', `'${path}' cannot be read: ${why}.`, { cause: error });
  }
}

async function readBounded(source: AsyncIterable<Uint8Array | string>, name: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of source) {
    const buffer = Buffer.from(part);
    bytes += buffer.length;
    if (bytes > FILE_BYTES_MAX) {
      const message = `'${name}' has more than the ${FILE_BYTES_MAX / MEBIBYTE} MiB that a run takes.`;
      throw new CommandError('BAD_USAGE', message);
    }
    parts.push(buffer);
  }
  return Buffer.concat(parts);
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException & { readonly code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'syscall' in error;
}

const MEBIBYTE = 1024 * 1024;
/** The most that a document may have. */
const FILE_BYTES_MAX = 50 * MEBIBYTE;
const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'access is denied',
};
