import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { ExperiencesClient } from '../services/client/index.js';
import { type ByteRange, chunkRanges } from './chunk-ranges.js';
import { keepPaid } from './keep-paid.js';
import { readService } from './read-service.js';
import { SectionPlanner } from './section-planner.js';
import { createSummarizer, type SummarizationDependencies } from './summarization-activities.js';

export interface DocumentDependencies extends SummarizationDependencies {
  /** Asked anew in each activity: it is that of the run's application. */
  readonly client: {
    readonly documents: Pick<ExperiencesClient['documents'], 'read' | 'readText'>;
    readonly runState: Pick<ExperiencesClient['runState'], 'getAnswer' | 'putAnswer'>;
    readonly costs: Pick<ExperiencesClient['costs'], 'get'>;
  };
  /** The task queue of the activities that call the provider; undefined: that of the run. */
  readonly providerTaskQueue: string | undefined;
}

/**
 * What the summary of a stored document is made of. Texts stay out of histories: documents are read by ranges, and each
 * summary is kept under a key of its own, by which the next step finds it. One that is kept is never paid again.
 */
export function createDocumentActivities(dependencies: DocumentDependencies) {
  const { client } = dependencies;
  const ask = createSummarizer(dependencies);

  const askedTimes = new Map<string, number>();
  /** What the experience has cost, without the calls that are still to be recorded: for people only, so now and then. */
  const spentBy = async (experienceId: string): Promise<Spent> => {
    const now = Date.now();
    if (now - (askedTimes.get(experienceId) ?? 0) < SPENT_INTERVAL_MS) return {};
    if (askedTimes.size >= ASKED_TIMES_MAX) askedTimes.clear();
    askedTimes.set(experienceId, now);
    try {
      return { spent: (await client.costs.get(experienceId)).totals.cost.total };
    } catch {
      return {}; // A figure that is missing for a while does no harm; the call that was paid stands.
    }
  };
  /** `isPartial`: without those that are no longer kept. */
  const readKept = async (
    experienceId: string,
    keys: readonly string[],
    isPartial = false,
  ): Promise<readonly string[]> => {
    const texts = await Promise.all(
      keys.map(async (key) => {
        const kept = await client.runState.getAnswer(experienceId, key);
        if (kept !== undefined) return [decode(kept)];
        if (isPartial) return [];
        throw ApplicationFailure.nonRetryable(`The summary ${key} is no longer kept.`, 'SummaryLost');
      }),
    );
    return texts.flat();
  };
  /** Pays for a summary unless it is kept already. */
  const summary = async <Source>(
    target: SummaryTarget,
    read: () => Promise<Source>,
    make: (source: Source) => Promise<string>,
  ): Promise<Spent> => {
    const { experienceId, key } = target;
    const attemptEndMs = Date.now() + Context.current().info.startToCloseTimeoutMs;
    // Together: a summary that is kept already is rare.
    const [kept, source] = await readService(() =>
      Promise.all([client.runState.getAnswer(experienceId, key), read()]),
    );
    if (kept === undefined) {
      const text = (await make(source)).slice(0, SUMMARY_LENGTH_MAX);
      await keepPaid(() => client.runState.putAnswer(experienceId, key, text), attemptEndMs);
    }
    return spentBy(experienceId);
  };

  return {
    /** Cuts a document into sections for workflows of their own; one that is small stays whole. */
    async planDocument({ documentId, chunkTokens, parallelCalls }: PlanDocumentInput): Promise<DocumentPlan> {
      const planner = await readService(() => planOf(client.documents.read(documentId)));
      const chunkCount = planner.chunkCount(chunkTokens);
      const slots = Math.min(parallelCalls, SECTIONS_UNDER_WAY_MAX);
      // Whole rounds of sections, so that none is left over when the others are done.
      const rounds = Math.ceil(chunkCount / CHUNKS_A_SECTION / slots);
      const countMax = chunkCount <= CHUNKS_A_SECTION ? 1 : rounds * slots;
      const { providerTaskQueue } = dependencies;
      return {
        sections: planner.sections(countMax),
        sectionsUnderWay: slots,
        chunkCount,
        ...(providerTaskQueue === undefined ? {} : { providerTaskQueue }),
      };
    },

    /** Where the chunks of a section are. */
    async planSection({ documentId, range, chunkTokens }: PlanSectionInput): Promise<readonly ByteRange[]> {
      const text = await readService(() => client.documents.readText(documentId, range.offset, range.length));
      return chunkRanges(text, chunkTokens, range.offset);
    },

    /** Summarises one chunk of a document. */
    async summarizeRange({ documentId, range, ...target }: SummarizeRangeInput): Promise<Spent> {
      return summary(
        target,
        () => client.documents.readText(documentId, range.offset, range.length),
        (text) => ask.part(text, target.step),
      );
    },

    /** Makes one summary of several that follow each other in the document. */
    async combineKept({ keys, ...target }: CombineKeptInput): Promise<Spent> {
      return summary(
        target,
        () => readKept(target.experienceId, keys),
        (summaries) => ask.combined(summaries, target.step),
      );
    },

    /** What the experience has cost: asked while nothing is under way, so every call is in it. */
    async readSpent({ experienceId }: ReadSpentInput): Promise<Spent> {
      return { spent: (await client.costs.get(experienceId)).totals.cost.total };
    },

    /** The texts of summaries, one after the other: the result of the run. */
    async readSummaries({ experienceId, keys, isPartial }: ReadSummariesInput): Promise<string> {
      return (await readKept(experienceId, keys.slice(0, SUMMARIES_READ_MAX), isPartial))
        .join('\n\n')
        .slice(0, RESULT_LENGTH_MAX);
    },
  };
}

export type DocumentActivities = ReturnType<typeof createDocumentActivities>;

export interface PlanDocumentInput {
  readonly documentId: string;
  readonly chunkTokens: number;
  readonly parallelCalls: number;
}

export interface DocumentPlan {
  readonly sections: readonly ByteRange[];
  /** How many sections are to be under way together. */
  readonly sectionsUnderWay: number;
  /** About how many chunks the document has. */
  readonly chunkCount: number;
  /** Where the activities that call the provider are to be done; absent: where the run is. */
  readonly providerTaskQueue?: string;
}

export interface PlanSectionInput {
  readonly documentId: string;
  readonly range: ByteRange;
  readonly chunkTokens: number;
}

/** Where a summary is kept. */
export interface SummaryTarget {
  readonly experienceId: string;
  readonly key: string;
  /** Name of the step, for people. */
  readonly step: string;
}

export interface SummarizeRangeInput extends SummaryTarget {
  readonly documentId: string;
  readonly range: ByteRange;
}

export interface CombineKeptInput extends SummaryTarget {
  readonly keys: readonly string[];
}

export interface ReadSummariesInput {
  readonly experienceId: string;
  readonly keys: readonly string[];
  /** The budget ended: those that are lost are left out too; absent: all are needed. */
  readonly isPartial?: boolean;
}

export interface ReadSpentInput {
  readonly experienceId: string;
}

export interface Spent {
  /** What the experience has cost so far in USD, a decimal string; absent: not known now. */
  readonly spent?: string;
}

async function planOf(parts: AsyncIterable<Uint8Array>): Promise<SectionPlanner> {
  const planner = new SectionPlanner();
  for await (const part of parts) planner.add(part);
  return planner;
}

function decode(content: Uint8Array): string {
  return new TextDecoder().decode(content);
}

const SPENT_INTERVAL_MS = 1_000;
const ASKED_TIMES_MAX = 1_000;
/** With these a section's history stays below 200 kB. */
const CHUNKS_A_SECTION = 48;
const SECTIONS_UNDER_WAY_MAX = 8;
/** At most 240 KB, less than an answer may have. */
const SUMMARY_LENGTH_MAX = 60_000;
/** Of a partial result; more would not fit into an answer that people read. */
const SUMMARIES_READ_MAX = 1_000;
const RESULT_LENGTH_MAX = 256 * 1024;
