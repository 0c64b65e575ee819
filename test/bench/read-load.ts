import { type LoadResult, NO_RECORDS, type PreparedLoad } from './load-result.js';
import { benchClient, callBytes } from './record-sender.js';

export interface ReadOptions {
  readonly address: string;
  /** Called in turn, one after the other. */
  readonly calls: readonly ReadCall[];
  readonly rounds: number;
  /** It ends earlier when this is over. */
  readonly secondsMax: number;
}

export interface ReadCall {
  readonly name: string;
  readonly path: string;
  readonly bytes: Buffer;
}

/** How long reads take, each by itself. */
export async function prepareReadLoad(options: ReadOptions): Promise<PreparedLoad> {
  const { calls } = options;
  const client = benchClient(options.address);
  // The first calls pay for the connection and for code that is not compiled yet.
  const warmUp = Math.min(WARM_UP_ROUNDS, options.rounds);
  for (let round = 0; round < warmUp; round += 1)
    for (const { path, bytes } of calls) await callBytes(client, path, Buffer.from(bytes));
  return {
    async run(): Promise<LoadResult> {
      const start = performance.now();
      const end = start + options.secondsMax * 1_000;
      const latencies = new Map(calls.map(({ name }) => [name, [] as number[]]));
      for (let round = 0; round < options.rounds && performance.now() < end; round += 1) {
        for (const { name, path, bytes } of calls) {
          const since = performance.now();
          await callBytes(client, path, Buffer.from(bytes));
          latencies.get(name)?.push(performance.now() - since);
        }
      }
      client.close();
      return {
        ...NO_RECORDS,
        elapsedMs: performance.now() - start,
        latenciesMs: new Float64Array(),
        named: Object.fromEntries([...latencies].map(([name, values]) => [name, Float64Array.from(values)])),
      };
    },
  };
}

const WARM_UP_ROUNDS = 20;
