import type { TextRule } from './text-rules.js';

/** A tenant: every document and every query is scoped by one. */
export interface Application {
  readonly id: string;
  readonly description: string;
  /** Whether an experience id that is no UUID is refused instead of replaced. */
  readonly strictIds: boolean;
  /** undefined: it is older than keys are. */
  readonly createTime: Date | undefined;
}

/** Always exists; calls without a key, where they are taken, are its. */
export const APPLICATION_DEFAULT = 'default';

export const applicationIdRule: TextRule = (text) =>
  APPLICATION_ID.test(text) ? undefined : `must be 1-${ID_LENGTH_MAX} lower-case letters, digits or '-'`;

const ID_LENGTH_MAX = 32;
const APPLICATION_ID = /^[a-z0-9-]{1,32}$/;
