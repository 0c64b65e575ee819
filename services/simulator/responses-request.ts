import { z } from 'zod';
import type { ChatMessage } from './chat-message.js';
import type { Conversation } from './completion.js';
import { parseBody } from './parse-body.js';
import type { Tool, ToolChoice } from './tools.js';

/** What the simulator reads of a request for a response; other members are let through unread, as by the provider. */
export interface ResponsesRequest extends Conversation {
  readonly model: string;
  readonly stream: boolean;
  /** As the answer repeats them. */
  readonly echo: {
    readonly instructions: string | null;
    readonly max_output_tokens: number | null;
    readonly tool_choice: unknown;
    readonly tools: readonly unknown[];
  };
}

const MODEL_NAME_LENGTH_MAX = 200;
const ITEMS_MAX = 2048;

const PART = z.discriminatedUnion('type', [
  z.object({ type: z.literal('input_text'), text: z.string() }),
  z.object({ type: z.literal('output_text'), text: z.string() }),
  z.object({ type: z.literal('refusal'), refusal: z.string() }),
  z.object({ type: z.literal('input_image'), image_url: z.string() }),
]);
const ITEM = z.union([
  z.object({ type: z.literal('function_call'), name: z.string(), arguments: z.string() }),
  z.object({ type: z.literal('function_call_output'), output: z.string() }),
  z.object({
    type: z.literal('message').optional(),
    role: z.enum(['user', 'assistant', 'system', 'developer']),
    content: z.union([z.string(), z.array(PART).max(ITEMS_MAX)]),
  }),
]);

const REQUEST = z.object({
  model: z.string().min(1).max(MODEL_NAME_LENGTH_MAX),
  input: z.union([z.string().min(1), z.array(ITEM).min(1).max(ITEMS_MAX)]),
  instructions: z.string().nullish(),
  max_output_tokens: z.number().int().min(1).nullish(),
  stream: z.boolean().nullish(),
  tools: z.array(z.unknown()).nullish(),
  tool_choice: z
    .union([
      z.enum(['auto', 'none', 'required']),
      z.object({ type: z.literal('function'), name: z.string() }),
    ])
    .nullish(),
  previous_response_id: z.null('the simulator keeps no responses').nullish(),
  background: z.literal(false, 'the simulator answers at once').nullish(),
});

/** Throws a Refusal when the body is no valid request. */
export function parseResponsesRequest(body: unknown): ResponsesRequest {
  const request = parseBody(REQUEST, body);
  const items =
    typeof request.input === 'string' ? [{ role: 'user' as const, content: request.input }] : request.input;
  const instructions = request.instructions ?? null;
  return {
    model: request.model,
    stream: request.stream ?? false,
    messages: [
      ...(instructions === null ? [] : [message('developer', [instructions])]),
      ...items.map(readItem),
    ],
    tools: (request.tools ?? []).flatMap(readTool),
    toolsText: request.tools == null ? undefined : JSON.stringify(request.tools),
    toolChoice: readChoice(request.tool_choice),
    completionTokensMax: request.max_output_tokens ?? undefined,
    echo: {
      instructions,
      max_output_tokens: request.max_output_tokens ?? null,
      tool_choice: request.tool_choice ?? 'auto',
      tools: request.tools ?? [],
    },
  };
}

function readItem(item: z.output<typeof ITEM>): ChatMessage {
  if (item.type === 'function_call') {
    const { name, arguments: given } = item;
    return { ...message('assistant', []), toolCalls: JSON.stringify({ name, arguments: given }) };
  }
  if (item.type === 'function_call_output') return message('tool', [item.output]);
  if (typeof item.content === 'string') return message(item.role, [item.content]);
  const images: string[] = [];
  const texts: string[] = [];
  for (const part of item.content) {
    if (part.type === 'input_image') images.push(part.image_url);
    else texts.push(part.type === 'refusal' ? part.refusal : part.text);
  }
  return { ...message(item.role, texts), images };
}

function message(role: ChatMessage['role'], texts: readonly string[]): ChatMessage {
  return { role, name: undefined, texts, images: [], toolCalls: undefined };
}

const TOOL = z.object({ type: z.literal('function'), name: z.string(), parameters: z.unknown().optional() });

/** Tools of other kinds are counted and never called. */
function readTool(tool: unknown): readonly Tool[] {
  const { data } = TOOL.safeParse(tool);
  return data === undefined ? [] : [{ name: data.name, parameters: data.parameters }];
}

function readChoice(choice: z.output<typeof REQUEST>['tool_choice']): ToolChoice {
  if (choice == null) return 'auto';
  return typeof choice === 'string' ? choice : { name: choice.name };
}
