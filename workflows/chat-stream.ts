import { createParser } from 'eventsource-parser';
import { z } from 'zod';
import { canonicalUnits, type Units } from '../services/domain/units.js';
import { unitsOfOpenAiUsage } from '../services/providers/openai-usage.js';
import { estimateTokenCount } from './estimate-token-count.js';
import {
  ANSWER_BYTES_MAX,
  type CallFacts,
  isUnsent,
  type ModelClientOptions,
  NONE,
  networkFailure,
  outcomeOf,
  outputSettings,
  outputTokensMax,
  ProviderFailure,
  parseJson,
  promptTokens,
  REQUEST_TIME_MAX_MS,
  refusal,
  TEXT,
  usageOf,
} from './model-client.js';
import { metered } from './plugin/metered.js';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface ChatStreamRequest {
  readonly messages: readonly ChatMessage[];
  readonly maxOutputTokens: number;
  /** Name of the step, for people. */
  readonly step: string;
  readonly signal: AbortSignal;
  /** Told each piece of the answer as it arrives; together they are the answer. */
  readonly onText: (text: string) => void;
}

/**
 * Asks for a chat completion as server-sent events, and answers its whole text. One call is one request: nothing is
 * retried here. Throws {@link ProviderFailure}; in either case reports what was spent: what the last chunk says of usage,
 * or, of a stream that was cut before it, the prompt and the text that had arrived, estimated.
 */
export async function streamChat(options: ModelClientOptions, request: ChatStreamRequest): Promise<string> {
  const { provider, model } = options;
  const input = promptTokenCount(request.messages);
  const estimate = { units: { text: { input, output: outputTokensMax(model, request.maxOutputTokens) } } };
  return metered({ provider, model, step: request.step }, estimate, (report) =>
    ask(options, request, (facts) => report(usageOf(facts))),
  );
}

/** Tells `report` what was spent, whichever way it ends. */
async function ask(
  options: ModelClientOptions,
  request: ChatStreamRequest,
  report: (facts: CallFacts) => void,
): Promise<string> {
  let response: Response;
  try {
    response = await send(options, request);
  } catch (error) {
    report({ outcome: outcomeOf(error, request.signal), unitsBasis: 'unknown', isUnsent: isUnsent(error) });
    throw networkFailure(error);
  }
  const facts = { status: response.status, requestId: response.headers.get('x-request-id') ?? undefined };
  if (!response.ok) {
    report({ outcome: 'FAILED', ...facts, ...NONE });
    await response.body?.cancel().catch(() => undefined); // What it says beside its status is not used.
    throw refusal(response);
  }

  const answer = new StreamedAnswer(request.onText);
  try {
    await answer.read(response);
  } catch (error) {
    report({ outcome: outcomeOf(error, request.signal), ...facts, ...answer.facts(request) });
    throw networkFailure(error);
  }
  const failure = answer.failure();
  report({ outcome: failure === undefined ? 'SUCCEEDED' : 'FAILED', ...facts, ...answer.facts(request) });
  if (failure !== undefined) throw failure;
  return answer.text;
}

async function send(
  { baseUrl, apiKey, model }: ModelClientOptions,
  { messages, maxOutputTokens, signal }: ChatStreamRequest,
): Promise<Response> {
  return fetch(`${baseUrl.replace(/\/+$/, '')}/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
    },
    body: JSON.stringify({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
      ...outputSettings(model, maxOutputTokens),
    }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIME_MAX_MS)]),
  });
}

/** What has arrived of a streamed answer. Source: OpenAI API reference, "The chat completion chunk object". */
class StreamedAnswer {
  text = '';
  readonly #onText: (text: string) => void;
  #model: string | undefined;
  #responseId: string | undefined;
  #units: Units | undefined;
  #finished = false;
  #foreign = false;

  constructor(onText: (text: string) => void) {
    this.#onText = onText;
  }

  async read(response: Response): Promise<void> {
    const parser = createParser({ onEvent: ({ data }) => this.#take(data) });
    const decoder = new TextDecoder();
    let bytes = 0;
    for await (const part of response.body ?? []) {
      bytes += part.length;
      if (bytes > ANSWER_BYTES_MAX) throw new RangeError('the answer is larger than it may be');
      parser.feed(decoder.decode(part, { stream: true }));
    }
  }

  /** What is known of the call however far it came. */
  facts({ messages }: ChatStreamRequest): Pick<CallFacts, 'units' | 'unitsBasis' | 'model' | 'responseId'> {
    const known = { model: this.#model, responseId: this.#responseId };
    if (this.#units !== undefined) return { ...known, units: this.#units, unitsBasis: 'reported' };
    // Its end is missing: the prompt was read, and what arrived was written.
    const input = BigInt(promptTokenCount(messages));
    const output = BigInt(estimateTokenCount(this.text));
    return { ...known, units: canonicalUnits(new Map([[TEXT, { input, output }]])), unitsBasis: 'estimated' };
  }

  failure(): ProviderFailure | undefined {
    if (!this.#finished) {
      const what = this.#foreign ? 'something that is no chat completion' : 'an answer without an end';
      return new ProviderFailure('ProviderUnavailable', `The provider sent ${what}.`, { retryable: true });
    }
    if (this.text !== '') return undefined;
    const message = 'The provider sent an answer without text.';
    return new ProviderFailure('ProviderAnswerInvalid', message, { retryable: true });
  }

  #take(data: string): void {
    if (data === '[DONE]') return;
    const chunk = CHUNK.safeParse(parseJson(data));
    if (!chunk.success) {
      this.#foreign = true;
      return;
    }
    this.#model ??= chunk.data.model;
    this.#responseId ??= chunk.data.id;
    this.#units = unitsOfOpenAiUsage(chunk.data.usage) ?? this.#units;
    const [choice] = chunk.data.choices;
    if (typeof choice?.finish_reason === 'string') this.#finished = true;
    const text = choice?.delta?.content ?? '';
    if (text === '') return;
    this.text += text;
    this.#onText(text);
  }
}

function promptTokenCount(messages: readonly ChatMessage[]): number {
  return promptTokens(messages.map(({ content }) => content));
}

/** Only what is used; the chunk with the usage has no choices. */
const CHUNK = z.object({
  id: z.string().optional().catch(undefined),
  model: z.string().optional().catch(undefined),
  choices: z.array(
    z.object({
      delta: z.object({ content: z.string().nullish() }).nullish(),
      finish_reason: z.string().nullish(),
    }),
  ),
  usage: z.unknown().optional(),
});
