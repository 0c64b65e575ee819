import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../services/runtime/package-root.js';
import { type NodeProcess, startNodeProcess } from '../../services/stack/node-process.js';

export interface OutboxProcessOptions {
  readonly folder: string;
  /** Of the service that it delivers to; nothing may listen there. */
  readonly address: string;
  readonly experienceId: string;
  /** How many items it adds at once, again and again; 0: none. */
  readonly burst: number;
}

/** A process with an outbox that adds items without end, to be killed. */
export interface OutboxProcess extends Pick<NodeProcess, 'exited' | 'kill'> {
  /** The event ids of what was acknowledged, as far as was heard. */
  readonly acknowledged: ReadonlySet<string>;
}

export async function startOutboxProcess(options: OutboxProcessOptions): Promise<OutboxProcess> {
  const acknowledged = new Set<string>();
  const child = await startNodeProcess({
    name: 'outbox',
    script: join(PACKAGE_ROOT, 'test', 'support', 'outbox-process-main.ts'),
    args: [JSON.stringify(options)],
    nodeArguments: ['--import', 'tsx'],
    cwd: PACKAGE_ROOT,
    environment: process.env,
    onLine: (line) => {
      const eventId = /^acknowledged (?<id>\S+)$/.exec(line)?.groups?.id;
      if (eventId !== undefined) acknowledged.add(eventId);
    },
    readyLine: /^outbox ready$/,
  });
  return { ...child, acknowledged };
}
