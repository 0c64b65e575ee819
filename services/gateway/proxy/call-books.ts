import { ExperiencesError, type Reserved, type UsageAck, type UsageRecord } from '../../client/index.js';
import { newUuid } from '../../domain/new-uuid.js';
import type { Units } from '../../domain/units.js';
import type { UsageOutcome } from '../../domain/usage.js';
import type { ProviderAnswer } from '../../providers/provider-contract.js';
import type { Logger } from '../../runtime/logger.js';
import { NotStored } from '../outbox/disk-outbox.js';
import type { OutboxItem } from '../outbox/outbox-item.js';
import { withinTime } from '../within-time.js';
import { type ApplicationRecorders, LEDGER_TIME_MAX_MS } from './application-recorders.js';
import { ASKED_MODEL, type CallAttribution } from './attribution-headers.js';
import { fittingRecord } from './fitting-record.js';

/** Where what ends a call is kept and delivered from while the ledger is away. */
export interface SettlementStore {
  /** Resolves when it is on disk. */
  add(item: OutboxItem): Promise<void>;
  /** How many wait. */
  readonly size: number;
  /** Whether it would take what ends a call that begins now. */
  readonly isReady: boolean;
}

export interface BooksWorld {
  readonly recorders: ApplicationRecorders;
  readonly outbox: SettlementStore;
  readonly logger: Logger;
}

/** What is known of a call before it is made. */
export interface CallFacts {
  readonly application: string;
  readonly provider: string;
  /** As asked for. */
  readonly model: string;
  readonly attribution: CallAttribution;
  /** What stands for it should nobody hear how it ended. */
  readonly estimate: Units;
}

/** What a call has used, and how it ended. */
export interface CallUsage {
  readonly outcome: UsageOutcome;
  /** Absent: nothing was used. */
  readonly answer?: ProviderAnswer;
  readonly httpStatusCode?: number;
  readonly providerRequestId?: string;
  readonly timeToFirstTokenMs?: number;
}

/** Where a call stands when its caller is answered. */
export type Settled =
  /** In the ledger. */
  | { readonly kind: 'recorded'; readonly ack: UsageAck; readonly isEstimated: boolean }
  /** On disk: the ledger could not take it in time, and will. */
  | { readonly kind: 'queued'; readonly isEstimated: boolean }
  /** It cost nothing. */
  | { readonly kind: 'released' }
  /** Neither took it: its reservation, and with it the estimate, stands for it. */
  | { readonly kind: 'unrecorded' };

/** The books of one call: it is reserved before it is made, and ended once, by a record or a release. */
export class CallBooks {
  readonly eventId = newUuid();
  #sendMs = performance.now();
  #reserveMs: number | undefined;
  readonly #world: BooksWorld;
  readonly #facts: CallFacts;
  #reserved: Reserved | undefined;
  #settled: Promise<Settled> | undefined;
  #beside: Promise<unknown> = Promise.resolve();

  constructor(world: BooksWorld, facts: CallFacts) {
    this.#world = world;
    this.#facts = facts;
  }

  /** undefined until the call is reserved. */
  get reserved(): Reserved | undefined {
    return this.#reserved;
  }

  /** The request goes to the provider now. */
  send(): void {
    this.#sendMs = performance.now();
  }

  /** Since the request was sent. */
  get elapsedMs(): number {
    return Math.round(performance.now() - this.#sendMs);
  }

  /** How long the reservation took, to a tenth of a millisecond; undefined: it is not made, or was refused. */
  get reserveMs(): number | undefined {
    return this.#reserveMs;
  }

  /** Rejects with the service's error; then nothing is held, and the call must not be made. */
  async reserve(): Promise<Reserved> {
    const { attribution, provider, model, estimate } = this.#facts;
    const { experienceId, experienceType, experienceVersion, userId, step, priceAs } = attribution;
    const start = performance.now();
    try {
      this.#reserved = await this.#recorder.reserve({
        eventId: this.eventId,
        provider,
        model: priceAs.model ?? model,
        estimate: { units: Object.fromEntries(estimate) },
        holdsNothing: true,
        requestTags: attribution.requestTags,
        limitIds: attribution.limitIds,
        properties: attribution.properties,
        ttlMs: RESERVATION_TTL_MS,
        ...(experienceId === undefined ? {} : { experienceId }),
        ...(experienceType === undefined ? {} : { experienceType }),
        ...(experienceVersion === undefined ? {} : { experienceVersion }),
        ...(userId === undefined ? {} : { userId }),
        ...(step === undefined ? {} : { step }),
      });
      this.#reserveMs = Math.round((performance.now() - start) * 10) / 10;
      return this.#reserved;
    } catch (error) {
      if (!isRefusal(error)) void this.#giveUp();
      if (isOwnKeyRefused(error))
        this.#world.logger.error(
          { requestId: this.eventId, application: this.#facts.application, code: codeOf(error) },
          'the gateway may not record: its own key, EXPERIENCES_API_KEY, is missing or refused',
        );
      throw error;
    }
  }

  /** What goes on beside the call and should be done when it has ended; it must not reject. */
  goesOnBeside(work: Promise<void>): void {
    this.#beside = withinTime(work, LEDGER_TIME_MAX_MS);
  }

  /** The call was not made, or cost nothing. */
  release(): Promise<Settled> {
    this.#settled ??= this.#release();
    return this.#settled;
  }

  /** Resolves when the call is durable somewhere, in bounded time; what it was first ended with stands. */
  settle(usage: CallUsage): Promise<Settled> {
    this.#settled ??= Promise.all([isFree(usage) ? this.#release() : this.#record(usage), this.#beside]).then(
      ([settled]) => settled,
    );
    return this.#settled;
  }

  get #recorder() {
    return this.#world.recorders.of(this.#facts.application);
  }

  async #release(): Promise<Settled> {
    try {
      await this.#recorder.release(this.eventId);
      return { kind: 'released' };
    } catch {
      return this.#keep({ kind: 'release', eventId: this.eventId }, { kind: 'released' });
    }
  }

  /**
   * What the service did not refuse may be reserved, and must not be closed at its estimate: nothing was called. While much
   * waits on disk there is no room for what may not be there; then its time ends it, and the estimate is charged.
   */
  async #giveUp(): Promise<void> {
    if (this.#world.outbox.size < GIVEN_UP_WAITING_MAX) await this.#release();
    else await this.#recorder.release(this.eventId).catch(() => undefined);
  }

  async #record(usage: CallUsage): Promise<Settled> {
    const record = this.#recordOf(usage);
    try {
      return await this.#recordNow(record);
    } catch (error) {
      if (isFinal(error)) return this.#recordFitting(record, error);
      return this.#queue(record, error);
    }
  }

  /** What the ledger does not take as it is, is recorded without what kept it out: it was paid. */
  async #recordFitting(record: CallRecord, refusal: ExperiencesError): Promise<Settled> {
    const { application, estimate } = this.#facts;
    const fitting = fittingRecord(record, refusal, estimate);
    try {
      return await this.#recordNow(fitting);
    } catch (error) {
      if (!isFinal(error)) return this.#queue(fitting, error);
      this.#world.logger.error(
        { requestId: this.eventId, application, code: codeOf(error) },
        'the ledger refused a call',
      );
      return { kind: 'unrecorded' };
    }
  }

  async #recordNow(record: CallRecord): Promise<Settled> {
    return {
      kind: 'recorded',
      ack: await this.#recorder.record(record),
      isEstimated: isEstimated(record),
    };
  }

  #queue(record: CallRecord, error: unknown): Promise<Settled> {
    this.#world.logger.warn(
      { requestId: this.eventId, application: this.#facts.application, code: codeOf(error) },
      'the ledger did not take a call in time; it goes to the outbox',
    );
    return this.#keep({ kind: 'record', record }, { kind: 'queued', isEstimated: isEstimated(record) });
  }

  /** The outbox sends it under the same id, so it counts once even if the ledger has it already. */
  async #keep(settlement: OutboxItem['settlement'], kept: Settled): Promise<Settled> {
    const { application } = this.#facts;
    try {
      await this.#world.outbox.add({ application, settlement });
      return kept;
    } catch (error) {
      this.#world.logger.error(
        { requestId: this.eventId, application, code: codeOf(error), err: error },
        'neither the ledger nor the outbox took a call',
      );
      return { kind: 'unrecorded' };
    }
  }

  #recordOf(usage: CallUsage): CallRecord {
    const { attribution, provider, model } = this.#facts;
    const { userId, step, priceAs } = attribution;
    const { answer } = usage;
    const { experienceId, createTime } = this.#reserved?.reservation ?? {};
    const isCertain = answer === undefined || answer.unitsBasis === 'reported';
    return {
      eventId: this.eventId,
      provider,
      // Who says by what a call is priced also says it of what answers.
      model: priceAs.model ?? answer?.model ?? model,
      ...(priceAs.model === undefined ? { requestedModel: model } : {}),
      units: Object.fromEntries(answer?.units ?? []),
      outcome: usage.outcome,
      requestTags: attribution.requestTags,
      limitIds: attribution.limitIds,
      properties: {
        ...attribution.properties,
        ...(isCertain ? {} : { units: 'estimated' }),
        ...(priceAs.model === undefined ? {} : { [ASKED_MODEL]: model }),
      },
      latencyMs: this.elapsedMs,
      // By the service's own clock: a time of this machine, if it is ahead, would not be taken.
      ...(createTime === undefined ? {} : { eventTime: createTime }),
      ...(experienceId === undefined ? {} : { experienceId }),
      ...(userId === undefined ? {} : { userId }),
      ...(step === undefined ? {} : { step }),
      ...(usage.timeToFirstTokenMs === undefined ? {} : { timeToFirstTokenMs: usage.timeToFirstTokenMs }),
      ...(usage.httpStatusCode === undefined ? {} : { httpStatusCode: usage.httpStatusCode }),
      ...(usage.providerRequestId === undefined ? {} : { providerRequestId: usage.providerRequestId }),
      ...(answer?.responseId === undefined ? {} : { providerResponseId: answer.responseId }),
    };
  }
}

type CallRecord = UsageRecord & { readonly eventId: string };

function isEstimated({ properties }: CallRecord): boolean {
  return properties?.units === 'estimated';
}

/**
 * Whether the ledger will not take it, however often it is sent. What names a thing that is gone meanwhile is none of these:
 * the outbox sends it without the name.
 */
function isFinal(error: unknown): error is ExperiencesError {
  return error instanceof ExperiencesError && FINAL_REASONS.has(error.reason ?? '');
}

/** The service takes no successful call without units: there is nothing to be paid for it. */
function isFree({ outcome, answer }: CallUsage): boolean {
  if (outcome !== 'SUCCEEDED') return false;
  return [...(answer?.units?.values() ?? [])].every(({ input, output }) => input === 0n && output === 0n);
}

/** Whether the service has decided: what it did not do, it says with a reason that does not pass. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof ExperiencesError) || error.reason === undefined) return false;
  return error.code !== 'UNAVAILABLE' && error.code !== 'DEADLINE_EXCEEDED';
}

/** Those of callers are known to be good before a call is reserved. */
export function isOwnKeyRefused(error: unknown): boolean {
  if (!(error instanceof ExperiencesError)) return false;
  return error.code === 'UNAUTHENTICATED' || error.code === 'PERMISSION_DENIED';
}

function codeOf(error: unknown): string {
  if (error instanceof NotStored) return error.reason;
  return error instanceof ExperiencesError ? (error.reason ?? error.code) : 'INTERNAL';
}

const FINAL_REASONS: ReadonlySet<string> = new Set([
  'INVALID_FIELDS',
  'ATTRIBUTION_CONFLICT',
  'EVENT_ID_CONFLICT',
]);
/** A tenth of what may wait. */
const GIVEN_UP_WAITING_MAX = 10_000;
/** Longer than any call may take, see `CALL_TIME_MAX_MS`, and than its settling. */
const RESERVATION_TTL_MS = 20 * 60 * 1_000;
