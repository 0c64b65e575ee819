import { readFile } from 'node:fs/promises';

/** What Linux says of a process's memory: what it takes now (`VmRSS`) or took at most (`VmHWM`), in KiB. */
export async function residentMemoryKb(pid: number, what: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const [, kilobytes] = new RegExp(`^${what}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
  if (kilobytes === undefined) throw new Error(`Linux does not tell the ${what} of ${pid}`);
  return Number(kilobytes);
}
