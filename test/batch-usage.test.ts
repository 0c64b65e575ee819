import fc from 'fast-check';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { attributionMetadata, ExperiencesClient, ExperiencesError } from '../services/client/index.js';
import { contract } from '../services/contract/contract.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { USAGE_LIMITS, withinLimits } from '../services/server/item-limits.js';
import { expectBooks } from './support/books.js';
import { RawClient } from './support/raw-client.js';
import { residentMemoryKb } from './support/resident-memory.js';
import { startTestService, type TestService } from './support/service.js';
import { startServiceProcess } from './support/service-process.js';

const { BatchRecordUsage, RecordUsage } = contract.UsageService.service;

/** 1,000 tokens in and 500 out: 0.00045 dollars by the catalogue. */
const call = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };
/** The same as the wire has it. */
const wire = { ...call, units: { text: { input: '1000', output: '500' } } };

let service: TestService;
let raw: RawClient;
let mongo: MongoClient;
beforeAll(async () => {
  service = await startTestService();
  raw = new RawClient(service.address);
  mongo = new MongoClient(inject('mongodbUri'));
  await service.client.types.create({ name: 'Summary', description: 'A summary' });
});
afterAll(async () => {
  await expectBooks(mongo, service.options.databaseName);
  await mongo.close();
  raw.close();
  await service.stop();
});

function times<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

describe('many records at once', () => {
  test('are each answered in their order, with what they cost, and are in the sum by then', async () => {
    const experienceId = newUuid();
    const records = times(40, (n) => ({
      ...call,
      eventId: newUuid(),
      experienceId,
      units: { text: { input: n + 1 } },
    }));
    const batch = await service.client.usage.recordBatch(records);
    expect([batch.recordedCount, batch.duplicateCount, batch.failedCount]).toEqual([40, 0, 0]);
    expect(batch.results.map(({ index, ack }) => [index, ack?.eventId])).toEqual(
      records.map(({ eventId }, index) => [index, eventId]),
    );
    expect(batch.results[9]).toEqual({
      index: 9,
      ack: {
        eventId: records[9]?.eventId,
        experienceId,
        duplicate: false,
        experienceCreated: expect.any(Boolean),
        experienceIdReplaced: false,
        cost: { input: '0.0000015', output: '0', total: '0.0000015', currencyCode: 'USD' },
        priceId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        unpricedUnits: [],
        warnings: [],
        settlement: 'NONE',
        limits: [],
      },
    });
    expect(batch.results.filter(({ ack }) => ack?.experienceCreated)).toHaveLength(1);
    // 1 + 2 + … + 40 = 820 tokens at 0.00000015.
    const { totals } = await service.client.costs.get(experienceId);
    expect([totals.eventCount, totals.cost.total]).toEqual([40n, '0.000123']);
  });

  test('tell of units without a price and of a replaced experience id', async () => {
    const { results } = await service.client.usage.recordBatch([
      { ...call, experienceId: 'no uuid', experienceType: 'Summary', units: { unheard_of: { output: 7 } } },
    ]);
    expect(results[0]?.ack).toMatchObject({
      experienceId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      experienceCreated: true,
      experienceIdReplaced: true,
      cost: { total: '0' },
      unpricedUnits: [{ kind: 'unheard_of', input: 0n, output: 7n, reason: 'UNIT_KIND_NOT_PRICED' }],
    });
    expect(results[0]?.ack?.warnings.map(({ code }) => code).sort()).toEqual([
      'EXPERIENCE_ID_REPLACED',
      'UNITS_UNPRICED',
    ]);
  });

  test('count once, those sent before and those twice in one batch', async () => {
    const [experienceId, before, twice] = [newUuid(), newUuid(), newUuid()];
    await service.client.usage.record({ ...call, experienceId, eventId: before });
    const batch = await service.client.usage.recordBatch([
      { ...call, experienceId, eventId: before },
      { ...call, experienceId, eventId: twice },
      { ...call, experienceId, eventId: twice },
      { ...call, experienceId, eventId: before, units: { text: { input: 1 } } },
    ]);
    expect([batch.recordedCount, batch.duplicateCount, batch.failedCount]).toEqual([1, 2, 1]);
    expect(batch.results[0]?.ack?.duplicate).toBe(true);
    expect([batch.results[1]?.ack?.duplicate, batch.results[2]?.ack?.duplicate].sort()).toEqual([
      false,
      true,
    ]);
    expect(batch.results[3]?.error).toMatchObject({ code: 'ALREADY_EXISTS', reason: 'EVENT_ID_CONFLICT' });
    const { totals } = await service.client.costs.get(experienceId);
    expect([totals.eventCount, totals.cost.total]).toEqual([2n, '0.0009']);
  });

  test('of which only the errors are wanted answer those by their index', async () => {
    const records = [call, { ...call, model: '' }, call, { ...call, experienceType: 'Nothing' }];
    const batch = await service.client.usage.recordBatch(records, { view: 'ERRORS_ONLY' });
    expect([batch.recordedCount, batch.duplicateCount, batch.failedCount]).toEqual([2, 0, 2]);
    expect(batch.results).toMatchObject([
      { index: 1, error: { code: 'INVALID_ARGUMENT' } },
      { index: 3, error: { code: 'NOT_FOUND', reason: 'EXPERIENCE_TYPE_NOT_FOUND' } },
    ]);
  });

  test('that are a thousand are recorded', async () => {
    const records = times(1_000, () => ({ ...call, eventId: newUuid() }));
    const client = new ExperiencesClient({ address: service.address, timeoutMs: 60_000 });
    const batch = await client.usage.recordBatch(records, { view: 'ERRORS_ONLY' });
    expect([batch.recordedCount, batch.results]).toEqual([1_000, []]);
    const again = await client.usage.recordBatch(records);
    expect([again.duplicateCount, again.results.length]).toEqual([1_000, 1_000]);
    client.close();
  }, 120_000);
});

describe('what is wrong with one record', () => {
  test('is answered as for a call with it alone, under its own path, and the others are recorded', async () => {
    const bad = { ...call, provider: '', units: { Text: { input: -1, output: 2 } }, userId: 'a b' };
    const alone = await service.client.usage.record(bad).catch((error: unknown) => error);
    const { results } = await service.client.usage.recordBatch([call, call, call, bad]);
    const error = results[3]?.error;
    expect(error).toBeInstanceOf(ExperiencesError);
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: [
        { field: 'records[3].units[Text].input', description: 'must not be negative' },
        { field: 'records[3].units[Text]' },
        { field: 'records[3].attribution.user_id' },
        { field: 'records[3].provider', description: 'is required' },
      ],
    });
    expect(error?.message).toBe((alone as ExperiencesError).message.replaceAll('record.', 'records[3].'));
    expect(error?.violations.map(({ description }) => description)).toEqual(
      (alone as ExperiencesError).violations.map(({ description }) => description),
    );
    expect(results.slice(0, 3).map(({ ack }) => ack?.duplicate)).toEqual([false, false, false]);
  });

  test('and shows only when it is priced is named by its path too', async () => {
    await service.client.prices.create({
      provider: 'dear',
      model: 'dear',
      rates: { text: { input: { base: '1' } } },
    });
    const dear = { provider: 'dear', model: 'dear', units: { text: { input: 1_000_001 } } };
    const { results } = await service.client.usage.recordBatch([call, dear]);
    expect(results[1]?.error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'records[1].units' }],
    });
  });

  test('a thousand times in great detail is answered within what a client takes', async () => {
    const units = Object.fromEntries(times(40, (n) => [`É${n}`, { input: '-1', output: '0' }]));
    const answer = await raw.call(BatchRecordUsage, { records: times(1_000, () => ({ ...wire, units })) });
    expect([answer.failedCount, answer.results.length]).toEqual([1_000, 1_000]);
    expect(BatchRecordUsage.responseSerialize(answer).length).toBeLessThan(4 * 1024 * 1024);
  });
});

describe('metadata', () => {
  test('attributes the records that say nothing, and a record that says another thing fails alone', async () => {
    const [experienceId, other] = [newUuid(), newUuid()];
    const client = new ExperiencesClient({
      address: service.address,
      metadata: attributionMetadata({ experienceId, userId: 'ada', requestTags: ['nightly'] }),
    });
    const { results } = await client.usage.recordBatch([
      call,
      { ...call, userId: 'bob' },
      { ...call, experienceId },
      { ...call, experienceId: other, requestTags: ['daily'] },
      { ...call, userId: 'ada', requestTags: ['nightly'] },
    ]);
    client.close();
    expect(results.map(({ ack }) => ack?.experienceId)).toEqual([
      experienceId,
      undefined,
      experienceId,
      undefined,
      experienceId,
    ]);
    expect(results[1]?.error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'ATTRIBUTION_CONFLICT',
      violations: [{ field: 'records[1].attribution.user_id' }],
    });
    expect(results[3]?.error).toMatchObject({
      reason: 'ATTRIBUTION_CONFLICT',
      violations: [
        { field: 'records[3].attribution.experience_id' },
        { field: 'records[3].attribution.request_tags' },
      ],
    });
  });

  test('that says two things fails the whole call', async () => {
    const metadata = [
      ['xproxy-user-id', 'ada'],
      ['xproxy-user-id', 'bob'],
    ] as const;
    await expect(raw.call(BatchRecordUsage, { records: [wire] }, { metadata })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'xproxy-user-id' }],
    });
  });
});

describe('a batch is refused as a whole', () => {
  test.each<[what: string, request: object, violation: object]>([
    ['without records', { records: [] }, { field: 'records', description: 'is required' }],
    [
      'of 1,001 records',
      { records: times(1_001, () => wire) },
      { field: 'records', description: 'has more than 1000' },
    ],
    [
      'with a view that is none',
      { records: [wire], view: 3 },
      { field: 'view', description: 'is not a view of the contract' },
    ],
  ])('%s', async (_what, request, violation) => {
    await expect(raw.call(BatchRecordUsage, request)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: [violation],
    });
  });

  test('when the service has as much to do as it may', async () => {
    const busy = await startTestService({ writesWaitingMax: 0 });
    const client = new RawClient(busy.address);
    const filling = times(60, () => client.call(BatchRecordUsage, { records: times(16, () => wire) }));
    const ends = await Promise.allSettled(filling);
    const refused = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) {
      expect(error).toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        reason: 'OVERLOADED',
        retryAfterMs: expect.any(Number),
      });
    }
    client.close();
    await busy.stop();
  });
});

describe('a message that is small and holds very much', () => {
  const refusedWhole = { code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS' };
  const megabyte = 1_000_000;
  test.each<[what: string, bytes: Buffer]>([
    ['half a million empty records', Buffer.alloc(megabyte, Buffer.of(0x0a, 0))],
    ['as many, as if they were numbers', Buffer.alloc(megabyte, Buffer.of(0x08, 0))],
    [
      'as many, as if they were the text of another field',
      Buffer.concat([Buffer.of(0x12, 0xc0, 0x84, 0x3d), Buffer.alloc(megabyte, Buffer.of(0x0a, 0))]),
    ],
    [
      'as many, behind a number that ends where a decoder does not see it',
      Buffer.concat([
        Buffer.of(0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0),
        Buffer.of(0x1a, 0x80, 0x80, 0x3d),
        Buffer.alloc(megabyte, Buffer.of(0x0a, 0)),
      ]),
    ],
    ['as many views', Buffer.alloc(megabyte, Buffer.of(0x10, 0))],
    ['a group', Buffer.of(0x1b, 0x1c)],
    ['a record that goes beyond the message', Buffer.of(0x0a, 5, 0)],
  ])('of %s is refused before it is decoded', async (_what, bytes) => {
    const decode = () => {
      throw new Error('it is decoded');
    };
    // Whatever is thrown, it is not that.
    expect(() => withinLimits(bytes, USAGE_LIMITS.BatchRecordUsage, () => undefined, decode)).toThrow(
      /^(?!it is decoded)/,
    );
    await expect(raw.callBytes(BatchRecordUsage, bytes)).rejects.toMatchObject(refusedWhole);
  });

  test('is never let through, however its bytes are changed', () => {
    const limits = { ...USAGE_LIMITS.BatchRecordUsage, itemsMax: 4 };
    const seed = BatchRecordUsage.requestSerialize({
      view: 'BATCH_VIEW_ERRORS_ONLY',
      records: times(4, () => ({ ...wire, latencyMs: '100000', outcome: 'USAGE_OUTCOME_FAILED' as const })),
    });
    const tags = [0x08, 0x0a, 0x10, 0x12, 0x1a, 0x80, 0xff, 0x00];
    const change = fc.record({ at: fc.nat(seed.length - 1), bytes: fc.array(fc.constantFrom(...tags)) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        let bytes = seed;
        for (const { at, bytes: put } of changes) {
          bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(put), bytes.subarray(at)]);
        }
        let decoded: unknown;
        try {
          decoded = withinLimits(bytes, limits, () => undefined, BatchRecordUsage.requestDeserialize);
        } catch {
          return true; // Refused, here or by the decoder.
        }
        return (decoded as { records: unknown[] }).records.length <= 4;
      }),
      { numRuns: 20_000 },
    );
  });

  test('in one record fails that record alone', async () => {
    const record = (fields: object) =>
      BatchRecordUsage.requestSerialize({ records: [{ ...wire, ...fields }] });
    const kinds = Object.fromEntries(times(500, (n) => [`kind_${n}`, { input: '1', output: '1' }]));
    const tags = { requestTags: times(1_000, (n) => `tag-${n}`) };
    const bytes = Buffer.concat([
      record({}),
      record({ units: kinds }),
      record({ eventId: 'between' }),
      record({ attribution: tags }),
      record({ properties: Object.fromEntries(times(500, (n) => [`key ${n}`, ''])) }),
      record({ eventId: 'last' }),
    ]);
    const { results } = await raw.callBytes(BatchRecordUsage, bytes);
    expect(results.map(({ ack, error }) => ack?.eventId ?? error?.message)).toEqual([
      results[0]?.ack?.eventId,
      'records[1]: has more than 400 parts',
      'between',
      'records[3]: has more than 400 parts',
      'records[4]: has more than 400 parts',
      'last',
    ]);
  });

  test('takes little memory of the service', async () => {
    const databaseName = `test_${newUuid().slice(-12)}`;
    const process = await startServiceProcess({ mongodbUri: inject('mongodbUri'), databaseName });
    const client = new RawClient(process.address);
    try {
      await client.call(RecordUsage, { record: wire });
      const before = await residentMemoryKb(process.pid, 'VmHWM');
      const bombs = times(20, () =>
        client
          .callBytes(BatchRecordUsage, Buffer.alloc(megabyte, Buffer.of(0x0a, 0)))
          .catch((error: unknown) => error),
      );
      for (const error of await Promise.all(bombs)) expect(error).toMatchObject(refusedWhole);
      // The bytes themselves, and no objects of them: decoded, one such message alone takes about 200 MB.
      expect((await residentMemoryKb(process.pid, 'VmHWM')) - before).toBeLessThan(100_000);
    } finally {
      client.close();
      await process.stop();
    }
  });
});
