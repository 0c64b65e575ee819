import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';
import { type NodeProcess, startNodeProcess } from '../../services/stack/node-process.js';
import { waitUntil } from './wait-until.js';

/** A service in a process of its own, from the build, to be killed or asked to stop. */
export interface ServiceProcess extends NodeProcess {
  /** `host:port`. */
  readonly address: string;
  /** Sets its clock ahead of the real one, or behind, as `clockCanBeSet` allows; it is set when this resolves. */
  setClock(aheadMs: number): Promise<void>;
}

/** Rejects with what the service logged when it does not start. */
export async function startServiceProcess(options: {
  readonly mongodbUri: string;
  readonly databaseName: string;
  /** Absent: a free port. */
  readonly listen?: string;
  readonly clockCanBeSet?: boolean;
  /** Beside that of the test. */
  readonly environment?: NodeJS.ProcessEnv;
  /** The folder that holds `services`, as sources; absent: the package's own build. */
  readonly root?: string;
}): Promise<ServiceProcess> {
  const clockFile = join(tmpdir(), `experiences-clock-${randomUUID()}`);
  let lastLine = '';
  const child = await startNodeProcess({
    name: 'service',
    script:
      options.root === undefined
        ? join(PACKAGE_ROOT, 'dist', 'services', 'server', 'main.js')
        : join(options.root, 'services', 'server', 'main.ts'),
    nodeArguments: [
      ...(options.root === undefined ? [] : ['--import', 'tsx']),
      ...(options.clockCanBeSet === true ? ['--import', SHIFTED_CLOCK] : []),
    ],
    onLine: (line) => {
      lastLine = line.startsWith('the clock') ? line : lastLine;
    },
    cwd: PACKAGE_ROOT,
    environment: {
      ...process.env,
      MONGODB_URI: options.mongodbUri,
      MONGODB_DATABASE: options.databaseName,
      // Nothing here starts a run: the service needs no Temporal for the rest.
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      EXPERIENCES_LISTEN: options.listen ?? '127.0.0.1:0',
      LOG_LEVEL: 'info',
      TEST_CLOCK_FILE: clockFile,
      ...options.environment,
    },
    readyLine: /"address":"(?<address>[^"]+)".*"msg":"service ready"/,
    readyDeadlineMs: 60_000,
  });
  const address = child.ready.groups?.address;
  if (address === undefined) throw new Error('the ready line names the address');
  return {
    ...child,
    address,
    async setClock(aheadMs) {
      if (options.clockCanBeSet !== true) throw new Error('its clock cannot be set');
      writeFileSync(clockFile, String(aheadMs));
      lastLine = '';
      child.kill('SIGUSR2');
      await waitUntil('its clock is set', () =>
        lastLine === `the clock is ahead by ${aheadMs} ms` ? true : undefined,
      );
      rmSync(clockFile);
    },
  };
}

const SHIFTED_CLOCK = join(PACKAGE_ROOT, 'test', 'support', 'shifted-clock.mjs');
