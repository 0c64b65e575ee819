import type { Experience } from '../domain/experience.js';
import type { Limit, LimitSum } from '../domain/limit.js';
import type { Reservation } from '../domain/reservation.js';
import type { UsageEvent } from '../domain/usage.js';
import type { ApplicationState } from './application-state.js';
import { factKey } from './fact-key.js';
import type { OperationOf } from './operation-hash.js';

/** What a snapshot holds of what a batch touches; keys are those of {@link factKey}. */
export interface Facts {
  readonly states: ReadonlyMap<string, ApplicationState>;
  readonly events: ReadonlyMap<string, StoredEvent>;
  readonly experiences: ReadonlyMap<string, Experience>;
  readonly reservations: ReadonlyMap<string, StoredReservation>;
  readonly limits: ReadonlyMap<string, KnownLimit>;
  /** That events of each application have used. */
  readonly unitKinds: ReadonlyMap<string, ReadonlySet<string>>;
  /** The useful event of each operation, by {@link operationFactKey}. */
  readonly useful: ReadonlyMap<string, UsageEvent>;
}

export interface StoredEvent {
  readonly event: UsageEvent;
  readonly contentHash: Uint8Array;
}

export interface StoredReservation {
  readonly reservation: Reservation;
  readonly contentHash: Uint8Array;
}

export interface KnownLimit {
  readonly limit: Limit;
  /** Of the current period: what is spent and held; of a blocking limit it has no counts of refusals. */
  readonly sum: LimitSum;
}

export function operationFactKey(application: string, operation: OperationOf): string {
  return factKey(application, operationId(operation));
}

/** Within an application. */
export function operationId({ experienceId, operationKey }: OperationOf): string {
  return `${experienceId ?? ''}\n${operationKey ?? ''}`;
}
