import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DocumentTextCheck } from '../domain/document.js';

/** What a document's content is known by. */
export interface DocumentContent {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** Reads a content once, in order; `problem` is what keeps it from being a text. Other work goes on in between. */
export async function contentOf(
  parts: AsyncIterable<Uint8Array>,
): Promise<DocumentContent & { readonly problem: string | undefined }> {
  const hash = createHash('sha256');
  const text = new DocumentTextCheck();
  let sizeBytes = 0;
  for await (const part of parts) {
    hash.update(part);
    text.add(part);
    sizeBytes += part.length;
    await nextTurn();
  }
  return { sizeBytes, sha256: hash.digest('hex'), problem: text.problem() };
}
