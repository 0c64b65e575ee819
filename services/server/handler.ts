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
import { Fault } from '../domain/fault.js';
import type { Logger } from '../runtime/logger.js';
import { IncomingMessages } from './incoming-messages.js';
import { toStatus } from './status.js';
import { readableRequest } from './unreadable-request.js';

/** What a handler knows of its call beside the request. */
export interface CallContext {
  /** Whose data the call sees. */
  readonly application: string;
  /** Whether the application would rather have an error than a fresh id for an experience id that is no UUID. */
  readonly strictIds: boolean;
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
  readonly #application: Pick<CallContext, 'application' | 'strictIds'>;
  readonly #stopping = new AbortController();
  readonly #incoming = new Set<IncomingMessages<unknown>>();

  constructor(logger: Logger, application: Pick<CallContext, 'application' | 'strictIds'>) {
    this.#logger = logger;
    this.#application = application;
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
      const answer = async () => handle(readableRequest(call.request), this.#contextOf(call));
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
      const signal = AbortSignal.any([gone.signal, this.#stopping.signal]);
      const context: StreamContext<Response> = {
        ...this.#contextOf(call),
        signal,
        send: (message) => sendMessage(call, message, signal),
      };
      const answer = async () => handle(readableRequest(call.request), context);
      answer()
        .then(async () => {
          await nextTurn(); // Lets the last message leave before the status.
          if (this.#stopping.signal.aborted && !gone.signal.aborted) throw shuttingDown();
          call.end();
        })
        .catch((error: unknown) => {
          if (!gone.signal.aborted) call.emit('error', toStatus(error, this.#logger, call.getPath()));
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
      const context: DuplexContext<Request, Response> = {
        ...this.#contextOf(call),
        requests,
        gone: gone.signal,
        send: sender(call, gone.signal),
      };
      const answer = async () => handle(context);
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

  #contextOf(
    call:
      | ServerUnaryCall<unknown, unknown>
      | ServerWritableStream<unknown, unknown>
      | ServerDuplexStream<unknown, unknown>,
  ): CallContext {
    const stated = Number(call.getDeadline());
    const latest = Date.now() + CALL_TIME_MAX_MS;
    return {
      ...this.#application,
      metadata: call.metadata,
      deadline: Number.isFinite(stated) ? Math.min(stated, latest) : Date.now() + CALL_TIME_DEFAULT_MS,
    };
  }
}

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
