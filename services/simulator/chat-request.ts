import { z } from 'zod';
import type { ChatMessage } from './chat-message.js';
import { parseBody } from './parse-body.js';
import { Refusal } from './refusal.js';
import type { Tool, ToolChoice } from './tools.js';

/** What the simulator reads of a chat completion request; other members are let through unread, as by the provider. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly Tool[];
  /** The tool definitions as JSON text. */
  readonly toolsText: string | undefined;
  readonly toolChoice: ToolChoice;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly completionTokensMax: number | undefined;
}

const MODEL_NAME_LENGTH_MAX = 200;
const MESSAGES_MAX = 2048;
const PARTS_MAX = 2048;

const PART = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.literal('refusal'), refusal: z.string() }),
  z.object({ type: z.literal('image_url'), image_url: z.object({ url: z.string() }) }),
]);

const MESSAGE = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  content: z.union([z.string(), z.array(PART).max(PARTS_MAX), z.null()]).optional(),
  name: z.string().nullish(),
  tool_calls: z.array(z.unknown()).nullish(),
});

const REQUEST = z.object({
  model: z.string().min(1).max(MODEL_NAME_LENGTH_MAX),
  messages: z.array(MESSAGE).min(1).max(MESSAGES_MAX),
  tools: z.array(z.unknown()).nullish(),
  tool_choice: z
    .union([
      z.enum(['auto', 'none', 'required']),
      z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
    ])
    .nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  max_completion_tokens: z.number().int().min(1).nullish(),
  max_tokens: z.number().int().min(1).nullish(),
  n: z.literal(1, 'the simulator answers one choice').nullish(),
  response_format: z.object({ type: z.literal('text', 'the simulator answers text') }).nullish(),
});

/** Throws a Refusal when the body is no valid request. */
export function parseChatRequest(body: unknown): ChatRequest {
  const request = parseBody(REQUEST, body);
  if (request.stream_options != null && request.stream !== true) {
    throw new Refusal(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", {
      param: 'stream_options',
    });
  }
  return {
    model: request.model,
    messages: request.messages.map(readMessage),
    tools: (request.tools ?? []).flatMap(readTool),
    toolsText: request.tools == null ? undefined : JSON.stringify(request.tools),
    toolChoice: readChoice(request.tool_choice),
    stream: request.stream ?? false,
    includeUsage: request.stream_options?.include_usage ?? false,
    completionTokensMax: request.max_completion_tokens ?? request.max_tokens ?? undefined,
  };
}

const TOOL = z.object({
  type: z.literal('function'),
  function: z.object({ name: z.string(), parameters: z.unknown().optional() }),
});

/** Tools of other kinds are counted and never called. */
function readTool(tool: unknown): readonly Tool[] {
  const { data } = TOOL.safeParse(tool);
  return data === undefined ? [] : [{ name: data.function.name, parameters: data.function.parameters }];
}

function readChoice(choice: z.output<typeof REQUEST>['tool_choice']): ToolChoice {
  if (choice == null) return 'auto';
  return typeof choice === 'string' ? choice : { name: choice.function.name };
}

function readMessage({ role, name, content, tool_calls }: z.output<typeof MESSAGE>): ChatMessage {
  const texts: string[] = [];
  const images: string[] = [];
  for (const part of typeof content === 'string'
    ? [{ type: 'text', text: content } as const]
    : (content ?? [])) {
    if (part.type === 'image_url') images.push(part.image_url.url);
    else texts.push(part.type === 'text' ? part.text : part.refusal);
  }
  return {
    role,
    name: name ?? undefined,
    texts,
    images,
    toolCalls: tool_calls == null ? undefined : JSON.stringify(tool_calls),
  };
}
