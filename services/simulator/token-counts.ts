import { createHash } from 'node:crypto';
import type { ChatMessage } from './chat-message.js';
import type { TokenEncoding } from './token-encoding.js';

/** The provider's published count: 3 tokens around each message, 1 more where it has a name, 3 to open the reply. */
const MESSAGE_TOKENS = 3;
const NAME_TOKENS = 1;
const REPLY_TOKENS = 3;

/** The provider's price of an image at low detail; here every image costs it, since none is looked at. */
export const IMAGE_TOKENS = 85;

/** Stands for the tokens that frame messages; real tokens are not negative. */
const FRAME = -1;

/**
 * The tokens of a chat prompt as one sequence: its length is the prompt's count, and two prompts with an equal beginning
 * have an equal beginning here. Longer than `tokensMax` means too long, without saying how long. Tool definitions count
 * as the tokens of their JSON, which is near what the provider counts and not exact.
 */
export function chatPromptTokens(
  messages: readonly ChatMessage[],
  tools: string | undefined,
  encoding: TokenEncoding,
  tokensMax: number,
): readonly number[] {
  const tokens: number[] = [];
  function append(more: readonly number[]): void {
    for (const token of more) tokens.push(token);
  }
  function appendText(text: string): void {
    append(encoding.encode(text, tokensMax - tokens.length));
  }

  // The provider puts the tools before the conversation, so a conversation that grows keeps its beginning.
  if (tools !== undefined) appendText(tools);
  for (const message of messages) {
    if (tokens.length > tokensMax) break;
    append(frame(MESSAGE_TOKENS));
    appendText(message.role);
    if (message.name !== undefined) {
      append(frame(NAME_TOKENS));
      appendText(message.name);
    }
    for (const text of message.texts) appendText(text);
    for (const image of message.images) append(imageTokens(image));
    if (message.toolCalls !== undefined) appendText(message.toolCalls);
  }
  append(frame(REPLY_TOKENS));
  return tokens;
}

/** How many of a prompt's tokens are those of its tools and these first messages. */
export function promptPrefixTokens(...args: Parameters<typeof chatPromptTokens>): number {
  return chatPromptTokens(...args).length - REPLY_TOKENS;
}

function frame(length: number): readonly number[] {
  return Array<number>(length).fill(FRAME);
}

/** All alike in number, and different for different images. */
function imageTokens(url: string): readonly number[] {
  const digest = createHash('sha256').update(url).digest().readInt32BE();
  return Array<number>(IMAGE_TOKENS).fill(digest);
}
