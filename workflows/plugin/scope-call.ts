import type { UnitsInput, UsageRecord } from '../../services/client/index.js';
import type { Settlement } from '../../services/client/settle.js';
import type { UsageOutcome } from '../../services/domain/usage.js';
import type { AttributionFields } from './attempt.js';
import type { CallUsage } from './metered-call.js';

/** What is known of a call before it is made. */
export type CallRecord = Pick<UsageRecord, 'provider' | 'model' | 'step'> &
  Required<Pick<UsageRecord, 'eventId' | 'operationKey' | 'workflowSource' | 'eventTime'>>;

/** One request to a provider, from before it is made until it can be settled. */
export class ScopeCall {
  readonly facts: CallRecord;
  /** Whether its estimate is held. */
  isReserved = false;
  #usage: CallUsage | undefined;
  #failure: UsageOutcome | undefined;
  #isFinished = false;
  readonly #startedMs = performance.now();
  #latencyMs = 0;

  constructor(facts: CallRecord) {
    this.facts = facts;
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Somebody has reported on it. */
  get isTold(): boolean {
    return this.#usage !== undefined;
  }

  /** Nobody said what it has used. */
  get isUnknown(): boolean {
    return this.#usage === undefined || isUnknown(this.#usage);
  }

  /** The last report holds: a stream may report as it goes. */
  report(usage: CallUsage): void {
    this.#usage = usage;
  }

  finish(failure: UsageOutcome | undefined): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#failure = failure;
    this.#latencyMs = Math.round(performance.now() - this.#startedMs);
  }

  /** undefined: there is nothing to send. */
  settlement(attemptOutcome: UsageOutcome, attribution: AttributionFields): Settlement | undefined {
    const { eventId } = this.facts;
    const told = this.#usage?.outcome ?? this.#failure ?? 'SUCCEEDED';
    const outcome = told === 'SUCCEEDED' ? attemptOutcome : told;
    if (this.#isFree(outcome)) return this.isReserved ? { kind: 'release', eventId } : undefined;
    // A reservation covers what is not known. Without one a failure can be shown, but not a success without units.
    if (this.isUnknown && (this.isReserved || outcome === 'SUCCEEDED')) return undefined;
    const record = recordOf(
      { ...this.facts, ...attribution },
      { latencyMs: this.#latencyMs, ...this.#usage, outcome },
    );
    return { kind: 'record', record };
  }

  /** A failed request without units is still shown; the service takes no successful one. */
  #isFree(outcome: UsageOutcome): boolean {
    if (this.#usage?.nothingSpent === true) return true;
    const { units } = this.#usage ?? {};
    return outcome === 'SUCCEEDED' && units !== undefined && isNothing(units);
  }
}

/** The record of a call, as its answer says. */
export function recordOf(
  facts: CallRecord & AttributionFields & Pick<UsageRecord, 'properties'>,
  usage: CallUsage,
): UsageRecord & { readonly eventId: string } {
  const basis = usage.unitsBasis ?? (usage.units === undefined ? 'unknown' : 'reported');
  const isCertain = basis === 'reported' || basis === 'none';
  return {
    ...facts,
    provider: usage.provider ?? facts.provider,
    model: usage.model ?? facts.model,
    requestedModel: facts.model,
    units: usage.units ?? {},
    outcome: usage.outcome ?? 'SUCCEEDED',
    ...(usage.latencyMs === undefined ? {} : { latencyMs: usage.latencyMs }),
    ...(usage.timeToFirstTokenMs === undefined ? {} : { timeToFirstTokenMs: usage.timeToFirstTokenMs }),
    ...(usage.httpStatusCode === undefined ? {} : { httpStatusCode: usage.httpStatusCode }),
    ...(usage.providerRequestId === undefined ? {} : { providerRequestId: usage.providerRequestId }),
    ...(usage.providerResponseId === undefined ? {} : { providerResponseId: usage.providerResponseId }),
    properties: { ...facts.properties, ...(isCertain ? {} : { units: basis }) },
  };
}

function isUnknown(usage: CallUsage): boolean {
  if (usage.nothingSpent === true) return false;
  return usage.unitsBasis === 'unknown' || (usage.units === undefined && usage.unitsBasis === undefined);
}

function isNothing(units: UnitsInput): boolean {
  return Object.values(units).every(
    ({ input = 0, output = 0 }) => Number(input) === 0 && Number(output) === 0,
  );
}
