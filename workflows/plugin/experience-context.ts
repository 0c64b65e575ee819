import { AsyncLocalStorage } from 'node:async_hooks';
import type { AttributionHeader } from '../../services/domain/attribution-header.js';
import { parseUuid } from '../../services/domain/uuid.js';
import { currentScope } from './metering-scope.js';

/** How a caller names the experience of what it starts. */
export interface ExperienceName {
  readonly experienceType?: string;
  /** A UUID; absent: the workflow's id, where that is or ends in one, else an id of its own. */
  readonly experienceId?: string;
  readonly version?: number;
  /** With what it starts, a decimal string in USD: workflows read it; the limit itself is the service's. */
  readonly budget?: string;
}

/**
 * What is started by the client inside of `work`, however deep, belongs to this experience. Throws a RangeError for an
 * id that is no UUID: it would be lost silently.
 */
export function withExperience<T>(name: ExperienceName, work: () => T): T {
  return storage().run(attributionOfName(name), work);
}

export function withExperienceHeader<T>(header: AttributionHeader, work: () => T): T {
  return storage().run(header, work);
}

/** Inside of an activity it is the activity's experience, unless named otherwise. */
export function currentExperience(): AttributionHeader | undefined {
  return storage().getStore() ?? currentScope()?.attempt.attribution;
}

function attributionOfName(name: ExperienceName): AttributionHeader {
  const experienceId = name.experienceId === undefined ? undefined : parseUuid(name.experienceId);
  if (name.experienceId !== undefined && experienceId === undefined)
    throw new RangeError('an experience id is a UUID');
  return {
    ...(experienceId === undefined ? {} : { experienceId }),
    experienceType: name.experienceType ?? '',
    experienceVersion: name.version ?? 0,
    ...(name.budget === undefined ? {} : { budget: name.budget }),
  };
}

const STORAGE_KEY = Symbol.for('experiences.experience-context');

/** Kept under a global symbol, so that two copies of this module in one process share it. */
function storage(): AsyncLocalStorage<AttributionHeader> {
  const holder = globalThis as { [STORAGE_KEY]?: AsyncLocalStorage<AttributionHeader> };
  holder[STORAGE_KEY] ??= new AsyncLocalStorage<AttributionHeader>();
  return holder[STORAGE_KEY];
}
