import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, withPartialFolder } from '../../services/stack/cache-folder.js';
import type { LineLog } from '../../services/stack/progress.js';
import { AnsweredCalls } from './answered-calls.js';
import { benchMongodExecutable } from './bench-stack.js';
import { type CpuProfile, monotonicMicros, type SelfTime, selfTimes } from './cpu-profile.js';
import { CALL_SHAPES } from './gateway-sizes.js';
import { startGatewayStack } from './gateway-stack.js';
import { runCalls } from './gateway-suite.js';

/** Where the gateway and the service behind it spend their time at 32 calls in flight, or 16 streams. */
export async function profileGateway(options: {
  readonly isStream: boolean;
  readonly quick: boolean;
  readonly log: LineLog;
}): Promise<{ readonly json: unknown; readonly text: string }> {
  const { isStream, quick, log } = options;
  const shape = CALL_SHAPES.find((each) => each.isStream === isStream && each.inFlight > 8);
  if (shape === undefined) throw new Error('there is a shape of each kind');
  const executable = await benchMongodExecutable(log);
  return withPartialFolder(cacheFolder(process.env), async (folder) => {
    const folders = { gateway: join(folder, 'gateway'), service: join(folder, 'service') };
    const nodeArguments = {
      gateway: ['--cpu-prof', '--cpu-prof-dir', folders.gateway],
      service: ['--cpu-prof', '--cpu-prof-dir', folders.service],
    };
    const stack = await startGatewayStack({ executable, folder, nodeArguments });
    try {
      log(`${shape.title}, under the profiler`);
      const answered = new AnsweredCalls();
      await runCalls(stack, shape, 'gateway', WARM_UP_SECONDS, answered);
      const from = monotonicMicros();
      const { answers, elapsedMs, cpuMs } = await runCalls(
        stack,
        shape,
        'gateway',
        quick ? QUICK_SECONDS : SECONDS,
        answered,
      );
      const to = monotonicMicros();
      await stack.gateway.stop(); // Profiles are written at the end of the process.
      await stack.service.stop();
      const sides = await Promise.all(
        (['gateway', 'service'] as const).map(async (name) => ({
          name,
          cpuMicrosPerCall: Math.round((cpuMs[name] * 1_000) / answers),
          ...selfTimes(await profileIn(folders[name]), from, to),
        })),
      );
      const callsPerSecond = Math.round((answers / elapsedMs) * 1_000);
      const text = sides.map(({ name, cpuMicrosPerCall, busyMicros, modules, functions }) =>
        [
          `${name}: ${cpuMicrosPerCall} µs of processor a call, ${Math.round(busyMicros / answers)} µs of them on the main thread`,
          linesOf('by module', modules.slice(0, MODULES_MAX), answers),
          linesOf('by function', functions.slice(0, FUNCTIONS_MAX), answers),
        ].join('\n\n'),
      );
      return {
        json: { suite: 'profile', load: shape.name, callsPerSecond, sides },
        text: [`${shape.title}, under the profiler: ${callsPerSecond} calls/s`, ...text].join('\n\n'),
      };
    } finally {
      await stack.stop();
    }
  });
}

async function profileIn(folder: string): Promise<CpuProfile> {
  const [name] = await readdir(folder);
  if (name === undefined) throw new Error('the process left no profile');
  return JSON.parse(await readFile(join(folder, name), 'utf8'));
}

function linesOf(title: string, times: readonly SelfTime[], calls: number): string {
  const lines = times.map(
    ({ name, micros, percent }) =>
      `${percent.toFixed(1).padStart(6)} %  ${(micros / calls).toFixed(1).padStart(6)} µs  ${name}`,
  );
  return [`${title}: part of the busy time, microseconds a call`, ...lines].join('\n');
}

const SECONDS = 10;
const QUICK_SECONDS = 4;
const WARM_UP_SECONDS = 15;
const FUNCTIONS_MAX = 40;
const MODULES_MAX = 15;
