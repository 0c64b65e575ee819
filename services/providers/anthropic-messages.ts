import type { Units } from '../domain/units.js';
import { answerFacts } from './answer-facts.js';
import { laterUsage, toldByAnthropic } from './anthropic-usage.js';
import { NOTHING_USED, promptTextOf, promptUnitsOf, withOutput } from './estimated-units.js';
import {
  countOf,
  isRecord,
  type JsonRecord,
  listOf,
  parseJsonRecord,
  recordOf,
  textOf,
} from './json-value.js';
import { definitionTexts, promptTexts } from './prompt-texts.js';
import type {
  ProviderAnswer,
  ProviderRequest,
  ProviderStream,
  ProviderWire,
  StreamEvent,
  StreamStep,
} from './provider-contract.js';
import { modelOf, once, requestBody, requireMember, streamOf, unchanged } from './request-members.js';
import { ResultHold } from './result-hold.js';
import { SeenText } from './seen-text.js';
import { countTokens, tokenEncodingOf } from './token-count.js';
import { type ToldUsage, usageOf } from './told-usage.js';
import { WEB_SEARCH } from './unit-kinds.js';

/** Messages. Source: Anthropic API reference, "Messages" and "Streaming messages". */
export const anthropicMessages: ProviderWire = {
  name: 'anthropic.messages',
  readRequest,
  readAnswer,
  openStream: (request) => new AnthropicMessagesStream(request),
};

function readRequest(body: unknown): ProviderRequest {
  const members = requestBody(body);
  requireMember(members, 'messages');
  const model = modelOf(members);
  const prompt = promptTexts(members.system, members.messages);
  return {
    model,
    stream: streamOf(members),
    wantsUsage: true,
    ...unchanged(body),
    hasImages: prompt.imageTokens.length > 0,
    promptUnits: once(() => {
      const texts = [...prompt.texts, ...definitionTexts(members.tools)];
      const frame = BigInt(listOf(members.messages).length) * MESSAGE_TOKENS;
      return promptUnitsOf({ ...prompt, texts }, frame, tokenEncodingOf(model));
    }),
  };
}

function readAnswer(body: unknown, request: ProviderRequest): ProviderAnswer {
  if (!isRecord(body) || !Array.isArray(body.content)) return { unitsBasis: 'unknown' };
  const known = answerFacts(body);
  const told = toldByAnthropic(body.usage, promptTextOf(request));
  const blocks: readonly unknown[] = body.content;
  const written = blocks.filter((block) => !isToolResult(block));
  const output = () => countTokens(promptTexts(written).texts, tokenEncodingOf(request.model));
  const { units, unitsBasis } = usageOf(told, request, output);
  const searches = BigInt(blocks.filter(isSearch).length);
  return { ...known, units: unitsBasis === 'reported' ? units : withSearches(units, searches), unitsBasis };
}

/** What a tool of the provider found is read by the model, and not written by it. */
function isToolResult(block: unknown): boolean {
  return textOf(recordOf(block).type)?.endsWith('_tool_result') ?? false;
}

/** One that failed has no list, and is not charged for. */
function isSearch(block: unknown): boolean {
  const { type, content } = recordOf(block);
  return type === 'web_search_tool_result' && Array.isArray(content);
}

/** With the searches that were seen, where fewer are told. */
function withSearches(units: Units, seen: bigint): Units {
  const told = units.get(WEB_SEARCH)?.output ?? 0n;
  return seen > told ? withOutput(units, WEB_SEARCH, seen - told) : units;
}

/**
 * The result rides on the last `message_delta` before `message_stop`. Usage is cumulative: the input is in
 * `message_start`, the output in `message_delta`.
 */
class AnthropicMessagesStream implements ProviderStream {
  readonly #request: ProviderRequest;
  readonly #hold = new ResultHold();
  readonly #seen = new SeenText();
  #facts: Pick<ProviderAnswer, 'model' | 'responseId'> = {};
  /** undefined: the message has not started. */
  #usage: JsonRecord | undefined;
  #isOutputTold = false;
  #searches = 0n;
  #isComplete = false;
  #hasFailed = false;

  constructor(request: ProviderRequest) {
    this.#request = request;
  }

  push(event: StreamEvent): StreamStep {
    const members = parseJsonRecord(event.data);
    const type = textOf(members?.type) ?? event.event;
    // It says only that the connection is alive: now.
    if (type === 'ping') return { forward: [event] };
    if (members === undefined) return this.#hold.pass(event);
    if (type === 'message_delta') {
      this.#usage = laterUsage(this.#usage ?? {}, members.usage);
      const output = countOf(recordOf(members.usage).output_tokens) ?? 0n;
      this.#isOutputTold ||=
        output > 0n || (this.#seen.isEmpty && 'output_tokens' in recordOf(members.usage));
      return this.#hold.hold(event);
    }
    if (type === 'message_stop') {
      this.#isComplete = true;
      return this.#settle(event);
    }
    if (type === 'error') {
      this.#hasFailed = true;
      return this.#settle(event);
    }
    if (type === 'message_start') {
      const message = recordOf(members.message);
      this.#facts = answerFacts(message);
      this.#usage = laterUsage({}, message.usage);
    }
    if (isSearch(members.content_block)) this.#searches += 1n;
    const written = isToolResult(members.content_block) ? undefined : members.content_block;
    const { texts } = promptTexts(written, members.delta);
    for (const text of texts) this.#seen.add(text);
    return this.#hold.pass(event);
  }

  end(): StreamStep {
    return this.#hold.settle();
  }

  answer(): ProviderAnswer & { readonly complete: boolean } {
    const known = {
      ...this.#facts,
      ...(this.#hasFailed ? { failed: true as const } : {}),
      complete: this.#isComplete && !this.#hasFailed,
    };
    if (this.#hasFailed && this.#usage === undefined) {
      return { ...known, units: NOTHING_USED, unitsBasis: 'estimated' };
    }
    const { units, unitsBasis } = usageOf(this.#told(), this.#request, () =>
      this.#seen.tokens(tokenEncodingOf(this.#request.model)),
    );
    return {
      ...known,
      units: unitsBasis === 'reported' ? units : withSearches(units, this.#searches),
      unitsBasis,
    };
  }

  /** As long as only the start was told, its input is believed and its output is not: that is a first guess. */
  #told(): ToldUsage | undefined {
    if (this.#usage === undefined) return undefined;
    const told = toldByAnthropic(this.#usage, promptTextOf(this.#request));
    return told === undefined || this.#isOutputTold ? told : { ...told, output: undefined };
  }

  #settle(event: StreamEvent): StreamStep {
    return this.#hold.isHolding ? this.#hold.settle(event) : this.#hold.carry(event);
  }
}

/** What a message has beside its content; what the maker does not publish is taken to be as elsewhere. */
const MESSAGE_TOKENS = 4n;
