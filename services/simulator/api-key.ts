import type { IncomingMessage } from 'node:http';
import type { Dialect } from './endpoint-names.js';
import { headerOf } from './header-of.js';
import { keyMissing, keyWrong, Refusal } from './refusal.js';

/**
 * Throws a Refusal unless the request carries the key; without a configured key every request passes. Anthropic takes it
 * in `x-api-key` or, as its client sends it from version 1 on, as a bearer too; and it wants to be told a version.
 */
export function checkKey(request: IncomingMessage, apiKey: string | undefined, dialect: Dialect): void {
  if (apiKey !== undefined) {
    const bearer = headerOf(request, 'authorization');
    const bare = dialect === 'anthropic' ? headerOf(request, 'x-api-key') : undefined;
    if (bearer === undefined && bare === undefined) throw keyMissing(dialect);
    if (bare === undefined ? bearer !== `Bearer ${apiKey}` : bare !== apiKey) throw keyWrong();
  }
  if (dialect === 'anthropic' && headerOf(request, 'anthropic-version') === undefined) {
    throw new Refusal(400, 'anthropic-version: header is required');
  }
}
