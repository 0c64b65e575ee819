import { z } from 'zod';
import type { ChatMessage } from './chat-message.js';
import type { Conversation } from './completion.js';
import { parseBody } from './parse-body.js';
import type { ToolChoice } from './tools.js';

/** What the simulator reads of a request for a message; other members are let through unread, as by the provider. */
export interface MessagesRequest extends Conversation {
  readonly model: string;
  readonly stream: boolean;
  /** Behind how many of the messages a prefix ends that may be cached, shortest first; 0: behind the tools. */
  readonly cachedPrefixes: readonly number[];
  /** Whether what is written into the cache stays for an hour, at another price than five minutes. */
  readonly cachesForAnHour: boolean;
}

const MODEL_NAME_LENGTH_MAX = 200;
const MESSAGES_MAX = 2048;
const BLOCKS_MAX = 2048;

const CACHE = {
  cache_control: z.object({ type: z.literal('ephemeral'), ttl: z.enum(['5m', '1h']).optional() }).nullish(),
};
const TEXT = z.object({ type: z.literal('text'), text: z.string(), ...CACHE });
const IMAGE = z.object({
  type: z.literal('image'),
  source: z.discriminatedUnion('type', [
    z.object({ type: z.literal('base64'), media_type: z.string(), data: z.string() }),
    z.object({ type: z.literal('url'), url: z.string() }),
  ]),
  ...CACHE,
});
const BLOCK = z.discriminatedUnion('type', [
  TEXT,
  IMAGE,
  z.object({ type: z.literal('tool_use'), name: z.string(), input: z.unknown(), ...CACHE }),
  z.object({
    type: z.literal('tool_result'),
    tool_use_id: z.string(),
    content: z.union([z.string(), z.array(z.discriminatedUnion('type', [TEXT, IMAGE]))]).optional(),
    ...CACHE,
  }),
]);
type Block = z.output<typeof BLOCK>;

const REQUEST = z.object({
  model: z.string().min(1).max(MODEL_NAME_LENGTH_MAX),
  max_tokens: z.number().int().min(1),
  messages: z
    .array(
      z.object({
        role: z.enum(['user', 'assistant']),
        content: z.union([z.string(), z.array(BLOCK).max(BLOCKS_MAX)]),
      }),
    )
    .min(1)
    .max(MESSAGES_MAX),
  system: z.union([z.string(), z.array(TEXT).max(BLOCKS_MAX)]).optional(),
  stream: z.boolean().optional(),
  tools: z.array(z.looseObject({ name: z.string(), input_schema: z.unknown(), ...CACHE })).optional(),
  tool_choice: z
    .discriminatedUnion('type', [
      z.object({ type: z.enum(['auto', 'any', 'none']) }),
      z.object({ type: z.literal('tool'), name: z.string() }),
    ])
    .optional(),
});

/** Throws a Refusal when the body is no valid request. */
export function parseMessagesRequest(body: unknown): MessagesRequest {
  const request = parseBody(REQUEST, body);
  const messages: ChatMessage[] = [];
  const cachedPrefixes: number[] = [];
  let cachesForAnHour = false;
  function noteCache(marked: readonly Pick<Block, 'cache_control'>[]): void {
    const control = marked.findLast(({ cache_control }) => cache_control != null)?.cache_control;
    if (control == null) return;
    cachedPrefixes.push(messages.length);
    cachesForAnHour = control.ttl === '1h';
  }
  noteCache(request.tools ?? []);
  if (request.system !== undefined) {
    const blocks = blocksOf(request.system);
    messages.push(...readMessage('system', blocks));
    noteCache(blocks);
  }
  for (const { role, content } of request.messages) {
    const blocks = blocksOf(content);
    messages.push(...readMessage(role, blocks));
    noteCache(blocks);
  }
  return {
    model: request.model,
    stream: request.stream ?? false,
    messages,
    tools: (request.tools ?? []).map((tool) => ({ name: tool.name, parameters: tool.input_schema })),
    toolsText: request.tools === undefined ? undefined : JSON.stringify(request.tools),
    toolChoice: readChoice(request.tool_choice),
    completionTokensMax: request.max_tokens,
    cachedPrefixes,
    cachesForAnHour,
  };
}

function blocksOf(content: string | readonly Block[]): readonly Block[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content;
}

/** The results of tools are messages of their own, before what is said with them. */
function readMessage(role: ChatMessage['role'], blocks: readonly Block[]): readonly ChatMessage[] {
  const results: ChatMessage[] = [];
  const said = { texts: [] as string[], images: [] as string[], calls: [] as object[] };
  for (const block of blocks) {
    switch (block.type) {
      case 'text':
        said.texts.push(block.text);
        break;
      case 'image':
        said.images.push(imageUrl(block));
        break;
      case 'tool_use':
        said.calls.push({ name: block.name, input: block.input });
        break;
      case 'tool_result':
        results.push(...readMessage('tool', blocksOf(block.content ?? [])));
        break;
      default:
        block satisfies never;
    }
  }
  if (results.length > 0 && said.texts.length + said.images.length === 0) return results;
  const toolCalls = said.calls.length === 0 ? undefined : JSON.stringify(said.calls);
  return [...results, { role, name: undefined, texts: said.texts, images: said.images, toolCalls }];
}

function imageUrl({ source }: z.output<typeof IMAGE>): string {
  return source.type === 'url' ? source.url : `data:${source.media_type};base64,${source.data}`;
}

function readChoice(choice: z.output<typeof REQUEST>['tool_choice']): ToolChoice {
  if (choice === undefined) return 'auto';
  if (choice.type === 'tool') return { name: choice.name };
  return choice.type === 'any' ? 'required' : choice.type;
}
