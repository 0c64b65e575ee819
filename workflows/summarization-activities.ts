import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { type ModelClient, ProviderFailure } from './model-client.js';

/** Each activity makes one paid call; what it costs is recorded by the interceptor around it. */
export function createSummarizationActivities({ model }: { readonly model: Pick<ModelClient, 'chat'> }) {
  const ask = async (system: string, user: string, step: string): Promise<string> => {
    const signal = Context.current().cancellationSignal;
    try {
      return await model.chat({ system, user, step, maxOutputTokens: SUMMARY_TOKENS_MAX, signal });
    } catch (error) {
      // Only Temporal's own failure counts as a cancellation.
      if (signal.aborted) throw new CancelledFailure('The call was cancelled.');
      if (!(error instanceof ProviderFailure)) throw error;
      throw ApplicationFailure.create({
        type: error.type,
        message: error.message,
        nonRetryable: !error.retryable,
        ...(error.retryAfterMs === undefined ? {} : { nextRetryDelay: error.retryAfterMs }),
      });
    }
  };

  return {
    /** Summarises one part of a document. */
    async summarizeChunk({ text, index, count }: ChunkInput): Promise<string> {
      return ask(CHUNK_PROMPT, text, `summarise ${index + 1} of ${count}`);
    },

    /** Makes one summary of several that follow each other in the document. */
    async combineSummaries({ summaries, level, index, count }: CombineInput): Promise<string> {
      const step = count === 1 ? 'combine, final' : `combine level ${level}, ${index + 1} of ${count}`;
      return ask(COMBINE_PROMPT, summaries.join('\n\n'), step);
    },
  };
}

export type SummarizationActivities = ReturnType<typeof createSummarizationActivities>;

export interface ChunkInput {
  readonly text: string;
  readonly index: number;
  readonly count: number;
}

export interface CombineInput {
  readonly summaries: readonly string[];
  readonly level: number;
  readonly index: number;
  readonly count: number;
}

const SUMMARY_TOKENS_MAX = 400;
const CHUNK_PROMPT =
  'Summarise the following part of a document in at most 120 words. Keep names, figures and decisions. Answer with the summary only.';
const COMBINE_PROMPT =
  'The following texts are summaries of consecutive parts of one document. Combine them into one summary of at most 150 words. Answer with the summary only.';
