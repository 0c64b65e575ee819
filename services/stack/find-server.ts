import { cachedExecutable, keepExecutable, withPartialFolder } from './cache-folder.js';
import { executableOnPath, isExecutableFile } from './executable-on-path.js';
import { type LineLog, secondsSince } from './progress.js';
import { runCommand } from './run-command.js';

/** A server that somebody else runs, or an executable that we can start. */
export type FoundServer =
  | { readonly kind: 'address'; readonly address: string }
  | {
      readonly kind: 'executable';
      readonly path: string;
      readonly version: string;
      /** True when it had to be downloaded or built just now. */
      readonly fetched: boolean;
    };

export interface FindServerOptions {
  readonly environment: NodeJS.ProcessEnv;
  /** Where fetched servers are kept. */
  readonly cache: string;
  readonly log: LineLog;
}

/** What is particular to one server; the order of the search is the same for all. */
export interface ServerRecipe {
  /** As a person calls it: "MongoDB". */
  readonly title: string;
  /** As PATH calls it: "mongod". */
  readonly executable: string;
  /** The variable that names a server which is already running. */
  readonly addressVariable: string;
  /** Finds the server's version, as digits and dots, in what `--version` prints. */
  readonly versionPattern: RegExp;
  /** The oldest major and minor version that has what this project uses. */
  readonly versionMin: readonly [major: number, minor: number];
  /** Tried in this order; a later one is for where an earlier one cannot work. */
  readonly sources: readonly ServerSource[];
}

export interface ServerSource {
  readonly what: string;
  /** Name of the folder in the cache, `<executable>-<version>`. */
  readonly cacheEntry: string;
  /** Leaves the executable in the empty folder and returns its path; throws with the reason when it cannot. */
  fetch(folder: string, options: FindServerOptions): Promise<string>;
}

/** A binary of 250 MB on a cold disk takes a while to load. */
const VERSION_TIMEOUT_MS = 20_000;

/**
 * Looks for a server: an address in the environment, PATH, the cache, and then the sources, whose result is kept in the
 * cache. Every step is one line in the log. Throws one error that tells what was tried and what to set.
 */
export async function findServer(recipe: ServerRecipe, options: FindServerOptions): Promise<FoundServer> {
  const { environment, cache } = options;
  const tried: string[] = [];
  const say = (line: string) => options.log(`${recipe.title}: ${line}`);
  const note = (line: string) => {
    tried.push(line);
    say(oneLine(line));
  };

  const address = environment[recipe.addressVariable];
  if (address) {
    // Only the name: the value may hold a password.
    say(`${recipe.addressVariable} is set, nothing is started`);
    return { kind: 'address', address };
  }
  note(`${recipe.addressVariable} is not set`);

  const onPath = await executableOnPath(recipe.executable, environment);
  if (onPath === undefined) {
    note(`no ${recipe.executable} on PATH`);
  } else {
    const checked = await checkExecutable(recipe, onPath, environment);
    if ('version' in checked) {
      say(`${recipe.executable} ${checked.version} on PATH: ${onPath}`);
      return { kind: 'executable', path: onPath, version: checked.version, fetched: false };
    }
    note(`${onPath} on PATH ${checked.problem}`);
  }

  const entries = recipe.sources.map((source) => source.cacheEntry);
  for (const entry of new Set(entries)) {
    const path = cachedExecutable(cache, entry);
    if (!(await isExecutableFile(path))) continue;
    const checked = await checkExecutable(recipe, path, environment);
    if ('version' in checked) {
      say(`${recipe.executable} ${checked.version} in the cache: ${path}`);
      return { kind: 'executable', path, version: checked.version, fetched: false };
    }
    note(`${path} in the cache ${checked.problem}`);
  }
  note(`no usable ${recipe.executable} in the cache ${cache}`);

  for (const source of recipe.sources) {
    const startedAt = performance.now();
    say(`trying ${source.what}`);
    try {
      const path = await withPartialFolder(cache, async (folder) => {
        const fetched = await source.fetch(folder, { ...options, log: say });
        const checked = await checkExecutable(recipe, fetched, environment);
        if ('problem' in checked) throw new Error(`what it gave ${checked.problem}`);
        return { kept: await keepExecutable(cache, source.cacheEntry, fetched), version: checked.version };
      });
      say(`${recipe.executable} ${path.version} is ready: ${path.kept} (${secondsSince(startedAt)} s)`);
      return { kind: 'executable', path: path.kept, version: path.version, fetched: true };
    } catch (error) {
      note(`${source.what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  throw new Error(
    `${recipe.title} was not found. Set ${recipe.addressVariable} to a server that is running, or put ` +
      `${recipe.executable} on PATH. What was tried:\n${tried.map((line) => `  - ${indent(line)}`).join('\n')}`,
  );
}

/** Runs `--version`: shows that the file is an executable for this machine with the libraries it needs, and how old it is. */
async function checkExecutable(
  recipe: ServerRecipe,
  path: string,
  environment: NodeJS.ProcessEnv,
): Promise<{ readonly version: string } | { readonly problem: string }> {
  let output: string;
  try {
    output = await runCommand({
      command: path,
      args: ['--version'],
      environment,
      timeoutMs: VERSION_TIMEOUT_MS,
    });
  } catch (error) {
    return { problem: `does not run here: ${error instanceof Error ? error.message : String(error)}` };
  }
  const version = recipe.versionPattern.exec(output)?.[1];
  if (version === undefined) return { problem: `does not tell its version: ${output}` };
  const [majorMin, minorMin] = recipe.versionMin;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < majorMin || (major === majorMin && minor < minorMin)) {
    return { problem: `is version ${version}, ${majorMin}.${minorMin} or later is needed` };
  }
  return { version };
}

/** Of the output of a program the last line says why, the first which program it was. */
function oneLine(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const [first = ''] = lines;
  return lines.length > 1 ? `${first}: ${lines.at(-1)}` : first;
}

function indent(text: string): string {
  return text.replaceAll('\n', '\n    ');
}
