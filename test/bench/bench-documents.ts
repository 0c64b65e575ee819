import { newUuid } from '../../services/domain/new-uuid.js';
import { unitKind } from '../../services/domain/units.js';
import type { UsageRecord } from '../../services/domain/usage.js';
import type { Uuid } from '../../services/domain/uuid.js';
import type { ApplicationState } from '../../services/ledger/application-state.js';
import { contentHash } from '../../services/ledger/content-hash.js';
import type { EventEntry } from '../../services/ledger/entry.js';
import { Ledger } from '../../services/ledger/ledger.js';
import { loadCatalogue } from '../../services/pricing/catalogue.js';
import { BENCH_TYPE, type BenchRecord } from './bench-record.js';

export const APPLICATION = 'default';

const states = new Map<string, Promise<ApplicationState>>();

/** The types and prices of a database that the service or the bench has prepared; read once, for they do not change. */
export function benchState(uri: string, databaseName: string): Promise<ApplicationState> {
  const key = `${uri} ${databaseName}`;
  const state = states.get(key) ?? readState(uri, databaseName);
  states.set(key, state);
  return state;
}

async function readState(uri: string, databaseName: string): Promise<ApplicationState> {
  const catalogue = loadCatalogue();
  const ledger = await Ledger.open({ uri, databaseName, catalogue, applications: [APPLICATION] });
  try {
    return await ledger.state(APPLICATION, Date.now() + 10_000);
  } finally {
    await ledger.close();
  }
}

/** The entry that the service makes of a record of the load. */
export function benchEntry(
  record: BenchRecord,
  eventId: string,
  experienceId: Uuid,
  at: { readonly recordTime?: Date; readonly eventTime?: Date; readonly version?: number } = {},
): EventEntry {
  const usage: UsageRecord = {
    eventId,
    attribution: {
      experienceId,
      experienceType: BENCH_TYPE,
      experienceVersion: at.version,
      userId: undefined,
      requestTags: [],
      limitIds: [],
    },
    eventTime: at.eventTime,
    provider: record.provider,
    model: record.model,
    requestedModel: undefined,
    units: new Map([[unitKind('text'), { input: BigInt(record.input), output: BigInt(record.output) }]]),
    outcome: 'SUCCEEDED',
    operationKey: undefined,
    step: undefined,
    latencyMs: record.latencyMs,
    timeToFirstTokenMs: undefined,
    httpStatusCode: undefined,
    providerRequestId: record.providerRequestId,
    providerResponseId: undefined,
    properties: new Map(),
    workflowSource: undefined,
  };
  return {
    kind: 'event',
    application: APPLICATION,
    record: usage,
    eventId,
    contentHash: contentHash(usage),
    recordTime: at.recordTime ?? new Date(),
    spareExperienceId: newUuid(),
    refusesBlockingLimits: false,
  };
}

/** Facts of a store that holds nothing yet but types and prices. */
export function factsOfNothing(state: ApplicationState) {
  return {
    unitKinds: new Map(),
    states: new Map([[APPLICATION, state]]),
    events: new Map(),
    useful: new Map(),
    reservations: new Map(),
    limits: new Map(),
    experiences: new Map(),
  };
}
