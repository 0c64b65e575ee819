import { type Logger as PinoLogger, pino } from 'pino';

/** One JSON object an event: a fixed message, ids as fields; never a prompt, an answer, a key or a document. */
export type Logger = PinoLogger;

export function createLogger(name: string, level: string): Logger {
  return pino({
    name,
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: ['*.authorization', '*.apiKey'],
  });
}
