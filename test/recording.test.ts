import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RecordedUsage, UsageOutcome, UsageRecord } from '../services/client/index.js';
import { contract } from '../services/contract/contract.js';
import { RawClient, readPages } from './support/raw-client.js';
import { readAll } from './support/read-all.js';
import { recordTogether } from './support/record-together.js';
import { startTestService, type TestService } from './support/service.js';

const { RecordUsage, ListUsage } = contract.UsageService.service;
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** Costs 0.00015 + 0.0003 = 0.00045. */
const CALL = { provider: 'openai', model: 'gpt-4o-mini', units: { text: { input: 1000, output: 500 } } };

let service: TestService;
let raw: RawClient;
beforeAll(async () => {
  service = await startTestService();
  raw = new RawClient(service.address);
  await service.client.types.create({ name: 'Summary', description: 'Summarises a document' });
});
afterAll(async () => {
  raw.close();
  await service.stop();
});

async function record(usage: Partial<UsageRecord> = {}): Promise<RecordedUsage> {
  return service.client.usage.record({ ...CALL, ...usage });
}

async function totalsOf(experienceId: string) {
  return (await service.client.costs.get(experienceId)).totals;
}

describe('a recorded call', () => {
  test('is priced exactly and in the totals as soon as it is acknowledged', async () => {
    const { event } = await record({ experienceType: 'Summary' });
    expect(event.cost).toEqual({ input: '0.00015', output: '0.0003', total: '0.00045', currencyCode: 'USD' });
    expect(await totalsOf(event.experienceId ?? '')).toEqual({
      eventCount: 1n,
      cost: { input: '0.00015', output: '0.0003', total: '0.00045', currencyCode: 'USD' },
      usefulCost: '0.00045',
      wastedCost: '0',
      unpricedEventCount: 0n,
      units: { text: { input: 1000n, output: 500n } },
      firstEventTime: event.eventTime,
      lastEventTime: event.eventTime,
      heldCost: '0',
      openReservationCount: 0n,
      unsettledCost: '0',
      unsettledEventCount: 0n,
    });
  });

  test('is answered and listed with everything that was said of it', async () => {
    const stated = {
      eventId: 'call/1 of "everything"',
      experienceId: randomUUID(),
      userId: 'ada@example.com',
      requestTags: ['nightly', 'eu-1'],
      requestedModel: 'gpt-4o-mini-latest',
      outcome: 'FAILED',
      eventTime: new Date('2026-11-01T10:11:12.345Z'),
      operationKey: 'run 1/summarise/3',
      step: 'Summarise chunk 3',
      latencyMs: 1234,
      timeToFirstTokenMs: 120,
      httpStatusCode: 529,
      providerRequestId: 'req_1',
      providerResponseId: 'chatcmpl-1',
      properties: { team: 'research', 'a.b': '$x', empty: '', text: 'ä, 漢字 and 🙂' },
      workflowSource: {
        namespace: 'default',
        workflowId: 'default/1',
        runId: randomUUID(),
        workflowType: 'documentSummarization',
        activityId: '7',
        activityType: 'summarise',
        attempt: 2,
        taskQueue: 'experiences',
        isLocal: true,
        workerIdentity: '1@host',
      },
    } as const satisfies Partial<UsageRecord>;
    const { event } = await record(stated);
    expect(event).toMatchObject({ ...stated, provider: 'openai', model: 'gpt-4o-mini' });
    expect(event).toMatchObject({ units: { text: { input: 1000n, output: 500n } }, unpricedUnits: [] });
    expect(event.priceId).toMatch(/^[0-9a-f-]{36}$/);
    expect(await readAll(service.client.usage.list(stated.experienceId))).toEqual([event]);
  });

  test('keeps labels whatever their keys are', async () => {
    const keys = ['__proto__', 'constructor', 'a.b', '$where', '0', ' ', 'k'.repeat(64)];
    const properties = Object.fromEntries(keys.map((key) => [key, `of ${key}`]));
    const experienceId = randomUUID();
    const { event } = await record({ experienceId, properties });
    expect(Object.entries(event.properties).sort()).toEqual(keys.map((key) => [key, `of ${key}`]).sort());
    expect(await readAll(service.client.usage.list(experienceId))).toEqual([event]);
  });

  test('without a time is of the time it was recorded at; a time is kept to the millisecond', async () => {
    const { event } = await record();
    expect(event.eventTime).toEqual(event.recordTime);
    const wire = { ...CALL, units: {}, outcome: 'USAGE_OUTCOME_FAILED' } as const;
    const answer = await raw.call(RecordUsage, {
      record: { ...wire, eventTime: { seconds: '1700000000', nanos: 123_999_999 } },
    });
    expect(answer.event?.eventTime).toEqual({ seconds: '1700000000', nanos: 123_000_000 });
  });

  test.each<UsageOutcome>(['FAILED', 'CANCELLED', 'TIMED_OUT'])(
    'that %s may have no units',
    async (outcome) => {
      const { event } = await record({ experienceType: 'Summary', outcome, units: {} });
      expect(event).toMatchObject({ outcome, units: {}, cost: { total: '0' }, useful: false });
      expect(await totalsOf(event.experienceId ?? '')).toMatchObject({
        eventCount: 1n,
        cost: { total: '0' },
        units: {},
      });
    },
  );

  test('of no experience is in no experience', async () => {
    const { event, experienceCreated } = await record({ userId: 'ada' });
    expect(event).toMatchObject({ experienceId: undefined, experienceType: undefined, userId: 'ada' });
    expect(experienceCreated).toBe(false);
  });
});

describe('an event id', () => {
  const stated = {
    ...CALL,
    units: { text: { input: 1000, output: 500 }, audio_minutes: { input: 1 } },
    experienceType: 'Summary',
    experienceId: 'no UUID',
    userId: 'ada',
    requestTags: ['a', 'b'],
    eventTime: new Date('2026-11-01T00:00:00Z'),
    operationKey: 'identity',
    outcome: 'FAILED',
    latencyMs: 5,
    properties: { a: '1', b: '2' },
  } as const satisfies UsageRecord;

  test('recorded twice with the same content answers the first result, its flags and warnings', async () => {
    const usage = { ...stated, eventId: randomUUID() };
    const first = await record(usage);
    expect(first).toMatchObject({ duplicate: false, experienceCreated: true, experienceIdReplaced: true });
    expect(first.warnings.map(({ code }) => code)).toEqual(['EXPERIENCE_ID_REPLACED', 'UNITS_UNPRICED']);
    expect(await record(usage)).toEqual({ ...first, duplicate: true });
    expect((await totalsOf(first.event.experienceId ?? '')).eventCount).toBe(1n);
  });

  test.each<[field: string, other: Partial<UsageRecord>]>([
    ['provider', { provider: 'azure' }],
    ['model', { model: 'gpt-4o' }],
    ['requested model', { requestedModel: 'gpt-4o' }],
    ['units', { units: { ...stated.units, text: { input: 1001, output: 500 } } }],
    ['unit kinds', { units: { text: { input: 1000, output: 500 } } }],
    ['outcome', { outcome: 'TIMED_OUT' }],
    ['event time', { eventTime: new Date('2026-11-01T00:00:00.001Z') }],
    ['operation', { operationKey: 'identity 2' }],
    ['step', { step: 'a step' }],
    ['latency', { latencyMs: 6 }],
    ['time to first token', { timeToFirstTokenMs: 1 }],
    ['HTTP status', { httpStatusCode: 500 }],
    ["provider's request id", { providerRequestId: 'r' }],
    ["provider's response id", { providerResponseId: 'r' }],
    ['labels', { properties: { a: '1', b: '3' } }],
    ['user', { userId: 'grace' }],
    ['tags', { requestTags: ['a'] }],
    ['experience id', { experienceId: randomUUID() }],
    ['version', { experienceVersion: 1 }],
  ])('recorded again with another %s is a conflict and changes nothing', async (_field, other) => {
    const usage = { ...stated, eventId: randomUUID() };
    const first = await record(usage);
    await expect(record({ ...usage, ...other })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      reason: 'EVENT_ID_CONFLICT',
      metadata: { event_id: usage.eventId },
    });
    expect(await readAll(service.client.usage.list(first.event.experienceId ?? ''))).toEqual([first.event]);
  });

  const experienceId = '018f3c2e-0000-7000-8000-00000000aaaa';
  const wire = { ...CALL, units: { text: { input: '1000', output: '500' } }, attribution: { experienceId } };
  test.each<
    [
      spelling: string,
      other: Parameters<typeof RecordUsage.requestSerialize>[0]['record'],
      metadata?: [string, string][],
    ]
  >([
    [
      'the experience id in braces and upper case',
      { ...wire, attribution: { experienceId: `{${experienceId.toUpperCase()}}` } },
    ],
    [
      'unit kinds of which nothing was used',
      { ...wire, units: { ...wire.units, audio: { input: '0', output: '0' } } },
    ],
    ['the outcome spelled out', { ...wire, outcome: 'USAGE_OUTCOME_SUCCEEDED' }],
    [
      'the attribution in the metadata',
      { ...wire, attribution: null },
      [['xproxy-experience-id', experienceId]],
    ],
    [
      'a sender that writes empty fields',
      { ...wire, step: '', latencyMs: '0', properties: {}, workflowSource: null },
    ],
  ])('is the same content with %s', async (_spelling, other, metadata = []) => {
    const eventId = randomUUID();
    const first = await raw.call(RecordUsage, { record: { ...wire, eventId } });
    const again = await raw.call(RecordUsage, { record: { ...other, eventId } }, { metadata });
    expect(again).toEqual({ ...first, duplicate: true });
  });

  test('is the same content with its tags in another order and time below a millisecond', async () => {
    const facts = { ...CALL, units: wire.units, eventId: randomUUID() };
    const send = (requestTags: string[], nanos: number) =>
      raw.call(RecordUsage, {
        record: { ...facts, attribution: { requestTags }, eventTime: { seconds: '1700000000', nanos } },
      });
    await send(['a', 'b'], 1_000_000);
    expect((await send(['b', 'a', 'b'], 1_000_001)).duplicate).toBe(true);
  });

  test.each<[what: string, ids: string[]]>([
    [
      'UUIDs in lower and in upper case',
      ['018f3c2e-0000-7000-8000-00000000bbbb', '018F3C2E-0000-7000-8000-00000000BBBB'],
    ],
    [
      'a UUID with and without braces',
      ['018f3c2e-0000-7000-8000-00000000cccc', '{018f3c2e-0000-7000-8000-00000000cccc}'],
    ],
    ['texts that differ in case', ['call a', 'call A']],
    ['texts that differ in a space', ['call 1', 'call 1 ', ' call 1']],
    ['texts that a store might take for something else', ['__proto__', '$ne', 'a.b', '0', 'null', '{}']],
    ['texts of the greatest length', ['~'.repeat(128), '~'.repeat(127)]],
  ])('is compared exactly: %s are different events', async (_what, ids) => {
    const shared = { experienceId: randomUUID() };
    for (const eventId of ids) {
      expect(await record({ ...shared, eventId })).toMatchObject({ duplicate: false, event: { eventId } });
      expect(await record({ ...shared, eventId })).toMatchObject({ duplicate: true, event: { eventId } });
    }
    const events = await readAll(service.client.usage.list(shared.experienceId));
    expect(events.map(({ eventId }) => eventId).sort()).toEqual([...ids].sort());
  });

  test('sent by 50 calls at once is one event', async () => {
    const usage = { eventId: randomUUID(), experienceId: randomUUID(), experienceType: 'Summary' };
    const answers = await Promise.all(Array.from({ length: 50 }, () => record(usage)));
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    expect(new Set(answers.map(({ event }) => JSON.stringify(event.recordTime))).size).toBe(1);
    expect(answers.every(({ experienceCreated }) => experienceCreated)).toBe(true);
    expect(await totalsOf(usage.experienceId)).toMatchObject({ eventCount: 1n, cost: { total: '0.00045' } });
  });

  test('sent at once with different content is one event, and the others are conflicts', async () => {
    const eventId = randomUUID();
    const experienceId = randomUUID();
    const answers = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) => record({ eventId, experienceId, step: `step ${n}` })),
    );
    const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
    expect(refused.map(({ reason }) => reason)).toEqual(Array(9).fill('EVENT_ID_CONFLICT'));
    expect((await totalsOf(experienceId)).eventCount).toBe(1n);
  });

  test('that is not given is made, and the same call again is another event', async () => {
    const request = { record: { ...CALL, units: wire.units } };
    const [first, second] = [await raw.call(RecordUsage, request), await raw.call(RecordUsage, request)];
    expect(first.event?.eventId).toMatch(UUID_V7);
    expect(second.event?.eventId).toMatch(UUID_V7);
    expect(second.event?.eventId).not.toBe(first.event?.eventId);
    expect(second.duplicate).toBe(false);
  });
});

describe('totals', () => {
  test('are right to the last digit after fifty calls at once', async () => {
    await service.client.prices.create({
      provider: 'acme',
      model: 'fine',
      rates: { text: { input: { base: '0.000000000000000001' }, output: { base: '0.123456789012345678' } } },
    });
    const experienceId = randomUUID();
    const calls = Array.from({ length: 50 }, (_, n) => ({
      provider: 'acme',
      model: 'fine',
      units: { text: { input: n + 1, output: 1 } },
      outcome: n % 4 === 0 ? ('FAILED' as const) : ('SUCCEEDED' as const),
    }));
    await Promise.all(calls.map((usage) => record({ ...usage, experienceId })));
    // 1 + 2 + … + 50 = 1,275 input units; those of the 13 failed calls, 1 + 5 + … + 49, are 325.
    expect(await totalsOf(experienceId)).toMatchObject({
      eventCount: 50n,
      cost: { input: '0.000000000000001275', output: '6.1728394506172839', total: '6.172839450617285175' },
      usefulCost: '4.567901193456791036',
      wastedCost: '1.604938257160494139',
      units: { text: { input: 1275n, output: 50n } },
    });
  });

  test('hold all units by kind, and the span of event times whatever the order', async () => {
    const experienceId = randomUUID();
    const at = (time: string) => new Date(`2026-11-0${time}:00:00Z`);
    const units = [
      { text: { input: 1 } },
      { text: { output: 2 }, audio: { input: 3 } },
      { text_cache_read: { input: 4 } },
    ];
    for (const [n, eventTime] of [at('2T10'), at('1T09'), at('3T08')].entries()) {
      await record({ experienceId, eventTime, units: units[n] ?? {} });
    }
    expect(await totalsOf(experienceId)).toMatchObject({
      units: {
        audio: { input: 3n, output: 0n },
        text: { input: 1n, output: 2n },
        text_cache_read: { input: 4n, output: 0n },
      },
      firstEventTime: at('1T09'),
      lastEventTime: at('3T08'),
      heldCost: '0',
      openReservationCount: 0n,
      unsettledCost: '0',
      unsettledEventCount: 0n,
    });
  });

  test('of an experience without a call are nothing', async () => {
    const { experience } = await service.client.experiences.create({ experienceType: 'Summary' });
    expect(experience.totals).toEqual({
      eventCount: 0n,
      cost: { input: '0', output: '0', total: '0', currencyCode: 'USD' },
      usefulCost: '0',
      wastedCost: '0',
      unpricedEventCount: 0n,
      units: {},
      firstEventTime: undefined,
      lastEventTime: undefined,
      heldCost: '0',
      openReservationCount: 0n,
      unsettledCost: '0',
      unsettledEventCount: 0n,
    });
  });
});

describe('of the events of one operation', () => {
  const S = 'SUCCEEDED';
  const F = 'FAILED';
  test.each<
    [what: string, outcomes: UsageOutcome[], useful: boolean[], usefulCost: string, wastedCost: string]
  >([
    ['one success is useful', [S], [true], '0.00045', '0'],
    ['a success after a failure is useful, the failure wasted', [F, S], [false, true], '0.00045', '0.00045'],
    ['a success stays useful when a failure follows', [S, F], [true, false], '0.00045', '0.00045'],
    ['the later of two successes is useful', [S, S], [false, true], '0.00045', '0.00045'],
    ['the last of many successes is useful', [S, F, S, S], [false, false, false, true], '0.00045', '0.00135'],
    ['failures only are all wasted', [F, F], [false, false], '0', '0.0009'],
    ['what was cancelled or timed out is wasted', ['CANCELLED', 'TIMED_OUT'], [false, false], '0', '0.0009'],
  ])('%s', async (_what, outcomes, useful, usefulCost, wastedCost) => {
    const experienceId = randomUUID();
    const operationKey = randomUUID();
    for (const outcome of outcomes) await record({ experienceId, operationKey, outcome });
    const events = await readAll(service.client.usage.list(experienceId));
    expect(events.map((event) => event.useful)).toEqual(useful);
    expect(await totalsOf(experienceId)).toMatchObject({ usefulCost, wastedCost });
  });

  test('none supersedes another without an operation key: the outcome alone decides', async () => {
    const experienceId = randomUUID();
    for (const outcome of [S, S, F] as const) await record({ experienceId, outcome });
    const events = await readAll(service.client.usage.list(experienceId));
    expect(events.map((event) => event.useful)).toEqual([true, true, false]);
    expect(await totalsOf(experienceId)).toMatchObject({ usefulCost: '0.0009', wastedCost: '0.00045' });
  });

  test('an operation belongs to its experience, or to what has none', async () => {
    const operationKey = randomUUID();
    const [first, second] = [randomUUID(), randomUUID()];
    const unattributed = await record({ operationKey });
    await record({ operationKey, experienceId: first });
    await record({ operationKey, experienceId: second });
    expect(await totalsOf(first)).toMatchObject({ usefulCost: '0.00045', wastedCost: '0' });
    expect(await totalsOf(second)).toMatchObject({ usefulCost: '0.00045', wastedCost: '0' });
    expect(unattributed.event.useful).toBe(true);
  });

  test('of unattributed ones one alone is useful too', async () => {
    const operationKey = randomUUID();
    const eventIds = Array.from({ length: 10 }, () => randomUUID());
    await Promise.all(eventIds.map((eventId) => record({ operationKey, eventId })));
    const again = await Promise.all(eventIds.map((eventId) => record({ operationKey, eventId })));
    expect(again.filter(({ event }) => event.useful)).toHaveLength(1);
  });

  test('one alone is useful when many succeed at once', async () => {
    const experienceId = randomUUID();
    const operationKey = randomUUID();
    await Promise.all(Array.from({ length: 10 }, () => record({ experienceId, operationKey })));
    const events = await readAll(service.client.usage.list(experienceId));
    expect(events.filter(({ useful }) => useful)).toHaveLength(1);
    expect(await totalsOf(experienceId)).toMatchObject({ usefulCost: '0.00045', wastedCost: '0.00405' });
  });

  test('a repeated one is answered as it stands now', async () => {
    const operationKey = randomUUID();
    const usage = { operationKey, eventId: randomUUID() };
    expect((await record(usage)).event.useful).toBe(true);
    await record({ operationKey });
    expect(await record(usage)).toMatchObject({ duplicate: true, event: { useful: false } });
  });
});

describe('units without a price', () => {
  beforeAll(async () => {
    await service.client.prices.create({
      provider: 'acme',
      model: 'next-year',
      rates: { text: { input: { base: '1' } } },
      effectiveTime: new Date(Date.now() + 365 * 86_400_000),
    });
    await service.client.prices.create({
      provider: 'acme',
      model: 'input-only',
      rates: { text: { input: { base: '2' } } },
    });
  });

  test.each<[why: string, usage: Partial<UsageRecord>, total: string, priced: boolean, unpriced: object[]]>([
    [
      'the provider is not known',
      { provider: 'nobody' },
      '0',
      false,
      [{ kind: 'text', input: 1000n, output: 500n, reason: 'PROVIDER_UNKNOWN' }],
    ],
    [
      'the model is not known',
      { model: 'gpt-nothing' },
      '0',
      false,
      [{ kind: 'text', input: 1000n, output: 500n, reason: 'MODEL_UNKNOWN' }],
    ],
    [
      'no price is in force yet',
      { provider: 'acme', model: 'next-year' },
      '0',
      false,
      [{ kind: 'text', input: 1000n, output: 500n, reason: 'NO_PRICE_AT_TIME' }],
    ],
    [
      'one direction has none',
      { provider: 'acme', model: 'input-only' },
      '2000',
      true,
      [{ kind: 'text', input: 0n, output: 500n, reason: 'UNIT_KIND_NOT_PRICED' }],
    ],
    [
      'two kinds have none',
      { units: { ...CALL.units, video: { input: 7 }, audio_minutes: { output: 2 } } },
      '0.00045',
      true,
      [
        { kind: 'audio_minutes', input: 0n, output: 2n, reason: 'UNIT_KIND_NOT_PRICED' },
        { kind: 'video', input: 7n, output: 0n, reason: 'UNIT_KIND_NOT_PRICED' },
      ],
    ],
  ])('are kept beside the cost when %s', async (_why, usage, total, priced, unpriced) => {
    const { event, warnings } = await record({ ...usage, experienceType: 'Summary' });
    expect(event.cost.total).toBe(total);
    expect(event.priceId !== undefined).toBe(priced);
    expect(event.unpricedUnits).toEqual(unpriced);
    expect(warnings).toEqual([
      {
        code: 'UNITS_UNPRICED',
        message: 'Some units have no price; they are kept beside the cost and can be priced later.',
      },
    ]);
    const experienceId = event.experienceId ?? '';
    await record({ experienceId });
    const totals = await totalsOf(experienceId);
    expect(totals).toMatchObject({ eventCount: 2n, unpricedEventCount: 1n });
    expect(totals.units).toMatchObject({ text: { input: 2000n, output: 1000n } });
    expect(await readAll(service.client.usage.list(experienceId))).toContainEqual(event);
  });
});

describe('the list of usage', () => {
  test('is in the order of recording, whatever the event times and ids are', async () => {
    const experienceId = randomUUID();
    const ids = ['z', '0', randomUUID(), 'm', 'a'];
    for (const [n, eventId] of ids.entries()) {
      await record({
        experienceId,
        eventId: `${eventId} ${experienceId}`,
        eventTime: new Date(2_000_000_000 - n),
      });
    }
    const events = await readAll(service.client.usage.list(experienceId));
    expect(events.map(({ eventId }) => eventId)).toEqual(ids.map((id) => `${id} ${experienceId}`));
  });

  test('holds every event once, however small its pages, also of the very same time', async () => {
    const experienceId = randomUUID();
    const ids = Array.from({ length: 11 }, (_, n) =>
      n % 2 === 0 ? randomUUID() : `text ${n} ${experienceId}`,
    );
    await recordTogether(service, experienceId, ids);
    await record({ experienceId });
    const list = (pageSize: number) =>
      readPages(async (pageToken) => {
        const { events, nextPageToken } = await raw.call(ListUsage, { experienceId, pageSize, pageToken });
        return { items: events.map(({ eventId }) => eventId), nextPageToken };
      });
    const [all = []] = await list(1_000);
    expect(new Set(all.slice(0, 11))).toEqual(new Set(ids));
    for (const [pageSize, lengths] of [
      [5, [5, 5, 2]],
      [4, [4, 4, 4]],
      [1, Array(12).fill(1)],
    ] as const) {
      const pages = await list(pageSize);
      expect(pages.map(({ length }) => length)).toEqual(lengths);
      expect(pages.flat()).toEqual(all);
    }
  });

  test('may be read on under another spelling of the id, not for another experience', async () => {
    const experienceId = randomUUID();
    for (let n = 0; n < 3; n += 1) await record({ experienceId });
    const { nextPageToken: pageToken } = await raw.call(ListUsage, { experienceId, pageSize: 2 });
    const spelled = `{${experienceId.toUpperCase()}}`;
    expect((await raw.call(ListUsage, { experienceId: spelled, pageToken })).events).toHaveLength(1);
    await expect(raw.call(ListUsage, { experienceId: randomUUID(), pageToken })).rejects.toMatchObject({
      reason: 'INVALID_FIELDS',
      violations: [{ field: 'page_token' }],
    });
  });

  test('of an experience that there is not is NOT_FOUND', async () => {
    await expect(readAll(service.client.usage.list(randomUUID()))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      reason: 'EXPERIENCE_NOT_FOUND',
    });
  });
});

describe('a deleted experience', () => {
  test('takes no more events, and keeps and shows what it has', async () => {
    const usage = { eventId: randomUUID(), experienceId: randomUUID(), experienceType: 'Summary' };
    const first = await record(usage);
    await service.client.experiences.delete(usage.experienceId);
    const notFound = {
      code: 'NOT_FOUND',
      reason: 'EXPERIENCE_NOT_FOUND',
      metadata: { experience_id: usage.experienceId },
    };
    await expect(record({ ...usage, eventId: randomUUID() })).rejects.toMatchObject(notFound);
    await expect(record({ experienceId: usage.experienceId })).rejects.toMatchObject(notFound);
    await expect(totalsOf(usage.experienceId)).rejects.toMatchObject(notFound);
    // What was accepted before is answered as ever.
    expect(await record(usage)).toEqual({ ...first, duplicate: true });
    const { totals } = await service.client.costs.get(usage.experienceId, { showDeleted: true });
    expect(totals).toMatchObject({ eventCount: 1n, cost: { total: '0.00045' } });
    expect(await readAll(service.client.usage.list(usage.experienceId))).toEqual([first.event]);
  });
});

describe('a deleted type', () => {
  test('takes no more events, by its name or by an experience of it, until it is undeleted', async () => {
    await service.client.types.create({ name: 'Retired', description: 'Will be deleted' });
    const usage = { eventId: randomUUID(), experienceType: 'Retired' };
    const first = await record(usage);
    const experienceId = first.event.experienceId ?? '';
    await service.client.types.delete('Retired');
    const notFound = {
      code: 'NOT_FOUND',
      reason: 'EXPERIENCE_TYPE_NOT_FOUND',
      metadata: { experience_type: 'Retired' },
    };
    for (const more of [
      { experienceType: 'Retired' },
      { experienceId },
      { experienceType: 'Summary', experienceId },
    ]) {
      await expect(record(more)).rejects.toMatchObject(notFound);
    }
    expect(await record(usage)).toEqual({ ...first, duplicate: true });
    expect(await totalsOf(experienceId)).toMatchObject({ eventCount: 1n, cost: { total: '0.00045' } });

    await service.client.types.undelete('Retired');
    await record({ experienceId });
    expect((await totalsOf(experienceId)).eventCount).toBe(2n);
  });
});

test('an experience takes 256 unit kinds over all its calls, and refuses one more without losing the rest', async () => {
  const experienceId = randomUUID();
  const kinds = (from: number, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`kind_${from + n}`, { input: 1 }]));
  for (const from of [0, 64, 128, 192]) await record({ experienceId, units: kinds(from, 64) });
  await expect(record({ experienceId, units: kinds(256, 1) })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    violations: [{ field: 'record.units' }],
  });
  await record({ experienceId, units: kinds(0, 64) });
  const { eventCount, units } = await totalsOf(experienceId);
  expect(eventCount).toBe(5n);
  expect(Object.keys(units)).toHaveLength(256);
});
