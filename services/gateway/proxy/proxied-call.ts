import type { IncomingHttpHeaders } from 'node:http';
import { unitKind } from '../../domain/units.js';
import { EventTooLarge } from '../../providers/event-stream.js';
import type { ProviderAnswer, ProviderRequest, ProviderWire } from '../../providers/provider-contract.js';
import type { CallAttribution } from './attribution-headers.js';
import type { CallBooks, Settled } from './call-books.js';
import { type CallEnd, ClientLeft } from './call-end.js';
import { callResult } from './call-result.js';
import { UpstreamFault } from './upstream-fault.js';

/** One call on its way through the proxy, from its reservation on. */
export interface ProxiedCall {
  readonly wire: ProviderWire;
  readonly request: ProviderRequest;
  readonly attribution: CallAttribution;
  readonly books: CallBooks;
  readonly end: CallEnd;
  readonly bodyBytes: number;
  /** Of the gateway, found in mid-call. */
  reportBug(error: unknown): void;
}

/** What an answer's head says of the call. */
export interface AnswerHead {
  readonly httpStatusCode: number;
  readonly providerRequestId?: string;
}

export function answerHeadOf(statusCode: number, headers: IncomingHttpHeaders): AnswerHead {
  // OpenAI's name, then Anthropic's.
  const id = headers['x-request-id'] ?? headers['request-id'];
  const isUsable = typeof id === 'string' && /^[\x20-\x7e]{1,256}$/.test(id);
  return { httpStatusCode: statusCode, ...(isUsable ? { providerRequestId: id } : {}) };
}

export function resultOf(call: ProxiedCall, settled: Settled, isFailed = false): object {
  const { books, attribution } = call;
  return callResult({ requestId: books.eventId, attribution, reserved: books.reserved }, settled, isFailed);
}

/** What cut a call short once its request was sent, the caller or the provider; undefined: a fault of ours. */
export function cutOutcome(call: ProxiedCall, error: unknown): 'CANCELLED' | 'FAILED' | undefined {
  const reason: unknown = call.end.signal.aborted ? call.end.signal.reason : error;
  if (reason instanceof ClientLeft) return 'CANCELLED';
  return reason instanceof UpstreamFault || error instanceof EventTooLarge ? 'FAILED' : undefined;
}

/** What is known of the usage when the answer does not say: the prompt was read, and what was answered is not known. */
export function promptAnswer(call: ProxiedCall): ProviderAnswer {
  return answerOrElse(
    call,
    () => ({ units: call.request.promptUnits(), unitsBasis: 'estimated' }),
    () => {
      const input = BigInt(Math.ceil(call.bodyBytes / BYTES_OF_TOKEN));
      return { units: new Map([[unitKind('text'), { input, output: 0n }]]), unitsBasis: 'estimated' };
    },
  );
}

/** Of an answer that cannot be read, by a fault of ours, the call is recorded all the same: it was paid. */
export function answerOrElse<Answer extends ProviderAnswer>(
  call: ProxiedCall,
  read: () => Answer,
  orElse: () => Answer,
): Answer {
  try {
    return read();
  } catch (error) {
    call.reportBug(error);
    return orElse();
  }
}

/** A rule of thumb, for prompts that cannot be counted. */
const BYTES_OF_TOKEN = 4;
