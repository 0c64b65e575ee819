import { ATTRIBUTION_KEYS } from '../domain/attribution-keys.js';

/**
 * gRPC metadata that attributes all usage recorded with it, e.g. for `ClientOptions.metadata`. Values must be printable
 * ASCII; anything else throws here instead of being lost on the way.
 */
export function attributionMetadata(attribution: {
  readonly experienceId?: string;
  readonly experienceName?: string;
  readonly experienceVersion?: number;
  readonly userId?: string;
  readonly requestTags?: readonly string[];
  readonly limitIds?: readonly string[];
}): Record<string, string> {
  const pairs = {
    [ATTRIBUTION_KEYS.experienceId]: attribution.experienceId,
    [ATTRIBUTION_KEYS.experienceType]: attribution.experienceName,
    [ATTRIBUTION_KEYS.experienceVersion]: attribution.experienceVersion?.toString(),
    [ATTRIBUTION_KEYS.userId]: attribution.userId,
    [ATTRIBUTION_KEYS.requestTags]: attribution.requestTags?.join(','),
    [ATTRIBUTION_KEYS.limitIds]: attribution.limitIds?.join(','),
  };
  const metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(pairs)) {
    if (value === undefined || value === '') continue;
    const text = value.trim();
    if (!/^[\x20-\x7e]+$/.test(text)) throw new RangeError(`${key} must be printable ASCII`);
    metadata[key] = text;
  }
  return metadata;
}
