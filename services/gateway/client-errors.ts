import { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { errorBody } from './error-answer.js';
import { HttpFault } from './http-fault.js';
import { jsonText } from './json-text.js';

/**
 * Answers what is no HTTP request at all (RFC 9112, section 2.2), or is one that two servers may understand differently:
 * both a length and a transfer coding (section 6.1), a line feed alone, headers beyond the bound. The connection is closed,
 * because nobody knows where the next request would begin; and without a word while an answer is under way on it, because
 * what was written then would be taken for a part of that answer, or for the whole of it.
 */
export function answerClientError(error: Error, socket: Socket): void {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) {
    socket.destroy();
    return;
  }
  const [status, phrase, message] = statusOf(code);
  const body = jsonText(errorBody(new HttpFault(status, 'request_processing_error', message)));
  const head = [
    `HTTP/1.1 ${status} ${phrase}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/**
 * Whether a response has the connection whose request is whole, or that has begun: what is wrong is not its request. Found
 * by the mark that Node's own handler goes by.
 */
function isAnswering(socket: Socket): boolean {
  const response = '_httpMessage' in socket ? socket._httpMessage : undefined;
  return response instanceof ServerResponse && (response.headersSent || response.req.complete);
}

function statusOf(code: unknown): readonly [status: number, phrase: string, message: string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return [431, 'Request Header Fields Too Large', 'The headers are too large.'];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [408, 'Request Timeout', 'The request did not arrive in time.'];
    default:
      return [400, 'Bad Request', 'This is not a valid HTTP request.'];
  }
}
