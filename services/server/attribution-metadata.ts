import type { Metadata } from '@grpc/grpc-js';
import { ATTRIBUTION_KEYS } from '../domain/attribution-keys.js';
import { Fault } from '../domain/fault.js';
import { CALL_LIMITS_MAX } from '../domain/limit-charge.js';
import { shown, TAGS_MAX, tagRule, typeNameRule, userIdRule } from '../domain/text-rules.js';
import type { Attribution } from '../domain/usage.js';
import { parseUuid, type Uuid } from '../domain/uuid.js';
import type { RequestCheck } from './request-check.js';

export function fromAttributionMetadata(metadata: Metadata, check: RequestCheck): Attribution {
  const id = single(metadata, ATTRIBUTION_KEYS.experienceId, check);
  const type = single(metadata, ATTRIBUTION_KEYS.experienceType, check);
  const version = single(metadata, ATTRIBUTION_KEYS.experienceVersion, check);
  const user = single(metadata, ATTRIBUTION_KEYS.userId, check);
  const tags = listed(metadata, ATTRIBUTION_KEYS.requestTags);
  const limits = listed(metadata, ATTRIBUTION_KEYS.limitIds);
  if (version !== '' && !/^[1-9]\d{0,8}$/.test(version)) {
    check.bad(ATTRIBUTION_KEYS.experienceVersion, 'must be a whole number from 1');
  }
  return {
    experienceId: check.newExperienceId(ATTRIBUTION_KEYS.experienceId, id),
    experienceType: check.optional(ATTRIBUTION_KEYS.experienceType, type, typeNameRule),
    experienceVersion: version === '' ? undefined : Number(version),
    userId: check.optional(ATTRIBUTION_KEYS.userId, user, userIdRule),
    requestTags: checkedTags(ATTRIBUTION_KEYS.requestTags, tags, check),
    limitIds: checkedLimitIds(ATTRIBUTION_KEYS.limitIds, limits, check),
  };
}

export function checkedTags(field: string, tags: readonly string[], check: RequestCheck): readonly string[] {
  const trimmed = tags.map((tag) => tag.trim());
  if (trimmed.length > TAGS_MAX) check.bad(field, `has ${trimmed.length} tags, more than ${TAGS_MAX}`);
  for (const tag of trimmed.slice(0, TAGS_MAX)) check.required(field, tag, tagRule);
  return [...new Set(trimmed)];
}

/** Each once, in its canonical form. */
export function checkedLimitIds(field: string, ids: readonly string[], check: RequestCheck): readonly Uuid[] {
  if (ids.length > CALL_LIMITS_MAX) check.bad(field, `has ${ids.length} ids, more than ${CALL_LIMITS_MAX}`);
  const limitIds = new Set<Uuid>();
  for (const text of ids.slice(0, CALL_LIMITS_MAX)) {
    const id = parseUuid(text.trim());
    if (id === undefined) check.bad(field, `has '${shown(text)}', which is not a UUID`);
    else limitIds.add(id);
  }
  return [...limitIds];
}

/** What the message says wins; both and different is a conflict, because one of them would silently be lost. */
export function mergeAttribution(
  message: Attribution,
  metadata: Attribution,
  field: 'record' | 'reservation' = 'record',
): Attribution {
  const conflicts = [
    ...(differs(canonical(message.experienceId), canonical(metadata.experienceId)) ? ['experience_id'] : []),
    ...(differs(message.experienceType, metadata.experienceType) ? ['experience_type'] : []),
    ...(differs(message.experienceVersion, metadata.experienceVersion) ? ['experience_version'] : []),
    ...(differs(message.userId, metadata.userId) ? ['user_id'] : []),
    ...(listsDiffer(message.requestTags, metadata.requestTags) ? ['request_tags'] : []),
    ...(listsDiffer(message.limitIds, metadata.limitIds) ? ['limit_ids'] : []),
  ];
  if (conflicts.length > 0) {
    throw new Fault(
      'ATTRIBUTION_CONFLICT',
      `The message and the metadata differ in ${conflicts.join(', ')}.`,
      {
        violations: conflicts.map((name) => ({
          field: `${field}.attribution.${name}`,
          description: 'differs from the metadata of the call',
        })),
      },
    );
  }
  return {
    experienceId: message.experienceId ?? metadata.experienceId,
    experienceType: message.experienceType ?? metadata.experienceType,
    experienceVersion: message.experienceVersion ?? metadata.experienceVersion,
    userId: message.userId ?? metadata.userId,
    requestTags: message.requestTags.length > 0 ? message.requestTags : metadata.requestTags,
    limitIds: message.limitIds.length > 0 ? message.limitIds : metadata.limitIds,
  };
}

/**
 * The one value of a key; empty for none. Node joins the values of a repeated header (RFC 9110, section 5.3) before
 * anyone sees them: "a, b" would pass as an id of its own, though none of our values holds a comma and a space.
 */
function single(metadata: Metadata, key: string, check: RequestCheck): string {
  const value = metadata.get(key).join(JOINT);
  if (!value.includes(JOINT)) return value.trim();
  check.bad(key, 'is given more than once');
  return '';
}

/** The values of a key that may have several, separated by commas. */
function listed(metadata: Metadata, key: string): readonly string[] {
  const text = metadata.get(key).join();
  return text === '' ? [] : text.split(',');
}

function canonical(experienceId: string | undefined): string | undefined {
  return experienceId === undefined ? undefined : (parseUuid(experienceId) ?? experienceId);
}

function differs<T>(a: T | undefined, b: T | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b;
}

/** In whatever order; an empty one says nothing. */
function listsDiffer(a: readonly string[], b: readonly string[]): boolean {
  return a.length > 0 && b.length > 0 && [...a].sort().join() !== [...b].sort().join();
}

const JOINT = ', ';
