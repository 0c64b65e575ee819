import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';

/** One JSON object an event: a fixed message, ids as fields; never a prompt, an answer, a key or a document. */
export type Logger = PinoLogger;

export function createLogger(name: string, level: string, destination?: DestinationStream): Logger {
  const options = {
    name,
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ['*.authorization', '*.apiKey'],
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/**
 * Standard output for a process that writes a line a call: lines are gathered for a moment, because writing each by itself
 * takes longer than making it. All are written when the process ends by itself; one that is killed loses the last ones, and
 * when nobody reads, the newest are dropped.
 */
export function gatheredOutput(): DestinationStream {
  return pino.destination({
    fd: 1,
    sync: false,
    minLength: GATHERED_BYTES,
    periodicFlush: GATHERED_MS,
    maxLength: UNREAD_BYTES_MAX,
  });
}

const GATHERED_BYTES = 4_096;
const GATHERED_MS = 100;
const UNREAD_BYTES_MAX = 4 * 1024 * 1024;
