import { CompleteAsyncError, Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { AttributionHeader } from '../../services/domain/attribution-header.js';
import { currentScope } from '../../workflows/plugin/metering-scope.js';
import { metered, settleLater } from '../../workflows/plugin/worker.js';

export type Told = AttributionHeader | null;

export interface Spending {
  /** Under which the test finds its gate and counts. */
  readonly name: string;
  /** Attempts that fail after they have paid. */
  readonly failedAttempts?: number;
  /** True: the answer's usage is never known. */
  readonly unreported?: boolean;
  /** True: nothing reaches the provider, and the attempt fails for good. */
  readonly unsent?: boolean;
  /** True: it waits, inside of the paid call, until it is cancelled. */
  readonly untilCancelled?: boolean;
}

/** What a test does while a call is paid, and how often one was. */
export class Spendings {
  readonly paid = new Map<string, number>();
  readonly during = new Map<string, () => Promise<void>>();
  readonly tokens: { taskToken: Uint8Array; call: string }[] = [];
}

export function createMeteredActivities(spendings: Spendings) {
  return {
    async whoAmI(): Promise<Told> {
      return currentScope()?.attempt.attribution ?? null;
    },

    /** 1,000 tokens read and 500 written of gpt-4o-mini: 0.00045 dollars. */
    async spend(spending: Spending): Promise<string> {
      const { name, failedAttempts = 0, unreported, unsent, untilCancelled } = spending;
      const { info, cancellationSignal } = Context.current();
      return metered({ provider: 'openai', model: 'gpt-4o-mini' }, { units: ESTIMATE }, async (report) => {
        if (unsent) {
          report({ nothingSpent: true });
          throw ApplicationFailure.nonRetryable('nobody listens');
        }
        spendings.paid.set(name, (spendings.paid.get(name) ?? 0) + 1);
        await spendings.during.get(name)?.();
        if (!unreported) report({ units: UNITS, providerResponseId: `answer-${info.attempt}` });
        if (untilCancelled) {
          await new Promise((resolve) => cancellationSignal.addEventListener('abort', resolve));
          throw new CancelledFailure('cancelled');
        }
        if (info.attempt <= failedAttempts) throw ApplicationFailure.retryable('after the call was paid');
        return `attempt ${info.attempt}`;
      });
    },

    /** Its first attempt tells how far it has come, works on for longer than heartbeats are apart, and fails. */
    async resume(): Promise<unknown> {
      const context = Context.current();
      if (context.info.attempt > 1) return context.info.heartbeatDetails;
      context.heartbeat({ page: 7 });
      await context.sleep(2_500);
      throw ApplicationFailure.retryable('after page 7');
    },

    async completeElsewhere(): Promise<string> {
      const call = await settleLater({ provider: 'openai', model: 'gpt-4o-mini' }, { units: ESTIMATE });
      spendings.tokens.push({ taskToken: Context.current().info.taskToken, call });
      throw new CompleteAsyncError();
    },

    // As other packages' activities are called, with results of their shape.
    async invokeModel(_input: unknown): Promise<unknown> {
      return {
        content: [{ type: 'text', text: 'Hello' }],
        usage: {
          inputTokens: { total: 120, noCache: 90, cacheRead: 20, cacheWrite: 10 },
          outputTokens: { total: 7, text: 7, reasoning: 0 },
        },
        response: { id: 'resp-1', modelId: 'gpt-4o-mini-2024-07-18' },
      };
    },
    async invokeModelStreamActivity(_input: unknown): Promise<unknown> {
      return [
        { type: 'output_text_delta', delta: 'Hello' },
        {
          type: 'response_done',
          response: {
            id: 'resp-2',
            usage: { inputTokens: 50, outputTokens: 5, inputTokensDetails: [{ cached_tokens: 30 }] },
          },
        },
      ];
    },
    async invokeEmbeddingModel(_input: unknown): Promise<unknown> {
      return { embeddings: [[0.5]], usage: { tokens: 3 } };
    },
  };
}

export type MeteredActivities = ReturnType<typeof createMeteredActivities>;

/** What a call is estimated at: 0.00075 dollars. */
const ESTIMATE = { text: { input: 1_000, output: 1_000 } };
const UNITS = { text: { input: 1_000, output: 500 } };
