import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import { Fault } from '../domain/fault.js';
import type { Logger } from '../runtime/logger.js';
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

/** Turns async functions into grpc-js handlers: one answer each, and errors by the one table. */
export class Handlers {
  readonly #logger: Logger;
  readonly #application: Pick<CallContext, 'application' | 'strictIds'>;
  readonly #stopping = new AbortController();

  constructor(logger: Logger, application: Pick<CallContext, 'application' | 'strictIds'>) {
    this.#logger = logger;
    this.#application = application;
  }

  /** Ends open streams with SHUTTING_DOWN; unary calls go on to their end. */
  stopStreams(): void {
    this.#stopping.abort();
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

  #contextOf(call: ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>): CallContext {
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

/** For a caller that states no deadline. */
const CALL_TIME_DEFAULT_MS = 30_000;
/** Longer deadlines are taken as this: no work of ours takes longer. Streams are not ended by it. */
const CALL_TIME_MAX_MS = 300_000;
