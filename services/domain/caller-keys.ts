/** Names of the gRPC metadata that say who calls. */
export const CALLER_KEYS = {
  apiKey: 'xproxy-api-key',
  /** `Bearer <key>`, in place of the key above. */
  authorization: 'authorization',
  /** Whose data the bootstrap key is used for. */
  application: 'experiences-application',
} as const;
