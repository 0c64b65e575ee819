import type { IncomingMessage } from 'node:http';
import { collectBytes } from './collect-bytes.js';
import { HttpFault } from './http-fault.js';
import { countJsonParts, JSON_PART_BYTES, JSON_PARTS_MAX } from './json-parts.js';

/** A body that was read whole. It counts as held, with what it takes when it is parsed, until it is released. */
export interface HeldBody {
  readonly bytes: Buffer;
  release(): void;
}

/** Reads bodies of JSON: each up to a size and a number of parts, and those that are held at a time up to a sum. */
export class RequestBodies {
  readonly #heldBytesMax: number;
  #heldBytes = 0;

  constructor({ heldBytesMax }: { readonly heldBytesMax: number }) {
    this.#heldBytesMax = heldBytesMax;
  }

  /** Throws HttpFault 413, 415 or 429 as soon as it is known, and reads no further. */
  async read(request: IncomingMessage, { bytesMax }: { readonly bytesMax: number }): Promise<HeldBody> {
    const coding = request.headers['content-encoding'];
    if (coding !== undefined && coding !== 'identity')
      throw new HttpFault(415, 'request_processing_error', 'The body must not be compressed.');
    const told = Number(request.headers['content-length'] ?? 0);
    if (told > bytesMax) throw tooLarge();
    this.#requireRoom(told);
    let held = 0;
    const hold = (bytes: number): void => {
      this.#requireRoom(bytes);
      held += bytes;
      this.#heldBytes += bytes;
    };
    const release = (): void => {
      this.#heldBytes -= held;
      held = 0;
    };
    try {
      const bytes = await collectBytes(request, (part) => {
        if (held + part.length > bytesMax) throw tooLarge();
        hold(part.length);
      });
      const parts = countJsonParts(bytes);
      if (parts > JSON_PARTS_MAX)
        throw new HttpFault(413, 'request_processing_error', 'The body has too many parts.');
      hold(parts * JSON_PART_BYTES);
      return { bytes, release };
    } catch (error) {
      release();
      // The connection stays, for the answer that tells what is wrong; what still comes is dropped until the request's time
      // is over.
      request.resume();
      if (error instanceof HttpFault) throw error;
      throw new HttpFault(400, 'request_processing_error', 'The request was cut.', { cause: error });
    }
  }

  #requireRoom(bytes: number): void {
    if (this.#heldBytes + bytes <= this.#heldBytesMax) return;
    throw new HttpFault(429, 'request_processing_error', 'There are too many large requests just now.', {
      retryAfterMs: BUSY_RETRY_AFTER_MS,
    });
  }
}

function tooLarge(): HttpFault {
  return new HttpFault(413, 'request_processing_error', 'The body is too large.');
}

const BUSY_RETRY_AFTER_MS = 1_000;
