import { createRequire } from 'node:module';
import { join } from 'node:path';
import { probeDownload } from './download-probe.js';
import { executableOnPath } from './executable-on-path.js';
import { type FindServerOptions, type FoundServer, findServer, type ServerRecipe } from './find-server.js';
import { withProgress } from './progress.js';
import { runCommand } from './run-command.js';
import { watchDownload } from './watched-download.js';

/** Finds Temporal as TEMPORAL_ADDRESS, `temporal` on PATH or in the cache, or fetches it into the cache. */
export function findTemporal(options: FindServerOptions): Promise<FoundServer> {
  return findServer(TEMPORAL, options);
}

/** The last version that `go install` takes; the same from both sources, so that all machines run one server. */
const CLI_VERSION = '1.5.1';
const OFFICIAL_HOST = 'https://temporal.download';
const GO_PACKAGE = `github.com/temporalio/cli/cmd/temporal@v${CLI_VERSION}`;
const GO_VERSION_MIN = { major: 1, minor: 25 } as const;

const GO_VERSION_TIMEOUT_MS = 20_000;
const GO_INSTALL_TIMEOUT_MS = 30 * 60_000;

const TEMPORAL: ServerRecipe = {
  title: 'Temporal',
  executable: 'temporal',
  addressVariable: 'TEMPORAL_ADDRESS',
  // "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)": the version of the server is what matters.
  versionPattern: /\(Server ([\d.]+)/,
  versionMin: [1, 28],
  sources: [
    {
      what: `the official download of temporal ${CLI_VERSION}`,
      cacheEntry: `temporal-${CLI_VERSION}`,
      fetch: fetchOfficial,
    },
    {
      what: `go install of temporal ${CLI_VERSION}`,
      cacheEntry: `temporal-${CLI_VERSION}`,
      fetch: buildWithGo,
    },
  ],
};

/**
 * The package downloads only as part of starting a server; the process is ended as soon as the file is complete. The
 * arguments are the package's path and the version.
 */
const OFFICIAL_SCRIPT = `
  const { TestWorkflowEnvironment } = require(process.argv[1]);
  const executable = { type: 'cached-download', downloadDir: process.cwd(), version: process.argv[2] };
  await TestWorkflowEnvironment.createLocal({ server: { executable } });
`;

async function fetchOfficial(folder: string, options: FindServerOptions): Promise<string> {
  const { environment, log } = options;
  const problem = await probeDownload({ url: OFFICIAL_HOST, environment });
  if (problem !== undefined) throw new Error(problem);

  const version = `v${CLI_VERSION}`;
  const name = process.platform === 'win32' ? `temporal-${version}.exe` : `temporal-${version}`;
  await watchDownload({
    what: `downloading temporal ${CLI_VERSION}`,
    script: OFFICIAL_SCRIPT,
    scriptArguments: [createRequire(import.meta.url).resolve('@temporalio/testing'), version],
    environment,
    folder,
    // Until it is whole the file has another name.
    completeWhen: name,
    log,
  });
  return join(folder, name);
}

async function buildWithGo(folder: string, options: FindServerOptions): Promise<string> {
  const { environment } = options;
  const go = await executableOnPath('go', environment);
  if (go === undefined) throw new Error('there is no go on PATH');
  const output = await runCommand({
    command: go,
    args: ['version'],
    environment,
    timeoutMs: GO_VERSION_TIMEOUT_MS,
  });
  const [major = 0, minor = 0] = /go(\d+\.\d+)/.exec(output)?.[1]?.split('.').map(Number) ?? [];
  if (major < GO_VERSION_MIN.major || (major === GO_VERSION_MIN.major && minor < GO_VERSION_MIN.minor)) {
    throw new Error(
      `Go ${GO_VERSION_MIN.major}.${GO_VERSION_MIN.minor} or later is needed, found: ${output}`,
    );
  }

  await withProgress(
    options.log,
    'building the Temporal server with Go',
    () => 'about 3-5 minutes, once',
    () =>
      runCommand({
        command: go,
        args: ['install', '-trimpath', '-ldflags', '-s -w', GO_PACKAGE],
        // SQLite is pure Go here, so no C compiler is needed.
        environment: { ...environment, GOBIN: folder, CGO_ENABLED: '0' },
        timeoutMs: GO_INSTALL_TIMEOUT_MS,
      }),
  );
  return join(folder, process.platform === 'win32' ? 'temporal.exe' : 'temporal');
}
