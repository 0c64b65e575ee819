import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/**
 * Writes an answer no faster than it is read: while the caller has not taken what was written, nothing more is. So what
 * this process holds for a slow reader is what the connection's own buffers take.
 */
export class ClientWriter {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  /** Whether the caller has left: what is written is dropped. */
  get isGone(): boolean {
    return this.#response.destroyed;
  }

  /** Resolves when more may be written, or nobody is there any more. */
  async write(bytes: Buffer): Promise<void> {
    if (bytes.length === 0 || this.isGone || this.#response.write(bytes)) return;
    const waiting = new AbortController();
    const { signal } = waiting;
    const stalled = setTimeout(() => this.#response.destroy(), STALL_MAX_MS);
    try {
      // When the connection closes there is no 'drain' any more. An error closes it.
      await Promise.race([
        once(this.#response, 'drain', { signal }),
        once(this.#response, 'close', { signal }),
      ]).catch(() => undefined);
    } finally {
      clearTimeout(stalled);
      waiting.abort();
    }
  }

  /** A whole end: nothing was cut. */
  end(): void {
    this.#response.end();
  }

  /** What was written still goes out, and then the connection breaks, so that the caller sees that something is missing. */
  async cut(): Promise<void> {
    if (this.isGone) return;
    const late = setTimeout(() => this.#response.destroy(), CUT_MAX_MS);
    const closed = once(this.#response, 'close').catch(() => undefined);
    // Called when all that was written before was handed to the connection.
    this.#response.write(' ', () => this.#response.destroy());
    await closed;
    clearTimeout(late);
  }
}

/** For so long a caller may read nothing. */
const STALL_MAX_MS = 120_000;
const CUT_MAX_MS = 2_000;
