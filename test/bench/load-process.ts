import { prepareCallLoad } from './call-load.js';
import { prepareIdleWork } from './idle-work.js';
import { prepareInsertLoad } from './insert-load.js';
import type { PreparedLoad } from './load-result.js';
import { prepareReadLoad } from './read-load.js';
import { prepareRecordLoad } from './record-load.js';
import type { FromLoadProcess, ToLoadProcess, Work } from './work.js';

/** The load generator: a process of its own, so that what it takes is not taken from what it measures. */

let prepared: PreparedLoad | undefined;

process.on('message', (message: ToLoadProcess) => {
  act(message).then(tell, (error: unknown) =>
    tell({ failure: error instanceof Error ? `${error.stack}` : `${error}` }),
  );
});
process.on('disconnect', () => process.exit());
tell({ ready: true });

async function act(message: ToLoadProcess): Promise<FromLoadProcess> {
  if ('prepare' in message) {
    prepared = await prepare(message.prepare);
    return { prepared: true };
  }
  if (prepared === undefined) throw new Error('what runs was prepared');
  const before = process.cpuUsage();
  const result = await prepared.run();
  const used = process.cpuUsage(before);
  prepared = undefined;
  return { result, cpuMs: (used.user + used.system) / 1_000 };
}

function prepare(work: Work): Promise<PreparedLoad> {
  switch (work.kind) {
    case 'record':
      return prepareRecordLoad(work);
    case 'insert':
      return prepareInsertLoad(work);
    case 'idle':
      return prepareIdleWork(work);
    case 'read':
      return prepareReadLoad(work);
    case 'call':
      return prepareCallLoad(work);
    default:
      return work satisfies never;
  }
}

function tell(message: FromLoadProcess): void {
  process.send?.(message);
}
