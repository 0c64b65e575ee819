import { createParser, type EventSourceParser } from 'eventsource-parser';
import { parseJsonRecord } from './json-value.js';
import type { StreamEvent } from './provider-contract.js';

/** What a stream is made of. A comment keeps the connection alive and is passed on. */
export type StreamPart =
  | { readonly event: StreamEvent }
  | { readonly comment: string }
  /** How long a client is to wait before it connects again. */
  | { readonly retryMs: number };

/** The stream cannot be read on: one event is larger than may be held. */
export class EventTooLarge extends Error {
  override readonly name = 'EventTooLarge';
}

/**
 * Splits the bytes of an event stream, however they are cut. Source: WHATWG HTML, "Server-sent events", section 9.2.6:
 * lines end with LF, CR or CRLF, a byte order mark in front is dropped, fields that nobody knows are dropped. An
 * event that the end of the stream ends, and no blank line, is dropped too, unless it is whole: some servers forget the
 * last line, and what it says (`[DONE]`) decides whether the stream was cut.
 */
export class EventSplitter {
  readonly #decoder = new TextDecoder();
  readonly #parser: EventSourceParser;
  #parts: StreamPart[] = [];
  #endsWithReturn = false;
  #isTooLarge = false;

  constructor() {
    this.#parser = createParser({
      maxBufferSize: EVENT_CHARACTERS_MAX,
      onEvent: ({ id, event, data }) => {
        const named = event === undefined ? { data } : { event, data };
        this.#parts.push({ event: id === undefined ? named : { id, ...named } });
      },
      onRetry: (retryMs) => this.#parts.push({ retryMs }),
      onComment: (comment) => this.#parts.push({ comment }),
      onError: ({ type }) => {
        // A field that nobody knows is ignored, as the protocol says.
        if (type === 'max-buffer-size-exceeded') this.#isTooLarge = true;
      },
    });
  }

  /** The parts that are complete with these bytes. Throws {@link EventTooLarge}; then the stream is to be cut. */
  feed(bytes: Uint8Array): readonly StreamPart[] {
    const text = this.#decoder.decode(bytes, { stream: true });
    if (text === '') return [];
    this.#endsWithReturn = text.endsWith('\r');
    return this.#feed(text);
  }

  /** The parts that the end of the stream completes: a CR there is a line's end, not half of one. */
  end(): readonly StreamPart[] {
    const ended = this.#endsWithReturn ? this.#feed('\n') : [];
    return [...ended, ...this.#feed('\n\n').filter((part) => !('event' in part) || isWhole(part.event))];
  }

  #feed(text: string): readonly StreamPart[] {
    if (!this.#isTooLarge) this.#parser.feed(text);
    if (this.#isTooLarge) throw new EventTooLarge('An event of the stream is larger than may be held.');
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }
}

function isWhole({ data }: StreamEvent): boolean {
  return data.trim() === '[DONE]' || parseJsonRecord(data) !== undefined;
}

/** A part as it is written: its lines, and the blank line that ends it. */
export function partText(part: StreamPart): string {
  if ('retryMs' in part) return `retry: ${part.retryMs}\n\n`;
  return 'comment' in part ? `:${part.comment === '' ? '' : ` ${part.comment}`}\n\n` : eventText(part.event);
}

export function eventText({ id, event, data }: StreamEvent): string {
  const place = id === undefined ? '' : `id: ${id}\n`;
  const name = event === undefined ? '' : `event: ${event}\n`;
  return `${place}${name}data: ${data.replaceAll('\n', '\ndata: ')}\n\n`;
}

/** Far above any event of text; a whole image in base64 at the highest quality fits. */
const EVENT_CHARACTERS_MAX = 16 * 1024 * 1024;
