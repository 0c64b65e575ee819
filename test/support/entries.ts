import { newUuid } from '../../services/domain/new-uuid.js';
import { canonicalUnits, unitKind } from '../../services/domain/units.js';
import type { UsageOutcome, UsageRecord } from '../../services/domain/usage.js';
import { contentHash } from '../../services/ledger/content-hash.js';
import type { EventEntry, ExperienceEntry } from '../../services/ledger/entry.js';

/** What a test says of a paid call; the rest is 1,000 tokens in and 500 out of gpt-4o-mini, which cost 0.00045. */
export interface WantedEvent {
  readonly application?: string;
  readonly eventId?: string;
  readonly experienceId?: string;
  readonly experienceType?: string;
  readonly experienceVersion?: number;
  readonly model?: string;
  readonly units?: Readonly<Record<string, readonly [input: number, output: number]>>;
  readonly outcome?: UsageOutcome;
  readonly operationKey?: string;
  readonly eventTime?: Date;
}

/** An entry as the service makes it of a checked request. */
export function eventEntry(wanted: WantedEvent = {}): EventEntry {
  const { application = 'default', eventId = newUuid(), units = { text: [1_000, 500] } } = wanted;
  const counts = Object.entries(units).map(
    ([kind, [input, output]]) => [unitKind(kind), { input: BigInt(input), output: BigInt(output) }] as const,
  );
  const record: UsageRecord = {
    eventId,
    attribution: {
      experienceId: wanted.experienceId,
      experienceType: wanted.experienceType,
      experienceVersion: wanted.experienceVersion,
      userId: undefined,
      requestTags: [],
      limitIds: [],
    },
    eventTime: wanted.eventTime,
    provider: 'openai',
    model: wanted.model ?? 'gpt-4o-mini',
    requestedModel: undefined,
    units: canonicalUnits(new Map(counts)),
    outcome: wanted.outcome ?? 'SUCCEEDED',
    operationKey: wanted.operationKey,
    step: undefined,
    latencyMs: undefined,
    timeToFirstTokenMs: undefined,
    httpStatusCode: undefined,
    providerRequestId: undefined,
    providerResponseId: undefined,
    properties: new Map(),
    workflowSource: undefined,
  };
  return {
    kind: 'event',
    application,
    record,
    eventId,
    contentHash: contentHash(record),
    recordTime: new Date(),
    spareExperienceId: newUuid(),
    refusesBlockingLimits: false,
  };
}

export function experienceEntry(wanted: {
  readonly application?: string;
  readonly type: string;
  readonly version?: number;
  readonly experienceId?: string;
}): ExperienceEntry {
  return {
    kind: 'experience',
    application: wanted.application ?? 'default',
    type: wanted.type,
    version: wanted.version,
    experienceId: wanted.experienceId,
    userId: undefined,
    properties: new Map(),
    limitConfig: undefined,
    createTime: new Date(),
    spareExperienceId: newUuid(),
  };
}
