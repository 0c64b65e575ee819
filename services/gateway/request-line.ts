import type { IncomingMessage } from 'node:http';
import { HttpFault } from './http-fault.js';

/**
 * What the parser lets pass and a proxy in front of us may understand otherwise; undefined: nothing of that. RFC 9112,
 * section 3.2: a request of HTTP/1.1 has exactly one Host. Section 3.2.2: only a proxy is sent whole URIs.
 */
export function requestLineFault(request: IncomingMessage): HttpFault | undefined {
  const { rawHeaders, httpVersionMajor, httpVersionMinor, url } = request;
  if (rawHeaders.length > 2 * HEADERS_MAX)
    return new HttpFault(431, 'request_processing_error', 'There are too many headers.');
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() === 'host') hosts += 1;
  }
  const isModern = httpVersionMajor > 1 || httpVersionMinor > 0;
  if (hosts > 1 || (hosts === 0 && isModern)) return refused('must have exactly one Host header');
  return url?.startsWith('/') === true ? undefined : refused('must name a path');
}

function refused(what: string): HttpFault {
  return new HttpFault(400, 'request_processing_error', `The request ${what}.`);
}

const HEADERS_MAX = 256;
