import type { Logger } from './logger.js';

/** A thing that a process runs, from its start to its ordered end. */
export interface Running {
  stop(): Promise<void>;
}

/**
 * Runs a process: starts it, waits for SIGINT or SIGTERM, stops it in order. A second signal, or a stop that takes too
 * long, ends it at once. What cannot start is logged in one line and ends with code 1.
 */
export async function runProcess(
  logger: Logger,
  start: () => Promise<Running>,
  options: { readonly stopTimeMaxMs: number },
): Promise<void> {
  // Listened for from the beginning: whoever reads that the process is ready may stop it before the next line here runs.
  let isStarting = true;
  const signalled = nextSignal();
  void signalled.then((signal) => {
    if (isStarting) process.exit(SIGNAL_EXIT_CODES[signal]);
  });
  let running: Running;
  try {
    running = await start();
    isStarting = false;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    logger.fatal({ err: error }, `cannot start: ${message}`);
    process.exitCode = 1;
    setTimeout(() => process.exit(1), EXIT_GRACE_MS).unref();
    return;
  }
  const signal = await signalled;
  logger.info({ signal }, 'stopping');
  const forced = setTimeout(() => {
    logger.error('stopping took too long');
    process.exit(1);
  }, options.stopTimeMaxMs);
  for (const again of ['SIGINT', 'SIGTERM'] as const)
    process.once(again, () => process.exit(SIGNAL_EXIT_CODES[again]));
  await running.stop();
  clearTimeout(forced);
  logger.info('stopped');
  setTimeout(() => process.exit(0), EXIT_GRACE_MS).unref();
}

type StopSignal = keyof typeof SIGNAL_EXIT_CODES;

async function nextSignal(): Promise<StopSignal> {
  return new Promise((resolve) => {
    const take = (signal: StopSignal): void => {
      process.off('SIGINT', take);
      process.off('SIGTERM', take);
      resolve(signal);
    };
    process.on('SIGINT', take);
    process.on('SIGTERM', take);
  });
}

/** Lets the last log line leave; nothing of ours holds a process that is done. */
const EXIT_GRACE_MS = 200;
/** A shell's codes for a process that a signal ended. */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
