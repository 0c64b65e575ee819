import { answerFacts } from './answer-facts.js';
import { NOTHING_USED, promptTextOf } from './estimated-units.js';
import { removeNullMember } from './json-member.js';
import { isRecord, type JsonRecord, listOf, parseJsonRecord, recordOf } from './json-value.js';
import { toldByOpenAi } from './openai-usage.js';
import { promptTexts } from './prompt-texts.js';
import type {
  ProviderAnswer,
  ProviderRequest,
  ProviderStream,
  StreamEvent,
  StreamStep,
} from './provider-contract.js';
import { ResultHold } from './result-hold.js';
import { SeenText } from './seen-text.js';
import { tokenEncodingOf } from './token-count.js';
import { usageOf } from './told-usage.js';

/**
 * The stream of a chat completion. The result rides on the last chunk that has choices, because callers read the first
 * choice of every chunk; for one who asked for usage, on the chunk with the usage, which is the last. Source: OpenAI API
 * reference, "The chat completion chunk object": with `include_usage` the usage comes in one more chunk, whose choices are
 * empty, and is null in all others.
 */
export class OpenAiChatStream implements ProviderStream {
  readonly #request: ProviderRequest;
  readonly #hold = new ResultHold();
  readonly #seen = new SeenText();
  #facts: Pick<ProviderAnswer, 'model' | 'responseId'> = {};
  #usage: unknown;
  #hasBegun = false;
  #isComplete = false;
  #hasFailed = false;

  constructor(request: ProviderRequest) {
    this.#request = request;
  }

  push(event: StreamEvent): StreamStep {
    if (event.data.trim() === '[DONE]') {
      this.#isComplete = true;
      return this.#hold.settle(event);
    }
    const chunk = parseJsonRecord(event.data);
    if (chunk === undefined) return this.#hold.pass(event);
    if (this.#facts.model === undefined || this.#facts.responseId === undefined) {
      this.#facts = { ...answerFacts(chunk), ...this.#facts };
    }
    if (isRecord(chunk.usage)) this.#usage = chunk.usage;
    const choices = listOf(chunk.choices);
    if (choices.length > 0) this.#readChoices(choices);
    if (chunk.error !== undefined && chunk.error !== null) return this.#fail(event);
    if (choices.length > 0 && !this.#isOpening(choices)) return this.#hold.hold(this.#asAsked(event, chunk));
    if (choices.length > 0 || !isRecord(chunk.usage)) return this.#hold.pass(this.#asAsked(event, chunk));
    this.#isComplete = true;
    return this.#request.wantsUsage ? this.#hold.carry(event) : this.#hold.settle();
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
    const told = toldByOpenAi(this.#usage, this.#promptText());
    if (told === undefined && this.#hasFailed && !this.#hasBegun) {
      return { ...known, units: NOTHING_USED, unitsBasis: 'estimated' };
    }
    const output = () => this.#seen.tokens(tokenEncodingOf(this.#request.model));
    return { ...known, ...usageOf(told, this.#request, output) };
  }

  #promptText(): bigint | undefined {
    return this.#usage === undefined ? undefined : promptTextOf(this.#request);
  }

  #readChoices(choices: readonly unknown[]): void {
    this.#hasBegun = true;
    for (const choice of choices) {
      const { texts } = promptTexts(recordOf(choice).delta);
      for (const text of texts) this.#seen.add(text);
    }
  }

  /** The role that a stream opens with: more follows, so the first byte need not wait for it. */
  #isOpening(choices: readonly unknown[]): boolean {
    return this.#seen.isEmpty && choices.every((choice) => (recordOf(choice).finish_reason ?? null) === null);
  }

  /** The result has to come before the error: a client reads nothing behind it. */
  #fail(event: StreamEvent): StreamStep {
    this.#hasFailed = true;
    return this.#hold.isHolding ? this.#hold.settle(event) : this.#hold.carry(event);
  }

  /** Without the null that is there only because usage was forced on. */
  #asAsked(event: StreamEvent, chunk: JsonRecord): StreamEvent {
    if (this.#request.wantsUsage || chunk.usage !== null) return event;
    return { ...event, data: removeNullMember(event.data, 'usage') };
  }
}
