import { pipeline, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { AnswerReader } from './answer-reader.js';
import type { UpstreamAnswer } from './upstreams.js';

/**
 * An answer as it can be read and added to. Some servers compress although they were told not to (RFC 9110, section
 * 12.5.3: `identity`): then it is decompressed on its way and goes on without that header. How much a body may become is
 * bounded by whoever reads it. An answer in a coding that is not known here stays as it is.
 */
export function plainAnswer(answer: UpstreamAnswer): UpstreamAnswer {
  const { 'content-encoding': coding, ...headers } = answer.headers;
  const decoder = DECODERS.get(coding?.trim().toLowerCase() ?? '')?.();
  if (decoder === undefined) return answer;
  // Whoever reads it sees each error, of either side, as its own.
  pipeline(answer.body, decoder, () => undefined);
  return { ...answer, headers, body: decoder };
}

/** Whether the body is an event stream: by what the head says of it or, where a stream was asked for, by how it begins. */
export async function isEventStream(
  { headers, body }: UpstreamAnswer,
  asked: boolean,
  signal: AbortSignal,
): Promise<boolean> {
  if (isCoded(headers['content-encoding'])) return false;
  if (/^text\/event-stream\b/i.test(headers['content-type'] ?? '')) return true;
  if (!asked) return false;
  try {
    const bytes = await new AnswerReader(body, signal).next();
    if (bytes === undefined) return false;
    body.unshift(bytes);
    const text = bytes.toString().trimStart(); // Also without a byte order mark.
    return text !== '' && FIELDS.some((field) => field.startsWith(text) || text.startsWith(field));
  } catch {
    return false; // Whoever reads it next meets the same.
  }
}

/** In a coding in which it can be neither read nor added to. */
export function isCoded(coding: string | undefined): boolean {
  return coding !== undefined && coding.trim().toLowerCase() !== 'identity';
}

/** RFC 9110, section 8.4.1, and RFC 7932. */
const DECODERS: ReadonlyMap<string, () => Transform> = new Map([
  ['gzip', () => createGunzip()],
  ['x-gzip', () => createGunzip()],
  ['deflate', () => createInflate()],
  ['br', () => createBrotliDecompress()],
]);
/** How a line of an event stream begins. */
const FIELDS: readonly string[] = ['data:', 'event:', 'id:', 'retry:', ':'];
