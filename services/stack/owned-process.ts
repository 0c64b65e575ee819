import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';

/**
 * A child process that cannot outlive this one. It leads its own process group, so that a Ctrl-C in the terminal reaches
 * only us and we stop the children in our order; in exchange it is killed when this process ends in whatever way.
 */
export interface OwnedProcess {
  readonly pid: number;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves once, never rejects; by then the last output has been read where that was possible. */
  readonly exited: Promise<ProcessExit>;
  /** SIGKILL goes to the whole group, any other signal to the process itself. Nothing happens once it has ended. */
  kill(signal: NodeJS.Signals): void;
  /** Asks with SIGTERM, insists with SIGKILL after the grace. */
  stop(graceMs: number): Promise<ProcessExit>;
}

export interface ProcessExit {
  /** Absent when a signal ended it. */
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
}

export interface OwnedProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the process; ours when absent. */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  readonly cwd?: string | undefined;
}

const IS_WINDOWS = process.platform === 'win32';
/** How long the output may stay open after the exit, for a grandchild that holds it. */
const OUTPUT_DRAIN_MS = 250;

/** Rejects when the command cannot be started at all. */
export async function spawnOwned(options: OwnedProcessOptions): Promise<OwnedProcess> {
  const child: ChildProcessByStdio<null, Readable, Readable> = spawn(options.command, options.args, {
    env: options.environment,
    cwd: options.cwd,
    detached: !IS_WINDOWS,
    windowsHide: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  // A failed start is reported by the wait for 'spawn' below; the other waits must not report it a second time.
  closed.catch(() => undefined);
  const ended = new Promise<ProcessExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }));
  });
  await once(child, 'spawn');
  const { pid } = child;
  if (pid === undefined) throw new Error(`${options.command} was started without a process id`);

  const dismissGuard = guard(pid);
  let running = true;
  const exited = ended.then(async (exit) => {
    running = false;
    dismissGuard();
    // What it started itself goes with it.
    killGroup(pid);
    await Promise.race([closed, delay(OUTPUT_DRAIN_MS)]);
    return exit;
  });

  const kill = (signal: NodeJS.Signals): void => {
    if (!running) return;
    if (signal === 'SIGKILL') killGroup(pid);
    else signalProcess(pid, signal);
  };
  const stop = async (graceMs: number): Promise<ProcessExit> => {
    kill('SIGTERM');
    const insist = setTimeout(() => kill('SIGKILL'), graceMs);
    try {
      return await exited;
    } finally {
      clearTimeout(insist);
    }
  };
  return { pid, stdout: child.stdout, stderr: child.stderr, exited, kill, stop };
}

/** How an ended process is named in an error message. */
export function describeExit(exit: ProcessExit): string {
  return exit.signal === undefined
    ? `ended with code ${exit.code ?? 'unknown'}`
    : `was ended by ${exit.signal}`;
}

const guarded = new Set<number>();

/**
 * Ends the group when we end. An orderly exit or an uncaught exception runs the exit hook. A signal that nobody handles,
 * kill -9 above all, runs nothing: then the pipe to the small shell closes, and the shell kills the group.
 */
function guard(pid: number): () => void {
  if (guarded.size === 0) process.on('exit', killAllGuarded);
  guarded.add(pid);
  const shell = IS_WINDOWS
    ? undefined
    : spawn('sh', ['-c', `read -r _; kill -s KILL -- -${pid}`], {
        detached: true,
        stdio: ['pipe', 'ignore', 'ignore'],
      });
  // Without a shell the exit hook remains, which covers all but a kill from outside.
  shell?.on('error', () => undefined);
  shell?.unref();
  return () => {
    shell?.kill('SIGKILL');
    guarded.delete(pid);
    if (guarded.size === 0) process.off('exit', killAllGuarded);
  };
}

function killAllGuarded(): void {
  for (const pid of guarded) killGroup(pid);
}

function killGroup(pid: number): void {
  signalProcess(IS_WINDOWS ? pid : -pid, 'SIGKILL');
}

function signalProcess(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal);
  } catch {
    // It has ended already, which is what a signal to it would bring about.
  }
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
}
