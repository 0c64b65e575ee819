import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const RETRY_MS = 20;

/** Waits until something listens on the loopback port; rejects at the deadline or when the signal fires. */
export async function waitForPort(port: number, deadlineMs: number, signal: AbortSignal): Promise<void> {
  const giveUpAt = performance.now() + deadlineMs;
  while (!(await isListening(port))) {
    if (performance.now() > giveUpAt) {
      throw new Error(`nothing listens on port ${port} after ${deadlineMs} ms`);
    }
    await sleep(RETRY_MS, undefined, { signal });
  }
}

/**
 * For before a server is started on a port that was chosen elsewhere: its failure to bind comes late, and until then the
 * one that has the port would be taken for it.
 */
export async function assertPortFree(port: number): Promise<void> {
  if (await isListening(port)) throw new Error(`port ${port} is already in use`);
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const answer = (listening: boolean) => {
      socket.destroy();
      resolve(listening);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}
