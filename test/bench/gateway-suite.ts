import { loadavg } from 'node:os';
import { cacheFolder, withPartialFolder } from '../../services/stack/cache-folder.js';
import type { LineLog } from '../../services/stack/progress.js';
import { AnsweredCalls, type GatewayBooks } from './answered-calls.js';
import { benchMongodExecutable, type Machine, machineOf } from './bench-stack.js';
import {
  CALL_SHAPES,
  type CallShape,
  FULL,
  type GatewaySizes,
  QUICK,
  type ShapeName,
  SIDES,
  type Side,
} from './gateway-sizes.js';
import { type GatewayStack, startGatewayStack } from './gateway-stack.js';
import type { LoadResult } from './load-result.js';
import { processUsage } from './process-usage.js';
import type { Work } from './work.js';

/** Everything that was measured, before anything is made of it. */
export interface GatewayMeasurement {
  readonly quick: boolean;
  readonly machine: Machine;
  readonly sizes: GatewaySizes;
  /** Of one minute, before and after: what else the machine did is in all times. */
  readonly loadAverage: { readonly before: number; readonly after: number };
  readonly rounds: Readonly<Record<ShapeName, Readonly<Record<Side, readonly CallRound[]>>>>;
  /** The most that the gateway has held since its start; NaN where the system does not say. */
  readonly gatewayPeakMemoryMb: number;
  readonly books: GatewayBooks;
}

/** One round of a shape on a side. */
export interface CallRound {
  readonly answers: number;
  readonly elapsedMs: number;
  readonly latenciesMs: Float64Array;
  readonly firstBytesMs: Float64Array;
  /** As the gateway's log tells; empty for the other sides. */
  readonly reservationsMs: readonly number[];
  /** Processor time; NaN where the system does not say. */
  readonly cpuMs: Readonly<Record<MeasuredProcess, number>>;
}

export const MEASURED_PROCESSES = ['gateway', 'service', 'mongod'] as const;
export type MeasuredProcess = (typeof MEASURED_PROCESSES)[number];

export async function measureGateway(options: {
  readonly quick: boolean;
  readonly log: LineLog;
}): Promise<GatewayMeasurement> {
  const { quick, log } = options;
  const sizes = quick ? QUICK : FULL;
  const [before = Number.NaN] = loadavg();
  const executable = await benchMongodExecutable(log);
  return withPartialFolder(cacheFolder(process.env), async (folder) => {
    const stack = await startGatewayStack({ executable, folder });
    try {
      const machine = await machineOf(stack.mongod);
      const answered = new AnsweredCalls();
      log('warming up');
      for (const shape of WARM_UP_SHAPES) {
        for (const side of SIDES) await runCalls(stack, shape, side, sizes.warmUpSeconds, answered);
      }
      const rounds = emptyRounds();
      for (let round = 0; round < sizes.rounds; round += 1) {
        log(`round ${round + 1} of ${sizes.rounds}`);
        for (const shape of CALL_SHAPES) {
          // What drifts in a round must not always meet the same side.
          const order = SIDES.map((_, index) => SIDES[(index + round) % SIDES.length] ?? 'direct');
          for (const side of order)
            rounds[shape.name][side].push(await runCalls(stack, shape, side, sizes.legSeconds, answered));
        }
      }
      const gatewayPeakMemoryMb = processUsage(stack.gateway.pid).peakMemoryMb;
      log('comparing the books with what was answered');
      await stack.gateway.stop(); // What it has on disk is delivered.
      const books = await answered.compare(stack);
      const [after = Number.NaN] = loadavg();
      return { quick, machine, sizes, loadAverage: { before, after }, rounds, gatewayPeakMemoryMb, books };
    } finally {
      await stack.stop();
    }
  });
}

export async function runCalls(
  stack: GatewayStack,
  shape: Pick<CallShape, 'isStream' | 'inFlight'>,
  side: Side,
  seconds: number,
  answered: AnsweredCalls,
): Promise<CallRound> {
  const { loader, origins, gateway, service, mongod } = stack;
  const isMetered = side === 'gateway';
  const work: Work = {
    kind: 'call',
    origin: origins[side],
    path: isMetered ? '/api/v1/proxy/openai/v1/chat/completions' : '/v1/chat/completions',
    isMetered,
    isStream: shape.isStream,
    inFlight: shape.inFlight,
    seconds,
  };
  const cpuMs = () => ({
    gateway: processUsage(gateway.pid).cpuMs,
    service: processUsage(service.pid).cpuMs,
    mongod: processUsage(mongod.pid).cpuMs,
  });
  await loader.prepare(work);
  stack.takeReservationTimes();
  const before = cpuMs();
  const result = await loader.run();
  const after = cpuMs();
  answered.add(result);
  return {
    answers: result.events,
    elapsedMs: result.elapsedMs,
    latenciesMs: result.latenciesMs,
    firstBytesMs: firstBytesOf(result),
    reservationsMs: stack.takeReservationTimes(),
    cpuMs: {
      gateway: after.gateway - before.gateway,
      service: after.service - before.service,
      mongod: after.mongod - before.mongod,
    },
  };
}

function firstBytesOf({ named }: LoadResult): Float64Array {
  const times = named?.firstByte;
  if (times === undefined) throw new Error('a load of calls tells when their first bytes came');
  return times;
}

function emptyRounds(): Record<ShapeName, Record<Side, CallRound[]>> {
  const sides = () => ({ direct: [], passThrough: [], gateway: [] });
  return { whole1: sides(), whole8: sides(), whole32: sides(), stream16: sides() };
}

const WARM_UP_SHAPES = CALL_SHAPES.filter(({ inFlight }) => inFlight > 8);
