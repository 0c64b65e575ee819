import type { Units } from '../domain/units.js';

/** What can be told of one kind of provider request without calling it. */
export interface ProviderWire {
  readonly name:
    | 'openai.chat'
    | 'openai.responses'
    | 'openai.embeddings'
    | 'openai.images'
    | 'anthropic.messages';
  /** `body`: parsed JSON of the request. Throws {@link WireFault} if it cannot be such a request. */
  readRequest(body: unknown): ProviderRequest;
  /**
   * Usage of a complete answer body (status 2xx). What the body does not tell is counted from prompt and answer; a body
   * that is no such answer, or that says nothing yet (a background response), has no units and the basis `unknown`.
   */
  readAnswer(body: unknown, request: ProviderRequest): ProviderAnswer;
  /** A reader of the SSE stream of an answer, fed one event at a time. */
  openStream(request: ProviderRequest): ProviderStream;
}

/** The request cannot be one of its kind; the message may be shown to the caller. */
export class WireFault extends Error {
  override readonly name = 'WireFault';
  /** The member that is wrong; undefined: the body itself. */
  readonly field: string | undefined;

  constructor(message: string, field?: string) {
    super(message);
    this.field = field;
  }
}

/** The request is a right one, and one that the provider would be paid for without anybody counting it. */
export class NotMetered extends WireFault {}

export interface ProviderRequest {
  /** As sent; where the protocol lets it be left out, what the provider takes then, or `unknown_model`. */
  readonly model: string;
  readonly stream: boolean;
  /** `stream_options.include_usage` was asked by the caller (OpenAI chat); true where the protocol always reports. */
  readonly wantsUsage: boolean;
  /** The same body with usage forced on, as JSON value; the same object when nothing changes. */
  readonly upstreamBody: unknown;
  /** The same change made in the text that `body` was parsed from, all other bytes as they are. */
  upstreamText(text: string): string;
  readonly hasImages: boolean;
  /**
   * Units counted locally from the prompt, for estimates: text by the tokenizer, images by a flat rule; files, sound and
   * what the provider adds by itself (results of its tools, earlier turns that it keeps) are not in it. Counted once.
   */
  promptUnits(): Units;
}

export interface ProviderAnswer {
  /** What answered, as the provider names it; undefined: not told, or nothing that can be recorded. */
  readonly model?: string;
  readonly responseId?: string;
  readonly units?: Units;
  /** `reported`: all units are the provider's own; `estimated`: some were counted here; `unknown`: no units. */
  readonly unitsBasis: 'reported' | 'estimated' | 'unknown';
  /** The provider says in its answer or stream that the request failed, whatever the HTTP status. */
  readonly failed?: true;
}

export interface StreamEvent {
  /** Absent in the streams of the providers themselves; some compatible servers count their events. */
  readonly id?: string;
  /** Absent: the event has no name, as all of OpenAI's chat completions. */
  readonly event?: string;
  readonly data: string;
}

/**
 * One answer's stream. Feed every event to `push`, then call `end` once, also after a cut. A step that has `afterResult`
 * (with or without `result`) comes once at most: the call is to be settled, by `answer()`, before any of it is sent on.
 * If none came, nothing was left that could carry the result: settle after `end`.
 */
export interface ProviderStream {
  /** Takes one event, says what is to be forwarded. */
  push(event: StreamEvent): StreamStep;
  /** The provider's stream has ended or was cut: what was still held back. */
  end(): StreamStep;
  /**
   * What was used, as far as was seen; at any time. `complete`: the protocol's own end was seen. When the provider did not
   * say, counted from the stream and the prompt: basis `estimated`.
   */
  answer(): ProviderAnswer & { readonly complete: boolean };
}

export interface StreamStep {
  /** Events to be sent on now, in order; the newest chunk that may carry the result is held back. */
  readonly forward: readonly StreamEvent[];
  /** The event that must carry `xproxy_result`: a member to be added to its JSON object ({@link addMember}). */
  readonly result?: StreamEvent;
  /** To be sent after the result, or, where no event can carry one, after the call was settled. */
  readonly afterResult?: readonly StreamEvent[];
}
