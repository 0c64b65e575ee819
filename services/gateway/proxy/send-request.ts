import { DecoratorHandler, type Dispatcher, type Pool } from 'undici';
import { UpstreamFault, upstreamFaultOf } from './upstream-fault.js';

export interface SentRequest {
  readonly answer: Promise<Dispatcher.ResponseData>;
  /** Resolves when the connections have no more to do with the request, also if it was given up before it was sent. */
  readonly over: Promise<void>;
}

/**
 * Sends a request, and knows whether it has left: undici itself hears of a signal only once the request is on a connection.
 * `abandoned` ends one that has not left yet, `signal` ends it at any time, and its answer too. `answer` rejects with an UpstreamFault, or, of
 * a request that has left, with the signal's reason.
 */
export function sendRequest(
  pool: Pool,
  options: Omit<Dispatcher.RequestOptions, 'signal'>,
  { signal, abandoned }: { readonly signal: AbortSignal; readonly abandoned: AbortSignal },
): SentRequest {
  let isSent = false;
  const ends = new AbortController();
  const begun = pool
    .compose((dispatch) => (request, handler) => {
      return dispatch(
        request,
        new BeginningNoted(handler, () => {
          isSent = true;
        }),
      );
    })
    .request({ ...options, signal: ends.signal });
  const answer = new Promise<Dispatcher.ResponseData>((resolve, reject) => {
    const end = ({ target }: { readonly target: unknown }): void => {
      if (isSent && target !== signal) return;
      const { reason } = target === signal ? signal : abandoned;
      ends.abort(reason);
      if (!isSent) reject(new UpstreamFault('unreachable', reason));
    };
    signal.addEventListener('abort', end);
    abandoned.addEventListener('abort', end);
    begun.then(resolve, (error: unknown) => {
      reject(isSent && signal.aborted ? signal.reason : upstreamFaultOf(error, isSent));
    });
  });
  const over = begun.then(
    () => undefined,
    () => undefined,
  );
  return { answer, over };
}

/** Tells when the request is about to be written to a connection. */
class BeginningNoted extends DecoratorHandler {
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #note: () => void;

  constructor(handler: Dispatcher.DispatchHandler, note: () => void) {
    super(handler);
    this.#handler = handler;
    this.#note = note;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: object): void {
    this.#note();
    this.#handler.onRequestStart?.(controller, context);
  }
}
