import { defineSignal, getExternalWorkflowHandle, setHandler, workflowInfo } from '@temporalio/workflow';
import { BUDGET_RAISED_SIGNAL } from '../services/domain/run.js';
import { BudgetGate } from './budget-gate.js';
import type { ByteRange } from './chunk-ranges.js';
import type { SummarizationParameters } from './summarization-parameters.js';
import { combineSummaries, planSection, type SummaryNode, summarizeChunks } from './summary-tree.js';

export interface SectionInput {
  readonly experienceId: string;
  readonly documentId: string;
  readonly range: ByteRange;
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** Those of the run, but with this section's share of the parallel calls. */
  readonly parameters: SummarizationParameters;
  readonly providerTaskQueue?: string;
  /** How often the run's budget was raised before. */
  readonly raises: number;
}

export interface SectionResult {
  /** One unless the budget ended, in the order of the document. */
  readonly nodes: readonly SummaryNode[];
  readonly chunkCount: number;
  readonly levelCount: number;
  /** Paid calls that were made. */
  readonly callCount: number;
  readonly spent?: string;
}

/** To a section: the budget was raised, so many times in all. */
export const sectionRaised = defineSignal<[raises: number]>(BUDGET_RAISED_SIGNAL);
/** To a section: nobody raised the budget in time. */
export const sectionStopped = defineSignal('budgetEnded');
/** From a section to its run: its calls are refused. */
export const sectionPaused = defineSignal<[SectionPause]>('sectionPaused');

export interface SectionPause {
  readonly index: number;
  /** How many raises it knew of. */
  readonly raises: number;
  readonly spent?: string;
}

/** Summarises a section of a document in a history of its own, as a child of documentSummarization. */
export async function documentSection(input: SectionInput): Promise<SectionResult> {
  const { range, index, count, parameters } = input;
  const run = workflowInfo().parent;
  let callCount = 0;
  let spent: string | undefined;
  const gate: BudgetGate = new BudgetGate({
    raises: input.raises,
    onChange() {
      if (!gate.isPaused || run === undefined || gate.isStopped) return;
      // Should the run have ended by now, it has cancelled this section too.
      const pause = { index, raises: gate.raises, ...(spent === undefined ? {} : { spent }) };
      getExternalWorkflowHandle(run.workflowId)
        .signal(sectionPaused, pause)
        .catch(() => undefined);
    },
  });
  setHandler(sectionRaised, (raises) => gate.raise(raises));
  setHandler(sectionStopped, () => gate.stop());

  const calls = {
    ...input,
    ...parameters,
    providerTaskQueue: input.providerTaskQueue,
    stepSuffix: `, section ${index + 1} of ${count}`,
    gate,
    onCall(result: { readonly spent?: string }) {
      callCount += 1;
      spent = result.spent ?? spent;
    },
  };
  const chunks = await planSection({
    documentId: input.documentId,
    range,
    chunkTokens: parameters.chunkTokens,
  });
  const { nodes, levelCount } = await combineSummaries(await summarizeChunks(chunks, calls), calls, false);
  return {
    nodes,
    levelCount,
    callCount,
    chunkCount: chunks.length,
    ...(spent === undefined ? {} : { spent }),
  };
}
