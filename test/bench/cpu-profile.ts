import { pathToFileURL } from 'node:url';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';

/** What `node --cpu-prof` writes, as far as it is used. Times are microseconds of the monotonic clock. */
export interface CpuProfile {
  readonly startTime: number;
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface SelfTime {
  readonly name: string;
  readonly micros: number;
  /** Of the time that was not idle. */
  readonly percent: number;
}

/** The own time of functions, and of the modules they are in, between two moments; the longest first. */
export function selfTimes(
  profile: CpuProfile,
  from: number,
  to: number,
): {
  readonly functions: readonly SelfTime[];
  readonly modules: readonly SelfTime[];
  readonly busyMicros: number;
} {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const functions = new Map<string, number>();
  const modules = new Map<string, number>();
  let busyMicros = 0;
  let time = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    const delta = profile.timeDeltas[index] ?? 0;
    time += delta;
    const frame = frames.get(id);
    if (time < from || time > to || frame === undefined || frame.functionName === '(idle)') continue;
    busyMicros += delta;
    const place = placeOf(frame.url);
    const name = `${frame.functionName || '(anonymous)'}  ${place === '' ? '' : `${place}:${frame.lineNumber + 1}`}`;
    functions.set(name.trimEnd(), (functions.get(name.trimEnd()) ?? 0) + delta);
    const module = moduleOf(frame.functionName, place);
    modules.set(module, (modules.get(module) ?? 0) + delta);
  }
  const sorted = (times: ReadonlyMap<string, number>): readonly SelfTime[] =>
    [...times]
      .map(([name, micros]) => ({ name, micros, percent: (micros / busyMicros) * 100 }))
      .sort((a, b) => b.micros - a.micros);
  return { functions: sorted(functions), modules: sorted(modules), busyMicros };
}

const ROOT_URL = `${pathToFileURL(PACKAGE_ROOT).href}/`;

function placeOf(url: string): string {
  return url.startsWith(ROOT_URL) ? url.slice(ROOT_URL.length) : url;
}

/** A package, a folder of ours, or what Node itself does. */
function moduleOf(functionName: string, place: string): string {
  if (place === '') return functionName.startsWith('(') ? functionName : '(native)';
  if (place.startsWith('node:')) return 'node';
  const inPackage = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(place);
  if (inPackage !== null) return inPackage[1] ?? place;
  return /^dist\/([^/]+\/[^/]+)\//.exec(place)?.[1] ?? place;
}

/** The clock that the profiler's times are of. */
export function monotonicMicros(): number {
  return Number(process.hrtime.bigint() / BigInt(1_000));
}
