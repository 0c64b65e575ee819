import type { IncomingMessage } from 'node:http';
import { headerOf } from './header-of.js';
import { keyMissing, keyWrong } from './refusal.js';

/** Throws a Refusal unless the request carries the key; without a configured key every request passes. */
export function checkKey(request: IncomingMessage, apiKey: string | undefined): void {
  if (apiKey === undefined) return;
  const given = headerOf(request, 'authorization');
  if (given === undefined) throw keyMissing();
  if (given !== `Bearer ${apiKey}`) throw keyWrong();
}
