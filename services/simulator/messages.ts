import type { Answer, StreamEvent } from './answer.js';
import { type Completion, complete, nameTokensOf, textOf } from './completion.js';
import type { CompletionWorld } from './completion-world.js';
import type { CachedTokens, MarkedPrefixCache } from './marked-prefix-cache.js';
import { type MessagesRequest, parseMessagesRequest } from './messages-request.js';
import type { Endpoint } from './model-call.js';
import { chatModel, type Model } from './models.js';
import { promptPrefixTokens } from './token-counts.js';
import { loadTokenEncoding } from './token-encoding.js';

export interface MessagesWorld extends Pick<CompletionWorld, 'newId'> {
  readonly markedPrefixes: MarkedPrefixCache;
}

/**
 * Anthropic's `POST /v1/messages`: https://docs.anthropic.com/en/api/messages. Its tokenizer is not public; tokens are
 * counted as those of OpenAI's models.
 */
export function createMessages(world: MessagesWorld): Endpoint {
  return {
    name: 'messages',
    dialect: 'anthropic',
    parse(body) {
      const request = parseMessagesRequest(body);
      const model = chatModel(request.model);
      return {
        requestedModel: request.model,
        model,
        stream: request.stream,
        work: ({ usageOmitted }) => write(request, model, world, usageOmitted),
      };
    },
  };
}

async function write(
  request: MessagesRequest,
  model: Model,
  { markedPrefixes, newId }: MessagesWorld,
  usageOmitted: boolean,
): Promise<Answer> {
  const completion = await complete(request, model, 'messages');
  const encoding = await loadTokenEncoding(model.encoding);
  const lengths = request.cachedPrefixes.map((count) =>
    promptPrefixTokens(request.messages.slice(0, count), request.toolsText, encoding, model.contextTokensMax),
  );
  const cached = markedPrefixes.recall(model.name, completion.prompt, lengths);
  const usage = toWireUsage(completion, cached, request.cachesForAnHour);
  const message = {
    id: newId('msg_'),
    type: 'message',
    role: 'assistant',
    model: model.name,
    toolUseId: newId('toolu_'),
    ...(usageOmitted ? {} : { usage }),
  };
  return {
    responseId: message.id,
    promptTokens: completion.prompt.length,
    cachedTokens: cached.read,
    cacheWriteTokens: cached.written,
    completionTokens: completion.completionTokens,
    content: request.stream
      ? { kind: 'stream', events: toWireEvents(completion, message), doneMark: false }
      : { kind: 'json', body: toWireMessage(completion, message) },
  };
}

interface MessageHead {
  readonly id: string;
  readonly type: string;
  readonly role: string;
  readonly model: string;
  readonly toolUseId: string;
  /** Absent where the answer is to leave it out. */
  readonly usage?: { readonly output_tokens: number };
}

const STOP_REASONS = { stop: 'end_turn', length: 'max_tokens', tool: 'tool_use' } as const;

function toWireMessage(completion: Completion, { toolUseId, usage, ...head }: MessageHead): object {
  const text = textOf(completion);
  const { toolName, end } = completion;
  // Arguments that were cut off are no JSON; the provider then answers what it could read.
  const input: unknown = toolName === undefined || end === 'length' ? {} : JSON.parse(text);
  const block =
    toolName === undefined
      ? { type: 'text', text }
      : { type: 'tool_use', id: toolUseId, name: toolName, input };
  const stop = { stop_reason: STOP_REASONS[end], stop_sequence: null };
  return { ...head, content: [block], ...stop, ...(usage === undefined ? {} : { usage }) };
}

/**
 * https://docs.anthropic.com/en/docs/build-with-claude/streaming: the counts in `message_delta` are cumulative, and those
 * of the first event hold what was written before it: one token.
 */
function toWireEvents(completion: Completion, message: MessageHead): readonly StreamEvent[] {
  const { toolUseId, usage, ...head } = message;
  const { toolName, pieces, end } = completion;
  function event(name: string, members: object, tokens = 0): StreamEvent {
    return { name, data: { type: name, ...members }, tokens };
  }
  const begun = usage === undefined ? {} : { usage: { ...usage, output_tokens: 1 } };
  const block =
    toolName === undefined
      ? { type: 'text', text: '' }
      : { type: 'tool_use', id: toolUseId, name: toolName, input: {} };
  function delta(text: string): object {
    return toolName === undefined
      ? { type: 'text_delta', text }
      : { type: 'input_json_delta', partial_json: text };
  }
  const stop = { stop_reason: STOP_REASONS[end], stop_sequence: null };
  return [
    event('message_start', {
      message: { ...head, content: [], stop_reason: null, stop_sequence: null, ...begun },
    }),
    event('content_block_start', { index: 0, content_block: block }, nameTokensOf(completion)),
    event('ping', {}),
    ...pieces.map(({ text, tokens }) =>
      event('content_block_delta', { index: 0, delta: delta(text) }, tokens),
    ),
    event('content_block_stop', { index: 0 }),
    event('message_delta', { delta: stop, ...(usage === undefined ? {} : { usage }) }),
    event('message_stop', {}),
  ];
}

/** The three counts of input are disjoint. */
function toWireUsage(
  { prompt, completionTokens }: Completion,
  { read, written }: CachedTokens,
  forAnHour: boolean,
) {
  return {
    input_tokens: prompt.length - read - written,
    cache_creation_input_tokens: written,
    cache_read_input_tokens: read,
    cache_creation: {
      ephemeral_5m_input_tokens: forAnHour ? 0 : written,
      ephemeral_1h_input_tokens: forAnHour ? written : 0,
    },
    output_tokens: completionTokens,
    service_tier: 'standard',
  };
}
