import { ExperiencesClient } from '../../services/client/index.js';
import { settle } from '../../services/client/settle.js';
import { newUuid } from '../../services/domain/new-uuid.js';
import { DiskOutbox } from '../../services/gateway/outbox/disk-outbox.js';
import { createLogger } from '../../services/runtime/logger.js';
import type { OutboxProcessOptions } from './outbox-process.js';

/** Entry point of a process whose outbox is killed. */

const options = JSON.parse(process.argv[2] ?? '') as OutboxProcessOptions;
const client = new ExperiencesClient({ address: options.address, timeoutMs: 2_000 });
const outbox = await DiskOutbox.open({
  folder: options.folder,
  deliver: ({ settlement }) => settle(client.usage, settlement),
  logger: createLogger('outbox', 'error'),
});
process.stdout.write('outbox ready\n');
while (options.burst > 0) await Promise.all(Array.from({ length: options.burst }, add));
// Holds the folder until it is killed.
setInterval(() => undefined, 60_000);

async function add(): Promise<void> {
  const eventId = newUuid();
  const record = {
    eventId,
    experienceId: options.experienceId,
    provider: 'openai',
    model: 'gpt-4o-mini',
    units: { text: { input: 1000, output: 500 } },
    eventTime: new Date(),
    // Whoever counts twice under another id is found by it.
    properties: { original: eventId },
  };
  await outbox.add({ application: 'default', settlement: { kind: 'record', record } });
  process.stdout.write(`acknowledged ${eventId}\n`);
}
