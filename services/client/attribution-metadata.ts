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
}): Record<string, string> {
  const pairs = {
    'xproxy-experience-id': attribution.experienceId,
    'xproxy-experience-name': attribution.experienceName,
    'xproxy-experience-version': attribution.experienceVersion?.toString(),
    'xproxy-user-id': attribution.userId,
    'xproxy-request-tags': attribution.requestTags?.join(','),
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
