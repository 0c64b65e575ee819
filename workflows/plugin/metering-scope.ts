import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { UsageReservation } from '../../services/client/index.js';
import { mayPass, type Settlement, settle, type UsagePort } from '../../services/client/settle.js';
import { newUuid } from '../../services/domain/new-uuid.js';
import { RESERVATION_TTL_MAX_MS } from '../../services/domain/reservation.js';
import type { UsageOutcome } from '../../services/domain/usage.js';
import { type Attempt, attributionFields, operationKeyOf, timeLeftMs, workflowSourceOf } from './attempt.js';
import type { CallEstimate, CallUsage, MeteredCall } from './metered-call.js';
import { type BudgetRule, reserveCall, SERVICE_AWAY } from './reserve-call.js';
import { type CallRecord, ScopeCall } from './scope-call.js';
import type { PluginLogger, UsageOutbox } from './usage-outbox.js';

export interface MeteringSettings extends BudgetRule {
  readonly usage: UsagePort;
  readonly outbox: UsageOutbox;
  readonly logger: PluginLogger;
  /** `after`: nothing is held before a call, and a crash between its answer and its record loses it. */
  readonly mode: 'reserve' | 'after';
  /** How long a reservation stays open; undefined: as long as the attempt may run, and some minutes. */
  readonly reservationTtlMs: number | undefined;
}

/** The calls of one activity attempt. */
export class MeteringScope {
  readonly attempt: Attempt;
  readonly #settings: MeteringSettings;
  readonly #calls: ScopeCall[] = [];
  #outcome: UsageOutcome | undefined;

  constructor(attempt: Attempt, settings: MeteringSettings) {
    this.attempt = attempt;
    this.#settings = settings;
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return storage().run(this, work);
  }

  /** Makes room for a call in the books, before it is made. Throws when it must not be made. */
  async open(call: MeteredCall, estimate: CallEstimate, ttlMs?: number): Promise<ScopeCall> {
    const { mode, usage, outbox } = this.#settings;
    const opened = this.#next(call);
    if (mode === 'after') return opened;
    const { eventId, provider, model, step, operationKey, workflowSource } = opened.facts;
    const time = ttlMs ?? this.#ttlMs();
    const reservation: UsageReservation = {
      eventId,
      ...attributionFields(this.attempt.attribution),
      provider,
      model,
      operationKey,
      workflowSource,
      ...(step === undefined ? {} : { step }),
      ...(estimate === undefined ? {} : { estimate }),
      ...(time === undefined ? {} : { ttlMs: time }),
    };
    try {
      await reserveCall(usage, reservation, this.#settings);
      opened.isReserved = true;
      return opened;
    } catch (error) {
      this.#calls.splice(this.#calls.indexOf(opened), 1);
      // The answer may have been lost after the service had reserved.
      if (error instanceof ApplicationFailure && error.type === SERVICE_AWAY)
        outbox.add({ kind: 'release', eventId }, usage);
      throw error;
    }
  }

  /** A call that was made without being opened. */
  add(call: MeteredCall, usage: CallUsage, times: { startTime?: Date; latencyMs?: number } = {}): void {
    const added = this.#next(call, times.startTime);
    added.report(usage);
    this.finish(added, undefined);
  }

  /** Says that a call has ended, with an error or without; one that outlives its activity is settled by itself. */
  finish(call: ScopeCall, error: unknown): void {
    call.finish(error === undefined ? undefined : failedOutcome(error));
    if (this.#outcome !== undefined) this.#postpone(call, this.#outcome);
  }

  /** Someone else settles the call. */
  handOn(call: ScopeCall): CallRecord {
    this.#calls.splice(this.#calls.indexOf(call), 1);
    return call.facts;
  }

  /**
   * Settles what has ended, or leaves it to the outbox where a reservation stands for it. Never rejects: an activity whose
   * call was paid must not be run, and paid, again for it.
   */
  async end(outcome: UsageOutcome): Promise<void> {
    this.#outcome = outcome;
    const { settleDelayMs, outbox } = this.#settings;
    const deadline = Date.now() + this.#settleTimeMs();
    const settling: Promise<void>[] = [];
    for (const call of this.#calls) {
      if (!call.isFinished) continue;
      if (settleDelayMs > 0 && call.isReserved && !outbox.isFull) this.#postpone(call, outcome);
      else settling.push(this.#settle(call, outcome, deadline));
    }
    await Promise.allSettled(settling);
  }

  #next(call: MeteredCall, startTime = new Date()): ScopeCall {
    if (this.#ordinal >= CALLS_MAX) throw new RangeError(`an activity makes at most ${CALLS_MAX} paid calls`);
    const step = call.step ?? this.attempt.attribution?.step;
    const opened = new ScopeCall({
      eventId: newUuid(),
      provider: call.provider,
      model: call.model,
      operationKey: operationKeyOf(this.attempt, this.#ordinal),
      workflowSource: workflowSourceOf(this.attempt),
      eventTime: startTime,
      ...(step === undefined ? {} : { step }),
    });
    this.#ordinal += 1;
    this.#calls.push(opened);
    return opened;
  }
  #ordinal = 0;

  async #settle(call: ScopeCall, outcome: UsageOutcome, deadline: number): Promise<void> {
    const { usage, outbox, logger } = this.#settings;
    const settlement = this.#settlementOf(call, outcome);
    if (settlement === undefined) return;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const left = Math.max(0, deadline - Date.now());
        if ((await within(settle(usage, settlement), left)) === 'late') break;
        return;
      } catch (error) {
        if (!mayPass(error, attempt)) {
          logger.error({ err: error, settlement }, 'a paid call could not be settled');
          return;
        }
        if (Date.now() + PAUSE_MS >= deadline) break;
        await sleep(PAUSE_MS);
      }
    }
    logger.warn(
      { eventId: call.facts.eventId, experienceId: this.attempt.attribution?.experienceId },
      'a paid call is settled later',
    );
    outbox.add(settlement, usage);
  }

  #postpone(call: ScopeCall, outcome: UsageOutcome): void {
    const settlement = this.#settlementOf(call, outcome);
    if (settlement !== undefined) this.#settings.outbox.add(settlement, this.#settings.usage);
  }

  #settlementOf(call: ScopeCall, outcome: UsageOutcome): Settlement | undefined {
    let settlement: Settlement | undefined;
    try {
      settlement = call.settlement(outcome, attributionFields(this.attempt.attribution));
    } catch (error) {
      // What was reported is not of its type. A reservation closes at the estimate.
      const { eventId } = call.facts;
      this.#settings.logger.error({ err: error, eventId }, 'a paid call could not be settled');
      return undefined;
    }
    if (settlement === undefined && call.isUnknown)
      this.#settings.logger.warn(
        { eventId: call.facts.eventId, activityType: this.attempt.info.activityType },
        call.isReserved
          ? 'what a call has used is not known: its reservation closes at the estimate'
          : 'what a call has used is not known: it is not recorded',
      );
    return settlement;
  }

  #settleTimeMs(): number {
    // A reservation covers what is not settled now; without one the record is all there is.
    if (this.#settings.mode === 'reserve') return SETTLE_TIME_MS;
    const left = timeLeftMs(this.attempt);
    return Math.max(SETTLE_TIME_MS, Math.min(RECORD_TIME_MAX_MS, left - ATTEMPT_MARGIN_MS));
  }

  #ttlMs(): number | undefined {
    const { reservationTtlMs } = this.#settings;
    if (reservationTtlMs !== undefined) return reservationTtlMs;
    const left = timeLeftMs(this.attempt);
    return left === 0 ? undefined : Math.min(RESERVATION_TTL_MAX_MS, Math.ceil(left) + TTL_MARGIN_MS);
  }
}

/** The scope of the activity that is running; undefined outside of a metered one. */
export function currentScope(): MeteringScope | undefined {
  return storage().getStore();
}

function failedOutcome(error: unknown): UsageOutcome {
  return error instanceof CancelledFailure ? 'CANCELLED' : 'FAILED';
}

/** `late`: the time was over first; the work goes on, and repeating it later changes nothing. */
async function within(work: Promise<void>, timeMs: number): Promise<'done' | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, timeMs, 'late');
  });
  try {
    return await Promise.race([work.then(() => 'done' as const), late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined); // Its failure was awaited above, or comes too late to matter.
  }
}

const CALLS_MAX = 1_000;
const PAUSE_MS = 500;
const SETTLE_TIME_MS = 5_000;
const RECORD_TIME_MAX_MS = 90_000;
const ATTEMPT_MARGIN_MS = 5_000;
const TTL_MARGIN_MS = 5 * 60_000;
const STORAGE_KEY = Symbol.for('experiences.metering-scope');

/** Kept under a global symbol, so that two copies of this module in one process share the scope. */
function storage(): AsyncLocalStorage<MeteringScope> {
  const holder = globalThis as { [STORAGE_KEY]?: AsyncLocalStorage<MeteringScope> };
  holder[STORAGE_KEY] ??= new AsyncLocalStorage<MeteringScope>();
  return holder[STORAGE_KEY];
}
