import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Thrown where work stops because the client has closed its connection. */
export class ClientLeft extends Error {
  override readonly name = 'ClientLeft';
}

/** Aborts when the connection closes before the answer is written out. */
export function clientGone(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  // Writing into a closed connection is no error here: the signal says that it is closed.
  response.on('error', () => gone.abort());
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  return gone.signal;
}

export async function pause(ms: number, gone: AbortSignal): Promise<void> {
  if (gone.aborted) throw new ClientLeft();
  if (ms <= 0) return;
  await sleep(ms, undefined, { signal: gone }).catch(() => {
    throw new ClientLeft();
  });
}

/** Writes and, when the client reads too slowly, waits until it has caught up. */
export async function writePaced(response: ServerResponse, text: string, gone: AbortSignal): Promise<void> {
  if (gone.aborted) throw new ClientLeft();
  if (response.write(text)) return;
  await once(response, 'drain', { signal: gone }).catch(() => {
    throw new ClientLeft();
  });
}
