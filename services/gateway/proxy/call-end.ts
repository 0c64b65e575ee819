import type { ServerResponse } from 'node:http';
import { UpstreamFault } from './upstream-fault.js';

/** The caller closed the connection, or reads nothing any more. */
export class ClientLeft extends Error {
  override readonly name = 'ClientLeft';
}

/** What ends a call before its time: its caller leaves, or it takes too long. The reasons are ClientLeft or UpstreamFault. */
export interface CallEnd {
  /** The call ends, however far it is. */
  readonly signal: AbortSignal;
  /** The call need not be made any more: aborted at once when the caller leaves, and at the latest with `signal`. */
  readonly abandoned: AbortSignal;
  /** Whether the caller is not there any more. */
  hasLeft(): boolean;
  /** The call is over. */
  done(): void;
}

/**
 * A provider is told of a caller who has left only later. Of a stream what it has already sent is on its way, and is paid
 * and counted. An answer that comes whole is paid whole, and only when all of it is here it says what it used.
 */
export function callEnd(response: ServerResponse, isStream: boolean): CallEnd {
  const controller = new AbortController();
  const abandoned = new AbortController();
  let farewell: NodeJS.Timeout | undefined;
  const end = (reason: Error): void => {
    abandoned.abort(reason);
    controller.abort(reason);
  };
  const left = (): void => {
    const reason = new ClientLeft();
    abandoned.abort(reason);
    farewell = setTimeout(() => controller.abort(reason), isStream ? ON_ITS_WAY_MS : WHOLE_ANSWER_MS);
  };
  const late = setTimeout(() => {
    end(new UpstreamFault('timeout', new Error('the call took too long')));
  }, CALL_TIME_MAX_MS);
  if (response.destroyed) left();
  response.once('close', left);
  return {
    signal: controller.signal,
    abandoned: abandoned.signal,
    hasLeft: () => response.destroyed,
    done() {
      clearTimeout(late);
      clearTimeout(farewell);
      response.off('close', left);
    },
  };
}

/** With all that a provider writes; less than the time of a reservation. */
const CALL_TIME_MAX_MS = 15 * 60 * 1_000;
/** For which a provider is heard after its caller has left. */
const ON_ITS_WAY_MS = 100;
const WHOLE_ANSWER_MS = 30_000;
