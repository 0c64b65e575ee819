import type { UnitsInput, UsageReservation } from '../../services/client/index.js';
import type { UsageOutcome } from '../../services/domain/usage.js';

/** A request to a provider that is about to be made. */
export interface MeteredCall {
  readonly provider: string;
  readonly model: string;
  /** Name of the step, for people; absent: that of the workflow's `withStep`. */
  readonly step?: string;
}

/** What the request may cost at most; undefined: it is only asked whether anything may still be spent. */
export type CallEstimate = UsageReservation['estimate'];

/** What a request has used, as its answer says. What is absent is not known. */
export interface CallUsage {
  /** Absent: not known. Empty: the provider worked for nothing. */
  readonly units?: UnitsInput;
  /** True: the request never reached the provider; nothing of it is recorded. */
  readonly nothingSpent?: boolean;
  /** The model that answered, where it is another than asked for. */
  readonly model?: string;
  readonly provider?: string;
  /** Absent or SUCCEEDED: what becomes of the attempt. */
  readonly outcome?: UsageOutcome;
  readonly unitsBasis?: UnitsBasis;
  readonly latencyMs?: number;
  readonly timeToFirstTokenMs?: number;
  readonly httpStatusCode?: number;
  readonly providerRequestId?: string;
  readonly providerResponseId?: string;
}

/**
 * Where the units of a call come from: told by the provider; counted here, because its answer did not tell them; not
 * known, because no answer came, and then they are empty but not free; or none, because the provider refused to work.
 */
export type UnitsBasis = 'reported' | 'estimated' | 'unknown' | 'none';
