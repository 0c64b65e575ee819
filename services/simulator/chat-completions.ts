import { createHash } from 'node:crypto';
import type { Answer, StreamEvent } from './answer.js';
import { type ChatRequest, parseChatRequest } from './chat-request.js';
import { type Completion, complete, nameTokensOf, textOf } from './completion.js';
import type { CompletionWorld } from './completion-world.js';
import type { Endpoint } from './model-call.js';
import { chatModel, type Model } from './models.js';

/** `POST /v1/chat/completions`. */
export function createChatCompletions(world: CompletionWorld): Endpoint {
  return {
    name: 'chat.completions',
    dialect: 'openai',
    parse(body) {
      const request = parseChatRequest(body);
      const model = chatModel(request.model);
      return {
        requestedModel: request.model,
        model,
        stream: request.stream,
        work: async ({ usageOmitted }) =>
          toAnswer(await completeChat(request, model, world), request, usageOmitted),
      };
    },
  };
}

/** A completion and what its answer says around it. */
interface ChatCompletion extends Completion {
  readonly id: string;
  readonly callId: string;
  readonly createdSeconds: number;
  readonly model: string;
  readonly cachedTokens: number;
}

async function completeChat(
  request: ChatRequest,
  model: Model,
  { prefixes, now, newId }: CompletionWorld,
): Promise<ChatCompletion> {
  const completion = await complete(request, model, 'messages');
  return {
    ...completion,
    id: newId('chatcmpl-'),
    callId: newId('call_'),
    createdSeconds: Math.floor(now() / 1000),
    model: model.name,
    cachedTokens: model.cachesPrompts ? prefixes.recall(model.name, completion.prompt) : 0,
  };
}

function toAnswer(completion: ChatCompletion, request: ChatRequest, usageOmitted: boolean): Answer {
  const { id, prompt, cachedTokens, completionTokens } = completion;
  return {
    responseId: id,
    promptTokens: prompt.length,
    cachedTokens,
    completionTokens,
    content: request.stream
      ? {
          kind: 'stream',
          events: toWireChunks(completion, request.includeUsage, usageOmitted),
          doneMark: true,
        }
      : { kind: 'json', body: toWireCompletion(completion, usageOmitted) },
  };
}

/** https://platform.openai.com/docs/api-reference/chat/object */
function toWireCompletion(completion: ChatCompletion, usageOmitted: boolean): object {
  return {
    id: completion.id,
    object: 'chat.completion',
    created: completion.createdSeconds,
    model: completion.model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', ...toWireMessage(completion), refusal: null, annotations: [] },
        logprobs: null,
        finish_reason: FINISH_REASONS[completion.end],
      },
    ],
    ...(usageOmitted ? {} : { usage: toWireUsage(completion) }),
    service_tier: 'default',
    system_fingerprint: fingerprint(completion.model),
  };
}

const FINISH_REASONS = { stop: 'stop', length: 'length', tool: 'tool_calls' } as const;

function toWireMessage(completion: ChatCompletion): object {
  const text = textOf(completion);
  const { callId, toolName } = completion;
  if (toolName === undefined) return { content: text };
  const call = { id: callId, type: 'function', function: { name: toolName, arguments: text } };
  return { content: null, tool_calls: [call] };
}

/**
 * https://platform.openai.com/docs/api-reference/chat-streaming: with `include_usage` every chunk has a `usage`, null but
 * on an additional last one, which has no choices.
 */
function toWireChunks(
  completion: ChatCompletion,
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
  const { callId, toolName, pieces } = completion;
  const call = { id: callId, type: 'function', function: { name: toolName, arguments: '' } };
  const opening =
    toolName === undefined ? { content: '' } : { content: null, tool_calls: [{ index: 0, ...call }] };
  function delta(text: string): object {
    return toolName === undefined
      ? { content: text }
      : { tool_calls: [{ index: 0, function: { arguments: text } }] };
  }
  const events = [
    chunk({ role: 'assistant', ...opening, refusal: null }, null, nameTokensOf(completion)),
    ...pieces.map(({ text, tokens }) => chunk(delta(text), null, tokens)),
    chunk({}, FINISH_REASONS[completion.end], 0),
  ];
  if (includeUsage && !usageOmitted) {
    events.push({ data: { ...head, choices: [], usage: toWireUsage(completion) }, tokens: 0 });
  }
  return events;
}

function toWireUsage({ prompt, cachedTokens, completionTokens }: ChatCompletion): object {
  return {
    prompt_tokens: prompt.length,
    completion_tokens: completionTokens,
    total_tokens: prompt.length + completionTokens,
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
