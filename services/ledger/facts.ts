import type { Experience } from '../domain/experience.js';
import type { UsageEvent } from '../domain/usage.js';
import type { ApplicationState } from './application-state.js';
import { factKey } from './fact-key.js';
import type { OperationOf } from './operation-hash.js';

/** What a snapshot holds of what a batch touches; keys are those of {@link factKey}. */
export interface Facts {
  readonly states: ReadonlyMap<string, ApplicationState>;
  readonly events: ReadonlyMap<string, StoredEvent>;
  readonly experiences: ReadonlyMap<string, Experience>;
  /** That events of each application have used. */
  readonly unitKinds: ReadonlyMap<string, ReadonlySet<string>>;
  /** The useful event of each operation, by {@link operationFactKey}. */
  readonly useful: ReadonlyMap<string, UsageEvent>;
}

export interface StoredEvent {
  readonly event: UsageEvent;
  readonly contentHash: Uint8Array;
}

export function operationFactKey(application: string, { experienceId, operationKey }: OperationOf): string {
  return factKey(application, `${experienceId ?? ''}\n${operationKey ?? ''}`);
}
