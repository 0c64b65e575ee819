/** The gRPC metadata that says to what a call belongs; keys are lower-case on the wire, any case for callers. */
export const ATTRIBUTION_KEYS = {
  experienceId: 'xproxy-experience-id',
  experienceType: 'xproxy-experience-name',
  experienceVersion: 'xproxy-experience-version',
  userId: 'xproxy-user-id',
  requestTags: 'xproxy-request-tags',
  limitIds: 'xproxy-limit-ids',
} as const;
