import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExperiencesClient } from '../services/client/index.js';
import { startTestService, type TestService } from './support/service.js';

let service: TestService;
let client: ExperiencesClient;
/** The share of all divisions of the same 40 totals that are as uneven; counted apart, in another language. */
const P_OF_TWENTY = 2067030 / 137846528820;
/** By type and version, in the order of what they cost. */
const ids = new Map<string, string[]>();

beforeAll(async () => {
  service = await startTestService();
  ({ client } = service);
  await client.prices.create({
    provider: 'acme',
    model: 'one',
    rates: { text: { input: { base: '1' } } },
  });
  // What one experience of each version costs, in dollars.
  await make('Twenty', 1, range(1, 20));
  await make('Twenty', 2, range(11, 30));
  await make('Few', 1, [1, 2, 3]);
  await make('Few', 2, [4, 5, 6]);
  await make('Empty', 1, [1, 1]);
  await client.types.incrementVersion('Empty');
  await client.experiences.create({ experienceType: 'Empty' }); // Without an event it does not count.
  await make('Mixed', 1, [0, 0, 5, 1, 2]);
});
afterAll(() => service.stop());

async function make(type: string, version: number, dollars: readonly number[]): Promise<void> {
  if (version === 1) await client.types.create({ name: type, description: type });
  else await client.types.incrementVersion(type);
  const made: string[] = [];
  for (const input of dollars) {
    const { event } = await client.usage.record({
      experienceType: type,
      provider: 'acme',
      model: 'one',
      units: { text: { input } },
      ...(input === 0 ? { outcome: 'FAILED' } : {}),
    });
    made.push(event.experienceId ?? '');
  }
  ids.set(`${type} ${version}`, made);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

describe('the distribution of a version', () => {
  test('has its exact sum, mean and extremes, and percentiles within 1 %', async () => {
    const { distribution } = await client.costs.distribution('Twenty', { experienceVersion: 1 });
    expect(distribution).toEqual({
      experienceType: 'Twenty',
      experienceVersion: 1,
      experienceCount: 20n,
      sum: '210',
      mean: '10.5',
      minimum: '1',
      maximum: '20',
      // Of ranks 10, 15, 18 and 19: the middle of the bucket of so many dollars. Rank 20 is the maximum.
      percentiles: [
        { percentile: 50, cost: '9.937105515360523735' },
        { percentile: 75, cost: '15.061336385394355309' },
        { percentile: 90, cost: '17.999691187705611756' },
        { percentile: 95, cost: '19.101416285922696838' },
        { percentile: 99, cost: '20' },
      ],
      percentileErrorMax: 0.01,
      currencyCode: 'USD',
    });
  });

  test('is of the current version unless another is asked for, with the percentiles asked for', async () => {
    const { distribution } = await client.costs.distribution('Twenty', { percentiles: [100, 99.999, 5.001] });
    expect(distribution).toMatchObject({ experienceVersion: 2, mean: '20.5' });
    expect(distribution.percentiles).toEqual([
      { percentile: 100, cost: '30' },
      { percentile: 99.999, cost: '30' },
      // Rank 2.
      { percentile: 5.001, cost: expect.stringMatching(/^1[12]\./) },
    ]);
  });

  test('names the dearest experiences, deleted ones too', async () => {
    const twenty = ids.get('Twenty 1') ?? [];
    await client.experiences.delete(twenty[18] ?? '');
    const { dearestExperiences, distribution } = await client.costs.distribution('Twenty', {
      experienceVersion: 1,
      dearestCount: 3,
    });
    expect(dearestExperiences.map(({ experienceId, totalCost }) => [experienceId, totalCost])).toEqual([
      [twenty[19], '20'],
      [twenty[18], '19'],
      [twenty[17], '18'],
    ]);
    expect(dearestExperiences.map(({ deleteTime }) => deleteTime !== undefined)).toEqual([
      false,
      true,
      false,
    ]);
    expect(dearestExperiences[0]).toMatchObject({ eventCount: 1n, createTime: expect.any(Date) });
    expect(distribution.experienceCount).toBe(20n);
    const byDefault = await client.costs.distribution('Twenty', { experienceVersion: 1 });
    expect(byDefault.dearestExperiences).toHaveLength(10);
  });

  test('is drawn in bars from the cheapest to the dearest, of which what cost nothing has its own', async () => {
    const { bars, distribution } = await client.costs.distribution('Mixed', { barCountMax: 3 });
    expect(distribution).toMatchObject({
      experienceCount: 5n,
      sum: '8',
      mean: '1.6',
      minimum: '0',
      maximum: '5',
    });
    // Buckets 1974 to 2055, 28 a bar.
    expect(bars.map(({ experienceCount }) => experienceCount)).toEqual([2n, 1n, 1n, 1n]);
    expect(bars[0]).toEqual({ above: '0', upTo: '0', experienceCount: 2n });
    expect(bars[1]?.above).toBe('0.98927857403986616');
    expect(bars[3]?.upTo).toBe('5.018023463006075757');
    expect(bars[2]?.above).toBe(bars[1]?.upTo);
  });

  test('follows an experience that costs more', async () => {
    await client.types.create({ name: 'Growing', description: 'x' });
    const experienceId = (await client.experiences.create({ experienceType: 'Growing' })).experience
      .experienceId;
    const call = { experienceId, provider: 'acme', model: 'one' };
    for (const input of [1, 2, 4]) await client.usage.record({ ...call, units: { text: { input } } });
    const { distribution, bars } = await client.costs.distribution('Growing');
    expect(distribution).toMatchObject({ experienceCount: 1n, sum: '7', minimum: '7', maximum: '7' });
    expect(distribution.percentiles.map(({ cost }) => cost)).toEqual(['7', '7', '7', '7', '7']);
    expect(bars).toHaveLength(1);
  });

  test('of no experience has no amounts', async () => {
    expect(await client.costs.distribution('Empty')).toEqual({
      distribution: {
        experienceType: 'Empty',
        experienceVersion: 2,
        experienceCount: 0n,
        sum: undefined,
        mean: undefined,
        minimum: undefined,
        maximum: undefined,
        percentiles: [],
        percentileErrorMax: 0.01,
        currencyCode: 'USD',
      },
      bars: [],
      dearestExperiences: [],
    });
  });

  test('is refused of what never was, and of a deleted type unless it is asked for', async () => {
    await expect(client.costs.distribution('Missing')).rejects.toMatchObject({
      reason: 'EXPERIENCE_TYPE_NOT_FOUND',
    });
    await expect(client.costs.distribution('Few', { experienceVersion: 3 })).rejects.toMatchObject({
      reason: 'EXPERIENCE_TYPE_VERSION_NOT_FOUND',
    });
    await make('Gone', 1, [1]);
    await client.types.delete('Gone');
    await expect(client.costs.distribution('Gone')).rejects.toMatchObject({
      reason: 'EXPERIENCE_TYPE_NOT_FOUND',
    });
    const { distribution } = await client.costs.distribution('Gone', { showDeleted: true });
    expect(distribution.experienceCount).toBe(1n);
  });
});

describe('the comparison of two versions', () => {
  test('says how each figure has changed, and that it is beyond chance', async () => {
    const { first, second, comparison } = await client.costs.compareVersions('Twenty', 1, 2, {
      percentiles: [50],
    });
    expect([first.experienceVersion, first.mean, second.experienceVersion, second.mean]).toEqual([
      1,
      '10.5',
      2,
      '20.5',
    ]);
    expect(comparison).toEqual({
      mean: { absolute: '10', relative: '0.952381' },
      minimum: { absolute: '10', relative: '10' },
      maximum: { absolute: '10', relative: '0.5' },
      // From the bucket of 10 dollars to that of 20.
      percentiles: [{ percentile: 50, change: { absolute: '9.936007988513450054', relative: '0.99989' } }],
      rankTest: {
        name: 'Mann-Whitney U',
        method: 'EXACT',
        // 350 pairs won and 10 even of 400: buckets of 11 to 20 dollars hold one of each version.
        u: 350,
        z: undefined,
        pValue: expect.closeTo(P_OF_TWENTY, 12),
        alpha: 0.05,
        probabilityOfSuperiority: 0.875,
        verdict: 'SECOND_DEARER',
      },
    });
  });

  test('the other way round is cheaper, with the same p', async () => {
    const { comparison } = await client.costs.compareVersions('Twenty', 2, 1);
    expect(comparison?.mean).toEqual({ absolute: '-10', relative: '-0.487805' });
    expect(comparison?.rankTest).toMatchObject({
      u: 50,
      pValue: expect.closeTo(P_OF_TWENTY, 12),
      probabilityOfSuperiority: 0.125,
      verdict: 'SECOND_CHEAPER',
    });
    expect(comparison?.percentiles.map(({ percentile }) => percentile)).toEqual([50, 75, 90, 95, 99]);
  });

  test('of three and three experiences says that they are too few', async () => {
    const { comparison } = await client.costs.compareVersions('Few', 1, 2);
    expect(comparison?.rankTest).toMatchObject({
      method: 'NONE',
      u: 9,
      pValue: undefined,
      probabilityOfSuperiority: 1,
      verdict: 'TOO_FEW',
    });
  });

  test('with a version without experiences compares nothing', async () => {
    const { first, second, comparison } = await client.costs.compareVersions('Empty', 1, 2);
    expect([first.experienceCount, second.experienceCount, comparison]).toEqual([2n, 0n, undefined]);
  });

  test('is refused of what never was', async () => {
    await expect(client.costs.compareVersions('Missing', 1, 2)).rejects.toMatchObject({
      reason: 'EXPERIENCE_TYPE_NOT_FOUND',
    });
    await expect(client.costs.compareVersions('Few', 1, 3)).rejects.toMatchObject({
      reason: 'EXPERIENCE_TYPE_VERSION_NOT_FOUND',
    });
  });
});
