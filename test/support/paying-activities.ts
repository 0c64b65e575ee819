import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { callProvider } from '../../workflows/call-provider.js';
import { streamChat } from '../../workflows/chat-stream.js';
import { ModelClient, type ModelClientOptions } from '../../workflows/model-client.js';
import type { Extractors } from '../../workflows/plugin/worker.js';

export interface Payment {
  /** Of the provider. */
  readonly apiUrl: string;
  /** Under which the test finds its counts. */
  readonly name: string;
  /** How many executions fail after they have paid. */
  readonly failures?: number;
  /** True: it is made by code that knows nothing of the plugin, and metered by an extractor. */
  readonly isPlain?: boolean;
  /** True: the call does not end when its attempt is cancelled. */
  readonly isStubborn?: boolean;
}

/** What the activities of one worker have done, by the payment's name. */
export interface PaymentCounts {
  readonly executions: Map<string, number>;
  readonly texts: Map<string, string>;
}

/**
 * Activities with one call of the real model client each. The prompt has 43 tokens, its answer has 18, and 40 are
 * allowed: of gpt-4o-mini the call costs 0.00001725 dollars, and is estimated at 0.00003045.
 */
export function createPayingActivities(counts: PaymentCounts) {
  const executed = ({ name, failures = 0 }: Payment): { readonly fails: boolean } => {
    const count = (counts.executions.get(name) ?? 0) + 1;
    counts.executions.set(name, count);
    return { fails: count <= failures };
  };
  return {
    async pay(payment: Payment): Promise<string> {
      const { info, cancellationSignal } = Context.current();
      const signal = payment.isStubborn ? new AbortController().signal : cancellationSignal;
      const { fails } = executed(payment);
      const request = { system: SYSTEM, user: USER, maxOutputTokens: OUTPUT_TOKENS_MAX, step: 'pay', signal };
      await callProvider(signal, () => new ModelClient(modelOf(payment)).chat(request));
      if (fails) throw ApplicationFailure.retryable('after the call was paid');
      return `attempt ${info.attempt}`;
    },

    async payPlainly({ apiUrl }: Payment): Promise<unknown> {
      const messages = [
        { role: 'system', content: SYSTEM },
        { role: 'user', content: USER },
      ];
      const response = await fetch(`${apiUrl}/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: MODEL, messages, max_tokens: OUTPUT_TOKENS_MAX }),
      });
      return response.json();
    },

    async payForStream(payment: Payment): Promise<string> {
      const signal = Context.current().cancellationSignal;
      const request = {
        messages: [
          { role: 'system', content: SYSTEM },
          { role: 'user', content: USER },
        ],
        maxOutputTokens: OUTPUT_TOKENS_MAX,
        step: 'pay',
        signal,
        onText: (text: string) => {
          counts.texts.set(payment.name, `${counts.texts.get(payment.name) ?? ''}${text}`);
        },
      } as const;
      return callProvider(signal, () => streamChat(modelOf(payment), request));
    },
  };
}

/** What the plugin knows of the activity that does not know it. */
export const PAYING_EXTRACTORS: Extractors = {
  payPlainly: {
    call: () => ({ provider: 'openai', model: MODEL }),
    estimate: () => ({ units: { text: { input: PROMPT_TOKENS, output: OUTPUT_TOKENS_MAX } } }),
    usage: (result) => {
      const { id, usage } = result as {
        readonly id: string;
        readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
      };
      const units = { text: { input: usage.prompt_tokens, output: usage.completion_tokens } };
      return [{ provider: 'openai', model: MODEL, units, providerResponseId: id, httpStatusCode: 200 }];
    },
  },
};

export type PayingActivities = ReturnType<typeof createPayingActivities>;

function modelOf({ apiUrl }: Payment): ModelClientOptions {
  return { baseUrl: apiUrl, apiKey: undefined, model: MODEL, provider: 'openai' };
}

const SYSTEM = 'Answer in one sentence.';
const USER =
  'The capital of France is Paris, on the river Seine, and has two million people.\n\nQuestion: What is the capital of France?';
const MODEL = 'gpt-4o-mini';
const PROMPT_TOKENS = 43;
const OUTPUT_TOKENS_MAX = 40;
