import { expect } from 'vitest';
import type { ExperiencesClient, ExperienceTotals, UsageEvent } from '../../services/client/index.js';
import type { TestProvider } from './provider.js';
import { readAll } from './read-all.js';
import { waitUntil } from './wait-until.js';

/** What the books of one experience hold after a fault, where the provider has served nobody else. */
export interface WitnessedBooks {
  /** Of each event that is settled, in the order of recording: its attempt and outcome, and a refusal's status. */
  readonly settled: readonly string[];
  /** Billed calls of which no settled event tells; absent: 0. Reservations, or what became of them, stand for them. */
  readonly lost?: number;
  /** Calls that the provider still works on; absent: 0. */
  readonly running?: number;
  /** Open reservations; absent: 0. */
  readonly open?: number;
  /** Events at the estimate of a reservation that ran out; absent: 0. */
  readonly unsettled?: number;
  /** Decimal dollars: cost, its useful and wasted part, the wasted part that is an estimate, and what is held. */
  readonly total: string;
  readonly useful: string;
  readonly wasted: string;
  readonly estimated?: string;
  readonly held?: string;
}

/**
 * Compares the ledger with the provider's own count, call by call: each settled event has the response id and the tokens
 * of one billed call, each refused one cost nothing, and what remains is reservations, open or closed at their estimates.
 */
export async function expectWitnessed(
  client: ExperiencesClient,
  provider: Pick<TestProvider, 'served'>,
  experienceId: string,
  {
    lost = 0,
    running = 0,
    open = 0,
    unsettled = 0,
    estimated = '0',
    held = '0',
    ...expected
  }: WitnessedBooks,
): Promise<void> {
  await waitUntil('the calls have ended, and each is in the books', async () => {
    const { inFlight } = await provider.served();
    const totals = await totalsOf(client, experienceId);
    const isAll =
      totals.eventCount === BigInt(expected.settled.length + unsettled) &&
      totals.unsettledEventCount === BigInt(unsettled) &&
      totals.openReservationCount === BigInt(open);
    return inFlight === running && isAll ? true : undefined;
  }).catch(() => undefined); // The comparison below says what is missing.

  const events = await readAll(client.usage.list(experienceId));
  const settled = events.filter(({ settlement }) => settlement === 'SETTLED');
  expect(settled.map(spelled)).toEqual(expected.settled);

  const { calls } = await provider.served();
  const recorded = settled.filter(({ httpStatusCode }) => httpStatusCode === 200);
  const known = new Set(recorded.map(({ providerResponseId }) => providerResponseId));
  const billed = calls.filter((call) => call.billed);
  const served = billed.filter(({ responseId }) => known.has(responseId));
  expect(byId(recorded.map(asCall))).toEqual(
    byId(served.map((call) => [call.responseId, call.promptTokens, call.completionTokens])),
  );
  expect(billed.length - served.length).toBe(lost);
  const refused = settled.filter((event) => !recorded.includes(event));
  expect(refused.map(({ httpStatusCode }) => httpStatusCode)).toEqual(
    calls.filter(({ outcome }) => outcome === 'refused').map(({ status }) => status),
  );
  for (const { cost } of refused) expect(cost.total).toBe('0');

  const estimates = events.filter((event) => !settled.includes(event));
  expect(estimates.map(({ settlement, outcome, cost }) => [settlement, outcome, cost.total])).toEqual(
    Array(unsettled).fill(['UNSETTLED', 'UNKNOWN', ESTIMATE]),
  );
  expect(figuresOf(await totalsOf(client, experienceId))).toEqual({
    total: expected.total,
    useful: expected.useful,
    wasted: expected.wasted,
    estimated,
    held,
    unsettled,
    open,
  });
}

/** Closes the reservations that have run out: so many, and no others. */
export async function sweep(client: ExperiencesClient, count: number): Promise<void> {
  let closed = 0;
  await waitUntil(`${count} reservations have run out`, async () => {
    closed += (await client.admin.sweepReservations()).unsettledCount;
    return closed >= count ? true : undefined;
  });
  expect(closed).toBe(count);
}

async function totalsOf(client: ExperiencesClient, experienceId: string): Promise<ExperienceTotals> {
  return (await client.costs.get(experienceId)).totals;
}

function figuresOf(totals: ExperienceTotals) {
  return {
    total: totals.cost.total,
    useful: totals.usefulCost,
    wasted: totals.wastedCost,
    estimated: totals.unsettledCost,
    held: totals.heldCost,
    unsettled: Number(totals.unsettledEventCount),
    open: Number(totals.openReservationCount),
  };
}

function spelled({ workflowSource, outcome, httpStatusCode }: UsageEvent): string {
  const status = httpStatusCode === undefined || httpStatusCode === 200 ? '' : ` ${httpStatusCode}`;
  return `${workflowSource?.attempt} ${outcome}${status}`;
}

type Call = readonly [responseId: string | undefined, promptTokens: number, completionTokens: number];

function asCall({ providerResponseId, units }: UsageEvent): Call {
  return [providerResponseId, Number(units.text?.input ?? 0), Number(units.text?.output ?? 0)];
}

function byId(calls: readonly Call[]): readonly Call[] {
  return calls.toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1));
}

/** Of each paying activity's call: 43 tokens in and 40 out. */
const ESTIMATE = '0.00003045';
