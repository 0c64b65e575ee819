import type { ChatMessage } from './chat-message.js';
import { conversationAnswer } from './conversation-answer.js';
import type { Model } from './models.js';
import { contextTooLong } from './refusal.js';
import { chatPromptTokens } from './token-counts.js';
import { loadTokenEncoding, type TokenPiece } from './token-encoding.js';
import { chosenToolCall, type Tool, type ToolChoice } from './tools.js';

/** What a conversation asks of a model, in whichever of the providers' forms it came. */
export interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly Tool[];
  /** The definitions of the tools as the caller wrote them, for the count; absent: none. */
  readonly toolsText: string | undefined;
  readonly toolChoice: ToolChoice;
  readonly completionTokensMax: number | undefined;
}

/** What a model says or calls. */
export interface Completion {
  /** Its length is the prompt's count; two prompts with an equal beginning have an equal beginning here. */
  readonly prompt: readonly number[];
  /** Of the text, or of the arguments of the call. */
  readonly pieces: readonly TokenPiece[];
  /** The tool that is called; absent: the pieces are a text. */
  readonly toolName: string | undefined;
  /** `length`: the pieces end where the maximum was reached. */
  readonly end: 'stop' | 'length' | 'tool';
  readonly completionTokens: number;
}

/** Throws a Refusal when the conversation is too long for the model; `param` is what it calls the messages. */
export async function complete(
  conversation: Conversation,
  model: Model,
  param: 'messages' | 'input',
): Promise<Completion> {
  const { messages, tools, toolsText, toolChoice, completionTokensMax } = conversation;
  const encoding = await loadTokenEncoding(model.encoding);
  const prompt = chatPromptTokens(messages, toolsText, encoding, model.contextTokensMax);
  if (prompt.length > model.contextTokensMax) throw contextTooLong(model.contextTokensMax, param);
  const call = chosenToolCall(messages, tools, toolChoice);
  const nameTokens = call === undefined ? 0 : encoding.encode(call.name, model.contextTokensMax).length;
  const whole = encoding.pieces(call?.arguments ?? conversationAnswer(questionLast(messages)));
  const pieces = firstTokens(whole, (completionTokensMax ?? Number.POSITIVE_INFINITY) - nameTokens);
  const isCut = pieces.length < whole.length;
  return {
    prompt,
    pieces,
    toolName: call?.name,
    end: isCut ? 'length' : call === undefined ? 'stop' : 'tool',
    completionTokens: pieces.reduce((sum, { tokens }) => sum + tokens, nameTokens),
  };
}

/** What a tool has found is where the answer is looked for, and what the user said before it is still the question. */
function questionLast(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const asked = messages.findLast(({ role }) => role === 'user');
  const last = messages.at(-1)?.role;
  if (asked === undefined || (last !== 'tool' && last !== 'function')) return messages;
  return [...messages.filter((message) => message !== asked), asked];
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

export function textOf({ pieces }: Completion): string {
  return pieces.map(({ text }) => text).join('');
}

/** What the name of the called tool took; a stream sends it before the arguments. */
export function nameTokensOf({ pieces, completionTokens }: Completion): number {
  return completionTokens - pieces.reduce((sum, { tokens }) => sum + tokens, 0);
}
