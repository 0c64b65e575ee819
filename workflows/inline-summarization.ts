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
import { parseParameters } from './summarization-parameters.js';
import { combineCount, groupsOf } from './summary-groups.js';

export interface InlineSummary {
  readonly summary: string;
  readonly chunkCount: number;
  readonly levelCount: number;
}

/** What runs of release 0.1.0 were started with. */
export interface InlineRunInput {
  readonly document?: { readonly name: string; readonly text: string };
  readonly parameters?: RunInput['parameters'];
}

/**
 * Summarises a document whose text came with the arguments, as runs of release 0.1.0 do: texts travel through the history.
 * Such a run goes on as it began; a new one gets its document by reference.
 */
export async function inlineSummarization(input: InlineRunInput): Promise<InlineSummary> {
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
