/** A tenant: everything the service keeps belongs to exactly one. */
export interface Application {
  readonly applicationId: string;
  /** Empty: none. */
  readonly description: string;
  /** Whether an experience id that is no UUID is refused instead of replaced. */
  readonly strictIds: boolean;
  /** undefined: it is older than keys are. */
  readonly createTime: Date | undefined;
}

/** RECORD does not imply READ; ADMIN implies all. */
export type Scope = 'READ' | 'RECORD' | 'ADMIN';

/** A key of an application, without what makes it secret. */
export interface ApiKey {
  /** No secret: it only names the key. */
  readonly keyId: string;
  readonly applicationId: string;
  /** All that the key allows. */
  readonly scopes: readonly Scope[];
  /** Empty: none. */
  readonly description: string;
  readonly createTime: Date | undefined;
  /** undefined: it is live. */
  readonly revokeTime: Date | undefined;
}
