import { AsyncLocalStorage } from 'node:async_hooks';
import type { Units } from '../../services/domain/units.js';
import type { UsageOutcome } from '../../services/domain/usage.js';

/** One request that a provider answered, or may have answered, and that may have cost money. */
export interface PaidCall {
  readonly provider: string;
  /** The model that answered; if it is not known, the one that was asked for. */
  readonly model: string;
  readonly requestedModel: string;
  readonly units: Units;
  readonly outcome: UsageOutcome;
  readonly startTime: Date;
  readonly latencyMs: number;
  readonly step: string | undefined;
  readonly httpStatusCode: number | undefined;
  readonly providerRequestId: string | undefined;
  readonly providerResponseId: string | undefined;
  readonly unitsBasis: UnitsBasis;
}

/**
 * Where the units of a call come from: told by the provider; counted here, because its answer did not tell them; not
 * known, because no answer came, and then they are empty but not free; or none, because the provider refused to work.
 */
export type UnitsBasis = 'reported' | 'estimated' | 'unknown' | 'none';

/** Collects the paid calls of one activity attempt. */
export class MeteringScope {
  readonly #calls: PaidCall[] = [];

  get calls(): readonly PaidCall[] {
    return this.#calls;
  }

  add(call: PaidCall): void {
    if (this.#calls.length >= CALLS_MAX)
      throw new RangeError(`an activity makes at most ${CALLS_MAX} paid calls`);
    this.#calls.push(call);
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return storage().run(this, work);
  }
}

/**
 * Called by whatever makes a paid call, once for each request to a provider. Outside of a metered activity it throws:
 * money that nobody records must not be spent silently.
 */
export function reportPaidCall(call: PaidCall): void {
  const scope = storage().getStore();
  if (scope === undefined) throw new Error('a paid call was made outside of a metered activity');
  scope.add(call);
}

const CALLS_MAX = 1_000;
const STORAGE_KEY = Symbol.for('experiences.metering-scope');

/** Kept under a global symbol, so that two copies of this module in one process share the scope. */
function storage(): AsyncLocalStorage<MeteringScope> {
  const holder = globalThis as { [STORAGE_KEY]?: AsyncLocalStorage<MeteringScope> };
  holder[STORAGE_KEY] ??= new AsyncLocalStorage<MeteringScope>();
  return holder[STORAGE_KEY];
}
