import type { FastifyInstance } from 'fastify';
import { HttpFault } from './http-fault.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether it is answered however much waits for its readers. */
    isAlwaysAnswered?: boolean;
  }
}

/**
 * Bounds what whole answers take while their callers do not read them: a caller may read nothing for so long, and while
 * very much waits nothing more is begun. What is begun is answered: it may be paid. (Streams are never held.)
 */
export function boundSlowReaders(app: FastifyInstance, bounds: SlowReaderBounds = BOUNDS): void {
  let waitingBytes = 0;
  app.addHook('onRequest', (request, _reply, done) => {
    const { isAlwaysAnswered } = request.routeOptions.config;
    done(waitingBytes <= bounds.waitingBytesMax || isAlwaysAnswered === true ? undefined : tooMuch());
  });
  app.addHook('onSend', (_request, { raw }, payload, done) => {
    const bytes = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0;
    // Small ones are taken by the connection's buffers.
    if (bytes > SMALL_BYTES_MAX && !raw.destroyed) {
      waitingBytes += bytes;
      raw.once('close', () => {
        waitingBytes -= bytes;
      });
      raw.setTimeout(bounds.stallTimeMaxMs, () => raw.destroy());
    }
    done();
  });
}

function tooMuch(): HttpFault {
  return new HttpFault(429, 'request_processing_error', 'Too much waits to be read by its callers.', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}

interface SlowReaderBounds {
  readonly stallTimeMaxMs: number;
  /** It may be exceeded by what is in flight when it is reached. */
  readonly waitingBytesMax: number;
}

const BOUNDS: SlowReaderBounds = { stallTimeMaxMs: 120_000, waitingBytesMax: 256 * 1024 * 1024 };
const SMALL_BYTES_MAX = 16 * 1024;
const RETRY_AFTER_MS = 1_000;
