import type { ServerDuplexStream } from '@grpc/grpc-js';
import { readableRequest } from './unreadable-request.js';

/**
 * The messages that a caller sends on a stream, one at a time: while nobody asks for the next, nothing more is read, and
 * that reaches the caller. The loop that reads can be told to stop, which iterating a Node stream does not offer without
 * destroying it, and then no status would be sent.
 */
export class IncomingMessages<Request> {
  readonly #call: ServerDuplexStream<Request, never>;
  #isOver = false;
  #stopped: unknown;
  #wake: () => void = () => undefined;

  constructor(call: ServerDuplexStream<Request, never>, gone: AbortSignal) {
    this.#call = call;
    const end = () => {
      this.#isOver = true;
      this.#wake();
    };
    call.on('readable', () => this.#wake());
    call.on('end', end);
    call.on('close', end);
    gone.addEventListener('abort', end);
  }

  /** The next message; undefined: there is no more, or nobody wants more. A message that cannot be read is thrown. */
  async next(): Promise<Request | undefined> {
    for (;;) {
      if (this.#isOver) return undefined;
      const message = this.#call.read() as Request | null; // Node types what a stream holds as any.
      if (message !== null) return readableRequest(message);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Ends the messages; the reason that is given first stays. */
  stop(reason: unknown): void {
    this.#stopped ??= reason;
    this.#isOver = true;
    this.#wake();
  }

  /** Why the messages were stopped; undefined: they were not. */
  get stopped(): unknown {
    return this.#stopped;
  }
}
