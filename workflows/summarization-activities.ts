import { Context } from '@temporalio/activity';
import { callProvider } from './call-provider.js';
import type { ModelClient } from './model-client.js';

export interface SummarizationDependencies {
  readonly model: Pick<ModelClient, 'chat'>;
}

/** The paid calls of a summary. What they cost is recorded by the interceptor around the activity that makes them. */
export function createSummarizer({ model }: SummarizationDependencies) {
  const ask = async (system: string, user: string, step: string): Promise<string> => {
    const signal = Context.current().cancellationSignal;
    return callProvider(signal, () =>
      model.chat({ system, user, step, maxOutputTokens: SUMMARY_TOKENS_MAX, signal }),
    );
  };
  return {
    part: (text: string, step: string): Promise<string> => ask(CHUNK_PROMPT, text, step),
    combined: (summaries: readonly string[], step: string): Promise<string> =>
      ask(COMBINE_PROMPT, summaries.join('\n\n'), step),
  };
}

/** For runs of release 0.1.0, whose texts travel through the history. Each activity makes one paid call. */
export function createSummarizationActivities(dependencies: SummarizationDependencies) {
  const ask = createSummarizer(dependencies);
  return {
    /** Summarises one part of a document. */
    async summarizeChunk({ text, index, count }: ChunkInput): Promise<string> {
      return ask.part(text, `summarise ${index + 1} of ${count}`);
    },

    /** Makes one summary of several that follow each other in the document. */
    async combineSummaries({ summaries, level, index, count }: CombineInput): Promise<string> {
      const step = count === 1 ? 'combine, final' : `combine level ${level}, ${index + 1} of ${count}`;
      return ask.combined(summaries, step);
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
