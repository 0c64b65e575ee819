import { chmod, copyFile, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';

/** Where fetched servers are kept for this user, `mongod-6.0.5/mongod` and the like. */
export function cacheFolder(environment: NodeJS.ProcessEnv): string {
  const base = environment.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(base, 'experiences');
}

const PARTIAL_PREFIX = 'partial-';
/** A partial folder this old was left behind by a process that was killed. */
const PARTIAL_AGE_MAX_MS = 24 * 60 * 60 * 1000;
export const EXECUTABLE_MODE = 0o755;

/**
 * Gives the work an empty folder on the same disk as the cache and removes it afterwards: what is incomplete never has a
 * name under which it could be found.
 */
export async function withPartialFolder<Result>(
  cache: string,
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  await mkdir(cache, { recursive: true });
  await removeAbandoned(cache);
  const folder = await mkdtemp(join(cache, PARTIAL_PREFIX));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Puts an executable at `<cache>/<entry>/<name>`, at once or not at all; of two processes that do so the later wins. */
export async function keepExecutable(cache: string, entry: string, source: string): Promise<string> {
  const target = join(cache, entry, executableName(entry));
  await mkdir(join(cache, entry), { recursive: true });
  await withPartialFolder(cache, async (folder) => {
    const complete = join(folder, basename(target));
    await copyFile(source, complete);
    await chmod(complete, EXECUTABLE_MODE);
    await rename(complete, target);
  });
  return target;
}

/** Where the executable of a cache entry is, if it is there. */
export function cachedExecutable(cache: string, entry: string): string {
  return join(cache, entry, executableName(entry));
}

/** `mongod-6.0.5` holds `mongod`, on Windows `mongod.exe`. */
function executableName(entry: string): string {
  const name = entry.slice(0, entry.lastIndexOf('-'));
  return process.platform === 'win32' ? `${name}.exe` : name;
}

async function removeAbandoned(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith(PARTIAL_PREFIX)) continue;
    const folder = join(cache, name);
    // Another process may finish and remove its folder while we look: then there is nothing left to do.
    const age = await stat(folder).then(
      (status) => Date.now() - status.mtimeMs,
      () => 0,
    );
    if (age > PARTIAL_AGE_MAX_MS) await rm(folder, { recursive: true, force: true });
  }
}
