import {
  ActivityCancellationType,
  ApplicationFailure,
  defineQuery,
  proxyActivities,
  setHandler,
} from '@temporalio/workflow';
import { PROGRESS_QUERY, type RunInput, type RunProgress } from '../services/domain/run.js';
import { boundedMap } from './bounded-map.js';
import { splitDocument } from './split-document.js';
import type { SummarizationActivities } from './summarization-activities.js';

export interface DocumentSummary {
  readonly summary: string;
  /** Parts that the document was split into. */
  readonly chunkCount: number;
  /** Levels of summaries of summaries. */
  readonly levelCount: number;
}

/**
 * Summarises a document: split at paragraphs, summarise the parts side by side, combine neighbouring summaries level by
 * level until one is left. Each model call is an activity of its own.
 */
export async function documentSummarization(input: RunInput): Promise<DocumentSummary> {
  const { chunkTokens, parallelCalls, fanIn, callAttempts } = parseParameters(input.parameters);
  let progress: RunProgress = { phase: 'split', completedSteps: 0, totalSteps: 0 };
  setHandler(defineQuery<RunProgress>(PROGRESS_QUERY), () => progress);

  const text = input.document?.text ?? '';
  if (text.trim() === '')
    throw ApplicationFailure.nonRetryable('There is no document to summarise.', 'EmptyDocument');
  const chunks = splitDocument(text, chunkTokens);
  progress = {
    phase: 'summarise',
    completedSteps: 0,
    totalSteps: chunks.length + combineCount(chunks.length, fanIn),
  };

  const activities = proxyActivities<SummarizationActivities>({
    startToCloseTimeout: '2 minutes',
    scheduleToCloseTimeout: '15 minutes',
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
  const done = <T>(result: T): T => {
    progress = { ...progress, completedSteps: progress.completedSteps + 1 };
    return result;
  };

  let summaries = await boundedMap(chunks, parallelCalls, async (chunk, index) =>
    done(await activities.summarizeChunk({ text: chunk, index, count: chunks.length })),
  );
  let level = 0;
  while (summaries.length > 1) {
    level += 1;
    const groups = groupsOf(summaries, fanIn);
    progress = { ...progress, phase: 'combine' };
    summaries = await boundedMap(groups, parallelCalls, async (group, index) =>
      group.length === 1 && group[0] !== undefined
        ? group[0]
        : done(await activities.combineSummaries({ summaries: group, level, index, count: groups.length })),
    );
  }
  return { summary: summaries[0] ?? '', chunkCount: chunks.length, levelCount: level };
}

interface Parameters {
  readonly chunkTokens: number;
  readonly parallelCalls: number;
  readonly fanIn: number;
  readonly callAttempts: number;
}

/** The caller's JSON; whatever it does not say has a default, and what it says wrongly ends the run before it spends. */
function parseParameters(given: RunInput['parameters'] = {}): Parameters {
  const read = (name: keyof Parameters, fallback: number, min: number, max: number): number => {
    const value = given[name] ?? fallback;
    if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) return Number(value);
    throw ApplicationFailure.nonRetryable(
      `The parameter ${name} must be a whole number from ${min} to ${max}.`,
      'BadParameter',
    );
  };
  return {
    chunkTokens: read('chunkTokens', 1_200, 100, 100_000),
    parallelCalls: read('parallelCalls', 4, 1, 32),
    fanIn: read('fanIn', 6, 2, 32),
    callAttempts: read('callAttempts', 8, 1, 100),
  };
}

function groupsOf<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

/** Calls that the levels above the chunks need; a group of one needs none. */
function combineCount(summaryCount: number, fanIn: number): number {
  if (summaryCount <= 1) return 0;
  const groups = groupsOf(Array.from({ length: summaryCount }), fanIn);
  return groups.filter((group) => group.length > 1).length + combineCount(groups.length, fanIn);
}
