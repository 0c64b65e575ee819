import type { Answer, StreamEvent } from './answer.js';
import { type Completion, complete, nameTokensOf, textOf } from './completion.js';
import type { CompletionWorld } from './completion-world.js';
import type { Endpoint } from './model-call.js';
import { chatModel, type Model } from './models.js';
import { parseResponsesRequest, type ResponsesRequest } from './responses-request.js';

/** `POST /v1/responses`: https://platform.openai.com/docs/api-reference/responses */
export function createResponses(world: CompletionWorld): Endpoint {
  return {
    name: 'responses',
    dialect: 'openai',
    parse(body) {
      const request = parseResponsesRequest(body);
      const model = chatModel(request.model);
      return {
        requestedModel: request.model,
        model,
        stream: request.stream,
        work: ({ usageOmitted }) => respond(request, model, world, usageOmitted),
      };
    },
  };
}

async function respond(
  request: ResponsesRequest,
  model: Model,
  { prefixes, now, newId }: CompletionWorld,
  usageOmitted: boolean,
): Promise<Answer> {
  const completion = await complete(request, model, 'input');
  const cachedTokens = model.cachesPrompts ? prefixes.recall(model.name, completion.prompt) : 0;
  const item =
    completion.toolName === undefined
      ? { id: newId('msg_'), callId: undefined }
      : { id: newId('fc_'), callId: newId('call_') };
  const head = {
    id: newId('resp_'),
    object: 'response',
    created_at: Math.floor(now() / 1000),
    error: null,
    ...request.echo,
    model: model.name,
    parallel_tool_calls: true,
    previous_response_id: null,
    metadata: {},
    temperature: 1,
    top_p: 1,
  };
  const whole = {
    ...head,
    status: completion.end === 'length' ? 'incomplete' : 'completed',
    incomplete_details: completion.end === 'length' ? { reason: 'max_output_tokens' } : null,
    output: [toWireItem(completion, item, textOf(completion))],
    ...(usageOmitted ? {} : { usage: toWireUsage(completion, cachedTokens) }),
  };
  const begun = { ...head, status: 'in_progress', incomplete_details: null, output: [], usage: null };
  return {
    responseId: head.id,
    promptTokens: completion.prompt.length,
    cachedTokens,
    completionTokens: completion.completionTokens,
    content: request.stream
      ? { kind: 'stream', events: toWireEvents(completion, item, begun, whole), doneMark: false }
      : { kind: 'json', body: whole },
  };
}

interface ItemIds {
  readonly id: string;
  /** Absent for a message. */
  readonly callId: string | undefined;
}

function toWireItem(completion: Completion, { id, callId }: ItemIds, text: string | undefined): object {
  const status =
    text === undefined ? 'in_progress' : completion.end === 'length' ? 'incomplete' : 'completed';
  if (callId !== undefined) {
    const call = { call_id: callId, name: completion.toolName, arguments: text ?? '' };
    return { id, type: 'function_call', status, ...call };
  }
  const content = text === undefined ? [] : [toWirePart(text)];
  return { id, type: 'message', status, role: 'assistant', content };
}

function toWirePart(text: string): object {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

/** https://platform.openai.com/docs/api-reference/responses-streaming: each event has its type as name and a number. */
function toWireEvents(
  completion: Completion,
  item: ItemIds,
  begun: object,
  whole: { readonly status: string },
): readonly StreamEvent[] {
  const events: StreamEvent[] = [];
  function send(name: string, members: object, tokens = 0): void {
    events.push({ name, data: { type: name, sequence_number: events.length, ...members }, tokens });
  }
  const text = textOf(completion);
  const place = { item_id: item.id, output_index: 0 };
  const isCall = item.callId !== undefined;
  const inPart = isCall ? place : { ...place, content_index: 0 };
  send('response.created', { response: begun });
  send('response.in_progress', { response: begun });
  const added = { output_index: 0, item: toWireItem(completion, item, undefined) };
  send('response.output_item.added', added, nameTokensOf(completion));
  if (!isCall) send('response.content_part.added', { ...inPart, part: toWirePart('') });
  for (const piece of completion.pieces) {
    const delta = { ...inPart, delta: piece.text };
    if (isCall) send('response.function_call_arguments.delta', delta, piece.tokens);
    else send('response.output_text.delta', { ...delta, logprobs: [] }, piece.tokens);
  }
  if (isCall) {
    send('response.function_call_arguments.done', { ...place, name: completion.toolName, arguments: text });
  } else {
    send('response.output_text.done', { ...inPart, text, logprobs: [] });
    send('response.content_part.done', { ...inPart, part: toWirePart(text) });
  }
  send('response.output_item.done', { output_index: 0, item: toWireItem(completion, item, text) });
  send(`response.${whole.status}`, { response: whole });
  return events;
}

function toWireUsage({ prompt, completionTokens }: Completion, cachedTokens: number): object {
  return {
    input_tokens: prompt.length,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: prompt.length + completionTokens,
  };
}
