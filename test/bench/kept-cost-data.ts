import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SCHEMA_VERSION } from '../../services/ledger/migrate.js';
import { withPartialFolder } from '../../services/stack/cache-folder.js';
import type { LineLog } from '../../services/stack/progress.js';
import { startBenchMongod } from './bench-stack.js';
import { buildCostData, type CostDataSizes } from './cost-data.js';

/** The large set is built once for a schema and kept in the cache: the data folder of a mongod of its own. */
export async function keptCostData(options: {
  readonly cache: string;
  readonly executable: string;
  readonly mongodVersion: string;
  readonly sizes: CostDataSizes;
  readonly log: LineLog;
}): Promise<string> {
  const { cache, executable, mongodVersion, sizes, log } = options;
  const marks = { schema: SCHEMA_VERSION, build: BUILD_VERSION, mongodVersion, ...sizes };
  const hash = createHash('sha256').update(JSON.stringify(marks)).digest('hex').slice(0, 12);
  const folder = join(cache, `${PREFIX}${hash}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  for (const name of await readdir(cache)) {
    if (name.startsWith(PREFIX)) await rm(join(cache, name), { recursive: true, force: true });
  }
  log(`building the set for cost reads once; it stays in ${folder}`);
  // A set that is not whole never has the name under which it is found.
  await withPartialFolder(cache, async (partial) => {
    const data = join(partial, 'data');
    const mongod = await startBenchMongod(executable, data);
    try {
      await buildCostData(mongod.uri, COST_DATABASE, sizes, log);
    } finally {
      await mongod.stop();
    }
    await rename(data, folder);
  });
  return folder;
}

export const COST_DATABASE = 'bench_costs';
const PREFIX = 'bench-costs-';
/** Raised when what is built changes. */
const BUILD_VERSION = 1;
