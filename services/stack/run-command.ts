import { LineTail } from './line-tail.js';
import { describeExit, spawnOwned } from './owned-process.js';

export interface CommandOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
  readonly cwd?: string | undefined;
}

/**
 * Runs a command to its end and returns the last lines of what it wrote, both streams together. Rejects with those lines
 * when it cannot be started, fails or takes too long.
 */
export async function runCommand(options: CommandOptions): Promise<string> {
  const name = `${options.command} ${options.args[0] ?? ''}`.trim();
  const child = await spawnOwned(options);
  const tail = new LineTail();
  tail.follow(child.stdout);
  tail.follow(child.stderr);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, options.timeoutMs);
  const exit = await child.exited;
  clearTimeout(timer);
  if (timedOut) throw new Error(`${name} took more than ${options.timeoutMs} ms\n${tail.text()}`);
  if (exit.code !== 0) throw new Error(`${name} ${describeExit(exit)}\n${tail.text()}`);
  return tail.text();
}
