import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, withPartialFolder } from '../../services/stack/cache-folder.js';
import type { LineLog } from '../../services/stack/progress.js';
import { EVENTS_OF_EXPERIENCE } from './bench-record.js';
import {
  benchMongodExecutable,
  createBenchType,
  startBenchMongod,
  startBenchService,
} from './bench-stack.js';
import { type CpuProfile, monotonicMicros, type SelfTime, selfTimes } from './cpu-profile.js';
import { Loader } from './loader.js';
import type { Work } from './work.js';

/** Where the service spends its time under a load: the functions with the most time of their own. */
export async function profileLoad(options: {
  readonly load: ProfiledLoad;
  readonly quick: boolean;
  readonly log: LineLog;
}): Promise<{ readonly json: unknown; readonly text: string }> {
  const { load, quick, log } = options;
  const executable = await benchMongodExecutable(log);
  return withPartialFolder(cacheFolder(process.env), async (folder) => {
    const mongod = await startBenchMongod(executable, join(folder, 'mongodb'));
    const profiles = join(folder, 'profiles');
    const service = await startBenchService({
      mongodbUri: mongod.uri,
      databaseName: 'bench',
      nodeArguments: ['--cpu-prof', '--cpu-prof-dir', profiles],
    });
    const loader = await Loader.start();
    try {
      await createBenchType(service.address);
      const work: Work = {
        kind: 'record',
        address: service.address,
        ...LOADS[load],
        connections: load === 'batch' ? 2 : 1,
        seconds: quick ? QUICK_SECONDS : SECONDS,
      };
      log(`load '${load}' under the profiler`);
      await loader.prepare({ ...work, seconds: WARM_UP_SECONDS });
      await loader.run();
      await loader.prepare(work);
      const from = monotonicMicros();
      const { events, elapsedMs } = await loader.run();
      const to = monotonicMicros();
      await service.stop(); // The profile is written at the end of the process.
      const [name] = await readdir(profiles);
      if (name === undefined) throw new Error('the service left no profile');
      const profile: CpuProfile = JSON.parse(await readFile(join(profiles, name), 'utf8'));
      const { functions, modules, busyMicros } = selfTimes(profile, from, to);
      const microsPerEvent = busyMicros / events;
      const eventsPerSecond = Math.round((events / elapsedMs) * 1_000);
      const json = {
        suite: 'profile',
        load,
        eventsPerSecond,
        busyMicrosPerEvent: Math.round(microsPerEvent * 100) / 100,
        modules,
        functions: functions.slice(0, FUNCTIONS_MAX),
      };
      const text = [
        `load '${load}' under the profiler: ${eventsPerSecond.toLocaleString('en')} events/s, ${microsPerEvent.toFixed(2)} µs an event on the main thread`,
        linesOf('by module', modules.slice(0, MODULES_MAX), events),
        linesOf('by function', functions.slice(0, FUNCTIONS_MAX), events),
      ].join('\n\n');
      return { json, text };
    } finally {
      loader.stop();
      await service.stop();
      mongod.kill('SIGKILL'); // What it holds is thrown away.
      await mongod.exited;
    }
  });
}

function linesOf(title: string, times: readonly SelfTime[], events: number): string {
  const lines = times.map(
    ({ name, micros, percent }) =>
      `${percent.toFixed(1).padStart(6)} %  ${(micros / events).toFixed(2).padStart(6)} µs  ${name}`,
  );
  return [`${title}: part of the busy time, microseconds an event`, ...lines].join('\n');
}

const EVERY_LOAD = { eventsOfExperience: EVENTS_OF_EXPERIENCE, resentOfTen: 0 } as const;
const LOADS = {
  batch: { shape: { ...EVERY_LOAD, call: 'batch', records: 1_000 }, inFlight: 4 },
  stream: { shape: { ...EVERY_LOAD, call: 'stream', records: 500 }, inFlight: 8 },
  unary: { shape: { ...EVERY_LOAD, call: 'unary', records: 1 }, inFlight: 64 },
  single: { shape: { ...EVERY_LOAD, call: 'unary', records: 1 }, inFlight: 1 },
} as const;

export type ProfiledLoad = keyof typeof LOADS;

export function isProfiledLoad(name: string): name is ProfiledLoad {
  return Object.hasOwn(LOADS, name);
}

const SECONDS = 10;
const QUICK_SECONDS = 4;
const WARM_UP_SECONDS = 2;
const FUNCTIONS_MAX = 40;
const MODULES_MAX = 15;
