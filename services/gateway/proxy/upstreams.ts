import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { Pool } from 'undici';
import type { GatewayOptions } from '../gateway-options.js';
import { HttpFault } from '../http-fault.js';
import { checkedLookup } from './checked-lookup.js';
import type { ProviderBase } from './provider-host.js';
import { sendRequest } from './send-request.js';
import { TurnQueue } from './turn-queue.js';
import { UpstreamFault } from './upstream-fault.js';

export interface UpstreamRequest {
  /** Absent: POST. */
  readonly method?: 'GET';
  /** Behind the base's own path. */
  readonly path: string;
  /** Names and values by turns. */
  readonly headers: string[];
  readonly body: string | Buffer;
  /** Ends the request and its answer. */
  readonly signal: AbortSignal;
  /** Ends the request if it has not left yet. */
  readonly abandoned: AbortSignal;
}

export interface UpstreamAnswer {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  /** To be read to its end or destroyed. */
  readonly body: Readable;
}

interface Upstream {
  readonly pool: Pool;
  /** What waits for a connection waits here, where it can be given up, and not in the pool. */
  readonly turns: TurnQueue;
  calls: number;
}

/** A place among the calls to one origin, to be given back when the answer is over. */
export interface UpstreamPlace {
  /** Rejects with an UpstreamFault, or with the signal's reason. Redirects are not followed. */
  send(request: UpstreamRequest): Promise<UpstreamAnswer>;
  leave(): void;
}

type ProviderTimes = NonNullable<GatewayOptions['providerTimes']>;

/** Connections to providers, by origin: so many at once, so many calls waiting for one, and no more. */
export class Upstreams {
  readonly #times: ProviderTimes;
  readonly #pools = new Map<string, Upstream>();

  constructor(times: ProviderTimes = PROVIDER_TIMES) {
    this.#times = times;
  }

  /** Throws HttpFault 429 when there are as many calls as may be. */
  enter(base: ProviderBase): UpstreamPlace {
    const key = `${base.origin} ${base.mayBePrivate}`;
    const upstream = this.#pools.get(key) ?? {
      pool: newPool(base, this.#times),
      turns: new TurnQueue(CONNECTIONS_MAX),
      calls: 0,
    };
    this.#pools.set(key, upstream);
    if (upstream.calls >= CONNECTIONS_MAX + CALLS_QUEUED_MAX) {
      throw new HttpFault(
        429,
        'request_processing_error',
        'There are too many calls to this provider just now.',
        {
          retryAfterMs: BUSY_RETRY_AFTER_MS,
        },
      );
    }
    upstream.calls += 1;
    let hasLeft = false;
    /** When the call's turn is over; undefined: it has had none. */
    let turnOver: Promise<void> | undefined;
    return {
      async send({ method = 'POST', path, headers, body, signal, abandoned }) {
        await upstream.turns.take(abandoned).catch((reason: unknown) => {
          throw new UpstreamFault('unreachable', reason);
        });
        const request = sendRequest(
          upstream.pool,
          {
            path: `${base.path}${path}`,
            method,
            headers,
            body: method === 'GET' ? null : body,
            highWaterMark: BUFFERED_BYTES,
          },
          { signal, abandoned },
        );
        turnOver = request.over;
        const answer = await request.answer;
        // Whoever gives it up early destroys it, and an error that nobody listens for would end the process.
        answer.body.on('error', () => undefined);
        return { statusCode: answer.statusCode, headers: answer.headers, body: answer.body };
      },
      leave() {
        if (hasLeft) return;
        hasLeft = true;
        upstream.calls -= 1;
        // One that was given up while its connection was made is over when that is.
        void turnOver?.then(() => upstream.turns.give());
      },
    };
  }

  /** Cuts what is still under way. */
  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(async ({ pool }) => pool.destroy()));
  }
}

function newPool({ origin, mayBePrivate }: ProviderBase, times: ProviderTimes): Pool {
  // As Node's sockets take it; undici hands it on without naming it.
  const connect = {
    timeout: CONNECT_TIME_MAX_MS,
    highWaterMark: BUFFERED_BYTES,
    ...(mayBePrivate ? {} : { lookup: checkedLookup() }),
  };
  return new Pool(origin, {
    connections: CONNECTIONS_MAX,
    pipelining: 1,
    headersTimeout: times.answerMaxMs,
    bodyTimeout: times.silenceMaxMs,
    keepAliveTimeout: IDLE_CONNECTION_MAX_MS,
    maxHeaderSize: HEADERS_BYTES_MAX,
    connect,
  });
}

/** For each origin. */
const CONNECTIONS_MAX = 512;
const CALLS_QUEUED_MAX = 512;
const BUSY_RETRY_AFTER_MS = 1_000;
const CONNECT_TIME_MAX_MS = 10_000;
/** Models that think answer late if nothing is streamed. */
const PROVIDER_TIMES: ProviderTimes = { answerMaxMs: 600_000, silenceMaxMs: 300_000 };
/** Shorter than providers keep idle connections, so that no request is sent into one that is just being closed. */
const IDLE_CONNECTION_MAX_MS = 4_000;
const HEADERS_BYTES_MAX = 64 * 1024;
/** Of an answer and of its connection, beside what was just read: what a slow reader makes this process hold. */
const BUFFERED_BYTES = 8 * 1024;
