/**
 * Runs work that a person may interrupt. The first signal from outside aborts the one that the work gets and is answered
 * by its clean-up; the second one ends the process at once.
 */
export async function runUntilSignal(work: (signal: AbortSignal) => Promise<number>): Promise<void> {
  const interrupted = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (interrupted.signal.aborted) process.exit(EXIT_INTERRUPTED);
    process.stderr.write(`\n${signal}: stopping everything; once more ends at once\n`);
    interrupted.abort();
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  try {
    process.exitCode = await work(interrupted.signal);
  } catch (error) {
    if (!interrupted.signal.aborted) {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    }
    process.exitCode = interrupted.signal.aborted ? EXIT_INTERRUPTED : 1;
  } finally {
    for (const name of SIGNALS) process.off(name, onSignal);
  }
  // What was interrupted may have left something running; the exit hook of owned processes ends it.
  if (interrupted.signal.aborted) process.exit();
}

/** Rejects once the signal is aborted; to be raced with work that would go on regardless. */
export function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => reject(new Error('interrupted'));
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

/** Ctrl-C, a plain kill, and a terminal that is closed. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A shell's way to say that SIGINT ended a program. */
const EXIT_INTERRUPTED = 130;
