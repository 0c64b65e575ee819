import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a condition, not for luck: asks again until it answers something, and fails loudly after the deadline. */
export async function waitUntil<T>(
  what: string,
  condition: () => Promise<T | undefined> | T | undefined,
  deadlineMs = 20_000,
): Promise<T> {
  const giveUp = Date.now() + deadlineMs;
  for (;;) {
    const found = await condition();
    if (found !== undefined) return found;
    if (Date.now() > giveUp) throw new Error(`after ${deadlineMs} ms still not: ${what}`);
    await sleep(POLL_MS);
  }
}

const POLL_MS = 25;
