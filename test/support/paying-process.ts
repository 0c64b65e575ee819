import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';
import { startNodeProcess } from '../../services/stack/node-process.js';
import type { PayingWorkerOptions } from './paying-worker.js';
import { waitUntil } from './wait-until.js';

/** A paying worker in a process of its own, to be killed. */
export interface PayingProcess {
  /** Resolves when a call of the experience has come to where it halts. */
  halted(experienceId: string): Promise<void>;
  /** SIGKILL; gone when this resolves. */
  kill(): Promise<void>;
}

export async function startPayingProcess(
  options: Omit<PayingWorkerOptions, 'pluginsOf' | 'worker'>,
): Promise<PayingProcess> {
  const halted = new Set<string>();
  const child = await startNodeProcess({
    name: 'paying worker',
    script: join(PACKAGE_ROOT, 'test', 'support', 'paying-process-main.ts'),
    args: [JSON.stringify(options)],
    nodeArguments: ['--import', 'tsx'],
    cwd: PACKAGE_ROOT,
    environment: process.env,
    onLine: (line) => {
      const experienceId = /^halted (?<id>.+)$/.exec(line)?.groups?.id;
      if (experienceId !== undefined) halted.add(experienceId);
    },
    readyLine: /^paying worker ready$/,
    readyDeadlineMs: 60_000,
  });
  return {
    async halted(experienceId) {
      await waitUntil('it has halted', () => (halted.has(experienceId) ? true : undefined));
    },
    async kill() {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}
