import { createHash } from 'node:crypto';
import { Binary } from 'mongodb';
import type { UsageEvent } from '../domain/usage.js';

/**
 * An operation is a step of one experience, or of the application for what belongs to none. Its useful event is found by
 * a hash of both, which is short and in one index; who finds one compares the texts too.
 */
export function operationHash(of: OperationOf): Binary {
  const text = `${of.experienceId ?? ''}\n${of.operationKey ?? ''}`;
  return new Binary(createHash('sha256').update(text).digest().subarray(0, HASH_BYTES));
}

export type OperationOf = Pick<UsageEvent, 'experienceId' | 'operationKey'>;

/** Whether the event is the one that keeps its operation's place in the index. */
export function isUsefulOfOperation(event: UsageEvent): boolean {
  return event.useful && event.operationKey !== undefined;
}

const HASH_BYTES = 16;
