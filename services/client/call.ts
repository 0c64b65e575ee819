import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, Metadata } from '@grpc/grpc-js';
import { parseUuid } from '../domain/uuid.js';
import { ExperiencesError, fromServiceError } from './experiences-error.js';

/** A channel to the service and what each call on it starts from. */
export interface Channel {
  readonly client: Client;
  /** For a whole call with all its retries. */
  readonly timeoutMs: number;
  readonly metadata: Metadata;
}

/** What a call needs of a method's definition. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/**
 * Calls a method and, while the service is away or sheds load, sends the same call again until its time is over. Every
 * call of this client may be sent twice without harm: where the contract asks for it, the client makes up the id that
 * identifies the call before the first try. `repeatable: false` is for the others: those bound to an etag, which a first
 * try that went through unseen has moved, and those with an id that the service replaces.
 */
export async function callUnary<Request, Response>(
  channel: Channel,
  method: Method<Request, Response>,
  request: NoInfer<Request>,
  options: { readonly repeatable: boolean } = { repeatable: true },
): Promise<Response> {
  const deadline = Date.now() + channel.timeoutMs;
  let mayBeDone = false;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await callOnce(channel, method, request, deadline);
    } catch (error) {
      const waitMs = backoffMs(attempt, error);
      const again = options.repeatable && isPassing(error);
      if (!again || Date.now() + waitMs >= deadline) throw mayBeDone ? afterUncertainTry(error) : error;
      mayBeDone ||= error instanceof ExperiencesError && error.mayBeDone;
      await sleep(waitMs);
    }
  }
}

/** Any other refusal is a decision about this very call. */
function afterUncertainTry(error: unknown): unknown {
  const isShed = error instanceof ExperiencesError && error.code === 'RESOURCE_EXHAUSTED';
  return isShed ? error.afterUncertainTry() : error;
}

async function callOnce<Request, Response>(
  { client, metadata }: Channel,
  method: Method<Request, Response>,
  request: NoInfer<Request>,
  deadline: number,
): Promise<Response> {
  const { path, requestSerialize, responseDeserialize } = method;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline },
      (error, response) => {
        if (error !== null) reject(fromServiceError(error));
        else if (response === undefined)
          reject(new Error('a call ended without an answer and without an error'));
        else resolve(response);
      },
    );
  });
}

/** The messages of a server stream, until it ends; leaving the loop cancels the call. It has no deadline of its own. */
export async function* readStream<Request, Response>(
  { client, metadata }: Channel,
  method: Method<Request, Response>,
  request: NoInfer<Request>,
): AsyncGenerator<Response, void, undefined> {
  const { path, requestSerialize, responseDeserialize } = method;
  const stream = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    metadata,
  );
  try {
    for await (const message of stream) yield message as Response; // grpc-js types the messages of a stream as any.
  } catch (error) {
    throw fromServiceError(error);
  } finally {
    stream.cancel();
  }
}

/** Whether an experience id makes a call repeatable: the service replaces one that is no UUID, each time by another. */
export function identifies(experienceId: string): boolean {
  return parseUuid(experienceId) !== undefined;
}

/** Whether the same call may well succeed a little later. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof ExperiencesError)) return false;
  if (error.code === 'UNAVAILABLE') return true;
  if (error.code === 'RESOURCE_EXHAUSTED') return error.retryAfterMs !== undefined;
  // How grpc-js reports a session that was cut under a call.
  return error.code === 'INTERNAL' && /RST_STREAM|Session closed/.test(error.message);
}

/** Full jitter, but never before the service's own hint. */
export function backoffMs(attempt: number, error: unknown): number {
  const hintMs = error instanceof ExperiencesError ? (error.retryAfterMs ?? 0) : 0;
  return hintMs + Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (attempt - 1));
}

/** HTTP/2 drops a value that begins or ends with a space, so such spaces stay here. */
export function metadataOf(pairs: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(pairs)) metadata.set(key, value.trim());
  return metadata;
}

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 2_000;
