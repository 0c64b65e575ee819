import type { Units } from '../domain/units.js';
import { answerFacts } from './answer-facts.js';
import { NOTHING_USED, promptTextOf, promptUnitsOf, withOutput } from './estimated-units.js';
import { isRecord, type JsonRecord, listOf, parseJsonRecord, recordOf, textOf } from './json-value.js';
import { ANSWER_START_TOKENS, MESSAGE_TOKENS } from './openai-chat.js';
import { toldByOpenAi } from './openai-usage.js';
import { definitionTexts, promptTexts } from './prompt-texts.js';
import {
  NotMetered,
  type ProviderAnswer,
  type ProviderRequest,
  type ProviderStream,
  type ProviderWire,
  type StreamEvent,
  type StreamStep,
} from './provider-contract.js';
import { modelOf, once, requestBody, streamOf, UNKNOWN_MODEL, unchanged } from './request-members.js';
import { ResultHold } from './result-hold.js';
import { SeenText } from './seen-text.js';
import { countTokens, tokenEncodingOf } from './token-count.js';
import { type ToldUsage, usageOf } from './told-usage.js';
import { STORAGE_SEARCH, WEB_SEARCH } from './unit-kinds.js';

/** The Responses API. Source: OpenAI API reference, "Create a model response" and "Streaming events". */
export const openAiResponses: ProviderWire = {
  name: 'openai.responses',
  readRequest,
  readAnswer,
  openStream: (request) => new OpenAiResponsesStream(request),
};

function readRequest(body: unknown): ProviderRequest {
  const members = requestBody(body);
  refuseBackground(members);
  // A prompt that is kept by the provider may name the model.
  const model = modelOf(members, UNKNOWN_MODEL);
  const prompt = promptTexts(members.instructions, members.input);
  return {
    model,
    stream: streamOf(members),
    wantsUsage: true,
    ...unchanged(body),
    hasImages: prompt.imageTokens.length > 0,
    promptUnits: once(() => {
      const texts = [...prompt.texts, ...definitionTexts(members.tools, recordOf(members.text).format)];
      const items = BigInt(Math.max(1, listOf(members.input).length));
      return promptUnitsOf(
        { ...prompt, texts },
        items * MESSAGE_TOKENS + ANSWER_START_TOKENS,
        tokenEncodingOf(model),
      );
    }),
  };
}

/**
 * What is answered in the background is fetched by other calls, in which nobody would count it. Servers that take other
 * values for true are no exception.
 */
function refuseBackground({ background }: JsonRecord): void {
  if (background === undefined || background === null || background === false) return;
  throw new NotMetered("Responses in the background are not metered: leave out the member 'background'.");
}

function readAnswer(body: unknown, request: ProviderRequest): ProviderAnswer {
  if (!isRecord(body) || !Array.isArray(body.output)) return { unitsBasis: 'unknown' };
  const failed = body.status === 'failed' ? { failed: true as const } : {};
  const known = { ...answerFacts(body), ...failed };
  const told = toldUsage(body, request);
  // A prompt that the provider keeps may say that it goes on in the background: then nothing is told here.
  const isUnderWay = body.status === 'queued' || body.status === 'in_progress';
  if (told === undefined && isUnderWay) return { ...known, unitsBasis: 'unknown' };
  const { texts } = promptTexts(body.output);
  if (told === undefined && body.status === 'failed' && texts.length === 0) {
    return { ...known, units: NOTHING_USED, unitsBasis: 'estimated' };
  }
  const output = () => countTokens(texts, tokenEncodingOf(request.model));
  const { units, unitsBasis } = usageOf(told, request, output);
  return { ...known, units: withSearches(units, body.output), unitsBasis };
}

function toldUsage(response: JsonRecord, request: ProviderRequest): ToldUsage | undefined {
  return isRecord(response.usage) ? toldByOpenAi(response.usage, promptTextOf(request)) : undefined;
}

/** With the searches by the provider's own tools, which it charges for one by one. */
function withSearches(units: Units, items: unknown): Units {
  const calls = listOf(items).map(recordOf);
  // To open a page that was found, and to look into it, costs tokens only.
  const webSearches = calls.filter(
    ({ type, action }) =>
      type === 'web_search_call' && (textOf(recordOf(action).type) ?? 'search') === 'search',
  );
  const fileSearches = calls.filter(({ type }) => type === 'file_search_call');
  const searched = withOutput(units, WEB_SEARCH, BigInt(webSearches.length));
  return withOutput(searched, STORAGE_SEARCH, BigInt(fileSearches.length));
}

/** Nothing is held back: the events that end a response carry the usage, and the result with it. */
class OpenAiResponsesStream implements ProviderStream {
  readonly #request: ProviderRequest;
  readonly #hold = new ResultHold();
  readonly #seen = new SeenText();
  #facts: Pick<ProviderAnswer, 'model' | 'responseId'> = {};
  #told: ToldUsage | undefined;
  /** What the provider's tools have done, as far as it is over. */
  #items: unknown[] = [];
  #isComplete = false;
  #hasFailed = false;

  constructor(request: ProviderRequest) {
    this.#request = request;
  }

  push(event: StreamEvent): StreamStep {
    if (event.data.trim() === '[DONE]') return this.#hold.settle(event);
    const members = parseJsonRecord(event.data);
    if (members === undefined) return this.#hold.pass(event);
    const type = textOf(members.type) ?? event.event ?? '';
    if (isRecord(members.response)) this.#facts = { ...this.#facts, ...answerFacts(members.response) };
    if (type === 'error' || isRecord(members.error)) {
      this.#hasFailed = true;
      return this.#hold.carry(event);
    }
    if (ENDS.has(type)) {
      this.#isComplete = true;
      this.#hasFailed ||= type === 'response.failed';
      this.#readEnd(recordOf(members.response));
      return this.#hold.carry(event);
    }
    if (type === 'response.output_item.done') this.#items.push(kindOf(members.item));
    if (type.endsWith('.delta') && type !== 'response.audio.delta') this.#seen.add(textOf(members.delta));
    return this.#hold.pass(event);
  }

  end(): StreamStep {
    return this.#hold.settle();
  }

  answer(): ProviderAnswer & { readonly complete: boolean } {
    const known = {
      ...this.#facts,
      ...(this.#hasFailed ? { failed: true as const } : {}),
      complete: this.#isComplete,
    };
    if (this.#told === undefined && this.#hasFailed && this.#seen.isEmpty)
      return { ...known, units: NOTHING_USED, unitsBasis: 'estimated' };
    const output = () => this.#seen.tokens(tokenEncodingOf(this.#request.model));
    const { units, unitsBasis } = usageOf(this.#told, this.#request, output);
    return { ...known, units: withSearches(units, this.#items), unitsBasis };
  }

  /** The whole response: it says what its parts have said, if they did. */
  #readEnd(response: JsonRecord): void {
    this.#told = toldUsage(response, this.#request);
    const items = listOf(response.output);
    if (items.length > 0) this.#items = items.map(kindOf);
    if (this.#seen.isEmpty) for (const text of promptTexts(items).texts) this.#seen.add(text);
  }
}

/** So much of an item as says whether it is a search: its text need not be held. */
function kindOf(item: unknown): JsonRecord {
  const { type, action } = recordOf(item);
  return { type: textOf(type), action: { type: textOf(recordOf(action).type) } };
}

const ENDS: ReadonlySet<string> = new Set(['response.completed', 'response.incomplete', 'response.failed']);
