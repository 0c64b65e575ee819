import { ADOPTED_EVENTS_MAX, type Experience } from '../domain/experience.js';
import type { Reservation } from '../domain/reservation.js';
import type { Attribution, RecordWarning } from '../domain/usage.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';
import type { Adoption } from './adoption.js';
import { newOwnLimit } from './limit-document.js';
import { newExperience } from './new-experience.js';
import { experienceNotFound } from './not-found.js';
import type { Place } from './place.js';
import type { PlannedBatch } from './planned-batch.js';
import { versionOf } from './version-of.js';

/** What decides where a call goes. */
export interface PlacedCall {
  readonly application: string;
  readonly attribution: Attribution;
  readonly time: Date;
  /** The id of the experience that is made if the call needs a new one. */
  readonly spareExperienceId: Uuid;
}

/** The experience that a call goes to, by the table of ids; undefined: it is unattributed. */
export function placeOf(batch: PlannedBatch, call: PlacedCall): Place | undefined {
  const { application, time } = call;
  const { experienceId, experienceType, experienceVersion, userId } = call.attribution;
  const type = experienceType === undefined ? undefined : batch.type(application, experienceType);
  const version = type === undefined ? 0 : versionOf(type, experienceVersion);
  if (experienceId === undefined && type === undefined) return undefined;

  const id = experienceId === undefined ? undefined : parseUuid(experienceId);
  const replaced = experienceId !== undefined && id === undefined;
  const existing = id === undefined ? undefined : batch.experience(application, id);
  if (existing === undefined) {
    const config = type?.limitConfig;
    const newId = id ?? call.spareExperienceId;
    const name = type?.name ?? '';
    return {
      experience: newExperience(newId, time, name, version, { userId, limitType: config?.type }),
      created: true,
      replaced,
      warnings: replaced ? (['EXPERIENCE_ID_REPLACED'] as const) : [],
      adoption: undefined,
      ownLimit: config === undefined ? undefined : newOwnLimit(newId, name, config, time),
    };
  }
  if (existing.deleteTime !== undefined) throw experienceNotFound(existing.id);
  if (existing.type !== '') batch.type(application, existing.type); // A deleted type takes no more calls.
  const named = type === undefined ? undefined : { name: type.name, version };
  return { ...placeIn(application, existing, named, experienceVersion), replaced };
}

/**
 * Where a call goes that settles a reservation: to the reservation's experience, be it or its type deleted, because the
 * money is spent. Only another id that the record names outweighs that.
 */
export function placeOfSettlement(
  batch: PlannedBatch,
  call: PlacedCall,
  reservation: Reservation,
): Place | undefined {
  const { experienceId, experienceType, experienceVersion } = call.attribution;
  const id = experienceId === undefined ? undefined : parseUuid(experienceId);
  if (reservation.experienceId === undefined) return placeOf(batch, call);
  if (id !== undefined && id !== reservation.experienceId) return placeOf(batch, call);
  const existing = batch.experience(call.application, reservation.experienceId);
  if (existing === undefined) throw new Error("a reservation's experience is there");
  const type = experienceType === undefined ? undefined : batch.knownType(call.application, experienceType);
  const named =
    type === undefined || existing.deleteTime !== undefined
      ? undefined
      : { name: type.name, version: versionOf(type, experienceVersion) };
  return { ...placeIn(call.application, existing, named, experienceVersion), replaced: false };
}

/** In an experience that is there, which takes the named type if it has none. */
function placeIn(
  application: string,
  existing: Experience,
  named: { readonly name: string; readonly version: number } | undefined,
  wantedVersion: number | undefined,
): Omit<Place, 'replaced'> {
  const warnings: RecordWarning[] = [];
  let adoption: Adoption | undefined;
  if (existing.type === '') {
    if (named !== undefined && existing.totals.eventCount > BigInt(ADOPTED_EVENTS_MAX))
      warnings.push('EXPERIENCE_STAYS_UNTYPED');
    else if (named !== undefined)
      adoption = { application, experienceId: existing.id, type: named.name, version: named.version };
  } else if (named !== undefined && existing.type !== named.name) {
    warnings.push('OTHER_EXPERIENCE_TYPE');
  } else if (wantedVersion !== undefined && existing.version !== wantedVersion) {
    warnings.push('OTHER_EXPERIENCE_VERSION');
  }
  const experience =
    adoption === undefined ? existing : { ...existing, type: adoption.type, version: adoption.version };
  return { experience, created: false, warnings, adoption, ownLimit: undefined };
}
