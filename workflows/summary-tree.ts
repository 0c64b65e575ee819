import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import { boundedMap } from './bounded-map.js';
import type { BudgetGate } from './budget-gate.js';
import type { ByteRange } from './chunk-ranges.js';
import type { DocumentActivities, Spent } from './document-activities.js';
import { groupsOf } from './summary-groups.js';

/** A summary that is kept: which bytes of the document it is of, and how many summaries deep. */
export interface SummaryNode {
  readonly offset: number;
  readonly end: number;
  /** 0: of the text itself. */
  readonly level: number;
}

/** What the calls of a run share. */
export interface SummaryCalls {
  readonly experienceId: string;
  readonly documentId: string;
  readonly fanIn: number;
  readonly parallelCalls: number;
  readonly callAttempts: number;
  /** Where the paid activities are done; undefined: in the run's own queue. */
  readonly providerTaskQueue: string | undefined;
  /** Behind the names of the steps, e.g. `, section 2 of 8`. */
  readonly stepSuffix: string;
  readonly gate: BudgetGate;
  /** Called after each paid call. */
  onCall(result: Spent): void;
}

/** Under which key the summary of a node is kept: the same over attempts, restarts and resets of the run. */
export function keyOf({ offset, end, level }: SummaryNode): string {
  return `summary/${level}/${offset}-${end}`;
}

/** Summarises chunks side by side. What the budget did not reach is left out. */
export async function summarizeChunks(
  chunks: readonly ByteRange[],
  calls: SummaryCalls,
): Promise<readonly SummaryNode[]> {
  const { summarizeRange } = paidActivities(calls);
  const { experienceId, documentId, stepSuffix } = calls;
  const nodes = await boundedMap(chunks, calls.parallelCalls, async (range, index) => {
    const node: SummaryNode = { offset: range.offset, end: range.offset + range.length, level: 0 };
    const step = `summarise ${index + 1} of ${chunks.length}${stepSuffix}`;
    const made = await paid(calls, () =>
      summarizeRange({ experienceId, documentId, range, key: keyOf(node), step }),
    );
    return made ? [node] : [];
  });
  return nodes.flat();
}

/**
 * Combines neighbouring summaries level by level until one is left; more are left when the budget ended. `isLast`: the one
 * that is left is the result of the run.
 */
export async function combineSummaries(
  nodes: readonly SummaryNode[],
  calls: SummaryCalls,
  isLast: boolean,
): Promise<{ readonly nodes: readonly SummaryNode[]; readonly levelCount: number }> {
  const { combineKept } = paidActivities(calls);
  const { experienceId, fanIn, gate, stepSuffix } = calls;
  let current = nodes;
  let levelCount = 0;
  while (current.length > 1 && !gate.isStopped) {
    levelCount += 1;
    const groups = groupsOf(current, fanIn);
    const level = levelCount;
    const combined = await boundedMap(groups, calls.parallelCalls, async (group, index) => {
      const [first, last] = [group[0], group.at(-1)];
      if (first === undefined || last === undefined || group.length === 1) return group;
      const depth = Math.max(...group.map((node) => node.level)) + 1;
      const node: SummaryNode = { offset: first.offset, end: last.end, level: depth };
      const name =
        isLast && groups.length === 1
          ? 'combine, final'
          : `combine level ${level}, ${index + 1} of ${groups.length}`;
      const made = await paid(calls, () =>
        combineKept({ experienceId, keys: group.map(keyOf), key: keyOf(node), step: name + stepSuffix }),
      );
      return made ? [node] : group;
    });
    current = combined.flat();
  }
  return { nodes: current, levelCount };
}

/** Whether the call was made: it is not when the budget ended for good. */
async function paid(calls: SummaryCalls, call: () => Promise<Spent>): Promise<boolean> {
  const result = await calls.gate.pass(call);
  if (result === undefined) return false;
  calls.onCall(result);
  return true;
}

function paidActivities({ callAttempts, providerTaskQueue }: SummaryCalls) {
  return proxyActivities<Pick<DocumentActivities, 'summarizeRange' | 'combineKept'>>({
    ...(providerTaskQueue === undefined ? {} : { taskQueue: providerTaskQueue }),
    startToCloseTimeout: '2 minutes',
    // A queue that is shared with other runs may be long; what counts is how often a call was tried.
    scheduleToCloseTimeout: '12 hours',
    heartbeatTimeout: '10 seconds',
    // A cancelled call has to tell what it spent before the run ends.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: {
      initialInterval: '1 second',
      backoffCoefficient: 2,
      maximumInterval: '30 seconds',
      maximumAttempts: callAttempts,
    },
  });
}

/** For people only: whoever does not get it in time goes without. */
export const { readSpent } = proxyActivities<Pick<DocumentActivities, 'readSpent'>>({
  startToCloseTimeout: '10 seconds',
  scheduleToCloseTimeout: '1 minute',
  retry: { initialInterval: '1 second', backoffCoefficient: 2 },
});

/** Activities that read and plan: they cost nothing, and are tried until the service is there. */
export const { planDocument, planSection, readSummaries } = proxyActivities<
  Pick<DocumentActivities, 'planDocument' | 'planSection' | 'readSummaries'>
>({
  startToCloseTimeout: '5 minutes',
  scheduleToCloseTimeout: '1 day',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds' },
});
