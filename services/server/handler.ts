import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import { Fault, type FaultKind } from '../domain/fault.js';
import type { Logger } from '../runtime/logger.js';
import type { Authenticator, Caller } from './authenticator.js';
import { IncomingMessages } from './incoming-messages.js';
import { toStatus } from './status.js';
import { readableRequest } from './unreadable-request.js';

/** What a handler knows of its call beside the request. */
export interface CallContext extends Caller {
  readonly metadata: Metadata;
  /** In milliseconds since the epoch; never infinite. */
  readonly deadline: number;
}

/** What a stream's handler knows beside. */
export interface StreamContext<Response> extends CallContext {
  /** Aborted when the caller is gone, its deadline has passed, or the service stops. */
  readonly signal: AbortSignal;
  /** Sends one message and waits until the caller takes more. */
  send(message: Response): Promise<void>;
}

/** What the handler of a stream in both directions knows beside. */
export interface DuplexContext<Request, Response> extends CallContext {
  /** What the caller sends; over when the caller has ended or is gone, or the service stops. */
  readonly requests: IncomingMessages<Request>;
  /** Aborted when the caller is gone. The service's stop ends the requests only: what is due is still sent. */
  readonly gone: AbortSignal;
  /** Sends one message and waits until the caller takes more. */
  send(message: Response): Promise<void>;
}

/** Turns async functions into grpc-js handlers: one answer each, and errors by the one table. */
export class Handlers {
  readonly #logger: Logger;
  readonly #authenticator: Pick<Authenticator, 'admit'>;
  readonly #stopping = new AbortController();
  readonly #incoming = new Set<IncomingMessages<unknown>>();

  constructor(logger: Logger, authenticator: Pick<Authenticator, 'admit'>) {
    this.#logger = logger;
    this.#authenticator = authenticator;
  }

  /** Ends open streams with SHUTTING_DOWN; unary calls go on to their end. */
  stopStreams(): void {
    this.#stopping.abort();
    for (const requests of this.#incoming) requests.stop(shuttingDown());
  }

  unary<Request, Response>(
    handle: (request: Request, context: CallContext) => Promise<Response>,
  ): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      const answer = async () => {
        const context = await this.#contextOf(call);
        return handle(readableRequest(call.request), context);
      };
      answer().then(
        (response) => callback(null, response),
        (error: unknown) => callback(toStatus(error, this.#logger, call.getPath())),
      );
    };
  }

  stream<Request, Response>(
    handle: (request: Request, context: StreamContext<Response>) => Promise<void>,
  ): handleServerStreamingCall<Request, Response> {
    return (call) => {
      const gone = new AbortController();
      call.on('cancelled', () => gone.abort());
      call.on('error', () => gone.abort()); // Without a listener a cut connection would end the process.
      const refused = new AbortController();
      const signal = AbortSignal.any([gone.signal, refused.signal, this.#stopping.signal]);
      const answer = async () => {
        const context: StreamContext<Response> = {
          ...(await this.#contextOf(call)),
          signal,
          send: (message) => sendMessage(call, message, signal),
        };
        const stopChecking = this.#checkWhileOpen(call, (fault) => refused.abort(fault));
        await handle(readableRequest(call.request), context).finally(stopChecking);
      };
      answer()
        .then(async () => {
          await nextTurn(); // Lets the last message leave before the status.
          refused.signal.throwIfAborted();
          if (this.#stopping.signal.aborted && !gone.signal.aborted) throw shuttingDown();
          call.end();
        })
        .catch((error: unknown) => {
          const reason: unknown = refused.signal.aborted ? refused.signal.reason : error;
          if (!gone.signal.aborted) call.emit('error', toStatus(reason, this.#logger, call.getPath()));
        });
    };
  }

  /**
   * A handler that returns ends the stream with OK, and with SHUTTING_DOWN if the service has stopped it. It must take the
   * end of the requests for nothing but that: of a cancelled stream it looks the same.
   */
  duplex<Request, Response>(
    handle: (context: DuplexContext<Request, Response>) => Promise<void>,
  ): handleBidiStreamingCall<Request, Response> {
    return (call) => {
      const gone = new AbortController();
      call.on('cancelled', () => gone.abort());
      call.on('error', () => gone.abort()); // Without a listener a cut connection would end the process.
      const requests = new IncomingMessages<Request>(call, gone.signal);
      if (this.#stopping.signal.aborted) requests.stop(shuttingDown());
      else this.#incoming.add(requests);
      const answer = async () => {
        const context: DuplexContext<Request, Response> = {
          ...(await this.#contextOf(call)),
          requests,
          gone: gone.signal,
          send: sender(call, gone.signal),
        };
        const stopChecking = this.#checkWhileOpen(call, (fault) => requests.stop(fault));
        await handle(context).finally(stopChecking);
      };
      answer()
        .then(async () => {
          await nextTurn(); // Lets the last message leave before the status.
          if (requests.stopped !== undefined) throw requests.stopped;
          call.end();
        })
        .catch((error: unknown) => {
          if (!gone.signal.aborted) call.emit('error', toStatus(error, this.#logger, call.getPath()));
        })
        .finally(() => this.#incoming.delete(requests));
    };
  }

  /** A key that is revoked ends the streams that it has opened. While the store is away nobody can tell, and they go on. */
  #checkWhileOpen(call: AnyCall, end: (refusal: Fault) => void): () => void {
    const timer = setInterval(() => {
      this.#authenticator.admit(call.getPath(), call.metadata).catch((error: unknown) => {
        if (error instanceof Fault && REFUSALS.has(error.kind)) end(error);
      });
    }, STREAM_CHECK_MS);
    return () => clearInterval(timer);
  }

  async #contextOf(call: AnyCall): Promise<CallContext> {
    const caller = await this.#authenticator.admit(call.getPath(), call.metadata);
    const stated = Number(call.getDeadline());
    const latest = Date.now() + CALL_TIME_MAX_MS;
    return {
      ...caller,
      metadata: call.metadata,
      deadline: Number.isFinite(stated) ? Math.min(stated, latest) : Date.now() + CALL_TIME_DEFAULT_MS,
    };
  }
}

type AnyCall =
  | ServerUnaryCall<unknown, unknown>
  | ServerWritableStream<unknown, unknown>
  | ServerDuplexStream<unknown, unknown>;

function shuttingDown(): Fault {
  return new Fault('SHUTTING_DOWN', 'This process is stopping; another one, or it again, will answer.', {
    retryAfterMs: 1_000,
  });
}

async function sendMessage<Response>(
  call: ServerWritableStream<unknown, Response>,
  message: Response,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted || call.write(message)) return;
  await once(call, 'drain', { signal }).catch(() => undefined); // Gone, or stopping: the loop that sends sees the signal.
}

/** As `sendMessage`, for many that send at once: they wait together. */
function sender<Response>(
  call: ServerDuplexStream<unknown, Response>,
  gone: AbortSignal,
): (message: Response) => Promise<void> {
  let drained: Promise<unknown> | undefined;
  return async (message) => {
    if (gone.aborted || call.write(message)) return;
    drained ??= once(call, 'drain', { signal: gone })
      .catch(() => undefined) // The caller is gone: nobody waits for an answer.
      .finally(() => {
        drained = undefined;
      });
    await drained;
  };
}

/** For a caller that states no deadline. */
const CALL_TIME_DEFAULT_MS = 30_000;
/** Longer deadlines are taken as this: no work of ours takes longer. Streams are not ended by it. */
const CALL_TIME_MAX_MS = 300_000;
/** How often it is asked whether the caller of an open stream may still call. */
const STREAM_CHECK_MS = 1_000;
const REFUSALS: ReadonlySet<FaultKind> = new Set(['UNAUTHENTICATED', 'PERMISSION_DENIED']);
