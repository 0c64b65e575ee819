/**
 * Entry point: makes sure that both servers are there before something needs them, fetching what is missing. With
 * `--quiet` nothing is printed while there is nothing to fetch.
 */
import { cacheFolder } from './cache-folder.js';
import { findMongod } from './find-mongod.js';
import type { FoundServer } from './find-server.js';
import { findTemporal } from './find-temporal.js';

/** Looking takes less than this; what takes longer is a fetch, whose lines are shown as they come. */
const QUIET_MS = 2_000;

process.exitCode = await fetchServers(process.argv.includes('--quiet'));

async function fetchServers(quiet: boolean): Promise<number> {
  let held: string[] | undefined = quiet ? [] : undefined;
  const show = () => {
    for (const line of held ?? []) console.log(line);
    held = undefined;
  };
  const log = (line: string) => {
    if (held === undefined) console.log(line);
    else held.push(line);
  };
  const timer = setTimeout(show, QUIET_MS);
  const options = { environment: process.env, cache: cacheFolder(process.env), log };
  const results = await Promise.allSettled([findMongod(options), findTemporal(options)]);
  clearTimeout(timer);

  if (results.some((result) => result.status === 'rejected' || wasFetched(result.value))) show();
  const failed = results.filter((result) => result.status === 'rejected');
  for (const { reason } of failed) {
    console.error(reason instanceof Error ? reason.message : String(reason));
  }
  return failed.length === 0 ? 0 : 1;
}

function wasFetched(server: FoundServer): boolean {
  return server.kind === 'executable' && server.fetched;
}
