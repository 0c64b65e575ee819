import { type ExperienceType, hasVersion } from '../domain/experience-type.js';
import { Fault } from '../domain/fault.js';

/** The version that is wanted of a type; undefined wants the current one. */
export function versionOf(type: ExperienceType, wanted: number | undefined): number {
  if (wanted === undefined) return type.currentVersion;
  if (hasVersion(type, wanted)) return wanted;
  throw new Fault(
    'EXPERIENCE_TYPE_VERSION_NOT_FOUND',
    `The experience type '${type.name}' has no version ${wanted}.`,
    {
      metadata: { experience_type: type.name, experience_version: String(wanted) },
    },
  );
}
