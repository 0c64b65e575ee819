import { Decimal128, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { CostQuery, CostReport, ExperiencesClient, UsageRecord } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { startTestService, type TestService } from './support/service.js';

let service: TestService;
let client: ExperiencesClient;
const mongo = new MongoClient(inject('mongodbUri'));

/** What the records below are made of; a unit of acme's `one` costs 1 in and 2 out, of `two` 0.1, of zeta's `one` 5. */
const ids = { a1: newUuid(), a2: newUuid(), a3: newUuid(), b1: newUuid(), x1: newUuid() };
const [a1, a2, a3, b1] = [
  { experienceType: 'A', experienceVersion: 1, experienceId: ids.a1 },
  { experienceType: 'A', experienceVersion: 1, experienceId: ids.a2 },
  { experienceType: 'A', experienceVersion: 2, experienceId: ids.a3 },
  { experienceType: 'B', experienceId: ids.b1 },
] as const;
const acmeOne = { provider: 'acme', model: 'one' };
const acmeTwo = { provider: 'acme', model: 'two' };
const text = (input: number, output = 0) => ({ units: { text: { input, output } } });
const at = (time: string) => ({ eventTime: new Date(time) });

const RECORDS: readonly UsageRecord[] = [
  { ...a1, ...acmeOne, ...text(1), ...at('2026-01-31T22:59:59.999Z') }, // 1
  { ...a1, ...acmeOne, ...text(0, 1), outcome: 'FAILED', ...at('2026-01-31T23:00:00Z') }, // 2, wasted
  { ...a2, ...acmeTwo, ...text(10), operationKey: 'op', ...at('2026-01-31T23:30:00Z') }, // 1, superseded
  { ...a2, ...acmeTwo, ...text(20), operationKey: 'op', ...at('2026-02-01T00:00:00Z') }, // 2
  { ...a3, provider: 'zeta', model: 'one', ...text(1), ...at('2026-02-01T05:00:00Z') }, // 5
  { ...a3, ...acmeOne, ...text(1, 1), ...at('2026-02-02T00:00:00Z') }, // 1 + 2
  { ...b1, ...acmeOne, ...text(2), ...at('2026-02-02T12:00:00Z') }, // 2
  { experienceId: ids.x1, ...acmeOne, ...text(3), ...at('2026-02-02T12:59:59.999Z') }, // 3, untyped
  { ...acmeOne, ...text(4), ...at('2026-02-02T13:00:00Z') }, // 4, unattributed
  { provider: 'acme', model: 'none', ...text(7), ...at('2026-02-03T00:00:00Z') }, // unpriced, unattributed
  {
    ...a3,
    ...acmeOne,
    units: { text: { input: 1 }, audio: { input: 5 } },
    ...at('2026-02-03T01:00:00Z'),
  }, // 1, audio is unpriced
];
const ALL = { startTime: new Date('2026-01-31T00:00:00Z'), endTime: new Date('2026-02-04T00:00:00Z') };

beforeAll(async () => {
  service = await startTestService();
  ({ client } = service);
  await client.types.create({ name: 'A', description: 'Has two versions' });
  await client.types.incrementVersion('A');
  await client.types.create({ name: 'B', description: 'Has one version' });
  const effectiveTime = new Date('2025-01-01T00:00:00Z');
  for (const [provider, model, input, output] of [
    ['acme', 'one', '1', '2'],
    ['acme', 'two', '0.1', '0'],
    ['zeta', 'one', '5', '0'],
  ] as const) {
    const rates = { text: { input: { base: input }, output: { base: output } } };
    await client.prices.create({ provider, model, rates, effectiveTime });
  }
  for (const record of RECORDS) await client.usage.record(record);
});
afterAll(async () => {
  await service.stop();
  await mongo.close();
});

/** A row as one line: what it is grouped by, then events, total, useful, wasted, unpriced events. */
function lines({ rows, total }: CostReport): readonly string[] {
  const figures = (sum: CostReport['total']) =>
    `${sum.eventCount} ${sum.cost.total} ${sum.usefulCost} ${sum.wastedCost} ${sum.unpricedEventCount}`;
  const line = (row: CostReport['rows'][number]) =>
    [
      row.bucketStartTime?.toISOString().slice(0, 13),
      row.experienceType === '' ? '(none)' : row.experienceType,
      row.experienceVersion === undefined ? undefined : `v${row.experienceVersion}`,
      row.provider,
      row.model,
    ]
      .filter((part) => part !== undefined)
      .join(' ');
  return [...rows.map((row) => `${line(row)}: ${figures(row.sum)}`), figures(total)];
}

describe('a query adds up', () => {
  test.each<[what: string, query: Partial<CostQuery>, expected: readonly string[]]>([
    ['everything together', {}, [': 11 24 21 3 2', '11 24 21 3 2']],
    [
      'by type',
      { groupBy: ['EXPERIENCE_TYPE'] },
      ['(none): 3 7 7 0 1', 'A: 7 15 12 3 1', 'B: 1 2 2 0 0', '11 24 21 3 2'],
    ],
    [
      'by type and version',
      { groupBy: ['EXPERIENCE_VERSION', 'EXPERIENCE_TYPE'] },
      ['(none) v0: 3 7 7 0 1', 'A v1: 4 6 3 3 0', 'A v2: 3 9 9 0 1', 'B v1: 1 2 2 0 0', '11 24 21 3 2'],
    ],
    [
      'by the versions of one type',
      { experienceType: 'A', groupBy: ['EXPERIENCE_VERSION'] },
      ['v1: 4 6 3 3 0', 'v2: 3 9 9 0 1', '7 15 12 3 1'],
    ],
    ['by provider', { groupBy: ['PROVIDER'] }, ['acme: 10 19 16 3 2', 'zeta: 1 5 5 0 0', '11 24 21 3 2']],
    [
      'by model, whoever was paid',
      { groupBy: ['MODEL'] },
      ['none: 1 0 0 0 1', 'one: 8 21 19 2 1', 'two: 2 3 2 1 0', '11 24 21 3 2'],
    ],
    [
      'by everything',
      { groupBy: ['EXPERIENCE_TYPE', 'EXPERIENCE_VERSION', 'PROVIDER', 'MODEL'] },
      [
        '(none) v0 acme none: 1 0 0 0 1',
        '(none) v0 acme one: 2 7 7 0 0',
        'A v1 acme one: 2 3 1 2 0',
        'A v1 acme two: 2 3 2 1 0',
        'A v2 acme one: 2 4 4 0 1',
        'A v2 zeta one: 1 5 5 0 0',
        'B v1 acme one: 1 2 2 0 0',
        '11 24 21 3 2',
      ],
    ],
    [
      'by hour',
      { timeBucket: 'HOUR', experienceType: 'A' },
      [
        '2026-01-31T22: 1 1 1 0 0',
        '2026-01-31T23: 2 3 0 3 0',
        '2026-02-01T00: 1 2 2 0 0',
        '2026-02-01T05: 1 5 5 0 0',
        '2026-02-02T00: 1 3 3 0 0',
        '2026-02-03T01: 1 1 1 0 1',
        '7 15 12 3 1',
      ],
    ],
    [
      'by day',
      { timeBucket: 'DAY' },
      [
        '2026-01-31T00: 3 4 1 3 0',
        '2026-02-01T00: 2 7 7 0 0',
        '2026-02-02T00: 4 12 12 0 0',
        '2026-02-03T00: 2 1 1 0 2',
        '11 24 21 3 2',
      ],
    ],
    [
      'by month and type',
      { timeBucket: 'MONTH', groupBy: ['EXPERIENCE_TYPE'] },
      [
        '2026-01-01T00 A: 3 4 1 3 0',
        '2026-02-01T00 (none): 3 7 7 0 1',
        '2026-02-01T00 A: 4 11 11 0 1',
        '2026-02-01T00 B: 1 2 2 0 0',
        '11 24 21 3 2',
      ],
    ],
    ['only what belongs to no type', { experienceType: '' }, [': 3 7 7 0 1', '3 7 7 0 1']],
    ['only one version', { experienceType: 'A', experienceVersion: 2 }, [': 3 9 9 0 1', '3 9 9 0 1']],
    ['only one provider', { provider: 'zeta' }, [': 1 5 5 0 0', '1 5 5 0 0']],
    ['only one model of all types', { model: 'two' }, [': 2 3 2 1 0', '2 3 2 1 0']],
    [
      'only one provider and model of a type',
      { experienceType: 'A', provider: 'acme', model: 'one' },
      [': 4 7 5 2 1', '4 7 5 2 1'],
    ],
    ['nothing, where there is nothing', { provider: 'nobody' }, ['0 0 0 0 0']],
  ])('%s', async (_what, query, expected) => {
    expect(lines(await client.costs.query({ ...ALL, ...query }))).toEqual(expected);
  });

  test('input, output and units beside the total', async () => {
    const { rows, total } = await client.costs.query({ ...ALL, experienceType: 'A', experienceVersion: 2 });
    expect(rows).toHaveLength(1);
    expect(total).toEqual({
      eventCount: 3n,
      cost: { input: '7', output: '2', total: '9', currencyCode: 'USD' },
      usefulCost: '9',
      wastedCost: '0',
      unpricedEventCount: 1n,
      units: { audio: { input: 5n, output: 0n }, text: { input: 3n, output: 1n } },
    });
  });

  test.each<[from: string, to: string, expected: string]>([
    ['2026-01-31T22', '2026-01-31T23', '1 1 1 0 0'],
    ['2026-01-31T23', '2026-02-01T00', '2 3 0 3 0'],
    ['2026-02-01T00', '2026-02-02T00', '2 7 7 0 0'],
    ['2026-02-01T00', '2026-02-02T01', '3 10 10 0 0'],
    ['2026-01-31T23', '2026-02-02T00', '4 10 7 3 0'],
    // Hours, one day, hours.
    ['2026-01-31T23', '2026-02-02T13', '7 18 15 3 0'],
    ['2026-02-02T12', '2026-02-02T13', '2 5 5 0 0'],
    ['2026-02-02T13', '2026-02-03T00', '1 4 4 0 0'],
    ['2026-02-04T00', '2026-02-05T00', '0 0 0 0 0'],
  ])('from %s and before %s', async (from, to, expected) => {
    const range = { startTime: new Date(`${from}:00:00Z`), endTime: new Date(`${to}:00:00Z`) };
    expect(lines(await client.costs.query(range)).at(-1)).toBe(expected);
    // The same, hour by hour.
    expect(lines(await client.costs.query({ ...range, timeBucket: 'HOUR' })).at(-1)).toBe(expected);
  });

  test('what belongs to a deleted type, and to deleted experiences', async () => {
    await client.experiences.delete(ids.a1);
    await client.types.delete('B');
    expect(lines(await client.costs.query(ALL)).at(-1)).toBe('11 24 21 3 2');
    expect(lines(await client.costs.query({ ...ALL, experienceType: 'B' })).at(-1)).toBe('1 2 2 0 0');
    await client.types.undelete('B');
  });

  test('an experience under the type that it has taken, and no longer under none', async () => {
    const range = { startTime: new Date('2025-06-01T00:00:00Z'), endTime: new Date('2025-06-02T00:00:00Z') };
    const untyped = { experienceId: newUuid(), ...acmeOne, ...text(1), ...at('2025-06-01T10:00:00Z') };
    await client.usage.record(untyped);
    const byType = { ...range, groupBy: ['EXPERIENCE_TYPE'] } as const;
    expect(lines(await client.costs.query(byType))).toEqual(['(none): 1 1 1 0 0', '1 1 1 0 0']);
    await client.usage.record({ ...untyped, experienceType: 'B' });
    expect(lines(await client.costs.query(byType))).toEqual(['B: 2 2 2 0 0', '2 2 2 0 0']);
  });
});

describe('a query is refused', () => {
  const day = (date: string) => new Date(`${date}T00:00:00Z`);

  test.each<[what: string, query: CostQuery, reason: string]>([
    ['of a type that never was', { ...ALL, experienceType: 'Missing' }, 'EXPERIENCE_TYPE_NOT_FOUND'],
    [
      'of a version that never was',
      { ...ALL, experienceType: 'B', experienceVersion: 2 },
      'EXPERIENCE_TYPE_VERSION_NOT_FOUND',
    ],
    [
      'of 4,001 hours by the hour',
      { startTime: day('2026-01-01'), endTime: new Date('2026-06-16T17:00:00Z'), timeBucket: 'HOUR' },
      'QUERY_TOO_LARGE',
    ],
    ['of 4,001 days', { startTime: day('2013-01-01'), endTime: day('2023-12-16') }, 'QUERY_TOO_LARGE'],
  ])('%s', async (_what, query, reason) => {
    await expect(client.costs.query(query)).rejects.toMatchObject({ reason });
  });

  test('not of 4,000 hours or days', async () => {
    const hours = { startTime: day('2026-01-01'), endTime: new Date('2026-06-16T16:00:00Z') };
    expect((await client.costs.query({ ...hours, timeBucket: 'HOUR' })).total.eventCount).toBe(11n);
    const days = { startTime: day('2013-01-01'), endTime: day('2023-12-15') };
    expect((await client.costs.query(days)).total.eventCount).toBe(0n);
  });

  test('of more than 4,000 kept sums, whatever is left of them; one fewer is answered', async () => {
    await fillRollups('2024-03', 4_000);
    const march = { startTime: day('2024-03-01'), endTime: day('2024-04-01') };
    expect((await client.costs.query(march)).total).toMatchObject({
      eventCount: 4_000n,
      cost: { total: '4000' },
    });
    await fillRollups('2024-03', 4_001);
    await expect(client.costs.query({ ...march, provider: 'nobody' })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'QUERY_TOO_LARGE',
      retryAfterMs: undefined,
      metadata: { sums_max: '4000' },
      message:
        'The query would read more than 4,000 sums; ask for a range that begins and ends at midnight UTC, one type or a shorter range.',
    });
    // What the index finds is what is counted.
    const ofType = { ...march, experienceType: 'B', provider: 'filler' };
    await expect(client.costs.query(ofType)).rejects.toMatchObject({ reason: 'QUERY_TOO_LARGE' });
    expect((await client.costs.query({ ...ofType, model: 'model 7' })).total.eventCount).toBe(1n);
  });

  /** Day sums of one event and 1 dollar each, from the first on, as a service would keep them. */
  async function fillRollups(month: string, count: number): Promise<void> {
    const rollups = mongo.db(service.options.databaseName).collection<{ _id: object }>('rollups');
    const one = { ci: '1', co: '0', us: '1', ws: '0' };
    const amounts = Object.fromEntries(
      Object.entries(one).map(([name, amount]) => [
        name,
        Decimal128.fromString(`${amount}.000000000000000000`),
      ]),
    );
    await rollups.deleteMany({ '_id.p': 'filler' });
    await rollups.insertMany(
      Array.from({ length: count }, (_, index) => ({
        _id: {
          a: 'default',
          g: 'd',
          t: 'B',
          v: 1,
          h: day(`${month}-${String((index % 28) + 1).padStart(2, '0')}`),
          p: 'filler',
          m: `model ${index}`,
          l: 0,
        },
        ...amounts,
        n: 1n,
        up: 0n,
        un: {},
      })),
    );
  }
});
