import { newUuid } from '../../services/domain/new-uuid.js';
import { unitKind } from '../../services/domain/units.js';
import type { UsageRecord } from '../../services/domain/usage.js';
import { contentHash } from '../../services/ledger/content-hash.js';
import { Ledger } from '../../services/ledger/ledger.js';
import { loadCatalogue } from '../../services/pricing/catalogue.js';
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
    const entries = eventIds.map((eventId) => {
      const record = recordOf(experienceId, eventId);
      return {
        kind: 'event',
        application: 'default',
        record,
        eventId,
        contentHash: contentHash(record),
        recordTime,
        spareExperienceId: newUuid(),
      } as const;
    });
    await ledger.writer.write(entries, Date.now() + 20_000);
  } finally {
    await ledger.close();
  }
}

function recordOf(experienceId: string, eventId: string): UsageRecord {
  return {
    eventId,
    attribution: {
      experienceId,
      experienceType: undefined,
      experienceVersion: undefined,
      userId: undefined,
      requestTags: [],
    },
    eventTime: undefined,
    provider: 'openai',
    model: 'gpt-4o-mini',
    requestedModel: undefined,
    units: new Map([[unitKind('text'), { input: 1n, output: 0n }]]),
    outcome: 'SUCCEEDED',
    operationKey: undefined,
    step: undefined,
    latencyMs: undefined,
    timeToFirstTokenMs: undefined,
    httpStatusCode: undefined,
    providerRequestId: undefined,
    providerResponseId: undefined,
    properties: new Map(),
    workflowSource: undefined,
  };
}
