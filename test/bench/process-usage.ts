import { readFileSync } from 'node:fs';

/** What the system says a process has used; NaN where it does not say, which is everywhere but on Linux. */
export interface ProcessUsage {
  readonly cpuMs: number;
  /** Memory that it holds now. */
  readonly memoryMb: number;
  /** The most that it has held since it was started. */
  readonly peakMemoryMb: number;
}

export function processUsage(pid: number): ProcessUsage {
  try {
    const [, afterName = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(/\) (?=[A-Z] )/);
    const fields = afterName.split(' ');
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return {
      cpuMs: (Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS])) * TICK_MS,
      memoryMb: kilobytes(status, 'VmRSS') / 1024,
      peakMemoryMb: kilobytes(status, 'VmHWM') / 1024,
    };
  } catch {
    return { cpuMs: Number.NaN, memoryMb: Number.NaN, peakMemoryMb: Number.NaN }; // No /proc, or no such process.
  }
}

function kilobytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1] ?? Number.NaN);
}

/** Positions in /proc/<pid>/stat after the name, see proc(5). */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;
/** Linux counts the time of processes in hundredths of a second for all programs. */
const TICK_MS = 10;
