import type { MongodProcess } from '../../services/stack/mongod-process.js';
import type { NodeProcess } from '../../services/stack/node-process.js';
import type { LoadResult } from './load-result.js';
import type { Loader } from './loader.js';
import { processUsage } from './process-usage.js';
import { median, percentile, sum } from './statistics.js';
import type { Work } from './work.js';

/** One load that is measured round after round, in turn with others. */
export interface Leg {
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** Whether a ratio is made of it: such legs are never left out of a round. */
  readonly isCompared: boolean;
  work(): Work;
  /** Who serves it; its time is measured. undefined: the driver is the load itself. */
  readonly server: Pick<NodeProcess, 'pid'> | undefined;
}

/** One round of a leg. */
export interface Round extends LoadResult {
  readonly eventsPerSecond: number;
  readonly loadCpuMs: number;
  readonly serverCpuMs: number;
  readonly mongodCpuMs: number;
}

export async function runRound(leg: Leg, loader: Loader, mongod: Pick<MongodProcess, 'pid'>): Promise<Round> {
  await loader.prepare(leg.work());
  const cpuMs = () => ({
    server: leg.server === undefined ? 0 : processUsage(leg.server.pid).cpuMs,
    mongod: processUsage(mongod.pid).cpuMs,
  });
  const before = cpuMs();
  const { cpuMs: loadCpuMs, ...result } = await loader.run();
  const after = cpuMs();
  return {
    ...result,
    eventsPerSecond: (result.events / result.elapsedMs) * 1_000,
    loadCpuMs,
    serverCpuMs: after.server - before.server,
    mongodCpuMs: after.mongod - before.mongod,
  };
}

/** All rounds of a leg in figures. */
export interface LegFigures {
  readonly eventsPerSecond: number;
  readonly eventsPerSecondOfRounds: readonly number[];
  readonly events: number;
  readonly duplicates: number;
  readonly repeatedMessages: number;
  /** From the first sending of a message to its acknowledgement. */
  readonly ackP50Ms: number;
  readonly ackP99Ms: number;
  readonly serverCpuMicrosPerEvent: number | null;
  readonly mongodCpuMicrosPerEvent: number | null;
  readonly loadCpuMicrosPerEvent: number | null;
  /** Parts of one core. */
  readonly serverCpuShare: number | null;
  readonly mongodCpuShare: number | null;
  readonly loadCpuShare: number | null;
  /** Whether the load generator had no time left: then what it loads could do more. */
  readonly loadIsTheLimit: boolean;
}

export function figuresOf(rounds: readonly Round[]): LegFigures {
  const events = sum(rounds.map((round) => round.events));
  const elapsedMs = sum(rounds.map((round) => round.elapsedMs));
  const latencies = rounds.flatMap(({ latenciesMs }) => [...latenciesMs]);
  const [server, mongod, load] = [
    sum(rounds.map((round) => round.serverCpuMs)),
    sum(rounds.map((round) => round.mongodCpuMs)),
    sum(rounds.map((round) => round.loadCpuMs)),
  ];
  return {
    eventsPerSecond: Math.round(median(rounds.map((round) => round.eventsPerSecond))),
    eventsPerSecondOfRounds: rounds.map((round) => Math.round(round.eventsPerSecond)),
    events,
    duplicates: sum(rounds.map((round) => round.duplicates)),
    repeatedMessages: sum(rounds.map((round) => round.repeatedMessages)),
    ackP50Ms: rounded(percentile(latencies, 50)) ?? 0,
    ackP99Ms: rounded(percentile(latencies, 99)) ?? 0,
    serverCpuMicrosPerEvent: rounded((server * 1_000) / events),
    mongodCpuMicrosPerEvent: rounded((mongod * 1_000) / events),
    loadCpuMicrosPerEvent: rounded((load * 1_000) / events),
    serverCpuShare: rounded(server / elapsedMs),
    mongodCpuShare: rounded(mongod / elapsedMs),
    loadCpuShare: rounded(load / elapsedMs),
    loadIsTheLimit: load / elapsedMs > LIMIT_CPU_SHARE,
  };
}

/** Two digits after the point; null: it could not be measured. */
export function rounded(value: number): number | null {
  return Number.isFinite(value) ? Math.round(value * 100) / 100 : null;
}

const LIMIT_CPU_SHARE = 0.9;
