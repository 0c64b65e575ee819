import { Ledger } from '../../services/ledger/ledger.js';
import { loadCatalogue } from '../../services/pricing/catalogue.js';
import { eventEntry } from './entries.js';
import type { TestService } from './service.js';

/** Records calls of one experience in one batch, all at the same record time: what no caller can do by single calls. */
export async function recordTogether(
  service: TestService,
  experienceId: string,
  eventIds: readonly string[],
): Promise<void> {
  const ledger = await Ledger.open({
    uri: service.options.mongodbUri,
    databaseName: service.options.databaseName,
    catalogue: loadCatalogue(),
    applications: ['default'],
  });
  try {
    const recordTime = new Date();
    const entries = eventIds.map((eventId) => ({
      ...eventEntry({ eventId, experienceId, units: { text: [1, 0] } }),
      recordTime,
    }));
    await ledger.writer.write(entries, Date.now() + 20_000);
  } finally {
    await ledger.close();
  }
}
