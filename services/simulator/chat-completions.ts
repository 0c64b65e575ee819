import { createHash } from 'node:crypto';
import type { Answer, StreamEvent } from './answer.js';
import { type ChatRequest, parseChatRequest } from './chat-request.js';
import { conversationAnswer } from './conversation-answer.js';
import type { Endpoint } from './model-call.js';
import { type Model, resolveModel } from './models.js';
import type { PrefixCache } from './prefix-cache.js';
import { contextTooLong, modelNotFound, Refusal } from './refusal.js';
import { chatPromptTokens } from './token-counts.js';
import { loadTokenEncoding, type TokenPiece } from './token-encoding.js';

export interface ChatCompletionsWorld {
  readonly prefixes: PrefixCache;
  readonly now: () => number;
  readonly newCompletionId: () => string;
}

/** `POST /v1/chat/completions`. */
export function createChatCompletions(world: ChatCompletionsWorld): Endpoint {
  return {
    name: 'chat.completions',
    parse(body) {
      const request = parseChatRequest(body);
      const model = resolveModel(request.model);
      if (model === undefined) throw modelNotFound();
      if (model.kind !== 'chat') {
        throw new Refusal(404, 'This is not a chat model and thus not supported here.', { param: 'model' });
      }
      return {
        requestedModel: request.model,
        model,
        stream: request.stream,
        work: async ({ usageOmitted }) =>
          toAnswer(await complete(request, model, world), request, usageOmitted),
      };
    },
  };
}

interface Completion {
  readonly id: string;
  readonly createdSeconds: number;
  readonly model: string;
  readonly pieces: readonly TokenPiece[];
  readonly finishReason: 'stop' | 'length';
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

async function complete(
  request: ChatRequest,
  model: Model,
  { prefixes, now, newCompletionId }: ChatCompletionsWorld,
): Promise<Completion> {
  const encoding = await loadTokenEncoding(model.encoding);
  const prompt = chatPromptTokens(request.messages, request.tools, encoding, model.contextTokensMax);
  if (prompt.length > model.contextTokensMax) throw contextTooLong(model.contextTokensMax, 'messages');
  const whole = encoding.pieces(conversationAnswer(request.messages));
  const pieces = firstTokens(whole, request.completionTokensMax ?? Number.POSITIVE_INFINITY);
  return {
    id: newCompletionId(),
    createdSeconds: Math.floor(now() / 1000),
    model: model.name,
    pieces,
    finishReason: pieces.length < whole.length ? 'length' : 'stop',
    promptTokens: prompt.length,
    cachedTokens: model.cachesPrompts ? prefixes.recall(model.name, prompt) : 0,
    completionTokens: pieces.reduce((sum, { tokens }) => sum + tokens, 0),
  };
}

/** Whole characters only, so it may stay a token or two below the maximum. */
function firstTokens(pieces: readonly TokenPiece[], tokensMax: number): readonly TokenPiece[] {
  let sum = 0;
  const over = pieces.findIndex(({ tokens }) => {
    sum += tokens;
    return sum > tokensMax;
  });
  return over === -1 ? pieces : pieces.slice(0, over);
}

function toAnswer(completion: Completion, request: ChatRequest, usageOmitted: boolean): Answer {
  const { id, promptTokens, cachedTokens, completionTokens } = completion;
  return {
    responseId: id,
    promptTokens,
    cachedTokens,
    completionTokens,
    content: request.stream
      ? { kind: 'stream', events: toWireChunks(completion, request.includeUsage, usageOmitted) }
      : { kind: 'json', body: toWireCompletion(completion, usageOmitted) },
  };
}

/** https://platform.openai.com/docs/api-reference/chat/object */
function toWireCompletion(completion: Completion, usageOmitted: boolean): object {
  const content = completion.pieces.map(({ text }) => text).join('');
  return {
    id: completion.id,
    object: 'chat.completion',
    created: completion.createdSeconds,
    model: completion.model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content, refusal: null, annotations: [] },
        logprobs: null,
        finish_reason: completion.finishReason,
      },
    ],
    ...(usageOmitted ? {} : { usage: toWireUsage(completion) }),
    service_tier: 'default',
    system_fingerprint: fingerprint(completion.model),
  };
}

/**
 * https://platform.openai.com/docs/api-reference/chat-streaming: with `include_usage` every chunk has a `usage`, null but
 * on an additional last one, which has no choices.
 */
function toWireChunks(
  completion: Completion,
  includeUsage: boolean,
  usageOmitted: boolean,
): readonly StreamEvent[] {
  const head = {
    id: completion.id,
    object: 'chat.completion.chunk',
    created: completion.createdSeconds,
    model: completion.model,
    service_tier: 'default',
    system_fingerprint: fingerprint(completion.model),
  };
  const noUsage = includeUsage ? { usage: null } : {};
  function chunk(delta: object, finishReason: string | null, tokens: number): StreamEvent {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason: finishReason }];
    return { data: { ...head, choices, ...noUsage }, tokens };
  }
  const events = [
    chunk({ role: 'assistant', content: '', refusal: null }, null, 0),
    ...completion.pieces.map(({ text, tokens }) => chunk({ content: text }, null, tokens)),
    chunk({}, completion.finishReason, 0),
  ];
  if (includeUsage && !usageOmitted) {
    events.push({ data: { ...head, choices: [], usage: toWireUsage(completion) }, tokens: 0 });
  }
  return events;
}

function toWireUsage({ promptTokens, cachedTokens, completionTokens }: Completion): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

const FINGERPRINT_DIGITS = 10;

/** The same for a model as long as the simulator answers alike. */
function fingerprint(model: string): string {
  return `fp_${createHash('sha256').update(model).digest('hex').slice(0, FINGERPRINT_DIGITS)}`;
}
