import type { AttributionHeader } from '../../services/domain/attribution-header.js';
import { parseUuid, type Uuid } from '../../services/domain/uuid.js';

/** What a run says about itself, without Temporal's packages: as `workflowInfo()` has it. */
export interface RunFacts {
  readonly workflowId: string;
  readonly firstExecutionRunId: string;
  readonly memo?: Readonly<Record<string, unknown>> | undefined;
  /** Lists of values by name. */
  readonly searchAttributes?: Readonly<Record<string, readonly unknown[] | undefined>> | undefined;
}

export type ResolvedAttribution = AttributionHeader & { readonly experienceId: Uuid };

/**
 * Which experience a run belongs to: the first that names one of header, memo, search attribute and workflow id; else
 * the id of the chain's first run, which is a UUID and the same over retries and continue-as-new.
 */
export function resolveAttribution(
  header: AttributionHeader | undefined,
  run: RunFacts,
  defaultType: string,
): ResolvedAttribution {
  const { memo = {}, searchAttributes = {} } = run;
  const experienceId =
    header?.experienceId ??
    uuidOf(memo[MEMO_ID]) ??
    uuidOf(searchAttributes[ID_ATTRIBUTE]?.[0]) ??
    uuidAtEnd(run.workflowId) ??
    (run.firstExecutionRunId as Uuid);
  const experienceType =
    textOf(header?.experienceType) ??
    textOf(memo[MEMO_TYPE]) ??
    textOf(searchAttributes[TYPE_ATTRIBUTE]?.[0]) ??
    defaultType;
  const version = memo[MEMO_VERSION];
  return {
    ...header,
    experienceId,
    experienceType,
    experienceVersion: header?.experienceVersion || (typeof version === 'number' ? version : 0),
  };
}

/** `order-7/0192f0c1-…` ends in one; an id of anything else does not. */
export function uuidAtEnd(text: string): Uuid | undefined {
  const before = text.at(-UUID_LENGTH - 1);
  if (before !== undefined && /[\da-z]/i.test(before)) return undefined;
  return parseUuid(text.slice(-UUID_LENGTH));
}

function uuidOf(value: unknown): Uuid | undefined {
  return typeof value === 'string' ? parseUuid(value) : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export const ID_ATTRIBUTE = 'ExperienceId';
export const TYPE_ATTRIBUTE = 'ExperienceType';
const MEMO_ID = 'experienceId';
const MEMO_TYPE = 'experienceType';
const MEMO_VERSION = 'experienceVersion';
const UUID_LENGTH = 36;
