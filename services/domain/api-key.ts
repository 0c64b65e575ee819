/** A key of an application, without what makes it secret. */
export interface ApiKey {
  readonly id: string;
  readonly application: string;
  /** All that its callers may do, in the order of `SCOPES`. */
  readonly scopes: readonly Scope[];
  readonly description: string;
  readonly createTime: Date;
  /** undefined: it is live. */
  readonly revokeTime: Date | undefined;
}

/** What a caller may do. RECORD does not imply READ: a key that only records is of no use to who finds it. */
export const SCOPES = ['READ', 'RECORD', 'ADMIN'] as const;
export type Scope = (typeof SCOPES)[number];

/** With what each implies, once each and in one order, so that equal rights are equal lists. */
export function allScopesOf(stated: readonly Scope[]): readonly Scope[] {
  return stated.includes('ADMIN') ? SCOPES : SCOPES.filter((scope) => stated.includes(scope));
}
