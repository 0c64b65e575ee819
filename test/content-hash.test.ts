import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalUnits, unitKind } from '../services/domain/units.js';
import type { UsageRecord } from '../services/domain/usage.js';
import type { Uuid } from '../services/domain/uuid.js';
import { canonicalJson, canonicalRecord, contentHash } from '../services/ledger/content-hash.js';

const option = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const count = fc.bigInt(0n, 10n ** 12n);

const anyRecord: fc.Arbitrary<UsageRecord> = fc.record({
  eventId: option(text),
  attribution: fc.record({
    experienceId: option(
      fc.oneof(
        text,
        fc.uuid(),
        fc.uuid().map((id) => `{${id.toUpperCase()}}`),
      ),
    ),
    experienceType: option(text),
    experienceVersion: option(fc.nat()),
    userId: option(text),
    requestTags: fc.array(text, { maxLength: 4 }),
    limitIds: fc.array(fc.uuid() as fc.Arbitrary<Uuid>, { maxLength: 3 }),
  }),
  eventTime: option(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') })),
  provider: text,
  model: text,
  requestedModel: option(text),
  units: fc
    .array(
      fc.tuple(
        fc.constantFrom('text', 'audio', 'text_cache_read', 'z9'),
        fc.record({ input: count, output: count }),
      ),
    )
    .map((units) => canonicalUnits(new Map(units.map(([kind, value]) => [unitKind(kind), value])))),
  outcome: fc.constantFrom('SUCCEEDED', 'FAILED', 'CANCELLED', 'TIMED_OUT'),
  operationKey: option(text),
  step: option(text),
  latencyMs: option(fc.nat()),
  timeToFirstTokenMs: option(fc.nat()),
  httpStatusCode: option(fc.nat(599)),
  providerRequestId: option(text),
  providerResponseId: option(text),
  properties: fc.array(fc.tuple(text, text), { maxLength: 4 }).map((pairs) => new Map(pairs)),
  workflowSource: option(
    fc.record({
      namespace: text,
      workflowId: text,
      runId: text,
      workflowType: text,
      activityId: text,
      activityType: text,
      attempt: fc.nat(),
      taskQueue: text,
      isLocal: fc.boolean(),
      workerIdentity: text,
    }),
  ),
});

describe('the content of a record', () => {
  test('is the canonical JSON of its facts and its attribution', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const { eventId: _identity, attribution, ...facts } = record;
        const bare = attribution.experienceId?.replaceAll(/^\{|\}$/g, '').toLowerCase();
        const isUuid = /^[0-9a-f-]{36}$/.test(bare ?? '');
        const experienceId = isUuid ? bare : attribution.experienceId;
        const requestTags = attribution.requestTags.toSorted();
        const limitIds = attribution.limitIds.toSorted();
        expect(canonicalRecord(record)).toBe(
          canonicalJson({ ...facts, attribution: { ...attribution, experienceId, requestTags, limitIds } }),
        );
      }),
    );
  });

  test('is hashed to the first eight bytes of SHA-256', () => {
    const [record] = fc.sample(anyRecord, 1);
    if (record === undefined) throw new Error('there is a sample');
    const hash = createHash('sha256').update(canonicalRecord(record)).digest();
    expect(Buffer.from(contentHash(record))).toEqual(hash.subarray(0, 8));
  });
});
