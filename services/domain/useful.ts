import type { RecordedOutcome } from './usage.js';

/**
 * Useful and wasted cost: of the SUCCEEDED events of one operation the one recorded last is useful; all others, and
 * every other outcome, are wasted. Without an operation key the outcome alone decides.
 */
export function isUseful(outcome: RecordedOutcome): boolean {
  return outcome === 'SUCCEEDED';
}

/** Whether recording this event makes the operation's earlier useful event a wasted one. */
export function supersedes(
  outcome: RecordedOutcome,
  operationKey: string | undefined,
): operationKey is string {
  return outcome === 'SUCCEEDED' && operationKey !== undefined;
}
