import { randomBytes } from 'node:crypto';
import { link, readdir, readFile, readlink, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { FILE_MODE } from './journal-segment.js';

/** That another process has the folder, which is told with what is known of it. */
export class FolderLocked extends Error {
  override readonly name = 'FolderLocked';
}

/**
 * One process a folder. The holder is named in the file `<n>.lock` with the highest n; who takes the folder over creates
 * the next one, which succeeds for one process only, so no lock is ever removed by one who only believes that it is
 * stale. A holder that was killed is found out at once by its process id and start time. One in another container or on
 * another machine cannot be looked at: it counts as gone when its file has not been touched over several beats.
 */
export class FolderLock {
  readonly #folder: string;
  readonly #number: number;
  readonly #beat: NodeJS.Timeout;
  readonly #self: Holder;
  #isLost = false;

  private constructor(folder: string, number: number, self: Holder) {
    this.#folder = folder;
    this.#number = number;
    this.#self = self;
    this.#beat = setInterval(() => {
      const now = new Date();
      // A beat that fails is missed by nobody on this machine; elsewhere another may have taken the folder over.
      utimes(lockPath(folder, number), now, now).catch(() => this.isHeld().catch(() => undefined));
    }, BEAT_MS).unref();
  }

  /** Whether it was found out that another process has taken the folder over, as of one that gave no sign for long. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /**
   * Looks whether the folder is still this process's. Who takes it over removes this lock before it reads what is there: so
   * what was flushed before the look is read. Rejects when the folder cannot be read.
   */
  async isHeld(): Promise<boolean> {
    if (this.#isLost) return false;
    if (await isThere(lockPath(this.#folder, this.#number))) return true;
    const { held, free } = await numbersIn(this.#folder);
    // Without another's it was the folder that went, with all that was in it, and came back.
    this.#isLost = held > 0 || free > 0 || !(await createLock(this.#folder, this.#number, this.#self));
    return !this.#isLost;
  }

  /** Rejects with FolderLocked while another process, or another outbox of this one, has it. */
  static async take(folder: string): Promise<FolderLock> {
    const self = await describeSelf();
    const before = await numbersIn(folder);
    if (before.held > before.free) await refuseWhileHeld(folder, before.held, self);
    const number = Math.max(before.held, before.free) + 1;
    if (!(await createLock(folder, number, self))) throw justTaken(folder);
    const after = await numbersIn(folder);
    // One who was slow may create a number that others have long had and left: it is not the last.
    if (after.held > number || after.free >= number) {
      await unlink(lockPath(folder, number)).catch(() => undefined);
      throw justTaken(folder);
    }
    await removeOld(folder, number);
    return new FolderLock(folder, number, self);
  }

  /** The number stays taken, under another name, which needs no room on a full disk. */
  async release(): Promise<void> {
    clearInterval(this.#beat);
    // Where it fails the end of the process frees the folder.
    await rename(lockPath(this.#folder, this.#number), freePath(this.#folder, this.#number)).catch(
      () => undefined,
    );
  }
}

const HOLDER = z.object({
  pid: z.number().int(),
  /** When the process started, in ticks since the machine's start; empty: the system does not tell. */
  startTicks: z.string(),
  /** Which start of which machine, and which space of process ids; empty: the system does not tell. */
  machine: z.string(),
});
type Holder = z.output<typeof HOLDER>;

async function refuseWhileHeld(folder: string, number: number, self: Holder): Promise<void> {
  const path = lockPath(folder, number);
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) throw justTaken(folder);
  // A holder that another version has described cannot be looked at.
  const holder = HOLDER.safeParse(jsonOf(text)).data;
  const isHeld = holder?.machine === self.machine ? await isAlive(holder) : await isTouched(path);
  if (!isHeld) return;
  throw new FolderLocked(
    `The folder ${folder} is held by the process ${holder?.pid ?? 'of another version'}.`,
  );
}

async function isAlive({ pid, startTicks }: Holder): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there and somebody else's.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  return (await startTicksOf(pid)) === startTicks;
}

/** Compares the file with itself, so the clocks of two machines need not agree. */
async function isTouched(path: string): Promise<boolean> {
  const { mtimeMs } = await stat(path);
  await sleep(BEATS_MISSED * BEAT_MS);
  return (await stat(path).catch(() => undefined))?.mtimeMs !== mtimeMs;
}

/** Written aside and linked, so that nobody ever reads half of it. false: another process was first. */
async function createLock(folder: string, number: number, holder: Holder): Promise<boolean> {
  const draft = join(folder, `${randomBytes(NAME_BYTES).toString('hex')}.tmp`);
  await writeFile(draft, JSON.stringify(holder), { mode: FILE_MODE });
  try {
    await link(draft, lockPath(folder, number));
    return true;
  } catch (error) {
    // ENOENT: the one who was first has cleared the draft away.
    if (error instanceof Error && 'code' in error && /^(?:EEXIST|ENOENT)$/.test(`${error.code}`))
      return false;
    throw error;
  } finally {
    await unlink(draft).catch(() => undefined);
  }
}

/** Locks of earlier holders, and drafts of those that were killed in between. */
async function removeOld(folder: string, ownNumber: number): Promise<void> {
  const names = await readdir(folder);
  const old = names.filter(
    (name) => DRAFT.test(name) || (NUMBERED.test(name) && name !== `${ownNumber}.lock`),
  );
  await Promise.all(old.map((name) => unlink(join(folder, name)).catch(() => undefined)));
}

/** The highest of each kind; 0: there is none. */
async function numbersIn(folder: string): Promise<{ readonly held: number; readonly free: number }> {
  const highest = { held: 0, free: 0 };
  for (const name of await readdir(folder)) {
    const [, digits, kind] = NUMBERED.exec(name) ?? [];
    if (kind === 'lock') highest.held = Math.max(highest.held, Number(digits));
    if (kind === 'free') highest.free = Math.max(highest.free, Number(digits));
  }
  return highest;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

function justTaken(folder: string): FolderLocked {
  return new FolderLocked(`Another process has just taken the folder ${folder}.`);
}

function lockPath(folder: string, number: number): string {
  return join(folder, `${number}.lock`);
}

function freePath(folder: string, number: number): string {
  return join(folder, `${number}.free`);
}

async function describeSelf(): Promise<Holder> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  const space = await readlink('/proc/self/ns/pid').catch(() => '');
  return {
    pid: process.pid,
    startTicks: await startTicksOf(process.pid),
    machine: `${boot.trim()} ${space}`.trim(),
  };
}

/** Process ids come again; together with the start they do not. One that has ended, and was not waited for, has none. */
async function startTicksOf(pid: number): Promise<string> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field is a name in parentheses that may hold anything.
  const [state = '', ...others] = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return ENDED_STATE.test(state) ? 'ended' : (others[START_FIELD] ?? '');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A zombie, or dead, by proc(5). */
const ENDED_STATE = /^[ZXx]$/;
/** The 22nd of proc(5), counted from 0 behind the third. */
const START_FIELD = 18;
const NUMBERED = /^(\d+)\.(lock|free)$/;
const DRAFT = /^[0-9a-f]{16}\.tmp$/;
const NAME_BYTES = 8;
const BEAT_MS = 1_000;
const BEATS_MISSED = 5;
