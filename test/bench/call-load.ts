import { Pool } from 'undici';
import { newUuid } from '../../services/domain/new-uuid.js';
import { BENCH_TYPE, benchRecord, EVENTS_OF_EXPERIENCE } from './bench-record.js';
import { type LoadResult, NO_RECORDS, type PreparedLoad } from './load-result.js';

export interface CallOptions {
  /** `http://host:port`. */
  readonly origin: string;
  readonly path: string;
  /** Whether answers carry `xproxy_result`; the gateway's do. */
  readonly isMetered: boolean;
  readonly isStream: boolean;
  readonly inFlight: number;
  readonly seconds: number;
}

/**
 * Chat completions over HTTP, so many in flight until the time is over, on connections that stay. Each answer is read to
 * its end and looked at: one that is not what was asked for fails the load. What the gateway answered has a request id,
 * which the ledger must have, at the cost of what was asked for.
 */
export async function prepareCallLoad(options: CallOptions): Promise<PreparedLoad> {
  const { origin, inFlight } = options;
  const pool = new Pool(origin, { connections: inFlight, pipelining: 1, keepAliveTimeout: 60_000 });
  return {
    async run(): Promise<LoadResult> {
      const tally = new Tally();
      const start = performance.now();
      const end = start + options.seconds * 1_000;
      const slots = Array.from({ length: inFlight }, async () => {
        for (let experienceId = newUuid(); performance.now() < end; experienceId = newUuid()) {
          for (let call = 0; call < EVENTS_OF_EXPERIENCE && performance.now() < end; call += 1) {
            await makeCall(pool, options, experienceId, tally);
          }
        }
      });
      await Promise.all(slots);
      const elapsedMs = performance.now() - start;
      await pool.close();
      return tally.result(elapsedMs);
    },
  };
}

async function makeCall(pool: Pool, options: CallOptions, experienceId: string, tally: Tally): Promise<void> {
  const { isMetered, isStream, path } = options;
  const record = benchRecord(tally.next());
  const body = JSON.stringify({
    model: record.model,
    messages: MESSAGES,
    seed: record.input,
    max_tokens: record.output,
    ...(isStream ? { stream: true } : {}),
  });
  const start = performance.now();
  const answer = await pool.request({
    method: 'POST',
    path,
    body,
    headers: {
      ...HEADERS,
      ...(isMetered ? { 'xProxy-Experience-Name': BENCH_TYPE, 'xProxy-Experience-ID': experienceId } : {}),
    },
  });
  const parts: Buffer[] = [];
  let firstByteMs = Number.NaN;
  for await (const part of answer.body) {
    if (parts.length === 0) firstByteMs = performance.now() - start;
    parts.push(part as Buffer); // An answer without an encoding set has bytes.
  }
  const latencyMs = performance.now() - start;
  const text = Buffer.concat(parts).toString();
  const isWhole =
    answer.statusCode === 200 && (isStream ? text.endsWith('data: [DONE]\n\n') : text.endsWith('}'));
  const requestId = /"request_id":"([^"]+)"/.exec(text)?.[1];
  if (!isWhole || isMetered !== (requestId !== undefined))
    throw new Error(`a call was answered with ${answer.statusCode}: ${text.slice(0, 500)}`);
  tally.add({
    latencyMs,
    firstByteMs,
    cost: record.cost,
    requestId,
    isQueued: text.includes('"queued":true'),
  });
}

/** What came of the calls. */
class Tally {
  readonly #latenciesMs: number[] = [];
  readonly #firstBytesMs: number[] = [];
  readonly #requestIds: string[] = [];
  #calls = 0;
  #cost = BigInt(0);
  #queued = 0;

  /** The number of the next call. */
  next(): number {
    this.#calls += 1;
    return this.#calls - 1;
  }

  add(call: {
    readonly latencyMs: number;
    readonly firstByteMs: number;
    readonly cost: bigint;
    readonly requestId: string | undefined;
    readonly isQueued: boolean;
  }): void {
    this.#latenciesMs.push(call.latencyMs);
    this.#firstBytesMs.push(call.firstByteMs);
    if (call.isQueued) this.#queued += 1;
    if (call.requestId === undefined) return;
    this.#requestIds.push(call.requestId);
    this.#cost += call.cost;
  }

  result(elapsedMs: number): LoadResult {
    return {
      ...NO_RECORDS,
      events: this.#latenciesMs.length,
      freshRecords: this.#requestIds.length,
      freshCost: this.#cost,
      elapsedMs,
      latenciesMs: Float64Array.from(this.#latenciesMs),
      named: { firstByte: Float64Array.from(this.#firstBytesMs) },
      calls: { requestIds: this.#requestIds, queued: this.#queued },
    };
  }
}

const HEADERS = { 'content-type': 'application/json', authorization: 'Bearer sk-a-key-of-the-provider' };
const MESSAGES = [
  { role: 'system', content: 'You answer questions about documents, in a few words and with a source.' },
  { role: 'user', content: 'What does the third chapter say of the cost of a run? '.repeat(6) },
];
