import {
  ApplicationFailure,
  allHandlersFinished,
  ChildWorkflowCancellationType,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  executeChild,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  BUDGET_RAISED_SIGNAL,
  type BudgetRaise,
  experienceIdOfRun,
  PROGRESS_QUERY,
  RAISE_BUDGET_UPDATE,
  type RunDocument,
  type RunInput,
  type RunProgress,
} from '../services/domain/run.js';
import { boundedMap } from './bounded-map.js';
import { BudgetGate } from './budget-gate.js';
import type { DocumentPlan, Spent } from './document-activities.js';
import {
  documentSection,
  type SectionResult,
  sectionPaused,
  sectionRaised,
  sectionStopped,
} from './document-section.js';
import { type InlineRunInput, inlineSummarization } from './inline-summarization.js';
import { parseParameters, type SummarizationParameters } from './summarization-parameters.js';
import { combineCount } from './summary-groups.js';
import {
  combineSummaries,
  keyOf,
  planDocument,
  planSection,
  readSpent,
  readSummaries,
  type SummaryCalls,
  type SummaryNode,
  summarizeChunks,
} from './summary-tree.js';

export interface DocumentSummary {
  /** Of a partial result: the summaries that were made, in the order of the document. */
  readonly summary: string;
  /** Parts that the document was split into. */
  readonly chunkCount: number;
  /** Levels of summaries of summaries. */
  readonly levelCount: number;
  /** True: the budget ended, and nobody raised it in time. */
  readonly partial?: true;
}

/**
 * Summarises a stored document: splits it at paragraphs, summarises the parts side by side, combines neighbouring summaries
 * level by level until one is left. Each model call is an activity of its own, whose answer is kept outside of the history.
 * A large document is summarised by sections, each a child workflow. When the budget is used up the run waits for a higher
 * one.
 */
export async function documentSummarization(input: RunInput | InlineRunInput): Promise<DocumentSummary> {
  const { document } = input;
  if (document !== undefined && 'text' in document) return inlineSummarization({ ...input, document });
  if (document === undefined || document.sizeBytes === 0)
    throw ApplicationFailure.nonRetryable('There is no document to summarise.', 'EmptyDocument');
  return new Summarization(document, parseParameters(input.parameters)).run();
}

class Summarization {
  readonly #document: RunDocument;
  readonly #parameters: SummarizationParameters;
  readonly #experienceId = experienceIdOfRun(workflowInfo().workflowId);
  readonly #gate: BudgetGate;
  readonly #sectionsUnderWay = new Set<number>();
  /** Those of them whose calls are refused. */
  readonly #sectionsPaused = new Set<number>();
  #progress: RunProgress = { phase: 'split', completedSteps: 0, totalSteps: 0 };
  #spent: string | undefined;

  constructor(document: RunDocument, parameters: SummarizationParameters) {
    this.#document = document;
    this.#parameters = parameters;
    this.#gate = new BudgetGate({
      timeoutMs: parameters.pauseTimeoutSeconds * 1_000,
      onChange: () => this.#gateChanged(),
    });
    setHandler(defineQuery<RunProgress>(PROGRESS_QUERY), () => this.#shownProgress());
    setHandler(defineSignal<[BudgetRaise]>(BUDGET_RAISED_SIGNAL), () => this.#gate.raise());
    setHandler(
      defineUpdate<{ readonly wasPaused: boolean }, [BudgetRaise]>(RAISE_BUDGET_UPDATE),
      () => {
        const wasPaused = this.#gate.isPaused;
        this.#gate.raise();
        return { wasPaused };
      },
      {
        validator: (raise) => {
          if (typeof raise?.maxCost === 'string' && AMOUNT.test(raise.maxCost)) return;
          throw ApplicationFailure.nonRetryable('maxCost must be an amount in USD.', 'BadAmount');
        },
      },
    );
    setHandler(sectionPaused, ({ index, raises, spent }) => {
      this.#spent = spent ?? this.#spent;
      // It was refused before it heard of the last raise.
      if (raises < this.#gate.raises) this.#tell(index);
      else this.#sectionsPaused.add(index);
      // As long as one goes on there may be something left.
      if (this.#sectionsPaused.size >= this.#sectionsUnderWay.size) this.#gate.pause(raises);
    });
  }

  async run(): Promise<DocumentSummary> {
    const { documentId } = this.#document;
    const { chunkTokens, parallelCalls } = this.#parameters;
    const plan = await planDocument({ documentId, chunkTokens, parallelCalls });
    const calls = this.#callsOf(plan);
    const { nodes, chunkCount, levelCount } =
      plan.sections.length === 1 ? await this.#summarizeWhole(calls) : await this.#summarizeSections(plan);
    if (nodes.length > 1) this.#show('combine');
    const top = await combineSummaries(nodes, calls, true);
    if (top.nodes.length === 0 && !this.#gate.isStopped)
      throw ApplicationFailure.nonRetryable('There is no document to summarise.', 'EmptyDocument');

    const summary =
      top.nodes.length === 0
        ? ''
        : await readSummaries({
            experienceId: this.#experienceId,
            keys: top.nodes.map(keyOf),
            ...(this.#gate.isStopped ? { isPartial: true } : {}),
          });
    this.#show('done');
    await condition(allHandlersFinished);
    return {
      summary,
      chunkCount,
      levelCount: levelCount + top.levelCount,
      ...(this.#gate.isStopped ? { partial: true } : {}),
    };
  }

  /** The chunks of a document that one history holds. */
  async #summarizeWhole(calls: SummaryCalls): Promise<Summarized> {
    const { sizeBytes, documentId } = this.#document;
    const { chunkTokens, fanIn } = this.#parameters;
    const chunks = await planSection({ documentId, range: { offset: 0, length: sizeBytes }, chunkTokens });
    this.#progress = {
      phase: 'summarise',
      completedSteps: 0,
      totalSteps: chunks.length + combineCount(chunks.length, fanIn),
    };
    return { nodes: await summarizeChunks(chunks, calls), chunkCount: chunks.length, levelCount: 0 };
  }

  async #summarizeSections(plan: DocumentPlan): Promise<Summarized> {
    const { sections } = plan;
    const { fanIn } = this.#parameters;
    const chunksEach = Math.ceil(plan.chunkCount / sections.length);
    const stepsEach = chunksEach + combineCount(chunksEach, fanIn);
    this.#progress = {
      phase: 'summarise',
      completedSteps: 0,
      totalSteps: sections.length * stepsEach + combineCount(sections.length, fanIn),
    };
    const shares = sharesOf(this.#parameters.parallelCalls, plan.sectionsUnderWay);
    const results = await boundedMap(sections, shares.length, async (_range, index) => {
      const share = shares.shift() ?? 1;
      try {
        const result = await this.#summarizeSection(plan, index, share);
        this.#spent = result.spent ?? this.#spent;
        this.#advance(result.callCount, result.callCount - stepsEach);
        return result;
      } finally {
        shares.push(share);
      }
    });
    return {
      nodes: results.flatMap(({ nodes }) => nodes),
      chunkCount: results.reduce((sum, result) => sum + result.chunkCount, 0),
      levelCount: Math.max(...results.map((result) => result.levelCount)),
    };
  }

  async #summarizeSection(plan: DocumentPlan, index: number, parallelCalls: number): Promise<SectionResult> {
    const range = plan.sections[index];
    if (range === undefined) throw new Error('every section has a range');
    // It would find the budget ended with its first call, and its part of the document is left out either way.
    if (this.#gate.isStopped) return NOTHING;
    this.#sectionsUnderWay.add(index);
    try {
      return await executeChild(documentSection, {
        workflowId: sectionWorkflowId(index),
        args: [
          {
            experienceId: this.#experienceId,
            documentId: this.#document.documentId,
            range,
            index,
            count: plan.sections.length,
            parameters: { ...this.#parameters, parallelCalls },
            raises: this.#gate.raises,
            ...(plan.providerTaskQueue === undefined ? {} : { providerTaskQueue: plan.providerTaskQueue }),
          },
        ],
        staticSummary: `Section ${index + 1} of ${plan.sections.length}`,
        // A cancelled section tells what it spent before the run ends; one that outlived its run would go on spending.
        cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      });
    } finally {
      this.#sectionsUnderWay.delete(index);
      // What its calls held and did not cost is left for the others: they try again.
      if (this.#sectionsPaused.size > 0 && !this.#gate.isStopped) this.#gate.raise();
    }
  }

  #callsOf({ providerTaskQueue }: DocumentPlan): SummaryCalls {
    return {
      ...this.#parameters,
      experienceId: this.#experienceId,
      documentId: this.#document.documentId,
      providerTaskQueue,
      stepSuffix: '',
      gate: this.#gate,
      onCall: ({ spent }: Spent) => {
        this.#spent = spent ?? this.#spent;
        this.#advance(1, 0);
      },
    };
  }

  #gateChanged(): void {
    if (this.#gate.isStopped || !this.#gate.isPaused) {
      this.#sectionsPaused.clear();
      for (const index of this.#sectionsUnderWay) this.#tell(index);
    } else {
      void this.#updateSpent();
    }
    this.#showDetails();
  }

  /** The last calls, and those of sections, are not in what is known when the run pauses. */
  async #updateSpent(): Promise<void> {
    try {
      const { spent } = await readSpent({ experienceId: this.#experienceId });
      this.#spent = spent ?? this.#spent;
      this.#showDetails();
    } catch {
      // The figure shown stays an older one.
    }
  }

  /** Tells a section how the budget stands. One that ends meanwhile need not know. */
  #tell(index: number): void {
    const section = getExternalWorkflowHandle(sectionWorkflowId(index));
    const told = this.#gate.isStopped
      ? section.signal(sectionStopped)
      : section.signal(sectionRaised, this.#gate.raises);
    told.catch(() => undefined);
  }

  #advance(completedSteps: number, moreSteps: number): void {
    const { phase, ...counts } = this.#progress;
    this.#progress = {
      phase,
      completedSteps: counts.completedSteps + completedSteps,
      totalSteps: Math.max(counts.completedSteps + completedSteps, counts.totalSteps + moreSteps),
    };
    this.#showDetails();
  }

  #show(phase: string): void {
    this.#progress = { ...this.#progress, phase };
    this.#showDetails();
  }

  #shownProgress(): RunProgress {
    return this.#gate.isPaused && !this.#gate.isStopped
      ? { ...this.#progress, phase: PAUSED_PHASE }
      : this.#progress;
  }

  /** For Temporal's own UI. It adds nothing to the history. */
  #showDetails(): void {
    const { phase, completedSteps, totalSteps } = this.#shownProgress();
    setCurrentDetails(`**$${this.#spent ?? '0'}** · ${phase}, ${completedSteps} of ${totalSteps} calls`);
  }
}

interface Summarized {
  readonly nodes: readonly SummaryNode[];
  readonly chunkCount: number;
  readonly levelCount: number;
}

/** How many calls each of the sections under way may have under way, together the run's. */
function sharesOf(parallelCalls: number, sectionsUnderWay: number): number[] {
  const count = Math.max(1, Math.min(parallelCalls, sectionsUnderWay));
  return Array.from(
    { length: count },
    (_, index) => Math.floor(parallelCalls / count) + (index < parallelCalls % count ? 1 : 0),
  );
}

function sectionWorkflowId(index: number): string {
  return `${workflowInfo().workflowId}/section/${index}`;
}

const NOTHING: SectionResult = { nodes: [], chunkCount: 0, levelCount: 0, callCount: 0 };
const PAUSED_PHASE = 'paused: budget';
const AMOUNT = /^\d{1,20}(\.\d{1,18})?$/;
