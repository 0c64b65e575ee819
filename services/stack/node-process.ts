import { LineTail } from './line-tail.js';
import { describeExit, type ProcessExit, spawnOwned } from './owned-process.js';

export interface NodeProcessOptions {
  /** As messages call it: "service", "worker". */
  readonly name: string;
  /** Path of the JavaScript file. */
  readonly script: string;
  readonly args?: readonly string[];
  /** Options of node itself, `['--import', 'tsx']` for a TypeScript file. */
  readonly nodeArguments?: readonly string[];
  /** The whole environment of the process. */
  readonly environment: NodeJS.ProcessEnv;
  readonly cwd?: string | undefined;
  /** The first line of its standard output that matches says that it is ready. */
  readonly readyLine: RegExp;
  readonly readyDeadlineMs?: number;
  /** How long `stop` waits for an orderly end. */
  readonly stopGraceMs?: number;
  /** Gets every line of both streams, also those before it is ready. */
  readonly onLine?: (line: string) => void;
}

export interface NodeProcess {
  readonly name: string;
  readonly pid: number;
  /** The ready line with the groups of the pattern: the place for a port that the process chose. */
  readonly ready: RegExpExecArray;
  readonly exited: Promise<ProcessExit>;
  /** The last lines it wrote. */
  lines(): readonly string[];
  kill(signal: NodeJS.Signals): void;
  /** Ends it in order, or by force after the grace; safe to call again. */
  stop(): Promise<void>;
}

const READY_DEADLINE_MS = 60_000;
const STOP_GRACE_MS = 10_000;
const LINES_MAX = 50;

/** Starts one of our own processes and waits for its ready line; rejects with its last lines when that does not come. */
export async function startNodeProcess(options: NodeProcessOptions): Promise<NodeProcess> {
  const child = await spawnOwned({
    command: process.execPath,
    args: [...(options.nodeArguments ?? []), options.script, ...(options.args ?? [])],
    environment: options.environment,
    cwd: options.cwd,
  });
  const tail = new LineTail(LINES_MAX);
  const deadlineMs = options.readyDeadlineMs ?? READY_DEADLINE_MS;
  const outcome = await new Promise<RegExpExecArray | string>((resolve) => {
    const timer = setTimeout(() => resolve(`was not ready after ${deadlineMs} ms`), deadlineMs);
    tail.follow(child.stderr, options.onLine);
    tail.follow(child.stdout, (line) => {
      options.onLine?.(line);
      const match = options.readyLine.exec(line);
      if (match === null) return;
      clearTimeout(timer);
      resolve(match);
    });
    void child.exited.then((exit) => {
      clearTimeout(timer);
      resolve(describeExit(exit));
    });
  });
  if (typeof outcome === 'string') {
    child.kill('SIGKILL');
    await child.exited;
    throw new Error(`the ${options.name} ${outcome}\n${tail.text()}`);
  }
  return {
    name: options.name,
    pid: child.pid,
    ready: outcome,
    exited: child.exited,
    lines: () => tail.lines(),
    kill: child.kill,
    stop: async () => {
      await child.stop(options.stopGraceMs ?? STOP_GRACE_MS);
    },
  };
}
