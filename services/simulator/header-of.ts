import type { IncomingMessage } from 'node:http';

/** The value of a header, by its lower-case name; of a repeated one all values. */
export function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}
