import fc from 'fast-check';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { ExperienceTotals, UsageOutcome } from '../services/client/index.js';
import { newUuid } from '../services/domain/new-uuid.js';
import { units18 } from './support/added-up.js';
import { expectBooks } from './support/books.js';
import { startTestService, type TestService } from './support/service.js';

/** Prices of one unit in 10^-18 dollars, [in, out]: of the catalogue, and two own ones down to the last digit. */
const PRICES: Readonly<Record<string, Readonly<Record<string, readonly [input: bigint, output: bigint]>>>> = {
  'openai/gpt-4o-mini': {
    text: [150_000_000_000n, 600_000_000_000n],
    text_cache_read: [75_000_000_000n, 0n],
  },
  // A cached token without a price of its own costs as any other.
  'openai/text-embedding-3-small': { text: [20_000_000_000n, 0n], text_cache_read: [20_000_000_000n, 0n] },
  'own/finest': { text: [1n, 3n] },
  'own/dearest': { text: [123_456_789_012_345_678n, 999_999_999_999_999_999n] },
  'nobody/nothing': {},
};
const MODELS = Object.keys(PRICES);
const EXPERIENCES = 5;
const OPERATIONS = 4;

let service: TestService;
const mongo = new MongoClient(inject('mongodbUri'));

beforeAll(async () => {
  service = await startTestService();
  await service.client.types.create({ name: 'Summary', description: 'A summary' });
  await service.client.prices.create({
    ...{ provider: 'own', model: 'finest' },
    rates: { text: { input: { base: '0.000000000000000001' }, output: { base: '0.000000000000000003' } } },
  });
  await service.client.prices.create({
    ...{ provider: 'own', model: 'dearest' },
    rates: { text: { input: { base: '0.123456789012345678' }, output: { base: '0.999999999999999999' } } },
  });
});
afterAll(async () => {
  await service.stop();
  await mongo.close();
});

/** A call of a caller; what it costs is worked out below without the code under test. */
interface Call {
  readonly model: string;
  readonly text: readonly [input: number, output: number];
  readonly cached: number;
  readonly outcome: UsageOutcome;
  /** undefined: unattributed. */
  readonly experience: number | undefined;
  readonly typed: boolean;
  readonly operation: number | undefined;
  readonly secondsAgo: number;
}

/** What a caller does: a call, the same call again, or another call under the id of one. */
type Step = Call | { readonly again: number } | { readonly misused: number };

const anyCall: fc.Arbitrary<Call> = fc.record({
  model: fc.constantFrom(...MODELS),
  text: fc.tuple(fc.nat(200_000), fc.nat(20_000)),
  cached: fc.oneof(fc.constant(0), fc.nat(50_000)),
  outcome: fc.constantFrom('SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'TIMED_OUT'),
  experience: fc.oneof(
    { weight: 5, arbitrary: fc.nat(EXPERIENCES - 1) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  ),
  typed: fc.boolean(),
  operation: fc.option(fc.nat(OPERATIONS - 1), { nil: undefined }),
  secondsAgo: fc.nat(3_000),
});
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: anyCall },
  { weight: 1, arbitrary: fc.record({ again: fc.nat(1_000) }) },
  { weight: 1, arbitrary: fc.record({ misused: fc.nat(1_000) }) },
);

describe('the totals of experiences', () => {
  test('are what any sequence of calls adds up to, one after the other', async () => {
    const steps = fc.array(anyStep, { minLength: 30, maxLength: 50 });
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const run = new Run();
        for (const step of sequence) await run.take(step);
        await run.expectTotals();
      }),
      { numRuns: 4, endOnFailure: true },
    );
    await expectBooks(mongo, service.options.databaseName);
  });

  test('are what the events add up to when any calls are made at once', async () => {
    const calls = fc.array(anyCall, { minLength: 40, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(calls, async (all) => {
        const run = new Run();
        await Promise.all(all.map((call) => run.take(call)));
      }),
      { numRuns: 3, endOnFailure: true },
    );
    await expectBooks(mongo, service.options.databaseName);
  });

  test('and the unattributed events are together all that was recorded', async () => {
    const { events, kept } = await expectBooks(mongo, service.options.databaseName);
    const costOf = (of: readonly { readonly input: bigint; readonly output: bigint }[]) =>
      of.reduce((sum, { input, output }) => sum + input + output, 0n);
    const unattributed = events.filter(({ experienceId }) => experienceId === undefined);
    expect(unattributed.length).toBeGreaterThan(0);
    expect(costOf(Object.values(kept)) + costOf(unattributed)).toBe(costOf(events));
    expect(costOf(Object.values(kept))).toBe(
      Object.values(kept).reduce((sum, { useful, wasted }) => sum + useful + wasted, 0n),
    );
  });
});

/** Callers of their own experiences and operations, and the sums that they keep themselves. */
class Run {
  readonly #experiences = Array.from({ length: EXPERIENCES }, () => newUuid());
  readonly #operations = Array.from({ length: OPERATIONS }, () => newUuid());
  readonly #made: { readonly eventId: string; readonly call: Call }[] = [];

  async take(step: Step): Promise<void> {
    if (!('model' in step)) {
      const earlier = this.#made[('again' in step ? step.again : step.misused) % (this.#made.length || 1)];
      if (earlier === undefined) return;
      if ('again' in step) await this.#send(earlier.eventId, earlier.call, true);
      else await this.#misuse(earlier.eventId, earlier.call);
      return;
    }
    const call = step.outcome === 'SUCCEEDED' && isEmpty(step) ? { ...step, cached: 1 } : step;
    const eventId = newUuid();
    this.#made.push({ eventId, call });
    await this.#send(eventId, call, false);
  }

  async #send(eventId: string, call: Call, duplicate: boolean): Promise<void> {
    const answer = await service.client.usage.record(this.#recordOf(eventId, call));
    expect(answer.duplicate).toBe(duplicate);
    const { input, output } = costOf(call);
    expect([units18(answer.event.cost.input), units18(answer.event.cost.output)]).toEqual([input, output]);
  }

  async #misuse(eventId: string, call: Call): Promise<void> {
    const other = { ...this.#recordOf(eventId, call), step: 'another' };
    await expect(service.client.usage.record(other)).rejects.toMatchObject({ reason: 'EVENT_ID_CONFLICT' });
  }

  async expectTotals(): Promise<void> {
    for (const [index, experienceId] of this.#experiences.entries()) {
      const own = this.#made.filter(({ call }) => call.experience === index);
      if (own.length === 0) continue;
      const last = new Map<number, string>();
      for (const { eventId, call } of own) {
        if (call.operation !== undefined && call.outcome === 'SUCCEEDED') last.set(call.operation, eventId);
      }
      const useful = own.filter(
        ({ eventId, call }) =>
          call.outcome === 'SUCCEEDED' &&
          (call.operation === undefined || last.get(call.operation) === eventId),
      );
      const { totals, experienceType } = await service.client.costs.get(experienceId);
      expect(experienceType).toBe(own.some(({ call }) => call.typed) ? 'Summary' : undefined);
      expect(inUnits(totals)).toEqual({
        events: own.length,
        input: own.reduce((sum, { call }) => sum + costOf(call).input, 0n),
        output: own.reduce((sum, { call }) => sum + costOf(call).output, 0n),
        useful: useful.reduce((sum, { call }) => sum + costOf(call).input + costOf(call).output, 0n),
        unpriced: own.filter(({ call }) => isUnpriced(call)).length,
        text: own.reduce((sum, { call }) => sum + call.text[0] + call.text[1], 0),
      });
    }
  }

  #recordOf(eventId: string, call: Call) {
    const [provider = '', model = ''] = call.model.split('/');
    const experienceId = call.experience === undefined ? undefined : this.#experiences[call.experience];
    const operationKey = call.operation === undefined ? undefined : this.#operations[call.operation];
    return {
      ...{ eventId, provider, model, outcome: call.outcome, eventTime: eventTime(call) },
      units: { text: { input: call.text[0], output: call.text[1] }, text_cache_read: { input: call.cached } },
      ...(experienceId === undefined ? {} : { experienceId }),
      ...(experienceId !== undefined && call.typed ? { experienceType: 'Summary' } : {}),
      ...(operationKey === undefined ? {} : { operationKey }),
    };
  }
}

/** Own prices are in force from when the test made them, so calls of their models are made now. */
function eventTime(call: Call): Date {
  return new Date(call.model.startsWith('own/') ? NOW + 60_000 : NOW - call.secondsAgo * 1_000);
}

function costOf(call: Call): { readonly input: bigint; readonly output: bigint } {
  const { text = [0n, 0n], text_cache_read: cached = [0n, 0n] } = PRICES[call.model] ?? {};
  return {
    input: text[0] * BigInt(call.text[0]) + cached[0] * BigInt(call.cached),
    output: text[1] * BigInt(call.text[1]),
  };
}

/** Units of a direction that has no price are unpriced; none of nothing. */
function isUnpriced(call: Call): boolean {
  const { text, text_cache_read: cached } = PRICES[call.model] ?? {};
  const withoutOutput = call.model === 'openai/text-embedding-3-small';
  return (
    (text === undefined && !(call.text[0] === 0 && call.text[1] === 0)) ||
    (withoutOutput && call.text[1] > 0) ||
    (cached === undefined && call.cached > 0)
  );
}

function isEmpty(call: Call): boolean {
  return call.text[0] === 0 && call.text[1] === 0 && call.cached === 0;
}

function inUnits(totals: ExperienceTotals) {
  expect(units18(totals.cost.total)).toBe(units18(totals.usefulCost) + units18(totals.wastedCost));
  const { input = 0n, output = 0n } = totals.units.text ?? {};
  return {
    events: Number(totals.eventCount),
    input: units18(totals.cost.input),
    output: units18(totals.cost.output),
    useful: units18(totals.usefulCost),
    unpriced: Number(totals.unpricedEventCount),
    text: Number(input + output),
  };
}

const NOW = Date.now();
