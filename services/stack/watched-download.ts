import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LineTail } from './line-tail.js';
import { describeExit, spawnOwned } from './owned-process.js';
import { type LineLog, withProgress } from './progress.js';

export interface WatchedDownload {
  readonly what: string;
  /**
   * CommonJS source for `node -e`, with its arguments in process.argv from index 1: a function body that downloads into the
   * current folder and may await.
   */
  readonly script: string;
  readonly scriptArguments: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly folder: string;
  /** The name of a file in the folder; once it exists the download is complete. */
  readonly completeWhen: string;
  readonly log: LineLog;
}

const POLL_MS = 250;
const FIRST_BYTE_MAX_MS = 10_000;
/** Less than this is the downloader's own bookkeeping. */
const FIRST_BYTES = 64 * 1024;
const STALL_MAX_MS = 30_000;
const BYTES_PER_MEGABYTE = 1_000_000;

/**
 * Lets a package download in a process of its own and watches the bytes arrive. The packages offer no cancellation and
 * retry for minutes; a process can be ended, keeps its own environment, and does not write to our output.
 */
export async function watchDownload(download: WatchedDownload): Promise<void> {
  const child = await spawnOwned({
    command: process.execPath,
    args: ['-e', asProgram(download.script), ...download.scriptArguments],
    environment: download.environment,
    cwd: download.folder,
  });
  const tail = new LineTail();
  tail.follow(child.stdout);
  tail.follow(child.stderr);
  let ended: string | undefined;
  const exited = child.exited.then((exit) => {
    ended = `the download ${describeExit(exit)}`;
  });

  let bytes = 0;
  let grownAt = performance.now();
  const watch = async (): Promise<void> => {
    for (;;) {
      // Asked before the files: one that was written just before the exit must still count.
      const reason = ended;
      if ((await readdir(download.folder)).includes(download.completeWhen)) return;
      if (reason !== undefined) throw new Error(`${reason}\n${tail.text()}`);
      const now = await bytesIn(download.folder);
      if (now > bytes) grownAt = performance.now();
      bytes = now;
      const patienceMs = bytes < FIRST_BYTES ? FIRST_BYTE_MAX_MS : STALL_MAX_MS;
      if (performance.now() - grownAt > patienceMs) throw new Error(`no data for ${patienceMs} ms`);
      await sleep(POLL_MS);
    }
  };
  try {
    const megabytes = () => `${Math.round(bytes / BYTES_PER_MEGABYTE)} MB`;
    await withProgress(download.log, download.what, megabytes, watch);
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
}

/** A failure is one message without a stack, and ends also what a native library still waits for. */
function asProgram(script: string): string {
  return `(async () => {${script}})().catch((error) => { console.error(error.message); process.exit(1); });`;
}

async function bytesIn(folder: string): Promise<number> {
  let total = 0;
  for (const name of await readdir(folder)) {
    // A file that is renamed between the two calls is counted the next time.
    total += await stat(join(folder, name)).then(
      (status) => status.size,
      () => 0,
    );
  }
  return total;
}
