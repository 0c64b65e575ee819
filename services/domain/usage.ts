import type { LimitCharge } from './limit-charge.js';
import { type Money, wholeMoney } from './money.js';
import type { UnitKind, Units } from './units.js';
import type { Uuid } from './uuid.js';

/** A single call that costs more is a mistake in its units. */
export const EVENT_COST_MAX: Money = wholeMoney(1_000_000n);

/** How a paid call ended. Whatever it was, it was paid. */
export type UsageOutcome = 'SUCCEEDED' | 'FAILED' | 'CANCELLED' | 'TIMED_OUT';

/** UNKNOWN is never said by a caller: it is of a call whose reservation ran out. */
export type RecordedOutcome = UsageOutcome | 'UNKNOWN';

/**
 * What became of the reservation of an event; NONE: there was none. The event of an UNSETTLED one is the estimate, of a
 * RELEASED one nothing; a later record takes the place of either, once.
 */
export type Settlement = 'NONE' | 'SETTLED' | 'UNSETTLED' | 'RELEASED';

/** Labels of the caller's own. */
export type Properties = ReadonlyMap<string, string>;

/** To what a paid call belongs, as the caller states it. */
export interface Attribution {
  /** As given; it need not be a UUID. */
  readonly experienceId: string | undefined;
  readonly experienceType: string | undefined;
  readonly experienceVersion: number | undefined;
  readonly userId: string | undefined;
  readonly requestTags: readonly string[];
  /** Limits that it is charged to beside its experience's own; each once. */
  readonly limitIds: readonly Uuid[];
}

/** Which attempt of which Temporal activity made a call. */
export interface WorkflowSource {
  readonly namespace: string;
  readonly workflowId: string;
  readonly runId: string;
  readonly workflowType: string;
  readonly activityId: string;
  readonly activityType: string;
  readonly attempt: number;
  readonly taskQueue: string;
  readonly isLocal: boolean;
  readonly workerIdentity: string;
}

/** The facts of a paid call. */
export interface UsageFacts {
  readonly provider: string;
  /** The model that answered: the one that is priced. */
  readonly model: string;
  readonly requestedModel: string | undefined;
  /** In canonical form. */
  readonly units: Units;
  readonly outcome: RecordedOutcome;
  readonly operationKey: string | undefined;
  readonly step: string | undefined;
  readonly latencyMs: number | undefined;
  readonly timeToFirstTokenMs: number | undefined;
  readonly httpStatusCode: number | undefined;
  readonly providerRequestId: string | undefined;
  readonly providerResponseId: string | undefined;
  readonly properties: Properties;
  readonly workflowSource: WorkflowSource | undefined;
}

/** A paid call, checked, not yet priced or attributed. */
export interface UsageRecord extends UsageFacts {
  readonly outcome: UsageOutcome;
  /** undefined: one is made, and the request cannot be repeated safely. */
  readonly eventId: string | undefined;
  readonly attribution: Attribution;
  /** undefined: the time of recording. */
  readonly eventTime: Date | undefined;
}

/** Why units have no price. */
export type UnpricedReason =
  | 'PROVIDER_UNKNOWN'
  | 'MODEL_UNKNOWN'
  | 'NO_PRICE_AT_TIME'
  | 'UNIT_KIND_NOT_PRICED';

export interface UnpricedUnits {
  readonly kind: UnitKind;
  readonly input: bigint;
  readonly output: bigint;
  readonly reason: UnpricedReason;
}

export interface Cost {
  readonly input: Money;
  readonly output: Money;
  readonly total: Money;
}

/** What a caller should know though its event is recorded. */
export type RecordWarning =
  | 'OTHER_EXPERIENCE_TYPE'
  | 'OTHER_EXPERIENCE_VERSION'
  | 'EXPERIENCE_STAYS_UNTYPED'
  | 'EXPERIENCE_ID_REPLACED'
  | 'UNITS_UNPRICED';

/** The step that priced what an event was recorded without a price for. */
export interface Repricing {
  readonly id: Uuid;
  readonly priceId: Uuid;
  readonly time: Date;
  /** What it added to the event's cost. */
  readonly cost: Cost;
}

/** A recorded paid call. */
export interface UsageEvent extends UsageFacts {
  readonly eventId: string;
  readonly experienceId: Uuid | undefined;
  /** Empty: its experience has no type, or it has no experience. */
  readonly experienceType: string;
  /** 0: its experience has no type, or it has no experience. */
  readonly experienceVersion: number;
  readonly userId: string | undefined;
  readonly requestTags: readonly string[];
  readonly eventTime: Date;
  readonly recordTime: Date;
  readonly cost: Cost;
  /** The first price that it got. */
  readonly priceId: Uuid | undefined;
  readonly unpriced: readonly UnpricedUnits[];
  /** Oldest first. */
  readonly repricings: readonly Repricing[];
  readonly useful: boolean;
  readonly experienceCreated: boolean;
  readonly experienceIdReplaced: boolean;
  readonly warnings: readonly RecordWarning[];
  readonly settlement: Settlement;
  /** Limits that it is charged to, its experience's own among them. */
  readonly charges: readonly LimitCharge[];
}
