import type { Readable } from 'node:stream';

/**
 * All bytes of a stream. `take` sees each part before it is kept, and what it throws ends the reading. Rejects with the
 * stream's own error, too, and when it closes before its end. Whoever called has to destroy or drain what is left then.
 * An async iterator does the same and takes several times as long for one small part, which most bodies are.
 */
export function collectBytes(stream: Readable, take: (part: Buffer) => void): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const over = (): void => {
      stream.off('data', data).off('end', end).off('error', fail).off('close', cut);
    };
    const fail = (error: unknown): void => {
      over();
      stream.pause();
      reject(error);
    };
    // Without an encoding set a stream has bytes.
    const data = (part: Buffer): void => {
      try {
        take(part);
        parts.push(part);
      } catch (error) {
        fail(error);
      }
    };
    const end = (): void => {
      over();
      const [only] = parts;
      resolve(parts.length === 1 && only !== undefined ? only : Buffer.concat(parts));
    };
    const cut = (): void => fail(new Error('the stream was closed before its end'));
    if (stream.errored !== null || stream.destroyed) {
      reject(stream.errored ?? new Error('the stream was closed before its end'));
      return;
    }
    stream.on('data', data).on('end', end).on('error', fail).on('close', cut);
  });
}
