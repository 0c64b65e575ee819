import type { Readable } from 'node:stream';
import { UpstreamFault, upstreamFaultOf } from './upstream-fault.js';

/**
 * Reads a provider's answer part by part, and keeps nothing of what it has handed over: an iterator would hold each part
 * until the next one is asked for, which with a slow reader is long.
 */
export class AnswerReader {
  readonly #body: Readable;
  readonly #signal: AbortSignal;
  #isOver: boolean;
  #failure: unknown;
  #wake: () => void = () => undefined;

  constructor(body: Readable, signal: AbortSignal) {
    this.#body = body;
    this.#signal = signal;
    this.#isOver = body.readableEnded;
    const wake = (): void => this.#wake();
    body.on('readable', wake).on('close', wake);
    body.on('end', () => {
      this.#isOver = true;
      this.#wake();
    });
    body.on('error', (error: unknown) => {
      this.#failure = error;
      this.#wake();
    });
  }

  /** undefined: it was the whole answer. Throws the signal's reason, or an UpstreamFault; then the answer is cut. */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      this.#signal.throwIfAborted();
      if (this.#failure !== undefined) throw upstreamFaultOf(this.#failure, true);
      // Of what is there only a piece: as long as the rest waits, no more is read from the connection.
      const bytes = Math.min(this.#body.readableLength, PIECE_BYTES);
      const part: unknown = bytes > 0 ? this.#body.read(bytes) : this.#body.read();
      if (part !== null) return part as Buffer; // A body without an encoding set has bytes.
      if (this.#isOver) return undefined;
      if (this.#body.destroyed) throw new UpstreamFault('cut', new Error('the answer was closed'));
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The whole answer. Throws as `next`, and also where it is larger than may be; then `parts` has what came. */
  async whole(parts: Buffer[] = []): Promise<Buffer> {
    let bytes = 0;
    for (let part = await this.next(); part !== undefined; part = await this.next()) {
      parts.push(part);
      bytes += part.length;
      if (bytes > ANSWER_BYTES_MAX) throw new UpstreamFault('cut', new Error('the answer is too large'));
    }
    return Buffer.concat(parts, bytes);
  }

  /** Nothing more is wanted: if it is not whole yet, the provider is cut off. */
  close(): void {
    this.#body.destroy();
  }
}

const PIECE_BYTES = 16 * 1024;
/** Answers with images in them are the largest. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
