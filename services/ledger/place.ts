import type { Experience } from '../domain/experience.js';
import type { Limit } from '../domain/limit.js';
import type { RecordWarning } from '../domain/usage.js';
import type { Adoption } from './adoption.js';

/** Where a call goes. */
export interface Place {
  readonly experience: Experience;
  /** Whether it is to be made. */
  readonly created: boolean;
  readonly replaced: boolean;
  readonly warnings: readonly RecordWarning[];
  /** The type that the experience takes first. */
  readonly adoption: Adoption | undefined;
  /** The limit that is made with the experience. */
  readonly ownLimit: Limit | undefined;
}
