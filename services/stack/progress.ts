/** Takes one line of text for a person to read, without its line end. */
export type LineLog = (line: string) => void;

const PROGRESS_INTERVAL_MS = 10_000;

/**
 * Shows that something long is alive: "building … 40 s (about 3 minutes, once)" every ten seconds. The detail is asked
 * each time, for it may say how far the work is.
 */
export async function withProgress<Result>(
  log: LineLog,
  what: string,
  detail: () => string,
  work: () => Promise<Result>,
): Promise<Result> {
  const startedAt = performance.now();
  const timer = setInterval(
    () => log(`${what} … ${secondsSince(startedAt)} s (${detail()})`),
    PROGRESS_INTERVAL_MS,
  );
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

export function secondsSince(startedAt: number): number {
  return Math.round((performance.now() - startedAt) / 1000);
}
