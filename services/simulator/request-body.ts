import type { IncomingMessage } from 'node:http';
import { ClientLeft } from './client-connection.js';
import { bodyNotJson, bodyTooLarge } from './refusal.js';

export const BODY_BYTES_MAX = 8 * 1024 * 1024;

/**
 * A refused body is read on and thrown away up to here: a connection closed with bytes unread is reset, and the client
 * would see that instead of the 413.
 */
const DISCARDED_BYTES_MAX = 8 * BODY_BYTES_MAX;

/** Throws a Refusal when the body is too large, ClientLeft when it never ends. */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
      else chunks.length = 0;
      if (bytes > DISCARDED_BYTES_MAX) reject(bodyTooLarge(BODY_BYTES_MAX));
    });
    request.on('end', () => {
      if (bytes > BODY_BYTES_MAX) reject(bodyTooLarge(BODY_BYTES_MAX));
      else resolve(Buffer.concat(chunks));
    });
    request.on('error', () => reject(new ClientLeft()));
    request.on('close', () => reject(new ClientLeft()));
  });
}

/** Throws a Refusal when the bytes are no JSON. */
export function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    // The parser's message quotes the text, which must not leave the process.
    throw bodyNotJson();
  }
}
