import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';
import { type NodeProcess, startNodeProcess } from '../../services/stack/node-process.js';
import { waitUntil } from './wait-until.js';

/** A gateway in a process of its own, from the build, to be killed, stopped or measured. */
export interface GatewayProcess extends NodeProcess {
  readonly url: string;
  /** After a collection of garbage, in bytes. */
  liveMemory(): Promise<number>;
}

export async function startGatewayProcess(options: {
  readonly serviceAddress: string;
  readonly providerUrl: string;
  /** Absent: a fresh one, which is removed when it is stopped. */
  readonly outboxFolder?: string;
  /** By how much its clock is ahead. */
  readonly clockAheadMs?: number;
  /** Beside that of the test. */
  readonly environment?: NodeJS.ProcessEnv;
}): Promise<GatewayProcess> {
  const outbox = options.outboxFolder ?? (await mkdtemp(join(tmpdir(), 'experiences-outbox-')));
  let lastMemory: string | undefined;
  let isClockSet = false;
  const clockFile = join(outbox, 'test-clock');
  if (options.clockAheadMs !== undefined) await writeFile(clockFile, String(options.clockAheadMs));
  const child = await startNodeProcess({
    name: 'gateway',
    script: join(PACKAGE_ROOT, 'dist', 'services', 'gateway', 'main.js'),
    nodeArguments: [
      ...['--expose-gc', '--import', LIVE_MEMORY],
      ...(options.clockAheadMs === undefined ? [] : ['--import', SHIFTED_CLOCK]),
    ],
    onLine: (line) => {
      isClockSet ||= line.startsWith('the clock is ahead');
      lastMemory = /^live memory: (\d+)/.exec(line)?.[1] ?? lastMemory;
    },
    cwd: PACKAGE_ROOT,
    environment: {
      ...process.env,
      GATEWAY_LISTEN: '127.0.0.1:0',
      EXPERIENCES_ADDRESS: options.serviceAddress,
      GATEWAY_OUTBOX: outbox,
      GATEWAY_OPENAI_URL: options.providerUrl,
      GATEWAY_ANTHROPIC_URL: options.providerUrl,
      LOG_LEVEL: 'info',
      TEST_CLOCK_FILE: clockFile,
      ...options.environment,
    },
    readyLine: /"address":"(?<address>[^"]+)".*"msg":"gateway ready"/,
  });
  if (options.clockAheadMs !== undefined) {
    child.kill('SIGUSR2');
    await waitUntil('its clock is set', () => isClockSet || undefined);
  }
  return {
    ...child,
    url: `http://${child.ready.groups?.address}`,
    async liveMemory() {
      lastMemory = undefined;
      child.kill('SIGUSR2');
      return Number(await waitUntil('it says what it holds', () => lastMemory));
    },
    async stop() {
      await child.stop();
      if (options.outboxFolder === undefined) await rm(outbox, { recursive: true, force: true });
    },
  };
}

const LIVE_MEMORY = join(PACKAGE_ROOT, 'test', 'support', 'live-memory.mjs');
const SHIFTED_CLOCK = join(PACKAGE_ROOT, 'test', 'support', 'shifted-clock.mjs');
